"""Findings from columns: what is not named is null, types are those of FINDINGS, a wrong name is refused."""

import numpy as np
import pyarrow as pa
import pytest

from excise.finding import FINDINGS, Finding, findings_table, table_of


def test_columns_and_rows_make_the_same_table():
    rows = [Finding("x", "a", 0.5, "why", 3, start=1, stop=2), Finding("x", "b", 1.0, "so", 4, start=0, stop=9)]
    locus, redundancy = pa.array(["a", "b"]), np.array([0.5, 1.0])
    table = findings_table(
        "x",
        locus,
        redundancy,
        ["why", "so"],
        position=np.array([3, 4]),
        start=[1, 0],
        stop=pa.array([2, 9]),
        value=None,
    )
    assert table.schema == FINDINGS and table.equals(table_of(rows))
    table = findings_table(pa.array(["x", "y"]), locus, redundancy, ["why", "so"])
    assert table["finder"].to_pylist() == ["x", "y"] and table["position"].null_count == 2
    assert findings_table("x", locus[:0], redundancy[:0], []).equals(FINDINGS.empty_table())


def test_a_column_of_another_name_is_a_mistake():
    with pytest.raises(AssertionError, match="partners"):
        findings_table("x", pa.array(["a"]), [1.0], ["why"], partners=["b"])
