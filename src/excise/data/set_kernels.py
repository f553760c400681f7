"""The compiled loops over sets of shingle hashes. Importing this module compiles them."""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201, C901
import numpy as np
from numba import boolean, float64, int64, types, uint8, uint64

from excise.data.compiled import kernel


@kernel(float64(uint64[::1], int64, int64, int64, int64, float64))
def jaccard(sets, a, a_stop, b, b_stop, threshold):
    """|A & B| / |A | B| of two ascending sets, or -1 as soon as it cannot reach the threshold."""
    size = (a_stop - a) + (b_stop - b)
    if size == 0:
        return -1.0
    # |A & B| >= t / (1 + t) * (|A| + |B|); one less, so that rounding never turns a pair away.
    misses = size - 2 * (np.int64(threshold / (1.0 + threshold) * size) - 1)
    if abs((a_stop - a) - (b_stop - b)) > misses:
        return -1.0
    both = 0
    while a < a_stop and b < b_stop:
        if sets[a] == sets[b]:
            both += 1
            a += 1
            b += 1
        else:
            if sets[a] < sets[b]:
                a += 1
            else:
                b += 1
            misses -= 1
            if misses < 0:
                return -1.0
    return both / (size - both)


@kernel(
    int64(
        uint64[::1], int64[::1], int64[::1], boolean[::1], int64, int64, float64, int64[::1], int64[::1], float64[::1]
    )
)
def absorb(sets, starts, bounds, fixed, most, limit, threshold, worse, better, redundancy):
    """Matches of sets with earlier ones of their bucket.

    With a limit of 1 a set that matches an earlier one is absorbed by it: later ones are not compared with it.

    Args:
        sets: Ascending sets one after another.
        starts: [n + 1], set i is sets[starts[i]:starts[i + 1]].
        bounds: [buckets + 1]: bucket k holds the sets bounds[k] to bounds[k + 1].
        fixed: [n], True for a set that stays whatever it matches.
        most: Buckets of more sets than this are left alone.
        limit: Matches of a set with earlier ones that are told.
        threshold: Least Jaccard similarity of a match.
        worse: [n * limit], written: of each match the later set, ascending,
        better: [n * limit], written: and the earlier one,
        redundancy: [n * limit], written: and their Jaccard similarity.

    Returns:
        Number of matches.
    """
    joined = np.empty(starts.size, np.int64)
    found = 0
    for bucket in range(bounds.size - 1):
        count = 0
        if bounds[bucket + 1] - bounds[bucket] > most:
            continue
        for member in range(bounds[bucket], bounds[bucket + 1]):
            matches = 0
            for i in range(0 if fixed[member] else count):
                other = joined[i]
                similarity = jaccard(
                    sets, starts[other], starts[other + 1], starts[member], starts[member + 1], threshold
                )
                if similarity >= threshold:
                    worse[found], better[found], redundancy[found] = member, other, similarity
                    found += 1
                    matches += 1
                    if matches == limit:
                        break
            if matches == 0 or limit > 1:
                joined[count] = member
                count += 1
    return found


@kernel(
    types.UniTuple(int64, 2)(
        uint64[::1], int64[::1], boolean[::1], int64, int64, int64, float64, int64[::1], int64[::1], float64[::1]
    )
)
def absorb_many(sets, starts, fixed, kinds, most, limit, threshold, worse, better, redundancy):
    """As `absorb` for one bucket of many sets, without comparing all with all.

    Two sets with Jaccard similarity t share at least t of each, so they share one of the rarest |A| - t|A| + 1 elements
    of each: an index of those proposes every match. Once both sizes are known the first shared element must come
    earlier still. Records made from one template, which share a band and half of their text, share no rare elements.

    Args:
        sets: Elements numbered from the rarest up, ascending in each set.
        starts: [n + 1], set i is sets[starts[i]:starts[i + 1]].
        fixed: [n], as in `absorb`.
        kinds: Number of different elements.
        most: Other sets that one is compared with; a look at the index counts for a 16th of that. Sets made of the same
            few elements, which share all of them, would make the work quadratic.
        limit: As in `absorb`.
        threshold: Least Jaccard similarity of a match.
        worse: [n * limit], written: as in `absorb`, but a set's matches are in no order.
        better: [n * limit], written.
        redundancy: [n * limit], written.

    Returns:
        Number of matches, and of sets with less than `limit` though more might have been compared with them.

    Source: Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007 (prefix filter); Xiao and others 2008 (positions).
    """
    last = np.full(kinds, -1, np.int64)  # by element: its last entry in a chain of the sets that joined
    owner = np.empty(sets.size, np.int64)
    before = np.empty(sets.size, np.int64)
    place = np.empty(sets.size, np.int64)
    seen = np.full(starts.size, -1, np.int64)
    # Elements that all sets share are passed by as a whole: an entry B matches A only if size(B) (1 - share) - place(B)
    # >= share size(A), and size(B) share <= size(A) (1 - share) - place(A).
    widest = np.full(kinds, -1.0)
    smallest = np.full(kinds, sets.size, np.int64)
    share = threshold / (1.0 + threshold)  # of |A| + |B|, that a match has in common
    entries = found = ended = 0
    for member in range(starts.size - 1):
        first, stop = starts[member], starts[member + 1]
        rare = min(stop, stop - np.int64(np.ceil(threshold * (stop - first) - 1e-6)) + 1)
        matches = 0
        left = 16 * most
        for k in range(first, first if fixed[member] else rare):
            element = np.int64(sets[k])
            if widest[element] < share * (stop - first) - 1.0:
                continue
            if share * smallest[element] > (1.0 - share) * (stop - first) - (k - first) + 1.0:
                continue
            entry = last[element]
            while entry >= 0 and matches < limit and left > 0:
                left -= 1
                other = owner[entry]
                later = place[entry]
                entry = before[entry]
                if seen[other] == member:
                    continue
                size = starts[other + 1] - starts[other]
                both = np.int64(np.ceil(share * (stop - first + size) - 1e-6))
                if k - first > stop - first - both or later > size - both:
                    continue
                seen[other] = member
                left -= 16
                similarity = jaccard(sets, starts[other], starts[other + 1], first, stop, threshold)
                if similarity >= threshold:
                    worse[found], better[found], redundancy[found] = member, other, similarity
                    found += 1
                    matches += 1
        if matches > 0 and limit == 1:
            continue
        ended += matches < limit and left <= 0
        for k in range(first, rare):
            element = np.int64(sets[k])
            owner[entries] = member
            place[entries] = k - first
            before[entries] = last[element]
            last[element] = entries
            entries += 1
            widest[element] = max(widest[element], (1.0 - share) * (stop - first) - (k - first))
            smallest[element] = min(smallest[element], stop - first)
    return found, ended


@kernel(types.void(int64[::1], int64[::1], int64[::1]))
def anchor(worse, better, anchors):
    """For each node the first of its matches that stays, or -1 where none does and it stays itself.

    Args:
        worse: [m], by (worse, better): numbers of nodes.
        better: [m], the better ranked node of each match, with the lower number.
        anchors: [nodes], -1 everywhere; written.
    """
    for k in range(worse.size):
        if anchors[worse[k]] < 0 and anchors[better[k]] < 0:
            anchors[worse[k]] = better[k]


@kernel(types.void(int64[::1], int64[::1], int64[::1]))
def join(left, right, head):
    """The least node of each node's connected component.

    Args:
        left: [m], one end of each edge.
        right: [m], the other.
        head: [nodes], 0, 1, 2, …; written.
    """
    for k in range(left.size):
        a, b = left[k], right[k]
        while head[a] != a:
            head[a] = head[head[a]]
            a = head[a]
        while head[b] != b:
            head[b] = head[head[b]]
            b = head[b]
        head[max(a, b)] = min(a, b)
    for node in range(head.size):  # a head is less than what it heads, so its own is settled
        head[node] = head[head[node]]


@kernel(
    types.void(types.Array(uint8, 2, "C", readonly=True), int64[::1], int64[::1], int64, int64, int64, boolean[::1])
)
def likely(rough, rows, bounds, most, full, least, keep):
    """Which records of each bucket may match another one of it, by what their signatures have in common.

    Args:
        rough: [n, bins + 1]: the lowest byte of each value, and the number of bins that were filled.
        rows: [members], the rows of `rough` of bucket after bucket.
        bounds: [buckets + 1], where each bucket starts.
        most: Buckets of more members than this are kept whole.
        full: A record with fewer filled bins than this may match any.
        least: Values that two others have to share.
        keep: [members], written.
    """
    bins = rough.shape[1] - 1
    for bucket in range(bounds.size - 1):
        start, stop = bounds[bucket], bounds[bucket + 1]
        keep[start:stop] = stop - start > most
        if stop - start > most:
            continue
        for i in range(start, stop):
            for j in range(i + 1, stop):
                if keep[i] and keep[j]:
                    continue
                one, other = rough[rows[i]], rough[rows[j]]
                equal = 0
                for k in range(bins):
                    equal += one[k] == other[k]
                if equal >= least or one[bins] < full or other[bins] < full:
                    keep[i] = True
                    keep[j] = True
