"""Copies: how many each record gets: the same number for each, or as many as make the classes even."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from excise.errors import SettingError


def missing(counts: Mapping[str, int], ratio: float) -> dict[str, int]:
    """Records that each class lacks to be as large as a share of the largest one.

    Args:
        counts: Records by class.
        ratio: In (0, 1]; 1 makes all classes even.

    Returns:
        By class, 0 for those that are large enough.

    Raises:
        SettingError: The ratio is out of range.
    """
    if not 0 < ratio <= 1:
        raise SettingError(f"balance is to {ratio:g} of the largest class; the share must be above 0 and at most 1.")
    largest = max(counts.values(), default=0)
    return {label: max(0, -int(-ratio * largest // 1) - count) for label, count in counts.items()}


@dataclass
class Spread:
    """Hands out a number of copies evenly over the records of a class, one record at a time.

    Args:
        copies: In all.
        records: That there are; `take` is called once for each.
    """

    copies: int
    records: int
    seen: int = 0

    def take(self) -> int:
        """Copies of the next record: they differ by one at most, and sum up to `copies`."""
        self.seen += 1
        return self.seen * self.copies // self.records - (self.seen - 1) * self.copies // self.records
