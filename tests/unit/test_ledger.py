import pyarrow as pa
import pytest

from excise.errors import InputError
from excise.ledger import DECISIONS, Ledger, write_decisions


def made(folder, *rows):
    folder.mkdir(parents=True)
    table = [
        {
            "id": i,
            "source": "s",
            "row": n,
            "action": "drop",
            "finder": "near",
            "partner": p,
            "redundancy": 1.0,
            "reason": "r",
            "by": "",
        }
        for n, (i, p) in enumerate(rows)
    ]
    (folder / "sources.json").write_text("[]")
    with (folder / "decisions.parquet").open("wb") as file:
        write_decisions(pa.Table.from_pylist(table, schema=DECISIONS), file)


def test_explain_finds_a_record_and_those_that_went_for_it(tmp_path):
    made(tmp_path / "ledger", ("a", "k"), ("b", "k"), ("c", None))
    ledger = Ledger.of_output(tmp_path)
    assert [row["id"] for row in ledger.explain("k")] == ["a", "b"]
    assert [row["id"] for row in ledger.explain("c")] == ["c"]


def test_diff_tells_two_ledgers_apart(tmp_path):
    made(tmp_path / "one" / "ledger", ("a", "k"), ("b", "k"), ("d", "k"))
    made(tmp_path / "two" / "ledger", ("b", "k"), ("c", "k"), ("d", "other"))
    one, two = Ledger.of_output(tmp_path / "one"), Ledger.of_output(tmp_path / "two")
    assert one.diff(two) == {"only_here": ["a"], "only_there": ["c"], "different": ["d"]}
    assert one.diff(one) == {"only_here": [], "only_there": [], "different": []}


def test_a_runs_output_names_its_stages(tmp_path):
    made(tmp_path / "clean" / "ledger")
    made(tmp_path / "small" / "excise" / "ledger")
    with pytest.raises(InputError, match=r"ask one of these: .*/clean, .*/small"):
        Ledger.of_output(tmp_path)
