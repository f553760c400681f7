"""Contamination: training records that hold what an evaluation set asks, found by long word sequences they share.

The evaluation sets are the references of the corpus. An item is held by a record that has most of its sequences of 13
words (25 code points where a script has no spaces). Sequences that many records share are phrases, not leaks, and those
that many items share are the template of the evaluation set ("Answer the question below …"), not what it asks: both are
left out, for without that legal clauses and templates are most of what is found.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.matches import chunked
from excise.data.threads import Mapped, in_order
from excise.data.unicode import is_spaceless, points
from excise.errors import SettingError
from excise.finding import findings_table
from excise.journal import Progress, silent

_SLICE_BYTES = 1 << 22
#: A sequence in so few records is no phrase, and one in so few items no template, however small the corpus is.
_FEW = 10
#: Share of the items above which a sequence is a template. A passage that several items ask about is far below it.
_TEMPLATE = 0.01
#: Pairs of a shared sequence and an item that are counted at once: 40 bytes each.
_PAIRS = 1 << 21

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
    """The sequences of one width of the evaluation items that are no template, one row a sequence and item, by hash.

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
        FINDINGS of finder 'contaminated': partner the item of which most is held, redundancy the share of it. A
        sequence in more than 10 and more than 1 % of the items does not count, unless an item has no others.

    Raises:
        SettingError: The corpus has no references.

    Cost: 50 bytes of memory a word of the evaluation sets, 32 a shared sequence and record, and 100 MB; the corpus
        is read once for each length of sequences: 13, 25, and those of items shorter than that.
    """
    if not corpus.first_own:
        raise SettingError("finders has 'contaminated', which compares with evaluation sets. Name them with --against.")
    widths = _widths(corpus, settings)
    limit = max(_FEW, settings.common * (len(corpus) - corpus.first_own))
    parts = [_NONE]
    for width in np.unique(widths[widths > 0]).tolist():
        items = _items(corpus, widths, width)
        record, sequence = _shared(corpus, items, width, mapped, progress)
        rare = np.bincount(sequence, minlength=len(items.hashes)) <= limit
        parts += _held(items, record[rare[sequence]], sequence[rare[sequence]], rare, settings.share)
    yield _told(corpus, widths, _best(parts))


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
    hashes, owners = _rows(corpus, widths, width)
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    del order
    new = np.append(True, (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1]))[: len(hashes)]
    specific = _specific(hashes, owners, new, max(_FEW, _TEMPLATE * int((widths > 0).sum())))
    hashes, owners = hashes[specific], owners[specific]
    first = _first(hashes)
    return _Items(hashes[first], np.append(first, len(hashes)), owners)


def _rows(corpus: Corpus, widths: Ints, width: int) -> tuple[Hashes, Ints]:
    """Hash and item of each sequence of the items of one width, in the order of the corpus."""
    hashes, owners = [], []
    for piece in text.pieces(_references(corpus), _SLICE_BYTES, silent, ""):
        found, starts = _sequences(piece.texts(), width)
        owner = np.repeat(piece.position + np.arange(piece.count), np.diff(starts))
        chosen = widths[owner] == width
        hashes.append(found[chosen])
        owners.append(owner[chosen])
    return np.concatenate(hashes), np.concatenate(owners)


def _first(ascending: NDArray[np.generic]) -> Ints:
    """Where each distinct value begins."""
    return np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)])


def _specific(hashes: Hashes, owners: Ints, new: NDArray[np.bool_], limit: float) -> NDArray[np.bool_]:
    """Of the new rows, by hash, those whose sequence is in few items, and all of an item that has no such sequence."""
    first = _first(hashes)
    counts = np.add.reduceat(new, first, dtype=np.int64) if len(first) else first
    few = np.repeat(counts <= limit, np.diff(np.append(first, len(hashes))))
    has_some = np.zeros(int(owners.max(initial=-1)) + 1, np.bool_)
    has_some[owners[few]] = True
    kept: NDArray[np.bool_] = new & (few | ~has_some[owners])
    return kept


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


class _Holding(NamedTuple):
    """Records that hold a part of an item: `record`, `item` positions, `held` of the item's `total` sequences; [n]."""

    record: Ints
    item: Ints
    held: Ints
    total: Ints


_NONE = _Holding(*np.zeros((4, 0), np.int64))


def _held(items: _Items, record: Ints, sequence: Ints, rare: NDArray[np.bool_], least: float) -> Iterator[_Holding]:
    """What each record, ascending, holds of the item of which it holds most, if that is enough; records in chunks.

    Args:
        items: The evaluation items.
        record: [pairs], ascending.
        sequence: [pairs], that it shares with items.
        rare: Of the sequences, those that count.
        least: Least share of an item's sequences that count.
    """
    lengths = np.diff(items.starts)
    totals = np.bincount(items.items[np.repeat(rare, lengths)])
    first = np.append(_first(record), len(record))
    weights = np.add.reduceat(lengths[sequence], first[:-1]) if len(record) else np.zeros(0, np.int64)
    for start, stop in chunked(weights, _PAIRS):
        mine = slice(first[start], first[stop])
        many = lengths[sequence[mine]]
        inside = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        item = items.items[np.repeat(items.starts[sequence[mine]], many) + inside]
        keys, held = np.unique(np.repeat(record[mine], many) * len(totals) + item, return_counts=True)
        found = _Holding(keys // len(totals), keys % len(totals), held, totals[keys % len(totals)])
        enough = found.held / found.total >= least
        yield _best([_Holding(*(column[enough] for column in found))])


def _best(parts: list[_Holding]) -> _Holding:
    """Of each record the item of which it holds the largest share, of equals the first; by record."""
    whole = _Holding(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    order = np.lexsort((whole.item, -(whole.held / whole.total), whole.record))
    best = order[_first(whole.record[order])]
    return _Holding(*(column[best] for column in whole))


def _told(corpus: Corpus, widths: Ints, best: _Holding) -> pa.Table:
    record, item, held, total = best
    share = held / total
    locus, partner = text.ids_at(corpus, record, item)
    told = zip(share.tolist(), widths[item].tolist(), held.tolist(), total.tolist(), partner.to_pylist(), strict=True)
    reasons = [
        f"holds {int(100 * s)} % of the evaluation item {name}: {h:,} of its {t:,} sequences of {w} words"
        for s, w, h, t, name in told
    ]
    return findings_table(
        "contaminated", locus, share, reasons, position=record, partner=partner, partner_position=item
    )
