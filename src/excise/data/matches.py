"""A match: a record that repeats another one, as a finding, with the sentence that says so."""

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.finding import findings_table

#: Finders whose match is an equality, strictest first: each is contained in the next, and all are transitive.
EQUALITIES = ("exact", "normalised")
#: Finders whose match rests on a threshold.
SIMILAR = ("near", "semantic")


def reason(finder: str, redundancy: float, partner: str) -> str:
    """Why a record can go.

    Equal sets of shingles are the same words in the same order, whatever the length of the texts, unless they repeat
    themselves: "a a a a a a" and "a a a a a a a" have the same one. Fewer than five words are one sequence, so short
    texts match only so.

    Args:
        finder: exact, normalised, near or semantic.
        redundancy: Similarity in [0, 1]; percents are rounded down, so that only equal sets share 100 %.
        partner: Id of the record it repeats.
    """
    if finder == "exact":
        return f"has the same text as {partner}"
    if finder == "normalised":
        return f"has the same text as {partner} but for case, white space and Unicode form"
    if finder == "semantic":
        cosine = math.floor(100 * redundancy + 1e-9) / 100
        return f"says much the same as {partner}: the cosine of their vectors is {cosine:.2f}"
    if redundancy == 1:
        return f"has the same words as {partner} but for punctuation or repetition"
    return f"shares {math.floor(100 * redundancy)} % of the 5-word sequences of both with {partner}"


def matches_table(
    corpus: Corpus,
    finder: str,
    position: NDArray[np.int64],
    partner: NDArray[np.int64],
    redundancy: NDArray[np.float64],
) -> pa.Table:
    """FINDINGS from positions.

    Args:
        corpus: The records.
        finder: Name of the finder.
        position: [n], of the records that can go.
        partner: [n], of the records they repeat.
        redundancy: [n], similarities in [0, 1].
    """
    locus, partners = text.ids_at(corpus, position, partner)
    told = zip(redundancy.tolist(), partners.to_pylist(), strict=True)
    return findings_table(
        finder,
        locus,
        redundancy,
        [reason(finder, similarity, other) for similarity, other in told],
        position=position,
        partner=partners,
        partner_position=partner,
    )


def chunked(sizes: NDArray[np.int64], limit: int) -> Iterator[tuple[int, int]]:
    """Runs (start, stop) whose sizes sum up to at most `limit`, or of one where that alone is more."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + limit, "right")))
        yield start, stop
        start = stop
