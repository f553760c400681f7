"""Vocabulary: the words and pairs of neighbouring words that the built-in classifier looks at.

A feature is a token or two in a row (kernels.shingle: one token a code point where a script has no blanks, so that
Chinese is seen by letters and pairs of letters). Pairs tell something where texts are short; where they are long and
written with blanks, they cost three times the work and judge a little worse (20 news groups, 10 % wrong labels: held
-ln p 1.07 with pairs, 1.05 without), so they are left out. A feature that only one record has cannot carry over to
another one: the vocabulary is the most frequent of those that at least two have.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.threads import Mapped, in_order
from excise.data.unicode import is_spaceless, points
from excise.journal import Progress, silent

Ints = NDArray[np.int64]

#: Features of each width are counted in 2^21 buckets; of 100,000 different ones 5 % share theirs with another.
_BITS = 21
#: Code points of a text that count: what it is about shows, and a record of 200 MB costs what one of 4 KiB does.
HEAD = 4096
#: Texts of fewer different words on average are short.
SHORT = 100
_PIECE_BYTES = 1 << 21
_LOOKED_AT = 64


@dataclass(frozen=True)
class Bags:
    """Which columns each text has, each once.

    Attributes:
        columns: int32, of all texts one after another.
        starts: int64 [n + 1]: text i has columns[starts[i]:starts[i + 1]].
    """

    columns: NDArray[np.int32]
    starts: Ints

    @classmethod
    def joined(cls, parts: Iterable[Bags]) -> Bags:
        """The bags of all parts, one after another."""
        listed = list(parts)
        sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.starts) for part in listed)])
        columns = np.concatenate([np.zeros(0, np.int32), *(part.columns for part in listed)])
        return cls(columns, np.cumsum(sizes))


@dataclass(frozen=True)
class Vocabulary:
    """What was learned from a corpus.

    Attributes:
        widths: Tokens of a feature: (1,) or (1, 2).
        column: int32 [2 * 2^21]: the column of a bucket, or -1; first those of single tokens.
        rarity: float32 [d]: ln((1 + n) / (1 + records with the feature)) + 1, by column.
    """

    widths: tuple[int, ...]
    column: NDArray[np.int32]
    rarity: NDArray[np.float32]

    def bags(self, texts: pa.Array) -> Bags:
        """The bags of a large_string array."""
        buckets, starts, _ = _features(texts, self.widths)
        columns = self.column[buckets]
        known = columns >= 0
        return Bags(columns[known], np.append(0, np.cumsum(known))[starts])


def learn(
    corpus: Corpus, columns: int = 1 << 16, *, mapped: Mapped = in_order, progress: Progress = silent
) -> tuple[Vocabulary, NDArray[np.uint64]]:
    """The vocabulary of a corpus's own records, and what they look like through it.

    Args:
        corpus: The records.
        columns: At most so many features.
        mapped: Engine.
        progress: Told the records read.

    Returns:
        The vocabulary, and uint64 [n]: equal for records with the same features, which no classifier tells apart.

    Cost: 100 MB of memory, and 8 bytes a record; about 100 MB/s a core.
    """
    having = np.zeros(2 << _BITS, np.int64)
    keys = [np.zeros(0, np.uint64)]
    words = spaceless = 0
    for part in mapped(_counted, text.pieces(corpus, _PIECE_BYTES, progress, "counting words", own=True)):
        having[part.buckets] += part.records
        keys.append(part.keys)
        words += part.words
        spaceless += len(part.keys) if part.spaceless else 0
    key = np.concatenate(keys)
    pairs = words < SHORT * len(key) or 2 * spaceless > len(key)
    if not pairs:
        having[1 << _BITS :] = 0
    shared = np.flatnonzero(having >= 2)
    chosen = np.sort(shared[np.argsort(-having[shared], kind="stable")[:columns]])
    column = np.full(2 << _BITS, -1, np.int32)
    column[chosen] = np.arange(len(chosen), dtype=np.int32)
    rarity = np.log((1 + len(key)) / (1 + having[chosen])) + 1
    return Vocabulary((1, 2) if pairs else (1,), column, rarity.astype(np.float32)), key


@dataclass(frozen=True)
class _Counted:
    """Of a piece: buckets and how many records have each, keys, different words in all, and the kind of script."""

    buckets: NDArray[np.int32]
    records: Ints
    keys: NDArray[np.uint64]
    words: int
    spaceless: bool


def _counted(piece: text.Piece) -> _Counted:
    texts = piece.texts()
    buckets, _, keys = _features(texts, (1, 2))
    found, records = np.unique(buckets, return_counts=True)
    some = pc.utf8_slice_codeunits(texts.slice(0, _LOOKED_AT), 0, _LOOKED_AT)
    words = int(np.count_nonzero(buckets < 1 << _BITS))
    return _Counted(found, records, keys, words, is_spaceless(" ".join(some.to_pylist())))


def _features(texts: pa.Array, widths: tuple[int, ...]) -> tuple[NDArray[np.int32], Ints, NDArray[np.uint64]]:
    """Buckets of the features of each text, where each text's start [n + 1], and keys [n]."""
    from excise.data import kernels  # noqa: PLC0415 - compiles

    if np.diff(text.buffers(texts)[1]).max(initial=0) > HEAD:
        texts = pc.utf8_slice_codeunits(texts, 0, HEAD)
    data, offsets = text.buffers(text.composed(texts))
    longest = int(np.diff(offsets).max(initial=0))
    scratch, table = np.empty(longest, np.uint64), np.empty(5 * longest + 2, np.uint64)
    sets, halves, starts = [], [], []
    for width in widths:
        out = np.empty(int(offsets[-1] - offsets[0]) + len(offsets), np.uint64)
        start = np.empty(len(offsets), np.int64)
        size = kernels.collect(data, offsets, points(), width, scratch, table, out, start)
        sets.append(out[:size].copy())
        halves.append(np.full(size, (width - 1) << _BITS, np.int32))
        starts.append(start)
    # One text's features of all widths together, in the order of texts.
    owner = np.concatenate([np.repeat(np.arange(len(offsets) - 1), np.diff(start)) for start in starts])
    order = np.argsort(owner, kind="stable")
    hashes = np.concatenate(sets)[order]
    buckets = (hashes >> np.uint64(64 - _BITS)).astype(np.int32) + np.concatenate(halves)[order]
    start = functools.reduce(np.add, starts)
    sums = np.append(np.uint64(0), np.cumsum(hashes))
    return buckets, start, sums[start[1:]] - sums[start[:-1]]
