"""Records with the same text: found by 128-bit keys, then compared byte for byte."""

import functools
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.matches import chunked, matches_table
from excise.data.opened import Opened
from excise.data.sketches import Sketch, unkept
from excise.data.threads import Mapped, in_order
from excise.journal import Progress, silent

_SLICE_BYTES = 1 << 22
_COMPARE_BYTES, _TABLE_ROWS = 1 << 23, 1 << 16
_SORTED_AT_ONCE = 1 << 20
#: Odd, so that groups never share the upper half of a key by accident.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


def find(
    corpus: Corpus,
    *,
    normalised: bool,
    group: NDArray[np.int64] | None = None,
    sketch: Sketch = unkept,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """Records whose text was seen before.

    Args:
        corpus: The records.
        normalised: Compare texts after NFKC, lower case and white space; else as they are.
        group: int64 [records]; only records of one group are compared.
        sketch: Where the keys of a source are kept.
        mapped: Engine.
        progress: Told the records read.

    Yields:
        FINDINGS of finder 'normalised' or 'exact', redundancy 1, partner the first record with that text. The
        empty text is a text like any other here; rails.guard stops where it is not one for the data.

    Cost: 40 bytes of memory a record; the text is read once, repeated texts twice.
    """
    name = "normalised" if normalised else "exact"
    keys = np.empty((len(corpus), 3), np.uint64)
    for index, source in enumerate(corpus.sources):
        part, at = corpus.part(index), corpus.first_position(index)
        here = keys[at : at + source.records]
        here[:] = sketch(f"{name}-1", index, functools.partial(_keys, part, here, normalised, mapped, progress))
    if group is not None:
        keys[:, 1] += group.astype(np.uint64) * _SPREAD
    first, again = _groups(keys)
    sizes = (keys[first, 2] + keys[again, 2]).astype(np.int64)
    del keys
    chunks = ((first[start:stop], again[start:stop]) for start, stop in chunked(sizes, _COMPARE_BYTES))
    same = np.concatenate(
        [np.zeros(0, np.bool_), *mapped(functools.partial(_equal, Opened(corpus), normalised), chunks)]
    )
    first, again = first[same], again[same]
    for start in range(0, max(1, len(again)), _TABLE_ROWS):  # a table without rows is still a table
        rows = slice(start, start + _TABLE_ROWS)
        yield matches_table(corpus, name, again[rows], first[rows], np.ones(len(again[rows])))


def view(texts: pa.Array, normalised: bool) -> pa.Array:
    """The texts as they are compared."""
    return text.normalised(texts) if normalised else texts


def _keys(
    corpus: Corpus, keys: NDArray[np.uint64], normalised: bool, mapped: Mapped, progress: Progress
) -> NDArray[np.uint64]:
    """Write XXH3-128 and size in bytes of every text to `keys` [n, 3]."""
    label = "looking for equal texts" + (" (normalised)" if normalised else "")
    at = 0
    for found in mapped(functools.partial(_hashed, normalised), text.pieces(corpus, _SLICE_BYTES, progress, label)):
        keys[at : at + len(found)] = found
        at += len(found)
    return keys


def _hashed(normalised: bool, piece: text.Piece) -> NDArray[np.uint64]:
    data, offsets = text.buffers(view(piece.texts(), normalised))
    body, ends = data.data, offsets.tolist()
    keys = np.empty((piece.count, 3), np.uint64)
    digests = b"".join([xxhash.xxh3_128_digest(body[a:b]) for a, b in pairwise(ends)])
    keys[:, :2] = np.frombuffer(digests, np.uint64).reshape(-1, 2)
    keys[:, 2] = np.diff(offsets)
    return keys


def _groups(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(first record of the group, later record) for every record whose key was seen before, by (first, later)."""
    some = np.concatenate([np.zeros(0, np.int64), *_repeated(keys[:, 0])])
    some = some[np.lexsort((some, keys[some, 1], keys[some, 0]))]
    keys = keys[:, :2]
    fresh = np.ones(len(some), np.bool_)
    fresh[1:] = (keys[some[1:]] != keys[some[:-1]]).any(axis=1)
    first = some[fresh][np.cumsum(fresh) - 1]
    first, again = first[~fresh], some[~fresh]
    by_place = np.lexsort((again, first))
    return first[by_place], again[by_place]


def _repeated(keys: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """The places of the keys that occur more than once, in parts: of many keys a sixteenth is sorted at a time."""
    bits = 4 if len(keys) > _SORTED_AT_ONCE else 0
    for part in range(1 << bits):
        places = np.flatnonzero(keys >> np.uint64(60) == part) if bits else np.arange(len(keys))
        places = places[np.argsort(keys[places])]
        ordered = keys[places]
        same = ordered[1:] == ordered[:-1]
        if len(places):
            yield places[np.append(same, False) | np.append(False, same)]


def _equal(opened: Opened, normalised: bool, pairs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Which pairs of records are equal byte for byte."""
    one, other = (view(opened.at(positions), normalised) for positions in pairs)
    equal: NDArray[np.bool_] = pc.equal(one, other).to_numpy(zero_copy_only=False)
    return equal
