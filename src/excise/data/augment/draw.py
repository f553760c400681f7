"""Draw: which records get copies, how many and by which operations, and the copies' texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from excise.data.augment.copies import Spread
from excise.data.augment.operations import Operation, TextSettings, changed
from excise.data.augment.seeds import fraction, generator
from excise.errors import SettingError

#: Draws before an operation that leaves a text as it is, or as an earlier copy, is given up: short texts and low rates.
TRIES = 4

#: Code points of the longest text that is augmented: a record longer than a book is no example to vary.
LONGEST = 1_000_000


@dataclass(frozen=True)
class Drawing:
    """What is to be added.

    Attributes:
        texts: How texts are changed.
        copies: Added records for each chosen record and operation, at least 1; not used where `missing` is given.
        share: Fraction of the records that are chosen, in (0, 1].
        seed: From which, with a record's id, the operation and the copy's number, each draw follows.
    """

    texts: TextSettings
    copies: int = 1
    share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise SettingError(f"copies is {self.copies}; it must be at least 1.")
        if not 0 < self.share <= 1:
            raise SettingError(f"share is {self.share:g}; it must be above 0 and at most 1.")
        if not 0 <= self.seed < 2**63:
            raise SettingError(f"seed is {self.seed}; it must be at least 0 and below 2^63.")

    def chosen(self, id_: str) -> Iterator[tuple[Operation, int]]:
        """Operation and number of each copy of a record: the same wherever the record stands."""
        if self.share == 1 or fraction(self.seed, "share", id_) < self.share:
            for operation in self.texts.operations:
                for copy in range(1, self.copies + 1):
                    yield operation, copy


class Balancing:
    """Hands out what each class is missing, evenly over its records and in turn over the operations.

    Args:
        operations: To take turns.
        missing: Copies by class.
        counts: Records by class, each of which is asked for once, in the order of the corpus.
        before: Records by class that have been asked for already, in the sources before.
    """

    def __init__(
        self,
        operations: tuple[Operation, ...],
        missing: Mapping[str, int],
        counts: Mapping[str, int],
        before: Mapping[str, int],
    ) -> None:
        self._operations = operations
        self._spreads = {label: Spread(missing[label], counts[label], before.get(label, 0)) for label in missing}

    def chosen(self, label: str | None) -> Iterator[tuple[Operation, int]]:
        """Operation and number of each copy of the next record of a class; of a record without class, none."""
        if label is None:
            return
        spread = self._spreads[label]
        turn = spread.seen
        for number in range(spread.take()):
            yield self._operations[(turn + number) % len(self._operations)], 1 + number // len(self._operations)


def variant(text: str, id_: str, operation: Operation, copy: int, drawing: Drawing, others: set[str]) -> str | None:
    """A copy's text.

    Args:
        text: The record's.
        id_: The record's.
        operation: What is done.
        copy: Its number.
        drawing: Settings and seed.
        others: Texts that it must not be: the record's own, and those of its copies so far.

    Returns:
        None where TRIES draws gave nothing new.
    """
    for attempt in range(TRIES):
        rng = generator(drawing.seed, id_, operation.written, copy, attempt)
        new = changed(text, operation, drawing.texts, rng)
        if new not in others and not new.isspace() and new:
            return new
    return None
