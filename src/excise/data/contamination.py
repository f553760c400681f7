"""Contamination: training records that hold what an evaluation set asks, found by long word sequences they share.

The evaluation sets are the references of the corpus. An item is held by a record that has most of its sequences of 13
words (25 code points where a script has no spaces). Sequences that many records share are phrases, not leaks: they are
left out, for without that legal clauses and templates are most of what is found.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.threads import Mapped, in_order
from excise.data.unicode import is_spaceless, points
from excise.errors import SettingError
from excise.finding import FINDINGS
from excise.journal import Progress, silent

_SLICE_BYTES = 1 << 22
#: A sequence in so few records is no phrase, however small the corpus is.
_FEW = 10

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class ContaminationSettings:
    """What counts as holding an evaluation item.

    Attributes:
        words: Tokens of a sequence, at least 5; 13 as for GPT-3 (Brown et al. 2020).
        code_points: The same where most tokens of the item are single code points, as in Chinese.
        shortest: Least share of `words` that an item must have as tokens to be judged at all, in (0, 1]; a shorter item
            is one sequence, which a record must hold whole.
        share: Least share of an item's sequences that a record must hold, in (0, 1].
        common: Share of the records above which a sequence is a phrase, in (0, 1].
    """

    words: int = 13
    code_points: int = 25
    shortest: float = 0.6
    share: float = 0.5
    common: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("words", "code_points"):
            if not 5 <= getattr(self, name) <= 1000:
                raise SettingError(f"contaminated.{name} is {getattr(self, name)}; it must be between 5 and 1000.")
        for name in ("shortest", "share", "common"):
            if not 0 < getattr(self, name) <= 1:
                raise SettingError(f"contaminated.{name} is {getattr(self, name)}; it must be above 0 and at most 1.")


@dataclass(frozen=True)
class _Items:
    """The sequences of one width of the evaluation items, one row a sequence and item, by hash.

    Attributes:
        hashes: uint64 [distinct], ascending.
        starts: int64 [distinct + 1]: where the items of each begin in `items`.
        items: int64: positions of items in the corpus.
    """

    hashes: Hashes
    starts: Ints
    items: Ints


def find(
    corpus: Corpus, settings: ContaminationSettings, *, mapped: Mapped = in_order, progress: Progress = silent
) -> Iterator[pa.Table]:
    """Records that hold most of an evaluation item.

    Args:
        corpus: The records; its references are the evaluation items.
        settings: What counts.
        mapped: Engine.
        progress: Told what is done.

    Yields:
        FINDINGS of finder 'contaminated': partner the item of which most is held, redundancy the share of it.

    Raises:
        SettingError: The corpus has no references.

    Cost: 24 bytes of memory a word of the evaluation sets, and 16 a shared sequence and record; the corpus is read once
        for each length of sequences: 13, 25, and those of items shorter than that.
    """
    if not corpus.first_own:
        raise SettingError("finders has 'contaminated', which compares with evaluation sets. Name them with --against.")
    widths = _widths(corpus, settings)
    limit = max(_FEW, settings.common * (len(corpus) - corpus.first_own))
    none = np.zeros(0, np.int64)
    parts = [(none, none, none, none)]
    for width in np.unique(widths[widths > 0]).tolist():
        items = _items(corpus, widths, width)
        shared = _shared(corpus, items, width, mapped, progress)
        parts.append(_held(items, *_rare(*shared, limit, len(items.hashes))))
    yield _told(corpus, settings, widths, *(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _widths(corpus: Corpus, settings: ContaminationSettings) -> Ints:
    """Tokens a sequence of each evaluation item, int64 [items]; 0 where it is too short to be judged."""
    found = []
    for piece in text.pieces(_references(corpus), _SLICE_BYTES, silent, ""):
        texts = piece.texts()
        counts = np.diff(_sequences(texts, 1)[1])
        spaceless = np.array([is_spaceless(one) for one in texts.to_pylist()], np.bool_)
        full = np.where(spaceless, settings.code_points, settings.words)
        found.append(np.where(counts < settings.shortest * full, 0, np.minimum(counts, full)))
    return np.concatenate([np.zeros(0, np.int64), *found])


def _references(corpus: Corpus) -> Corpus:
    return Corpus(corpus.sources[: corpus.references], corpus.views[: corpus.references])


def _sequences(texts: pa.Array, width: int) -> tuple[Hashes, Ints]:
    """Hashes of all runs of `width` tokens, text after text, and where each text's begin [n + 1]."""
    from excise.data import kernels  # noqa: PLC0415 - compiles

    data, offsets = text.buffers(text.composed(texts))
    longest = int(np.diff(offsets).max(initial=0))
    out = np.empty(int(offsets[-1] - offsets[0]) + longest + 1, np.uint64)
    starts = np.empty(len(offsets), np.int64)
    size = kernels.sequences(data, offsets, points(), width, out, starts)
    return out[:size], starts


def _items(corpus: Corpus, widths: Ints, width: int) -> _Items:
    hashes, owners = [], []
    for piece in text.pieces(_references(corpus), _SLICE_BYTES, silent, ""):
        found, starts = _sequences(piece.texts(), width)
        owner = np.repeat(piece.position + np.arange(piece.count), np.diff(starts))
        chosen = widths[owner] == width
        hashes.append(found[chosen])
        owners.append(owner[chosen])
    rows = np.unique(np.column_stack([np.concatenate(hashes), np.concatenate(owners).astype(np.uint64)]), axis=0)
    distinct, first = np.unique(rows[:, 0], return_index=True)
    return _Items(distinct, np.append(first, len(rows)), rows[:, 1].astype(np.int64))


def _shared(corpus: Corpus, items: _Items, width: int, mapped: Mapped, progress: Progress) -> tuple[Ints, Ints]:
    """Position of a record and index of a sequence that it shares with an item, each pair once."""
    pieces = text.pieces(
        corpus, _SLICE_BYTES, progress, f"looking for sequences of {width} of the references", own=True
    )
    parts = list(mapped(functools.partial(_shared_in, items.hashes, width), pieces))
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *(p[0] for p in parts)]), np.concatenate([none, *(p[1] for p in parts)])


def _shared_in(wanted: Hashes, width: int, piece: text.Piece) -> tuple[Ints, Ints]:
    found, starts = _sequences(piece.texts(), width)
    place = np.minimum(np.searchsorted(wanted, found), len(wanted) - 1)
    hits = np.flatnonzero(wanted[place] == found)
    record = piece.position + np.searchsorted(starts, hits, "right") - 1
    pairs = np.unique(np.column_stack([record, place[hits]]), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _rare(record: Ints, sequence: Ints, limit: float, count: int) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """The pairs whose sequence is in few records, and which sequences are."""
    rare = np.bincount(sequence, minlength=count) <= limit
    return record[rare[sequence]], sequence[rare[sequence]], rare


def _held(items: _Items, record: Ints, sequence: Ints, rare: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints, Ints]:
    """Record, item, sequences of it that the record holds, sequences that it has."""
    lengths = items.starts[sequence + 1] - items.starts[sequence]
    first = np.repeat(items.starts[sequence], lengths)
    within = np.arange(len(first)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pairs = np.column_stack([np.repeat(record, lengths), items.items[first + within]])
    pairs, held = np.unique(pairs, axis=0, return_counts=True)
    of_rare = np.repeat(rare, np.diff(items.starts))
    names, totals = np.unique(items.items[of_rare], return_counts=True)
    return pairs[:, 0], pairs[:, 1], held, totals[np.searchsorted(names, pairs[:, 1])] if len(pairs) else held


def _told(
    corpus: Corpus, settings: ContaminationSettings, widths: Ints, record: Ints, item: Ints, held: Ints, total: Ints
) -> pa.Table:
    share = held / np.maximum(total, 1)
    order = np.lexsort((item, -share, record))
    order = order[share[order] >= settings.share]
    first = np.append(True, record[order][1:] != record[order][:-1])[: len(order)]
    best = order[first]
    record, item, share, held, total = record[best], item[best], share[best], held[best], total[best]
    named = np.union1d(record, item)
    ids = text.records_at(corpus, named, ["id"])["id"]
    partner = ids.take(pa.array(np.searchsorted(named, item)))
    told = zip(share.tolist(), widths[item].tolist(), held.tolist(), total.tolist(), partner.to_pylist(), strict=True)
    reasons = [
        f"holds {int(100 * s)} % of the evaluation item {name}: {h:,} of its {t:,} sequences of {w} words"
        for s, w, h, t, name in told
    ]
    count = len(best)
    return pa.table(
        {
            "finder": pa.repeat("contaminated", count),
            "locus": ids.take(pa.array(np.searchsorted(named, record))),
            "position": record,
            "partner": partner,
            "partner_position": item,
            "redundancy": share,
            "start": pa.nulls(count, pa.int64()),
            "stop": pa.nulls(count, pa.int64()),
            "reason": pa.array(reasons, pa.string()),
            "value": pa.nulls(count, pa.string()),
        },
        schema=FINDINGS,
    )
