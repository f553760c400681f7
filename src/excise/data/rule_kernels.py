"""The compiled loops of the quality rules: one pass over the bytes of a text counts all that the rules ask for.

Words are runs of non-blank code points, punctuation included; in scripts without blanks every letter is a unit by
itself, and punctuation beside it belongs to it. Texts are `data` and `offsets`, as in kernels.py.
"""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201, C901, PLR0912, PLR0915, PLR1714, SIM109
import numpy as np
from numba import int32, int64, types, uint8, uint64

from excise.data.compiled import kernel

_bytes = types.Array(uint8, 1, "C", readonly=True)  # memory-mapped buffers are read-only
_offsets = types.Array(int64, 1, "C", readonly=True)
_kinds = types.Array(uint8, 1, "C", readonly=True)
_keys = types.Array(uint64, 1, "C", readonly=True)

#: What a code point is, as flags of the table `kinds`. MARK: ends a sentence. END: may end a line as it should.
BLANK, LETTER, NUMBER, LONE, MARK, END, BULLET, QUOTE = 1, 2, 4, 8, 16, 32, 64, 128
#: Counters of a text, in this order: columns of what `count` writes.
COUNTERS = (
    "characters",  # code points
    "newlines",
    "words",  # of scripts with blanks
    "word_characters",
    "letter_words",  # words with a letter
    "lone",  # letters and numbers of scripts without blanks, each a unit
    "lone_letters",
    "stop_words",  # different ones
    "hashes",  # signs '#'
    "ellipses",
    "curly",  # curly brackets
    "lorem",  # times 'lorem ipsum'
    "lines",  # that are not blank
    "line_characters",  # of those, without blanks at their ends
    "bullet_lines",
    "ellipsis_lines",
    "end_lines",  # that end with a mark of END
    "short_lines",
    "kept_lines",  # that C4 keeps
    "kept_sentences",  # on those
    "repeated_lines",  # seen before in the text
    "repeated_line_characters",
    "paragraphs",
    "repeated_paragraphs",
    "repeated_paragraph_characters",
    "unit_characters",  # of the words and lone letters that were looked at for repetition
    "top_2",  # characters in the most frequent 2-gram, if it occurs twice
    "top_3",
    "top_4",
    "repeated_5",  # characters in 5-grams that were seen before
    "repeated_6",
    "repeated_7",
    "repeated_8",
    "repeated_9",
    "repeated_10",
)
_AT = {name: index for index, name in enumerate(COUNTERS)}
_FIRST_TOP, _FIRST_REPEATED = _AT["top_2"], _AT["repeated_5"]
_BULLET_LINES = _AT["bullet_lines"]
_CHARACTERS = _AT["characters"]
_CURLY = _AT["curly"]
_ELLIPSES = _AT["ellipses"]
_ELLIPSIS_LINES = _AT["ellipsis_lines"]
_END_LINES = _AT["end_lines"]
_HASHES = _AT["hashes"]
_KEPT_LINES = _AT["kept_lines"]
_KEPT_SENTENCES = _AT["kept_sentences"]
_LETTER_WORDS = _AT["letter_words"]
_LINES = _AT["lines"]
_LINE_CHARACTERS = _AT["line_characters"]
_LONE = _AT["lone"]
_LONE_LETTERS = _AT["lone_letters"]
_LOREM = _AT["lorem"]
_NEWLINES = _AT["newlines"]
_PARAGRAPHS = _AT["paragraphs"]
_REPEATED_LINES = _AT["repeated_lines"]
_REPEATED_PARAGRAPHS = _AT["repeated_paragraphs"]
_SHORT_LINES = _AT["short_lines"]
_STOP_WORDS = _AT["stop_words"]
_UNIT_CHARACTERS = _AT["unit_characters"]
_WORDS = _AT["words"]
_WORD_CHARACTERS = _AT["word_characters"]

_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
_BASE = np.uint64(0x9E3779B97F4A7C15)  # of the polynomial over units
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_DOT, _WIDE_DOT, _ELLIPSIS = 0x2E, 0x3002, 0x2026

#: Lower-case phrases looked for at the beginning of words: a placeholder, and what C4 drops a line for.
_PHRASES = (
    b"lorem ipsum",
    b"javascript",
    b"terms of use",
    b"privacy policy",
    b"cookie policy",
    b"uses cookies",
    b"use of cookies",
    b"use cookies",
)
_PHRASE = np.frombuffer(b"".join(_PHRASES), np.uint8).copy()
_PHRASE_ENDS = np.cumsum([len(phrase) for phrase in _PHRASES])


@kernel(uint64(uint64))
def mixed(x):
    """splitmix64's finaliser; never 0, which marks a free place."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    x = x ^ (x >> np.uint64(31))
    return x if x != _ZERO else _ONE


@kernel(int64(_bytes, int64, int64))
def point_at(data, i, stop):
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


@kernel(int64(_bytes, int64, int64))
def phrase_at(data, i, stop):
    """Index of the phrase that begins at byte i, whatever its case; -1 for none."""
    first = data[i] | np.uint8(32)
    if first != 108 and first != 106 and first != 112 and first != 116 and first != 117 and first != 99:
        return -1  # the letters that phrases begin with
    begin = 0
    for phrase in range(_PHRASE_ENDS.size):
        end = _PHRASE_ENDS[phrase]
        if i + end - begin <= stop:
            same = True
            for k in range(end - begin):
                byte = data[i + k]
                if 65 <= byte <= 90:
                    byte += np.uint8(32)
                if byte != _PHRASE[begin + k]:
                    same = False
                    break
            if same:
                return phrase
        begin = end
    return -1


@kernel(uint64(_bytes, int64, int64))
def word_key(data, start, stop):
    """FNV-1a of a word's bytes."""
    key = _SEED
    for i in range(start, stop):
        key = (key ^ np.uint64(data[i])) * _PRIME
    return mixed(key)


@kernel(types.boolean(uint8))
def alphanumeric(byte):
    """An ASCII letter or digit, or part of a code point that is not ASCII."""
    return byte >= 0x80 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122


@kernel(uint64(_bytes, int64, int64))
def stop_key(data, start, stop):
    """FNV-1a of a word without ASCII punctuation at its ends, ASCII letters in lower case."""
    while start < stop and not alphanumeric(data[start]):
        start += 1
    while start < stop and not alphanumeric(data[stop - 1]):
        stop -= 1
    key = _SEED
    for i in range(start, stop):
        byte = np.uint64(data[i])
        if 65 <= byte <= 90:
            byte += np.uint64(32)
        key = (key ^ byte) * _PRIME
    return mixed(key)


@kernel(int64(uint64, _keys))
def place_of(key, keys):
    """Index of a key in a small open table whose size is a power of two; -1 where it is not."""
    mask = np.uint64(keys.size - 1)
    place = key & mask
    while keys[place] != _ZERO:
        if keys[place] == key:
            return np.int64(place)
        place = (place + _ONE) & mask
    return -1


@kernel(int64(int64))
def bits(count):
    """Of the address of an open table that holds so many keys."""
    width = 3
    while (1 << width) < 2 * count:
        width += 1
    return width


@kernel(types.void(uint64[::1], int32[::1], int64, uint64[::1], int64[::1], int64))
def repeated(keys, sizes, count, table, counters, at):
    """Counts keys seen before, and their sizes, into counters[at] and [at + 1]."""
    shift = np.uint64(64 - bits(count))
    size = (1 << bits(count)) + count + 1
    table[:size] = _ZERO
    for i in range(count):
        place = np.int64(keys[i] >> shift)
        while table[place] != _ZERO and table[place] != keys[i]:
            place += 1
        if table[place] == keys[i]:
            counters[at] += 1
            counters[at + 1] += sizes[i]
        table[place] = keys[i]


@kernel(types.void(uint64[::1], int64, int64, uint64[::1]))
def grams(units, count, width, out):
    """Keys of the runs of `width` units, in order: count - width + 1 of them."""
    power = _ONE
    for _ in range(width):
        power *= _BASE
    total = _ZERO
    for i in range(count):
        total = total * _BASE + units[i]
        if i >= width:
            total -= units[i - width] * power
        if i >= width - 1:
            out[i - width + 1] = mixed(total)


@kernel(int64(uint64[::1], int32[::1], int64, int64, uint64[::1]))
def repeated_characters(keys, sizes, count, width, table):
    """Characters of units in runs that were seen before, each counted once.

    Args:
        keys: Of the runs, from `grams`.
        sizes: Characters by unit.
        count: Units.
        width: Units a run.
        table: At least 5 count + 2 long.
    """
    runs = count - width + 1
    shift = np.uint64(64 - bits(runs))
    size = (1 << bits(runs)) + runs + 1
    table[:size] = _ZERO
    covered = 0
    total = 0
    for i in range(runs):
        place = np.int64(keys[i] >> shift)
        while table[place] != _ZERO and table[place] != keys[i]:
            place += 1
        if table[place] == keys[i]:
            for j in range(max(i, covered), i + width):
                total += sizes[j]
            covered = i + width
        table[place] = keys[i]
    return total


@kernel(int64(uint64[::1], int32[::1], int64, int64, uint64[::1], int32[::1]))
def top_characters(keys, sizes, count, width, table, times):
    """Characters of units in the most frequent run, each counted once; 0 where no run occurs twice.

    Of equally frequent ones the longest, then the first. Arguments as in `repeated_characters`; `times` as `table`.
    """
    runs = count - width + 1
    shift = np.uint64(64 - bits(runs))
    size = (1 << bits(runs)) + runs + 1
    table[:size] = _ZERO
    times[:size] = 0
    most = 1
    for i in range(runs):
        place = np.int64(keys[i] >> shift)
        while table[place] != _ZERO and table[place] != keys[i]:
            place += 1
        table[place] = keys[i]
        times[place] += 1
        most = max(most, times[place])
    if most == 1:
        return 0
    top = _ZERO
    longest = -1
    for i in range(runs):
        place = np.int64(keys[i] >> shift)
        while table[place] != keys[i]:
            place += 1
        if times[place] == most:
            times[place] = 0  # each run once
            length = 0
            for j in range(i, i + width):
                length += sizes[j]
            if length > longest:
                longest = length
                top = keys[i]
    covered = 0
    total = 0
    for i in range(runs):
        if keys[i] == top:
            for j in range(max(i, covered), i + width):
                total += sizes[j]
            covered = i + width
    return total


@kernel(
    types.void(
        _bytes, _offsets, _kinds, _keys, int64, int64, int64,
        uint64[::1], int32[::1], uint64[::1], int32[::1], uint64[::1], int32[::1], uint64[::1], int32[::1],
        int64[:, ::1],
    )
)  # fmt: skip
def count(
    data, offsets, kinds, stops, line_words, short_line, most,
    units, unit_sizes, lines, line_sizes, paragraphs, paragraph_sizes, table, times,
    out,
):  # fmt: skip
    """All COUNTERS of each text.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        kinds: Flags by code point; code points beyond have none.
        stops: Open table of the keys of stop words (`stop_key`), a power of two long and not full.
        line_words: Words a line must have for C4 to keep it.
        short_line: Characters below which a line is short.
        most: Units, lines and paragraphs looked at for repetition; what comes after is not.
        units: Scratch, as long as the longest text's units, at most `most`; also `unit_sizes`, and so for lines and
            paragraphs.
        unit_sizes: Scratch.
        lines: Scratch.
        line_sizes: Scratch.
        paragraphs: Scratch.
        paragraph_sizes: Scratch.
        table: Scratch, at least 5 times that plus 16.
        times: Scratch, as `table`.
        out: [n, COUNTERS], written.

    One lone letter counts as two thirds of a word and as four characters of a line: see rules.POINTS_A_WORD.
    """
    runs = np.empty(units.size, np.uint64)
    seen = np.empty(stops.size, np.bool_)
    for text in range(offsets.size - 1):
        c = out[text]
        c[:] = 0
        seen[:] = False
        n_units = 0
        n_lines = 0
        n_paragraphs = 0
        paragraph_key = _SEED
        paragraph_size = 0
        word_start = -1  # of the running segment of a chunk
        word_size = 0
        word_letter = False
        word_number = False
        chunk_lone = False
        line_key = _SEED  # running
        full_key = _SEED  # at the last character that is not blank
        size = 0  # code points of the line since its first that is not blank
        full_size = 0
        line_spaced = 0
        line_lone = 0
        line_sentences = 0
        line_dropped = False
        bullet = 0  # 1: the first character may be one
        mark = 0  # 1: a mark that ends a sentence before a blank; 2: one that always does
        dots = 0
        dotted = False  # the line's last characters are an ellipsis
        ends = False
        before = 0
        i = offsets[text]
        stop = offsets[text + 1]
        while i <= stop:
            if word_letter and bullet == 0 and mark == 0:  # further ASCII letters of a word change little
                begin = i
                while i < stop and data[i] < 0x80 and kinds[data[i]] == LETTER:
                    line_key = (line_key ^ np.uint64(data[i])) * _PRIME
                    i += 1
                if i > begin:
                    c[_CHARACTERS] += i - begin
                    word_size += i - begin
                    size += i - begin
                    full_key = line_key
                    full_size = size
                    dots = 0
                    dotted = False
                    ends = False
                    before = 0
            if i < stop:
                unit = point_at(data, i, stop)
                point = unit >> 3
                step = unit & 7
                kind = np.int64(kinds[point]) if point < kinds.size else 0
                c[_CHARACTERS] += 1
            else:
                point = 10
                step = 1
                kind = BLANK
            newline = point == 10
            # words
            if kind & (BLANK | LONE):
                if word_start >= 0:
                    if word_letter or word_number or not (chunk_lone or kind & LONE):
                        c[_WORDS] += 1
                        line_spaced += 1
                        c[_WORD_CHARACTERS] += word_size
                        c[_LETTER_WORDS] += word_letter
                        if i - word_start <= 32:
                            place = place_of(stop_key(data, word_start, i), stops)
                            if place >= 0 and not seen[place]:
                                seen[place] = True
                                c[_STOP_WORDS] += 1
                        if n_units < most:
                            units[n_units] = word_key(data, word_start, i)
                            unit_sizes[n_units] = word_size
                            n_units += 1
                    word_start = -1
                    word_size = 0
                    word_letter = False
                    word_number = False
                if kind & BLANK:
                    chunk_lone = False
                else:
                    chunk_lone = True
                    c[_LONE] += 1
                    line_lone += 1
                    c[_LONE_LETTERS] += (kind & LETTER) != 0
                    place = place_of(stop_key(data, i, i + step), stops)
                    if place >= 0 and not seen[place]:
                        seen[place] = True
                        c[_STOP_WORDS] += 1
                    if n_units < most:
                        units[n_units] = mixed(np.uint64(point) * _PRIME)
                        unit_sizes[n_units] = 1
                        n_units += 1
            else:
                if word_start < 0:
                    word_start = i
                    phrase = phrase_at(data, i, stop)
                    if phrase == 0:
                        c[_LOREM] += 1
                    elif phrase > 0:
                        line_dropped = True
                elif kind & LETTER and not word_letter:
                    phrase = phrase_at(data, i, stop)  # after an opening quote or bracket
                    if phrase == 0:
                        c[_LOREM] += 1
                    elif phrase > 0:
                        line_dropped = True
                word_size += 1
                word_letter = word_letter or (kind & LETTER) != 0
                word_number = word_number or (kind & NUMBER) != 0
                if point == 35:
                    c[_HASHES] += 1
                elif point == 123 or point == 125:
                    c[_CURLY] += 1
            # sentences
            if kind & MARK:
                mark = max(mark, 2 if point >= 0x80 else 1)
            elif mark:
                if mark == 2 or kind & (BLANK | QUOTE):
                    line_sentences += 1
                mark = 0
            # ellipses
            if point == _DOT or point == _WIDE_DOT:
                dots = dots + 1 if before == point else 1
                c[_ELLIPSES] += dots == 3
            else:
                dots = 0
                c[_ELLIPSES] += point == _ELLIPSIS and before != _ELLIPSIS
            before = point
            # lines
            if not newline:
                if bullet == 1:
                    c[_BULLET_LINES] += (kind & BLANK) != 0
                    bullet = 0
                if not kind & BLANK or full_size > 0:
                    size += 1
                    for k in range(i, i + step):
                        line_key = (line_key ^ np.uint64(data[k])) * _PRIME
                if not kind & BLANK:
                    if full_size == 0:
                        if kind & BULLET:
                            c[_BULLET_LINES] += 1
                        elif point == 45 or point == 42:
                            bullet = 1
                    full_key = line_key
                    full_size = size
                    dotted = point == _ELLIPSIS or dots >= 3
                    ends = (kind & END) != 0
            else:
                c[_NEWLINES] += i < stop
                if full_size > 0:
                    c[_LINES] += 1
                    c[_LINE_CHARACTERS] += full_size
                    c[_ELLIPSIS_LINES] += dotted
                    c[_END_LINES] += ends
                    c[_SHORT_LINES] += full_size + 3 * line_lone < short_line
                    if ends and not dotted and not line_dropped and 3 * line_spaced + 2 * line_lone >= 3 * line_words:
                        c[_KEPT_LINES] += 1
                        c[_KEPT_SENTENCES] += max(1, line_sentences)
                    key = mixed(full_key)
                    if n_lines < most:
                        lines[n_lines] = key
                        line_sizes[n_lines] = full_size
                        n_lines += 1
                    paragraph_key = (paragraph_key ^ key) * _PRIME
                    paragraph_size += full_size
                if paragraph_size > 0 and (full_size == 0 or i == stop):
                    c[_PARAGRAPHS] += 1
                    if n_paragraphs < most:
                        paragraphs[n_paragraphs] = mixed(paragraph_key)
                        paragraph_sizes[n_paragraphs] = paragraph_size
                        n_paragraphs += 1
                    paragraph_key = _SEED
                    paragraph_size = 0
                line_key = _SEED
                full_key = _SEED
                size = 0
                full_size = 0
                line_spaced = 0
                line_lone = 0
                line_sentences = 0
                line_dropped = False
                bullet = 0
                mark = 0
                dots = 0
                dotted = False
                ends = False
            i += step
        repeated(lines, line_sizes, n_lines, table, c, _REPEATED_LINES)
        repeated(paragraphs, paragraph_sizes, n_paragraphs, table, c, _REPEATED_PARAGRAPHS)
        for k in range(n_units):
            c[_UNIT_CHARACTERS] += unit_sizes[k]
        lone = c[_LONE] > c[_WORDS]
        for order in range(2, 11):
            width = (3 * order + 1) // 2 if lone else order
            if n_units <= width:
                break
            grams(units, n_units, width, runs)
            if order < 5:
                c[_FIRST_TOP + order - 2] = top_characters(runs, unit_sizes, n_units, width, table, times)
            else:
                again = repeated_characters(runs, unit_sizes, n_units, width, table)
                c[_FIRST_REPEATED + order - 5] = again
                if again == 0:
                    break  # no longer run can have been seen before
