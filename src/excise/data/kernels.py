"""The compiled loops over Arrow's text buffers. Importing this module compiles them.

Loops that call one another are in one file because numba's cache looks only at the file in which a loop is written: one
that calls another elsewhere would not notice its change.

Texts are `data` (bytes) and `offsets` [n + 1]: text i is data[offsets[i]:offsets[i + 1]], UTF-8. `points` says by code
point what it folds to and what it is (unicode.points); texts with entangled code points come composed (text.composed).

ASCII, which is most of most texts, is read eight bytes at a time: one of these is a letter where adding 128 less the
first letter sets its upper bit, and adding 128 less what follows the last letter does not (Lamport 1975, Multiple byte
processing with full-word instructions). A byte above 127 spoils only what comes after it.
"""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0912, PLR0915, PLR1714, PLR1730
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import boolean, int64, types, uint8, uint32, uint64
from numba.extending import intrinsic

from excise.data.compiled import kernel
from excise.data.unicode import ALONE, ENTANGLED, POINT, WORD

_bytes = types.Array(uint8, 1, "C", readonly=True)  # memory-mapped buffers are read-only
_offsets = types.Array(int64, 1, "C", readonly=True)
_points = types.Array(uint32, 1, "C", readonly=True)

_SEED = np.uint64(0xCBF29CE484222325)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, 2^64 / golden ratio: base of the polynomials over bytes and over tokens
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # splitmix64 (Steele, Lea, Flood 2014)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_EMPTY = np.uint32(0xFFFFFFFF)
_ZERO, _ONE = np.uint64(0), np.uint64(1)
# Layout of an entry of `points`, as in unicode.py.
_POINT, _WORD, _ALONE, _ENTANGLED = np.uint32(POINT), np.uint32(WORD), np.uint32(ALONE), np.uint32(ENTANGLED)


def _eight(byte: int) -> np.uint64:
    """The same byte eight times."""
    return np.uint64(byte * 0x0101010101010101)


_HIGH, _BLANKS, _UNDERSCORES = _eight(0x80), _eight(ord(" ")), _eight(ord("_"))
# Added to bytes below 128, these set the upper bit of those from that sign on.
_FROM_0, _PAST_9 = _eight(0x80 - ord("0")), _eight(0x80 - ord("9") - 1)
_FROM_UPPER_A, _PAST_UPPER_Z = _eight(0x80 - ord("A")), _eight(0x80 - ord("Z") - 1)
_FROM_A, _PAST_Z = _eight(0x80 - ord("a")), _eight(0x80 - ord("z") - 1)
_PAST_BLANK = _eight(0x80 - ord(" ") - 1)


@intrinsic
def load(typing_context, data, index):
    """The eight bytes from `index` on, the first one lowest; the caller sees to it that they are there."""

    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return uint64(data, int64), code


@intrinsic
def store(typing_context, data, index, eight):
    """Write eight bytes from `index` on; the caller sees to it that there is room."""

    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        builder.store(arguments[2], place, align=1)
        return context.get_dummy_value()

    return types.void(data, int64, uint64), code


@intrinsic
def zeros(typing_context, value):
    """How many bits below the lowest one that is set; 64 for none."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return int64(uint64), code


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


@kernel(uint64(uint64, uint64))
def chain(h, eight):
    """The hash of some bytes with eight more."""
    h = (h ^ eight) * _BASE
    return h ^ (h >> np.uint64(32))


@kernel(uint64(uint32))
def encoded(entry):
    """The UTF-8 bytes of what a code point folds to, the first one lowest."""
    point = np.uint64(entry & _POINT)
    if point < 0x80:
        return point
    last = np.uint64(0x80) | (point & np.uint64(63))
    if point < 0x800:
        return np.uint64(0xC0) | point >> np.uint64(6) | last << np.uint64(8)
    third = np.uint64(0x80) | (point >> np.uint64(6) & np.uint64(63))
    if point < 0x10000:
        return np.uint64(0xE0) | point >> np.uint64(12) | third << np.uint64(8) | last << np.uint64(16)
    second = np.uint64(0x80) | (point >> np.uint64(12) & np.uint64(63))
    high = np.uint64(0xF0) | point >> np.uint64(18) | second << np.uint64(8)
    return high | third << np.uint64(16) | last << np.uint64(24)


@kernel(types.void(_bytes, _offsets, _points, boolean[::1]))
def entangled(data, offsets, points, found):
    """Which texts hold a code point that cannot be folded by itself; written to `found` [n]."""
    for text in range(offsets.size - 1):
        found[text] = False
        i = offsets[text]
        stop = offsets[text + 1]
        while i < stop:
            if i + 8 <= stop and load(data, i) & _HIGH == _ZERO:
                i += 8
                continue
            if data[i] < 0x80:
                i += 1
                continue
            unit = decode(data, i, stop)
            i += unit & 7
            if unit >> 3 < points.size and points[unit >> 3] & _ENTANGLED:
                found[text] = True
                break


@kernel(types.void(_bytes, _offsets, int64[::1], int64[::1], int64[::1], uint8[::1]))
def gather(data, offsets, rows, starts, places, out):
    """Copy some texts.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        rows: [m], which.
        starts: Where each text of `out` starts.
        places: [m], which of those each becomes.
        out: Written.
    """
    for k in range(rows.size):
        first, size = offsets[rows[k]], offsets[rows[k] + 1] - offsets[rows[k]]
        to = starts[places[k]]
        out[to : to + size] = data[first : first + size]


@kernel(int64(_bytes, int64, int64, _points, uint64[::1]))
def tokens(data, start, stop, points, out):
    """Hashes of the tokens of one text: of their folded UTF-8 bytes, eight by eight.

    Args:
        data: Bytes.
        start: First byte of the text.
        stop: One past its last.
        points: Table of code points.
        out: At least stop - start long: a text may be all symbols.

    Returns:
        Number of hashes written to `out`.
    """
    count = 0
    inside = False
    h = _SEED
    rest, held = _ZERO, _ZERO  # bytes of the word that h lacks, and how many bits they are: less than 64
    i = start
    while i < stop:
        if held == _ZERO and i + 8 <= stop:
            x = load(data, i)
            lower = x | _BLANKS
            letters = (lower + _FROM_A) & ~(lower + _PAST_Z) & _HIGH
            digits = (x + _FROM_0) & ~(x + _PAST_9)
            word = (letters | digits | (_HIGH - (x ^ _UNDERSCORES))) & _HIGH & ~x
            size = zeros(word ^ _HIGH) & 0x78  # bits of the bytes before the first that is no part of a word
            if size > 0:
                folded = x | (letters >> np.uint64(2))
                if size == 64:
                    h = chain(h, folded)
                    inside = True
                    i += 8
                    continue
                i += size >> 3
                held = np.uint64(size)
                rest = folded & ((_ONE << held) - _ONE)
                inside = True
                after = x >> held & np.uint64(0xFF)
                if after >= 0x80:  # a code point beyond ASCII, with which the word may go on
                    continue
                out[count] = mix(h ^ rest)
                count += 1
                h = _SEED
                rest, held = _ZERO, _ZERO
                inside = False
                if after == 0x20:
                    i += 1
                continue
            if not inside:
                blanks = zeros(x ^ _BLANKS) >> 3
                if blanks > 0:
                    i += blanks
                    continue
        byte = data[i]
        if byte < 0x80:
            entry = points[byte]
            i += 1
        else:
            unit = decode(data, i, stop)
            entry = points[unit >> 3] if unit >> 3 < points.size else np.uint32(0)
            i += unit & 7
        if entry & _WORD:
            inside = True
            code = encoded(entry)
            size = np.int64(8 + 8 * ((code > 0xFF) + (code > 0xFFFF) + (code > 0xFFFFFF)))
            rest |= code << held
            if np.int64(held) + size < 64:
                held += np.uint64(size)
            else:
                h = chain(h, rest)
                fitted = np.uint64(64) - held
                held = np.uint64(size) - fitted
                rest = code >> fitted if held > _ZERO else _ZERO
            continue
        if inside:
            out[count] = mix(h ^ rest)
            count += 1
            h = _SEED
            rest, held = _ZERO, _ZERO
            inside = False
        if entry & _ALONE:
            out[count] = mix(_SEED ^ encoded(entry))
            count += 1
    if inside:
        out[count] = mix(h ^ rest)
        count += 1
    return count


@kernel(int64(_bytes, int64, int64, _points, int64, uint64[::1]))
def shingle(data, start, stop, points, width, out):
    """Hashes of the runs of `width` tokens of one text (of all its tokens where it has fewer), in order of appearance.

    Args:
        data: Bytes.
        start: First byte of the text.
        stop: One past its last.
        points: Table of code points.
        width: Tokens a shingle.
        out: At least stop - start long.

    Returns:
        Number of hashes written to `out`.
    """
    count = tokens(data, start, stop, points, out)
    if count < width:
        width = count
    if width == 0:
        return 0
    leaving = _ONE
    for _ in range(width):
        leaving *= _BASE
    total, left = _ZERO, _ZERO
    for k in range(width - 1):
        total = total * _BASE + out[k]
    for k in range(count - width + 1):
        total = total * _BASE + out[k + width - 1] - left
        left = out[k] * leaving
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


@kernel(types.void(_bytes, _offsets, _points, int64, uint64[::1], uint32[:, ::1], uint8[::1]))
def sign(data, offsets, points, width, scratch, signatures, filled):
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
        filled: [n], written: bins that hold a value of their own; 0 where a text has no token at all.

    Source: Li, Owen, Zhang 2012 (one permutation); Shrivastava 2017, Optimal Densification.
    """
    bins = signatures.shape[1]
    own = np.empty(bins, np.bool_)
    for text in range(offsets.size - 1):
        signature = signatures[text]
        signature[:] = _EMPTY
        count = shingle(data, offsets[text], offsets[text + 1], points, width, scratch)
        filled[text] = 0
        if count == 0:
            continue
        for i in range(count):
            h = scratch[i]
            place = np.int64(((h >> np.uint64(32)) * np.uint64(bins)) >> np.uint64(32))
            value = np.uint32(h & np.uint64(0xFFFFFFFF))
            if value < signature[place]:
                signature[place] = value
        for place in range(bins):
            own[place] = signature[place] != _EMPTY
            filled[text] += own[place]
        if filled[text] == bins:
            continue
        for place in range(bins):
            if own[place]:
                continue
            for attempt in range(1, 1 << 20):
                draw = mix((np.uint64(place) << np.uint64(32)) | np.uint64(attempt))
                donor = np.int64(((draw >> np.uint64(32)) * np.uint64(bins)) >> np.uint64(32))
                if own[donor]:
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


@kernel(int64(_bytes, _offsets, _points, uint8[::1], int64[::1]))
def normalise(data, offsets, points, out, starts):
    """Every code point folded, each run of white space one blank, none at either end.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        points: Table of code points; of the white space of Unicode all but U+0085, 1680, 2028 and 2029 folds to ASCII.
        out: 8 longer than the texts: nothing folds to more bytes.
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
            if i + 8 <= stop:
                x = load(data, i)
                plain = (x + _PAST_BLANK) & ~x & _HIGH
                size = zeros(plain ^ _HIGH) >> 3  # bytes before the first that is blank, control or beyond ASCII
                if size > 0:
                    if gap and end > starts[text]:
                        out[end] = 32
                        end += 1
                    upper = (x + _FROM_UPPER_A) & ~(x + _PAST_UPPER_Z) & _HIGH
                    store(out, end, x | (upper >> np.uint64(2)))
                    end += size
                    i += size
                    gap = size < 8 and data[i] == 32
                    i += gap
                    continue
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
