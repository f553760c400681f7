"""A noisy record as a finding: how far its value lies beyond a limit, and in words."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.finding import findings_table


def beyond(value: NDArray[np.float64], limit: float, *, at_most: bool) -> NDArray[np.float64]:
    """How far values lie beyond a limit: 1 - limit / value above one, 1 - value / limit below one.

    Args:
        value: >= 0, any unit; NaN where a record is not judged.
        limit: >= 0, same unit; 0 is a limit like any other.
        at_most: The limit is an upper one.

    Returns:
        In [0, 1], 0 at the limit and on its right side; NaN counts as there.
    """
    small, large = (np.full_like(value, limit), value) if at_most else (value, np.full_like(value, limit))
    over = large > small
    return np.where(over, 1 - np.divide(small, large, out=np.ones_like(value), where=over), 0.0)


def shown(value: float, limit: float, *, percent: bool = False, learnt: bool = False) -> tuple[str, str]:
    """A value and its limit for a person: the value with as few digits as show on which side it lies, at least two.

    Args:
        value: Any unit.
        limit: Same unit.
        percent: Both are shares, told in percent.
        learnt: The limit comes from the data, not from a person: three digits of it say enough, or as many as the value
            needs.
    """
    factor, unit = (100, " %") if percent else (1, "")
    for digits in range(2, 18):
        told, rule = f"{factor * value:.{digits}g}", f"{factor * limit:.{max(3, digits) if learnt else 15}g}"
        apart = float(told) > float(rule) if value > limit else float(told) < float(rule)
        if apart and (value >= 1000) <= (digits >= 4):
            break
    return _plain(told) + unit, _plain(rule) + unit


def _plain(number: str) -> str:
    return f"{float(number):.17g}" if "e+" in number else number


def noisy_table(
    corpus: Corpus,
    finder: str,
    position: NDArray[np.int64],
    redundancy: NDArray[np.float64],
    reason: Sequence[str],
    value: Sequence[str | None] | None = None,
    span: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> pa.Table:
    """FINDINGS without partners.

    Args:
        corpus: The records.
        finder: Name of the finder.
        position: [n], ascending, of the records; one may occur several times.
        redundancy: [n], in [0, 1].
        reason: [n].
        value: [n], what is suggested instead.
        span: Starts and stops [n], in code points.
    """
    (locus,) = text.ids_at(corpus, position)
    start, stop = (None, None) if span is None else span
    return findings_table(finder, locus, redundancy, reason, position=position, start=start, stop=stop, value=value)
