"""A span: a part of a record that repeats a part of another one, as a finding."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.finding import findings_table

Ints = NDArray[np.int64]


def spans_table(
    corpus: Corpus, finder: str, position: Ints, partner: Ints, start: Ints, stop: Ints, told: Sequence[str]
) -> pa.Table:
    """FINDINGS of redundancy 1: what is equal can go.

    Args:
        corpus: The records.
        finder: Name of the finder.
        position: [n], the records that hold the spans.
        partner: [n], the records they repeat.
        start: [n], first code point.
        stop: [n], one past the last.
        told: [n], why, with {} where the partner's id belongs.
    """
    locus, partners = text.ids_at(corpus, position, partner)
    return findings_table(
        finder,
        locus,
        np.ones(len(position)),
        [why.format(other) for why, other in zip(told, partners.to_pylist(), strict=True)],
        position=position,
        partner=partners,
        partner_position=partner,
        start=start,
        stop=stop,
    )


def code_points(data: NDArray[np.uint8], starts: Ints, at: Ints) -> Ints:
    """The code points before bytes `at` of the texts that start at `starts`, both ascending; [n]."""
    from excise.data import line_kernels  # noqa: PLC0415 - compiles

    out = np.empty(len(at), np.int64)
    line_kernels.points_before(data, np.ascontiguousarray(starts), np.ascontiguousarray(at), out)
    return out
