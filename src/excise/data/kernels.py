"""The compiled loops over Arrow's text buffers. Importing this module compiles them; nothing else here imports numba.

All of them are in one file because numba's cache looks only at the file in which a loop is written: a loop that calls
another one elsewhere would not notice its change.

Texts are `data` (bytes) and `offsets` [n + 1]: text i is data[offsets[i]:offsets[i + 1]], UTF-8, folded (text.folded).
"""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201, C901, PLR0912, PLR1730, SIM114
import numpy as np
from numba import boolean, float64, int64, types, uint8, uint32, uint64

from excise.data.compiled import kernel

_bytes = types.Array(uint8, 1, "C", readonly=True)  # memory-mapped buffers are read-only
_offsets = types.Array(int64, 1, "C", readonly=True)
_classes = types.Array(uint8, 1, "C", readonly=True)

_SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bit: offset basis and prime
_PRIME = np.uint64(0x100000001B3)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, 2^64 / golden ratio: base of the polynomial over tokens
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # splitmix64 (Steele, Lea, Flood 2014)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_EMPTY = np.uint32(0xFFFFFFFF)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


@kernel(uint64(uint64))
def mix(x):
    """splitmix64's finaliser: a bijection of 64 bits that leaves no pattern."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@kernel(int64(_bytes, int64, int64, _classes, int64, uint64[::1]))
def shingle(data, start, stop, classes, width, out):
    """Hashes of the runs of `width` tokens of one text (of all its tokens where it has fewer), in order of appearance.

    Args:
        data: Bytes.
        start: First byte of the text.
        stop: One past its last.
        classes: By code point: 0 separates, 1 belongs to a word, 2 is a token by itself (text.classes).
        width: Tokens a shingle.
        out: At least (stop - start + 1) // 2 long.

    Returns:
        Number of hashes written to `out`.
    """
    count = 0
    inside = False
    token = _SEED
    i = start
    while i < stop:
        byte = data[i]
        point = np.int64(byte)
        size = 1
        if byte >= 0x80:
            if byte >= 0xF0 and i + 3 < stop:
                point = ((point & 7) << 18) | (np.int64(data[i + 1] & 63) << 12)
                point |= (np.int64(data[i + 2] & 63) << 6) | np.int64(data[i + 3] & 63)
                size = 4
            elif byte >= 0xE0 and i + 2 < stop:
                point = ((point & 15) << 12) | (np.int64(data[i + 1] & 63) << 6) | np.int64(data[i + 2] & 63)
                size = 3
            elif i + 1 < stop:
                point = ((point & 31) << 6) | np.int64(data[i + 1] & 63)
                size = 2
        elif 65 <= byte <= 90:
            point += 32
        kind = classes[point] if point < classes.size else np.uint8(0)
        i += size
        if kind == 1:
            token = (token ^ np.uint64(point)) * _PRIME
            inside = True
            continue
        if inside:
            out[count] = token ^ (token >> np.uint64(32))
            count += 1
            token = _SEED
            inside = False
        if kind == 2:
            alone = (_SEED ^ np.uint64(point)) * _PRIME
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


@kernel(types.void(_bytes, _offsets, _classes, int64, int64, uint64[::1], uint32[:, ::1], uint64[:, ::1], boolean[::1]))
def sign(data, offsets, classes, width, rows, scratch, signatures, keys, present):
    """One-permutation MinHash with optimal densification, and the keys of its bands.

    A shingle's hash h names a bin by its upper 32 bits and a value by its lower 32; a bin holds its least value; an
    empty bin copies from a bin drawn for it, again and again until that one was filled.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        classes: As in `shingle`.
        width: Tokens a shingle.
        rows: Values a band.
        scratch: At least half of the longest text's bytes plus one.
        signatures: [n, bins], written.
        keys: [n, bands], written; bands * rows <= bins.
        present: [n], written: False where a text has no token at all.

    Source: Li, Owen, Zhang 2012 (one permutation); Shrivastava 2017, Optimal Densification.
    """
    bins = signatures.shape[1]
    filled = np.empty(bins, np.bool_)
    for text in range(offsets.size - 1):
        signature = signatures[text]
        signature[:] = _EMPTY
        count = shingle(data, offsets[text], offsets[text + 1], classes, width, scratch)
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
        for band in range(keys.shape[1]):
            key = _SEED
            for row in range(rows):
                key = mix(key ^ np.uint64(signature[band * rows + row]))
            keys[text, band] = key


@kernel(int64(_bytes, _offsets, _classes, int64, uint64[::1], uint64[::1], uint64[::1], int64[::1]))
def collect(data, offsets, classes, width, scratch, table, out, starts):
    """The set of shingle hashes of each text, ascending.

    Hashes are spread evenly, so a table that is kept in order while it is filled (ordered linear probing, home = upper
    bits) sorts and drops repetitions in linear time.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        classes: As in `shingle`.
        width: Tokens a shingle.
        scratch: At least half of the longest text's bytes plus one: s.
        table: At least 5 s + 2 long.
        out: Sets one after another; at least half of all bytes plus n long.
        starts: [n + 1], written: set i is out[starts[i]:starts[i + 1]].

    Returns:
        Length of all sets together.

    Source: Amble, Knuth 1974, Ordered hash tables.
    """
    end = 0
    starts[0] = 0
    for text in range(offsets.size - 1):
        count = shingle(data, offsets[text], offsets[text + 1], classes, width, scratch)
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


@kernel(types.void(uint64[::1], int64[::1], int64[::1], float64, int64[::1], float64[::1]))
def absorb(sets, starts, bounds, threshold, partner, redundancy):
    """Within each bucket, best record first: one that matches an earlier one which stayed is absorbed by it.

    Args:
        sets: Ascending sets one after another.
        starts: [n + 1], set i is sets[starts[i]:starts[i + 1]].
        bounds: [buckets + 1]: bucket k holds the sets bounds[k] to bounds[k + 1].
        threshold: Least Jaccard similarity of a match.
        partner: [n], written: index of the absorbing set, or -1.
        redundancy: [n], written: their Jaccard similarity, or 0.
    """
    staying = np.empty(starts.size, np.int64)
    for bucket in range(bounds.size - 1):
        count = 0
        for member in range(bounds[bucket], bounds[bucket + 1]):
            partner[member] = -1
            redundancy[member] = 0.0
            for i in range(count):
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


@kernel(int64(_bytes, _offsets, uint8[::1], int64[::1]))
def collapse(data, offsets, out, starts):
    """ASCII letters lower-cased, each run of white space one blank, none at either end.

    Args:
        data: Bytes of the texts, folded; of Unicode's white space only U+0085, 1680, 2028 and 2029 survive NFKC.
        offsets: [n + 1].
        out: At least as long as the texts.
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
            size = 0
            if byte <= 32:
                if byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31:
                    size = 1
            elif byte == 0xC2 and i + 1 < stop and data[i + 1] == 0x85:
                size = 2
            elif byte == 0xE2 and i + 2 < stop and data[i + 1] == 0x80 and 0xA8 <= data[i + 2] <= 0xA9:
                size = 3
            elif byte == 0xE1 and i + 2 < stop and data[i + 1] == 0x9A and data[i + 2] == 0x80:
                size = 3
            if size > 0:
                gap = True
                i += size
                continue
            if gap and end > starts[text]:
                out[end] = 32
                end += 1
            gap = False
            if 65 <= byte <= 90:
                byte += np.uint8(32)
            out[end] = byte
            end += 1
            i += 1
        starts[text + 1] = end
    return end
