"""The compiled loops over sets of shingle hashes. Importing this module compiles them."""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201
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


@kernel(types.void(uint64[::1], int64[::1], int64[::1], boolean[::1], int64, float64, int64[::1], float64[::1]))
def absorb(sets, starts, bounds, fixed, most, threshold, partner, redundancy):
    """Within each bucket, best record first: one that matches an earlier one which stayed is absorbed by it.

    Args:
        sets: Ascending sets one after another.
        starts: [n + 1], set i is sets[starts[i]:starts[i + 1]].
        bounds: [buckets + 1]: bucket k holds the sets bounds[k] to bounds[k + 1].
        fixed: [n], True for a set that stays whatever it matches.
        most: Buckets of more sets than this are left alone.
        threshold: Least Jaccard similarity of a match.
        partner: [n], written: index of the absorbing set, or -1.
        redundancy: [n], written: their Jaccard similarity, or 0.
    """
    staying = np.empty(starts.size, np.int64)
    for bucket in range(bounds.size - 1):
        count = 0
        if bounds[bucket + 1] - bounds[bucket] > most:
            continue
        for member in range(bounds[bucket], bounds[bucket + 1]):
            partner[member] = -1
            redundancy[member] = 0.0
            for i in range(0 if fixed[member] else count):
                other = staying[i]
                similarity = jaccard(
                    sets, starts[other], starts[other + 1], starts[member], starts[member + 1], threshold
                )
                if similarity >= threshold:
                    partner[member] = other
                    redundancy[member] = similarity
                    break
            if partner[member] < 0:
                staying[count] = member
                count += 1


@kernel(int64(uint64[::1], int64[::1], boolean[::1], int64, int64, float64, int64[::1], float64[::1]))
def absorb_many(sets, starts, fixed, kinds, most, threshold, partner, redundancy):
    """As `absorb` for one bucket of many sets, without comparing all with all.

    Two sets with Jaccard similarity t share at least t of each, so they share one of the rarest |A| - t|A| + 1 elements
    of each: an index of those proposes every match. Once both sizes are known the first shared element must come
    earlier still. Records made from one template, which share a band and half of their text, share no rare elements.

    Args:
        sets: Elements numbered from the rarest up, ascending in each set.
        starts: [n + 1], set i is sets[starts[i]:starts[i + 1]].
        fixed: [n], as in `absorb`.
        kinds: Number of different elements.
        most: Other sets that one is compared with; a look at the index counts for a 64th of that. Sets made of the same
            few elements, which share all of them, would make the work quadratic.
        threshold: Least Jaccard similarity of a match.
        partner: [n], written: index of an absorbing set, or -1.
        redundancy: [n], written: their Jaccard similarity, or 0.

    Returns:
        Number of sets that stay though more might have been compared with them.

    Source: Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007 (prefix filter); Xiao and others 2008 (positions).
    """
    last = np.full(kinds, -1, np.int64)  # by element: its last entry in a chain of the sets that stay
    owner = np.empty(sets.size, np.int64)
    before = np.empty(sets.size, np.int64)
    place = np.empty(sets.size, np.int64)
    seen = np.full(starts.size, -1, np.int64)
    entries = 0
    share = threshold / (1.0 + threshold)  # of |A| + |B|, that a match has in common
    ended = 0
    for member in range(starts.size - 1):
        partner[member] = -1
        redundancy[member] = 0.0
        first = starts[member]
        stop = starts[member + 1]
        rare = min(stop, stop - np.int64(np.ceil(threshold * (stop - first) - 1e-6)) + 1)
        left = 64 * most
        for k in range(first, first if fixed[member] else rare):
            entry = last[np.int64(sets[k])]
            while entry >= 0 and partner[member] < 0 and left > 0:
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
                left -= 64
                similarity = jaccard(sets, starts[other], starts[other + 1], first, stop, threshold)
                if similarity >= threshold:
                    partner[member] = other
                    redundancy[member] = similarity
            if partner[member] >= 0:
                break
        if partner[member] < 0:
            ended += left <= 0
            for k in range(first, rare):
                element = np.int64(sets[k])
                owner[entries] = member
                place[entries] = k - first
                before[entries] = last[element]
                last[element] = entries
                entries += 1
    return ended


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
