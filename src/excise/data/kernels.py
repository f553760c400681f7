"""The compiled loops over Arrow's text buffers. Importing this module compiles them; nothing else here imports numba.

All of them are in one file because numba's cache looks only at the file in which a loop is written: a loop that calls
another one elsewhere would not notice its change.

Texts are `data` (bytes) and `offsets` [n + 1]: text i is data[offsets[i]:offsets[i + 1]], UTF-8. `points` says by code
point what it folds to and what it is (unicode.points); texts with entangled code points come composed (text.composed).
"""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201, C901, PLR0912, PLR0915, PLR1714, PLR1730
import numpy as np
from numba import boolean, float64, int64, types, uint8, uint32, uint64

from excise.data.compiled import kernel
from excise.data.unicode import ALONE, ENTANGLED, POINT, WORD

_bytes = types.Array(uint8, 1, "C", readonly=True)  # memory-mapped buffers are read-only
_offsets = types.Array(int64, 1, "C", readonly=True)
_points = types.Array(uint32, 1, "C", readonly=True)

_SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bit: offset basis and prime
_PRIME = np.uint64(0x100000001B3)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, 2^64 / golden ratio: base of the polynomial over tokens
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # splitmix64 (Steele, Lea, Flood 2014)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_EMPTY = np.uint32(0xFFFFFFFF)
_ZERO, _ONE = np.uint64(0), np.uint64(1)
# Layout of an entry of `points`, as in unicode.py.
_POINT, _WORD, _ALONE, _ENTANGLED = np.uint32(POINT), np.uint32(WORD), np.uint32(ALONE), np.uint32(ENTANGLED)


@kernel(uint64(uint64))
def mix(x):
    """splitmix64's finaliser: a bijection of 64 bits that leaves no pattern."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@kernel(int64(_bytes, int64, int64))
def decode(data, i, stop):
    """The code point at byte i, times 8, plus its length in bytes; 1 where `stop` cuts the sequence short."""
    byte = np.int64(data[i])
    if byte < 0x80:
        return byte << 3 | 1
    if byte >= 0xF0:
        if i + 3 < stop:
            high = (byte & 7) << 18 | np.int64(data[i + 1] & 63) << 12
            return (high | np.int64(data[i + 2] & 63) << 6 | np.int64(data[i + 3] & 63)) << 3 | 4
    elif byte >= 0xE0:
        if i + 2 < stop:
            high = (byte & 15) << 12 | np.int64(data[i + 1] & 63) << 6
            return (high | np.int64(data[i + 2] & 63)) << 3 | 3
    elif i + 1 < stop:
        return ((byte & 31) << 6 | np.int64(data[i + 1] & 63)) << 3 | 2
    return 1


@kernel(types.void(_bytes, _offsets, _points, boolean[::1]))
def entangled(data, offsets, points, found):
    """Which texts hold a code point that cannot be folded by itself; written to `found` [n]."""
    for text in range(offsets.size - 1):
        found[text] = False
        i = offsets[text]
        stop = offsets[text + 1]
        while i < stop:
            if data[i] < 0x80:
                i += 1
                continue
            unit = decode(data, i, stop)
            i += unit & 7
            if unit >> 3 < points.size and points[unit >> 3] & _ENTANGLED:
                found[text] = True
                break


@kernel(int64(_bytes, int64, int64, _points, int64, uint64[::1]))
def shingle(data, start, stop, points, width, out):
    """Hashes of the runs of `width` tokens of one text (of all its tokens where it has fewer), in order of appearance.

    Args:
        data: Bytes.
        start: First byte of the text.
        stop: One past its last.
        points: Table of code points.
        width: Tokens a shingle.
        out: At least stop - start long: a text may be all symbols.

    Returns:
        Number of hashes written to `out`.
    """
    count = 0
    inside = False
    token = _SEED
    i = start
    while i < stop:
        byte = data[i]
        if byte < 0x80:
            entry = points[byte]
            i += 1
        else:
            unit = decode(data, i, stop)
            entry = points[unit >> 3] if unit >> 3 < points.size else np.uint32(0)
            i += unit & 7
        if entry & _WORD:
            token = (token ^ np.uint64(entry & _POINT)) * _PRIME
            inside = True
            continue
        if inside:
            out[count] = token ^ (token >> np.uint64(32))
            count += 1
            token = _SEED
            inside = False
        if entry & _ALONE:
            alone = (_SEED ^ np.uint64(entry & _POINT)) * _PRIME
            out[count] = alone ^ (alone >> np.uint64(32))
            count += 1
    if inside:
        out[count] = token ^ (token >> np.uint64(32))
        count += 1
    if count < width:
        width = count
    if width == 0:
        return 0
    for k in range(count - width + 1):
        total = out[k]
        for j in range(1, width):
            total = total * _BASE + out[k + j]
        out[k] = mix(total)
    return count - width + 1


@kernel(int64(_bytes, _offsets, _points, int64, uint64[::1], int64[::1]))
def sequences(data, offsets, points, width, out, starts):
    """The hashes of `shingle` of each text, in order of appearance.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        points: Table of code points.
        width: Tokens a shingle.
        out: At least all bytes plus the longest text long.
        starts: [n + 1], written: those of text i are out[starts[i]:starts[i + 1]].

    Returns:
        Number of hashes.
    """
    end = 0
    starts[0] = 0
    for text in range(offsets.size - 1):
        end += shingle(data, offsets[text], offsets[text + 1], points, width, out[end:])
        starts[text + 1] = end
    return end


@kernel(types.void(_bytes, _offsets, _points, int64, uint64[::1], uint32[:, ::1], boolean[::1]))
def sign(data, offsets, points, width, scratch, signatures, present):
    """One-permutation MinHash with optimal densification.

    A shingle's hash h names a bin by its upper 32 bits and a value by its lower 32; a bin holds its least value; an
    empty bin copies from a bin drawn for it, again and again until that one was filled.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        points: Table of code points.
        width: Tokens a shingle.
        scratch: At least the longest text's bytes.
        signatures: [n, bins], written; all bits set where a text has no token at all.
        present: [n], written: False where a text has no token at all.

    Source: Li, Owen, Zhang 2012 (one permutation); Shrivastava 2017, Optimal Densification.
    """
    bins = signatures.shape[1]
    filled = np.empty(bins, np.bool_)
    for text in range(offsets.size - 1):
        signature = signatures[text]
        signature[:] = _EMPTY
        count = shingle(data, offsets[text], offsets[text + 1], points, width, scratch)
        present[text] = count > 0
        if count == 0:
            continue
        for i in range(count):
            h = scratch[i]
            place = np.int64(((h >> np.uint64(32)) * np.uint64(bins)) >> np.uint64(32))
            value = np.uint32(h & np.uint64(0xFFFFFFFF))
            if value < signature[place]:
                signature[place] = value
        for place in range(bins):
            filled[place] = signature[place] != _EMPTY
        for place in range(bins):
            if filled[place]:
                continue
            for attempt in range(1, 1 << 20):
                draw = mix((np.uint64(place) << np.uint64(32)) | np.uint64(attempt))
                donor = np.int64(((draw >> np.uint64(32)) * np.uint64(bins)) >> np.uint64(32))
                if filled[donor]:
                    signature[place] = signature[donor]
                    break


@kernel(types.void(types.Array(uint32, 2, "A", readonly=True), int64, uint64[:, ::1]))
def bands(signatures, rows, keys):
    """The keys of the bands of signatures.

    Args:
        signatures: [n, bins] or wider.
        rows: Values a band.
        keys: [bands, n], written; bands * rows <= bins.
    """
    for text in range(signatures.shape[0]):
        for band in range(keys.shape[0]):
            key = _SEED
            for row in range(rows):
                key = mix(key ^ np.uint64(signatures[text, band * rows + row]))
            keys[band, text] = key


@kernel(int64(_bytes, _offsets, _points, int64, uint64[::1], uint64[::1], uint64[::1], int64[::1]))
def collect(data, offsets, points, width, scratch, table, out, starts):
    """The set of shingle hashes of each text, ascending.

    Hashes are spread evenly, so a table that is kept in order while it is filled (ordered linear probing, home = upper
    bits) sorts and drops repetitions in linear time.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        points: Table of code points.
        width: Tokens a shingle.
        scratch: At least the longest text's bytes: s.
        table: At least 5 s + 2 long.
        out: Sets one after another; at least all bytes plus n long.
        starts: [n + 1], written: set i is out[starts[i]:starts[i + 1]].

    Returns:
        Length of all sets together.

    Source: Amble, Knuth 1974, Ordered hash tables.
    """
    end = 0
    starts[0] = 0
    for text in range(offsets.size - 1):
        count = shingle(data, offsets[text], offsets[text + 1], points, width, scratch)
        bits = 1
        while (1 << bits) < 2 * count:
            bits += 1
        shift = np.uint64(64 - bits)
        size = (1 << bits) + count + 1
        table[:size] = _ZERO  # 0 marks a free place; the hash 0 itself is taken for 1
        for i in range(count):
            h = scratch[i]
            if h == _ZERO:
                h = _ONE
            place = np.int64(h >> shift)
            while table[place] != _ZERO and table[place] < h:
                place += 1
            if table[place] == h:
                continue
            while h != _ZERO:
                moved = table[place]
                table[place] = h
                h = moved
                place += 1
        for place in range(size):
            if table[place] != _ZERO:
                out[end] = table[place]
                end += 1
        starts[text + 1] = end
    return end


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


@kernel(types.void(uint64[::1], int64[::1], boolean[::1], int64, float64, int64[::1], float64[::1]))
def absorb_many(sets, starts, fixed, kinds, threshold, partner, redundancy):
    """As `absorb` for one bucket of many sets, without comparing all with all.

    Two sets with Jaccard similarity t share at least t of each, so they share one of the rarest |A| - t|A| + 1 elements
    of each: an index of those proposes every match. Once both sizes are known the first shared element must come
    earlier still. Records made from one template, which share a band and half of their text, share no rare elements.

    Args:
        sets: Elements numbered from the rarest up, ascending in each set.
        starts: [n + 1], set i is sets[starts[i]:starts[i + 1]].
        fixed: [n], as in `absorb`.
        kinds: Number of different elements.
        threshold: Least Jaccard similarity of a match.
        partner: [n], written: index of an absorbing set, or -1.
        redundancy: [n], written: their Jaccard similarity, or 0.

    Source: Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007 (prefix filter); Xiao and others 2008 (positions).
    """
    last = np.full(kinds, -1, np.int64)  # by element: its last entry in a chain of the sets that stay
    owner = np.empty(sets.size, np.int64)
    before = np.empty(sets.size, np.int64)
    place = np.empty(sets.size, np.int64)
    seen = np.full(starts.size, -1, np.int64)
    entries = 0
    share = threshold / (1.0 + threshold)  # of |A| + |B|, that a match has in common
    for member in range(starts.size - 1):
        partner[member] = -1
        redundancy[member] = 0.0
        first = starts[member]
        stop = starts[member + 1]
        rare = min(stop, stop - np.int64(np.ceil(threshold * (stop - first) - 1e-6)) + 1)
        for k in range(first, first if fixed[member] else rare):
            entry = last[np.int64(sets[k])]
            while entry >= 0 and partner[member] < 0:
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
                similarity = jaccard(sets, starts[other], starts[other + 1], first, stop, threshold)
                if similarity >= threshold:
                    partner[member] = other
                    redundancy[member] = similarity
            if partner[member] >= 0:
                break
        if partner[member] < 0:
            for k in range(first, rare):
                element = np.int64(sets[k])
                owner[entries] = member
                place[entries] = k - first
                before[entries] = last[element]
                last[element] = entries
                entries += 1


@kernel(int64(_bytes, _offsets, _points, uint8[::1], int64[::1]))
def normalise(data, offsets, points, out, starts):
    """Every code point folded, each run of white space one blank, none at either end.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        points: Table of code points; of the white space of Unicode all but U+0085, 1680, 2028 and 2029 folds to ASCII.
        out: At least as long as the texts: nothing folds to more bytes.
        starts: [n + 1], written: offsets of the results in `out`.

    Returns:
        Bytes written.
    """
    end = 0
    starts[0] = 0
    for text in range(offsets.size - 1):
        gap = False
        i = offsets[text]
        stop = offsets[text + 1]
        while i < stop:
            byte = data[i]
            if byte < 0x80:
                point = np.int64(points[byte] & _POINT)
                i += 1
            else:
                unit = decode(data, i, stop)
                point = unit >> 3
                if point < points.size:
                    point = np.int64(points[point] & _POINT)
                i += unit & 7
            if point > 32 and point < 0x80:
                if gap and end > starts[text]:
                    out[end] = 32
                    end += 1
                gap = False
                out[end] = point
                end += 1
                continue
            if point == 32 or 9 <= point <= 13 or 28 <= point <= 31 or point == 0x85:
                gap = True
                continue
            if point == 0x1680 or point == 0x2028 or point == 0x2029:
                gap = True
                continue
            if gap and end > starts[text]:
                out[end] = 32
                end += 1
            gap = False
            if point < 0x80:
                out[end] = point
                end += 1
            elif point < 0x800:
                out[end] = 0xC0 | point >> 6
                out[end + 1] = 0x80 | point & 63
                end += 2
            elif point < 0x10000:
                out[end] = 0xE0 | point >> 12
                out[end + 1] = 0x80 | point >> 6 & 63
                out[end + 2] = 0x80 | point & 63
                end += 3
            else:
                out[end] = 0xF0 | point >> 18
                out[end + 1] = 0x80 | point >> 12 & 63
                out[end + 2] = 0x80 | point >> 6 & 63
                out[end + 3] = 0x80 | point & 63
                end += 4
        starts[text + 1] = end
    return end
