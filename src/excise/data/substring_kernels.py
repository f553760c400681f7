"""The compiled loops over repeated substrings. Importing this module compiles them.

Texts lie one after another in `flat` (bytes); text i is flat[starts[i]:starts[i + 1]].
"""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201, C901, PLR0912
import numpy as np
from numba import boolean, int64, types, uint8, uint32, uint64

from excise.data.compiled import kernel
from excise.data.unicode import ALONE

_bytes = types.Array(uint8, 1, "C", readonly=True)
_offsets = types.Array(int64, 1, "C", readonly=True)
_points = types.Array(uint32, 1, "C", readonly=True)

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, 2^64 / golden ratio
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # splitmix64
_MIX_2 = np.uint64(0x94D049BB133111EB)
_ALONE = np.uint32(ALONE)
#: Signs that end a sentence where a blank follows, and where none has to; those that may follow them.
_STOPS, _FULL_STOPS = (0x2E, 0x21, 0x3F, 0x2026), (0x3002, 0xFF01, 0xFF1F)  # . ! ? and …; 。！？
_CLOSING = (0x22, 0x27, 0x29, 0x5D, 0x7D, 0x2019, 0x201D, 0x300B, 0x300D, 0x300F, 0xFF09)  # " ' ) ] } ’ ” 》」』）
#: So many of these and of blanks are passed over between a stop and the border after it.
_NEAR = 12


@kernel(int64(_bytes, _offsets, int64, int64, uint64[::1], uint64[::1], int64[::1]))
def winnow(data, offsets, width, window, ring, keys, places):
    """Fingerprints of each text: of every `window` neighbouring runs of `width` bytes the one with the least hash.

    Two texts that share width + window - 1 bytes share a fingerprint. Of equal hashes the one chosen before stays, else
    the last is taken: a text of one character gets one fingerprint a window.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        width: Bytes hashed.
        window: Hashes of which the least is taken.
        ring: A power of two of at least `window` places.
        keys: Written, evenly spread.
        places: Written, index in `data` of the first byte hashed, ascending.

    Returns:
        Number of fingerprints; -1 where there are more than places for them.

    Source: Schleimer, Wilkerson, Aiken 2003, Winnowing (robust winnowing).
    """
    mask = ring.size - 1
    leaving = np.uint64(1)
    for _ in range(width):
        leaving *= _BASE
    count = 0
    for text in range(offsets.size - 1):
        start, stop = offsets[text], offsets[text + 1]
        if stop - start < width + window - 1:
            continue
        h = np.uint64(0)
        for i in range(start, start + width - 1):
            h = h * _BASE + np.uint64(data[i])
        h_out = np.uint64(0)  # the byte that left, times base^width
        last = start - 1
        least, best = np.uint64(0), start - 1
        for i in range(start, stop - width + 1):
            h = h * _BASE + np.uint64(data[i + width - 1]) - h_out
            h_out = np.uint64(data[i]) * leaving
            value = h ^ (h >> np.uint64(32))
            ring[i & mask] = value
            if i < start + window - 1:  # the first window is not whole yet
                continue
            if best <= i - window:
                best = i
                least = value
                for j in range(i - 1, i - window, -1):
                    if ring[j & mask] < least:
                        least = ring[j & mask]
                        best = j
            elif value < least:
                least = value
                best = i
            if best != last:
                if count == keys.size:
                    return -1
                last = best
                key = (least ^ (least >> np.uint64(30))) * _MIX_1
                key = (key ^ (key >> np.uint64(27))) * _MIX_2
                keys[count] = key ^ (key >> np.uint64(31))
                places[count] = best
                count += 1
    return count


@kernel(int64(_bytes, int64, int64, _points, int64, int64))
def weight(flat, start, stop, points, least, least_wide):
    """Bytes, where a code point of a script without blanks counts least / least_wide of them; times least_wide."""
    total = 0
    i = start
    while i < stop:
        byte = np.int64(flat[i])
        size = 1
        wide = False
        if byte >= 0xF0:
            size = 4
            wide = byte == 0xF0 and i + 1 < stop and flat[i + 1] >= 0xA0  # Han from U+20000 on
        elif byte >= 0xE0:
            size = 3
            if i + 2 < stop:
                point = (byte & 15) << 12 | np.int64(flat[i + 1] & 63) << 6 | np.int64(flat[i + 2] & 63)
                wide = points[point] & _ALONE != 0
        elif byte >= 0xC0:
            size = 2
        size = min(size, stop - i)
        total += least if wide else size * least_wide
        i += size
    return total


@kernel(
    int64(_bytes, _offsets, _points, int64[::1], int64[::1], int64[::1], int64, int64, int64, int64[:, ::1]),
)
def extend(flat, starts, points, places, firsts, befores, width, least, least_wide, spans):
    """Spans that repeat an earlier one.

    From each fingerprint, in order of places, one or two earlier ones with its key are tried; the second one is taken
    where it reaches further. What lies before the end of the last span is settled, and a match is not followed back
    into it further than a repeat needs to be long, so that the work is linear in the bytes and the fingerprints.

    Where a text repeats itself with a shift shorter than a repeat, the first of it stays as long as a repeat has to be.

    Args:
        flat: Bytes of the texts.
        starts: [n + 1].
        points: Table of code points.
        places: [m], ascending: first byte of each fingerprint.
        firsts: [m], the first place with its key.
        befores: [m], another earlier one, or -1.
        width: Bytes of a fingerprint.
        least: Bytes a repeat has to have.
        least_wide: Code points it has to have in scripts without blanks.
        spans: [m, 4], written: text, first byte, one past the last, first byte of what it repeats.

    Returns:
        Number of spans; by first byte, none overlaps another.
    """
    longest = max(least, 3 * least_wide)
    count = 0
    text = np.int64(-1)
    low = high = settled = np.int64(0)
    for k in range(places.size):
        b = places[k]
        if b >= high:
            text = np.searchsorted(starts, b, side="right") - 1
            low, high = starts[text], starts[text + 1]
            settled = low
        if b + width <= settled:
            continue
        begin = end = origin = np.int64(-1)
        for a in (firsts[k], befores[k]):
            if a < 0:
                continue
            other = np.searchsorted(starts, a, side="right") - 1
            limit = min(high - b, starts[other + 1] - a)
            after = 0
            while after < limit and flat[b + after] == flat[a + after]:
                after += 1
            if after < width or b + after <= max(settled, end):
                continue
            limit = min(b - max(low, settled - longest), a - starts[other])
            before = 0
            while before < limit and flat[b - before - 1] == flat[a - before - 1]:
                before += 1
            if before + after < longest:
                if before + after < min(least, 3 * least_wide):
                    continue
                if weight(flat, b - before, b + after, points, least, least_wide) < least * least_wide:
                    continue
            first = max(settled, b - before)
            if other == text:
                first = max(first, a - before + longest)
            if first >= b + after:
                continue
            begin, end, origin = first, b + after, first - (b - a)
        if end >= 0:
            spans[count, 0] = text
            spans[count, 1] = begin
            spans[count, 2] = end
            spans[count, 3] = origin
            count += 1
            settled = end
    return count


@kernel(int64(_bytes, int64, int64))
def sign_before(flat, start, i):
    """The code point that ends before byte i, times 4, plus its length in bytes; only those of one or three; else 0."""
    byte = np.int64(flat[i - 1])
    if byte < 0x80:
        return byte << 2 | 1
    if i - 3 < start or flat[i - 3] & 0xF0 != 0xE0:
        return 0
    return (np.int64(flat[i - 3] & 15) << 12 | np.int64(flat[i - 2] & 63) << 6 | byte & 63) << 2 | 3


@kernel(boolean(_bytes, int64, int64))
def opens(flat, start, x):
    """Whether a line or a sentence begins at byte x of a text that starts at `start`.

    A sentence begins after a full stop and blanks, or after an ideographic one; closing signs may follow either.
    """
    if x == start or flat[x - 1] == 10:
        return True
    gap = False
    i = x
    for _ in range(_NEAR):
        if i <= start:
            break
        unit = sign_before(flat, start, i)
        point = unit >> 2
        if point in _FULL_STOPS:
            return True
        if point in _STOPS:
            return gap
        if 0 < point <= 32:
            gap = True
        elif point not in _CLOSING:
            break
        i -= unit & 3
    return False


@kernel(boolean(_bytes, int64, int64))
def parts(flat, start, x):
    """Whether a word begins at byte x: after white space, and at any Han or kana code point."""
    return x == start or flat[x - 1] <= 32 or 0xE3 <= flat[x] <= 0xE9


@kernel(types.void(_bytes, _offsets, int64[:, ::1]))
def snap(flat, starts, spans):
    """Shrink spans to where lines or sentences begin, else words, else code points.

    An end moves by a quarter of its span at most to a line's or sentence's begin, else to a word's. Where two spans
    touch, nothing is left between them but a code point that they share.

    Args:
        flat: Bytes of the texts.
        starts: [n + 1].
        spans: [m, 4], as of `extend`; changed: first byte, one past the last, and the origin with the first.
    """
    reached = np.int64(-1)  # the end of the span before, as it was
    for k in range(spans.shape[0]):
        text, begin, end = spans[k, 0], spans[k, 1], spans[k, 2]
        low, high = starts[text], starts[text + 1]
        reach = (end - begin) // 4
        first, last = begin, end
        if begin != reached or begin == low:
            x = begin
            while x <= begin + reach and not opens(flat, low, x):
                x += 1
            if x > begin + reach:
                x = begin
                while x <= begin + reach and not parts(flat, low, x):
                    x += 1
            if x <= begin + reach:
                first = x
        while first < end and flat[first] & 0xC0 == 0x80:
            first += 1
        if end < high and not (k + 1 < spans.shape[0] and spans[k + 1, 1] == end):
            x = end
            while x >= end - reach and not opens(flat, low, x):
                x -= 1
            if x < end - reach:
                x = end
                while x >= end - reach and not parts(flat, low, x):
                    x -= 1
            if x >= end - reach:
                last = x
        while last > first and last < high and flat[last] & 0xC0 == 0x80:
            last -= 1
        reached = end
        spans[k, 1] = first
        spans[k, 2] = last
        spans[k, 3] += first - begin
