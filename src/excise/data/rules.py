"""The quality rules of three published recipes: one pass counts, and each rule is a predicate on the counters.

Words are what stands between blanks. In scripts without blanks (Han, kana, Thai, …) each letter is a unit, and the
recipes' thresholds, which were set for English, are scaled: POINTS_A_WORD letters are a word, POINT_CHARACTERS
characters of a line's length; word n-grams become letter n-grams of ceil(1.5 n); the mean length of words is not judged
where most units are such letters.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar, cast
from unicodedata import category

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.noisy import beyond, noisy_table, shown
from excise.data.threads import Mapped, in_order
from excise.data.unicode import ALONE, points
from excise.errors import SettingError
from excise.journal import Progress, silent

Floats = NDArray[np.float64]
Counts = Mapping[str, Floats]

#: Chinese words are 1.5 characters long on average (two thirds of a running text's words are one character, most
#: others two), and an English word with its blank takes six characters: 6 / 1.5 for one letter.
POINTS_A_WORD, POINT_CHARACTERS = 1.5, 4
#: Words from which runs of words are judged: Gopher's thresholds were set on texts of at least so many, and a short
#: question repeats itself in its answer.
RUN_WORDS = 50
#: Gopher's eight English stop words, and the commonest grammatical words of Chinese, simplified and traditional.
STOP_WORDS = (
    *("the", "be", "to", "of", "and", "that", "have", "with"),
    *"的了是在和有不一为為与與之也以于於及中或",
)
#: Signs that may end a line as it should (C4: stop, exclamation and question mark, end quotation mark), and those of
#: them that end a sentence.
_MARKS = ".!?。！？｡．…؟۔।॥։።។။"
_ENDS = _MARKS + "\"'”’」』；»"
_BULLETS = "•‣◦⁃∙●○■□▪▫◆◇·・"
_QUOTES = "\"'”’」』»)）]】"

_PIECE_BYTES = 1 << 22
#: Words, lines and paragraphs of one text looked at for repetition: bounds the memory, not the texts' size.
_MOST = 1 << 20


def _share(part: str, whole: str) -> Callable[[Counts], Floats]:
    """Part by whole, in [0, 1]; 0 where there is none of either."""
    return lambda c: np.divide(c[part], np.maximum(c[whole], 1))


def _words(c: Counts) -> Floats:
    return c["words"] + c["lone"] / POINTS_A_WORD


def _to_words(*parts: str) -> Callable[[Counts], Floats]:
    """The largest of these counts, divided by the words."""
    return lambda c: np.divide(np.maximum.reduce([c[part] for part in parts]), np.maximum(_words(c), 1 / POINTS_A_WORD))


def _mean(total: Floats, number: Floats) -> Floats:
    """Of each, NaN where the number is 0."""
    mean: Floats = np.full(len(total), np.nan)
    np.divide(total, number, out=mean, where=number > 0)
    return mean


def _word_length(c: Counts) -> Floats:
    """Mean characters of a word; NaN where most units are letters of scripts without blanks, or nothing is."""
    judged = c["words"] >= c["lone"]
    return _mean(c["word_characters"], c["words"] * judged)


def _letter_words(c: Counts) -> Floats:
    """Share of words with a letter; NaN without words."""
    return _mean(c["letter_words"] + c["lone_letters"] / POINTS_A_WORD, _words(c))


def _in_runs(part: str) -> Callable[[Counts], Floats]:
    """Share of the characters of units; NaN below RUN_WORDS words."""
    return lambda c: np.where(_words(c) >= RUN_WORDS, _share(part, "unit_characters")(c), np.nan)


@dataclass(frozen=True)
class Rule:
    """One rule of a recipe.

    Attributes:
        threshold: The published one; a record at it stays.
        at_most: An upper threshold, else a lower one.
        value: From the counters, by record; NaN where the rule does not apply.
        says: The value in words; `{}` stands for it.
        share: In [0, 1], told in percent.
    """

    threshold: float
    at_most: bool
    value: Callable[[Counts], Floats]
    says: str
    share: bool = True


def _at_most(threshold: float, value: Callable[[Counts], Floats], says: str, share: bool = True) -> Rule:
    return Rule(threshold, True, value, says, share)


def _at_least(threshold: float, value: Callable[[Counts], Floats], says: str, share: bool = True) -> Rule:
    return Rule(threshold, False, value, says, share)


_TOP = "{} of its characters are in its most frequent run of %d words"
_AGAIN = "{} of its characters are in runs of %d words that were there before"

#: Every rule by name. Source: Rae and others 2021, Scaling Language Models (Gopher), A1.1 with table A1; Raffel and
#: others 2020, Exploring the Limits of Transfer Learning (C4), 2.2; Penedo and others 2024, The FineWeb Datasets, 3.6.
#: Readings: "duplicate" is what was there before, so that of two equal lines one counts; characters are those of the
#: words and lines, without the blanks around them. C4 drops lines and then pages: here sentences are counted on the
#: lines that it keeps (END mark, no ellipsis, five words, no JavaScript or policy notice), and nothing is cut; its
#: list of bad words is left out. FineWeb's public code asks for 1 % of repeated characters where the paper says 10 %,
#: and adds the ratio of line breaks.
RULES: dict[str, Rule] = {
    "gopher.min_words": _at_least(50, _words, "it has {} words", share=False),
    "gopher.max_words": _at_most(100_000, _words, "it has {} words", share=False),
    "gopher.min_word_length": _at_least(3, _word_length, "its words have {} characters on average", share=False),
    "gopher.max_word_length": _at_most(10, _word_length, "its words have {} characters on average", share=False),
    "gopher.max_symbol_ratio": _at_most(
        0.1, _to_words("hashes", "ellipses"), "it has {} hash signs or ellipses a word", share=False
    ),
    "gopher.max_bullet_lines": _at_most(0.9, _share("bullet_lines", "lines"), "{} of its lines begin with a bullet"),
    "gopher.max_ellipsis_lines": _at_most(
        0.3, _share("ellipsis_lines", "lines"), "{} of its lines end with an ellipsis"
    ),
    "gopher.min_letter_words": _at_least(0.8, _letter_words, "{} of its words have a letter"),
    "gopher.min_stop_words": _at_least(
        2, lambda c: c["stop_words"], "it has {} of the commonest grammatical words", share=False
    ),
    "gopher.max_repeated_lines": _at_most(
        0.3, _share("repeated_lines", "lines"), "{} of its lines repeat an earlier one"
    ),
    "gopher.max_repeated_paragraphs": _at_most(
        0.3, _share("repeated_paragraphs", "paragraphs"), "{} of its paragraphs repeat an earlier one"
    ),
    "gopher.max_repeated_line_characters": _at_most(
        0.2, _share("repeated_line_characters", "line_characters"), "{} of its characters are in repeated lines"
    ),
    "gopher.max_repeated_paragraph_characters": _at_most(
        0.2,
        _share("repeated_paragraph_characters", "line_characters"),
        "{} of its characters are in repeated paragraphs",
    ),
    **{
        f"gopher.max_top_{n}": _at_most(threshold, _in_runs(f"top_{n}"), _TOP % n)
        for n, threshold in ((2, 0.20), (3, 0.18), (4, 0.16))
    },
    **{
        f"gopher.max_repeated_{n}": _at_most(threshold, _in_runs(f"repeated_{n}"), _AGAIN % n)
        for n, threshold in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    },
    "c4.min_sentences": _at_least(
        3, lambda c: c["kept_sentences"], "it has {} sentences on lines that are prose", share=False
    ),
    "c4.max_curly_brackets": _at_most(0, lambda c: c["curly"], "it has {} curly brackets", share=False),
    "c4.max_lorem_ipsum": _at_most(0, lambda c: c["lorem"], "it says 'lorem ipsum' {} times", share=False),
    "fineweb.min_end_lines": _at_least(
        0.12, _share("end_lines", "lines"), "{} of its lines end with a stop, exclamation, question or quotation mark"
    ),
    "fineweb.max_short_lines": _at_most(0.67, _share("short_lines", "lines"), "{} of its lines are short"),
    "fineweb.max_repeated_line_characters": _at_most(
        0.1, _share("repeated_line_characters", "line_characters"), "{} of its characters are in repeated lines"
    ),
    "fineweb.max_newline_ratio": _at_most(0.3, _to_words("newlines"), "it has {} line breaks a word", share=False),
}
RECIPES = tuple(dict.fromkeys(name.split(".")[0] for name in RULES))


@dataclass(frozen=True)
class RulesSettings:
    """Which records are of low quality.

    Attributes:
        rules: Recipes: gopher, c4, fineweb. They were made for pages of the web; gopher alone is the default, for c4
            refuses all code and fineweb most texts that are one line without a stop.
        thresholds: Other thresholds than the published ones, as 'gopher.min_words=20'; 'none' switches a rule off, 0
            is a threshold like any other. RULES names them all. Short texts (instructions, chat, titles) need
            'gopher.min_words=none', languages other than English and Chinese 'gopher.min_stop_words=none' or other
            `stop_words`.
        stop_words: Words for gopher.min_stop_words, lower case; of scripts without blanks one letter each. Two
            different ones are enough.
        line_words: Words a line must have for C4, >= 0. Source: Raffel and others 2020.
        short_line: Characters below which a line is short, >= 0. Source: Penedo and others 2024.
    """

    rules: tuple[str, ...] = ("gopher",)
    thresholds: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = STOP_WORDS
    line_words: int = 5
    short_line: int = 30

    MEASURED: ClassVar[tuple[str, ...]] = ("stop_words", "line_words", "short_line")

    def __post_init__(self) -> None:
        for recipe in self.rules:
            if recipe not in RECIPES:
                raise SettingError(f"quality.rules has {recipe!r}; it must be one of {', '.join(RECIPES)}.")
        if not self.rules:
            raise SettingError(f"quality.rules names none; give one or more of {', '.join(RECIPES)}.")
        for name, value in (("line_words", self.line_words), ("short_line", self.short_line)):
            if value < 0:
                raise SettingError(f"quality.{name} is {value}; it must not be below 0.")
        for word in self.stop_words:
            if not word or word != word.strip() or len(word.encode()) > 32:
                raise SettingError(f"quality.stop_words has {word!r}; give words of 1 to 32 bytes without blanks.")
            if len(word) > 1 and any(_kind_of(letter) & _flag("LONE") for letter in word):
                raise SettingError(
                    f"quality.stop_words has {word!r}; in scripts without blanks a stop word is one letter. "
                    f"Give {word[0]!r}, for example."
                )
        self.active()

    def active(self) -> dict[str, float]:
        """The threshold of each rule that is on, by name, in the order of RULES.

        Raises:
            SettingError: One of `thresholds` is none.
        """
        chosen: dict[str, float | None] = {
            name: rule.threshold for name, rule in RULES.items() if name.split(".")[0] in self.rules
        }
        for given in self.thresholds:
            name, equals, told = (part.strip() for part in given.partition("="))
            if not equals or not told:
                raise SettingError(f"quality.thresholds has {given!r}; write rule=number, as gopher.min_words=20.")
            if name not in RULES:
                near = get_close_matches(name, RULES, 1, 0)
                raise SettingError(f"quality.thresholds has {given!r}; there is no rule {name!r}. Nearest: {near[0]}.")
            if name not in chosen:
                raise SettingError(
                    f"quality.thresholds has {given!r}, but quality.rules is {', '.join(self.rules)}. "
                    f"Add {name.split('.')[0]} to the rules, or leave the threshold out."
                )
            chosen[name] = _number(given, told, RULES[name].share)
        return {name: limit for name, limit in chosen.items() if limit is not None}


def _number(given: str, told: str, share: bool) -> float | None:
    """The threshold in 'rule=number'; None for 'none'."""
    if told.lower() == "none":
        return None
    try:
        number = float(told)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise SettingError(f"quality.thresholds has {given!r}; it must be a number from 0 up, or none.")
    if share and number > 1:
        raise SettingError(f"quality.thresholds has {given!r}; it is a share, from 0 to 1. Ten percent is 0.1.")
    return number


def measure(
    corpus: Corpus, settings: RulesSettings, *, mapped: Mapped = in_order, progress: Progress = silent
) -> pa.Table:
    """All counters of all records.

    Args:
        corpus: The records; references are left out.
        settings: Of these, MEASURED.
        mapped: The engine.
        progress: Told the records read.

    Returns:
        A row a record, an int32 column for each of rule_kernels.COUNTERS: 140 bytes a record.

    Cost: linear in the text; memory for the table, pieces of 4 MB or the longest text, and 100 MB at most a core for
        repetitions.
    """
    from excise.data import rule_kernels  # noqa: PLC0415 - compiles

    kinds, stops = _kinds(), _stop_table(settings.stop_words)
    lines, short = settings.line_words, settings.short_line
    names, largest = rule_kernels.COUNTERS, np.iinfo(np.int32).max

    def counted(piece: text.Piece) -> pa.RecordBatch:
        data, offsets = text.buffers(piece.texts())
        most = min(_MOST, int(np.diff(offsets).max(initial=0)) + 1)
        out = np.empty((len(offsets) - 1, len(names)), np.int64)
        scratch = [np.empty(most, kind) for _ in range(3) for kind in (np.uint64, np.int32)]
        table = np.empty(5 * most + 16, np.uint64), np.empty(5 * most + 16, np.int32)
        rule_kernels.count(data, offsets, kinds, stops, lines, short, most, *scratch, *table, out)
        return pa.record_batch([*np.minimum(out, largest).T.astype(np.int32, order="C")], names=list(names))

    schema = pa.schema([(name, pa.int32()) for name in names])
    pieces = text.pieces(corpus, _PIECE_BYTES, progress, "counting for the quality rules", own=True)
    return pa.Table.from_batches(mapped(counted, pieces), schema)


class _Columns(dict[str, Floats]):
    """The columns of a table, each converted when it is first asked for."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, name: str) -> Floats:
        self[name] = self._table[name].to_numpy().astype(np.float64)
        return self[name]


def values(measured: pa.Table, names: tuple[str, ...] = tuple(RULES)) -> dict[str, Floats]:
    """What each rule looks at, by rule: float64 [records]; NaN where it does not apply."""
    counts = _Columns(measured)
    return {name: RULES[name].value(counts) for name in names}


def judge(measured: pa.Table, corpus: Corpus, settings: RulesSettings) -> Iterator[pa.Table]:
    """Records that break a rule.

    Args:
        measured: From `measure`.
        corpus: The same records.
        settings: Recipes and thresholds.

    Yields:
        FINDINGS of finder 'quality', one a record: its redundancy is that of the rule it breaks most, its reason names
        all it breaks, that one first.
    """
    active = settings.active()
    for first in range(0, max(1, measured.num_rows), _MOST):
        part = measured.slice(first, _MOST)
        value = values(part, tuple(active))
        over = np.zeros((len(active), part.num_rows))
        for row, (name, limit) in enumerate(active.items()):
            over[row] = beyond(value[name], limit, at_most=RULES[name].at_most)
        broken = np.flatnonzero(over.max(axis=0, initial=0) > 0)
        reasons = [_reason(over[:, i], {name: float(value[name][i]) for name in active}, active) for i in broken]
        yield noisy_table(
            corpus, "quality", corpus.first_own + first + broken, over[:, broken].max(axis=0, initial=0), reasons
        )


def _reason(over: Floats, value: Mapping[str, float], active: Mapping[str, float]) -> str:
    """The rules broken, the worst first."""
    names = [*active]
    told = []
    for row in np.argsort(-over, kind="stable"):
        if over[row] > 0:
            name, rule = names[row], RULES[names[row]]
            number, limit = shown(value[name], active[name], percent=rule.share)
            side = "most" if rule.at_most else "least"
            told.append(f"{name.split('.')[0]}: {rule.says.format(number)}; at {side} {limit}")
    return ". ".join(told)


def _flag(name: str) -> int:
    from excise.data import rule_kernels  # noqa: PLC0415 - compiles

    return cast(int, getattr(rule_kernels, name))


def _kind_of(letter: str) -> int:
    kinds = _kinds()
    return int(kinds[ord(letter)]) if ord(letter) < len(kinds) else 0


@cache
def _kinds() -> NDArray[np.uint8]:
    """What each code point is to the rules: flags of rule_kernels, uint8 [0x40000], read-only."""
    from excise.data import rule_kernels as k  # noqa: PLC0415 - compiles

    table = np.zeros(len(points()), np.uint8)
    categories = np.array([ord(category(chr(point))[0]) for point in range(len(table))], np.uint8)
    table[categories == ord("L")] = k.LETTER
    table[np.isin(categories, list(b"MN"))] = k.NUMBER  # marks go with their letters
    blank = [point for point in range(0x3001) if chr(point).isspace()]
    table[blank] = k.BLANK
    spelled = table & np.uint8(k.LETTER | k.NUMBER) > 0
    table[spelled & (points() & np.uint32(ALONE) > 0)] |= np.uint8(k.LONE)
    for signs, flag in ((_MARKS, k.MARK), (_ENDS, k.END), (_BULLETS, k.BULLET), (_QUOTES, k.QUOTE)):
        table[[ord(sign) for sign in signs]] |= np.uint8(flag)
    table.setflags(write=False)
    return table


def _stop_table(words: tuple[str, ...]) -> NDArray[np.uint64]:
    """Keys of the words in an open table, as the kernels look them up."""
    from excise.data import rule_kernels  # noqa: PLC0415 - compiles

    size = 16
    while size < 4 * len(words):
        size *= 2
    table: NDArray[np.uint64] = np.zeros(size, np.uint64)
    for word in words:
        data: Any = np.frombuffer(word.encode(), np.uint8)
        key = np.uint64(rule_kernels.stop_key(data, 0, len(data)))
        place = int(key) & (size - 1)
        while table[place] not in (0, key):
            place = (place + 1) & (size - 1)
        table[place] = key
    return table
