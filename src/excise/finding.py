"""Finding: what a finder saw, where, how redundant it is, and why — never a removal.

As a row (`Finding`) and as an Arrow schema (`FINDINGS`). Finders yield tables: those of Excise fill columns, for there
are millions of rows; one that sees little at a time may write rows and yield `table_of` them. The locus of a finding is
a record of a corpus or a tensor of a model; `redundancy` is high when the locus can go (Jaccard similarity, error
probability, fraction of weights).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

#: `position`/`partner_position`: place in the corpus; null for tensors. `start`/`stop`: code points in the text view.
#: `value`: what is suggested instead: a label, the mask of a span, a weight.
FINDINGS = pa.schema(
    [
        pa.field("finder", pa.string(), nullable=False),
        pa.field("locus", pa.string(), nullable=False),
        pa.field("position", pa.int64()),
        pa.field("partner", pa.string()),
        pa.field("partner_position", pa.int64()),
        pa.field("redundancy", pa.float64(), nullable=False),
        pa.field("start", pa.int64()),
        pa.field("stop", pa.int64()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.string()),
    ]
)


@dataclass(frozen=True)
class Finding:
    """One row of FINDINGS.

    Attributes:
        finder: Name of the technique: exact, normalised, near, magnitude, …
        locus: Id of the record, or name of the tensor.
        redundancy: In [0, 1]; high = can go.
        reason: A sentence a person can read.
        position: Place of the record in the corpus.
        partner: Id of the record it repeats.
        partner_position: Place of the partner.
        start: First code point of the span, where only a part is redundant.
        stop: One past its last code point.
        value: What is suggested instead: a label, the mask of a span, a weight.
    """

    finder: str
    locus: str
    redundancy: float
    reason: str
    position: int | None = None
    partner: str | None = None
    partner_position: int | None = None
    start: int | None = None
    stop: int | None = None
    value: str | None = None


def table_of(findings: Iterable[Finding]) -> pa.Table:
    """Findings as an Arrow table with the FINDINGS schema."""
    return pa.Table.from_pylist([asdict(f) for f in findings], schema=FINDINGS)


def findings_table(finder: str | pa.Array, locus: pa.Array, redundancy: Any, reason: Any, **columns: Any) -> pa.Table:
    """Columns as an Arrow table with the FINDINGS schema.

    Args:
        finder: Name of the technique; of all rows, or [n].
        locus: string [n].
        redundancy: [n], in [0, 1].
        reason: [n].
        columns: Others of FINDINGS, [n]: arrays of Arrow or numpy, or lists; None, as what is not named, is null.
    """
    count = len(locus)
    given = {
        "finder": pa.repeat(finder, count) if isinstance(finder, str) else finder,
        "locus": locus,
        "redundancy": redundancy,
        "reason": reason,
        **columns,
    }

    def column(field: pa.Field) -> pa.Array:
        values = given.pop(field.name, None)
        return pa.nulls(count, field.type) if values is None else pa.array(values, field.type)

    table = pa.table([column(field) for field in FINDINGS], schema=FINDINGS)
    if given:
        raise AssertionError(f"{', '.join(given)}: no columns of FINDINGS")
    return table
