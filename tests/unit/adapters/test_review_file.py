"""The review goes through a spreadsheet: every cell comes back, no cell is a formula."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.adapters import review_file
from excise.corpus import Corpus
from excise.data import review, review_form
from excise.data.decide import decide
from excise.errors import InputError
from excise.finding import Finding, table_of

CELLS = ["id", "source", "finder", "action", "value", "decision", "comment", "span", "made_for", "partner"]


def proposal(**cells):
    empty = dict.fromkeys(CELLS, "") | {"redundancy": 0.5, "reason": None, "text": None, "partner_text": None}
    return pa.Table.from_pylist([empty | cells], schema=review_form.REVIEW)


def test_it_opens_well_in_a_spreadsheet(tmp_path):
    path = tmp_path / "review.csv"
    table = proposal(
        id="a.jsonl#1", text="=HYPERLINK(1)\x1b[2J\nzweite, Zeile", value="+1", partner="0012", redundancy=0.8123456789
    )
    assert review_file.write(path, [table, table]) == 2
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfid,source,finder,action,redundancy,reason,text,")
    read = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert read[0]["text"] == "'=HYPERLINK(1)⟨ESC⟩[2J\nzweite, Zeile"
    assert (read[0]["value"], read[0]["partner"], read[0]["redundancy"]) == ("'+1", "'0012", "0.812346")
    assert read[0]["decision"] == "" and len(read) == 2
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(CELLS), st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1)
)
def test_every_cell_comes_back(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("csv") / "review.csv"
    review_file.write(path, [proposal(id="x", **{k: v for k, v in cells.items() if k != "id"})])
    (row,) = review_file.read(path).to_pylist()
    assert {name: row[name] for name in cells if name != "id"} == {k: v for k, v in cells.items() if k != "id"}


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@x", "\tx", "'x", "＝1", "007", "3/4", "1-2", "1e5", "12:30", "1234567890123456"]
)
def test_what_a_spreadsheet_would_rewrite_gets_an_apostrophe(text):
    assert review_file.guarded(text) == "'" + text


@pytest.mark.parametrize("text", ["", "text", "文本", "12", "0", "a=1", "x'", "corpus.jsonl#7", "5..9 words"])
def test_what_it_leaves_alone_gets_none(text):
    assert review_file.guarded(text) == text


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"id;decision\na;keep\n", "semicolons"),
        ("id\tdecision\r\na\tkeep\r\n".encode("utf-16"), "UTF-16 with tabs"),
        ("\ufeff ID , Decision \na,keep\n".encode(), "names with blanks and capitals"),
        ("id,decision,comment\na,keep,保留它\n".encode("gbk"), "GB 18030"),
        (b"id,decision\n\n,\na,keep,,\n", "blank rows, empty cells after the last"),
    ],
)
def test_what_spreadsheets_save(tmp_path, data, what):
    path = tmp_path / "review.csv"
    path.write_bytes(data)
    (row,) = review_file.read(path).to_pylist()
    assert (row["id"], row["decision"]) == ("a", "keep"), what
    assert row["line"] == (4 if "blank" in what and "capitals" not in what else 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id,decision\na,\xff\xff\n", "save it as 'CSV UTF-8'"),
        (b"id,decision\na,keep,x\n", "review.csv:2: the row has 3 cells, the header 2"),
    ],
)
def test_what_is_no_review(tmp_path, data, message):
    path = tmp_path / "review.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        review_file.read(path)


def test_round_trip(tmp_path):
    """Proposed, written, decided in a spreadsheet that sorts the rows, read, followed."""
    data = Corpus.from_texts(["=same", "=same", "=same", "odd", "odd too"], "0007")
    findings = table_of(
        [
            Finding("exact", "0007#1", 1.0, "has the same text as 0007#0", 1, "0007#0", 0),
            Finding("exact", "0007#2", 1.0, "has the same text as 0007#0", 2, "0007#0", 0),
            Finding("outliers", "0007#3", 0.7, "far from all", 3),
            Finding("labels", "0007#4", 0.8, "likely 体育", 4, value="体育"),
        ]
    )
    actions, path = {"labels": "relabel"}, tmp_path / "review.csv"
    proposed = decide(findings, data, None, actions)
    review_file.write(path, review_form.proposals(proposed, data))

    untouched = review_form.checked(review_file.read(path), data, "review.csv")
    assert review.apply(findings, untouched, data, "review.csv", None, actions).equals(proposed)

    with path.open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    said = {"0007#1": "keep", "0007#4": "改标：财经"}
    for row in table:
        row["decision"] = said.get(row["id"], "")
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, table[0], delimiter=";")
        writer.writeheader()
        writer.writerows(reversed(table))
    reviewed = review_form.checked(review_file.read(path), data, "review.csv")
    found = review.apply(findings, reviewed, data, "review.csv", None, actions).to_pylist()
    assert [(d["id"], d["action"], d["value"], d["by"]) for d in found] == [
        ("0007#1", "keep", None, "review.csv"),
        ("0007#2", "drop", None, ""),
        ("0007#3", "drop", None, ""),
        ("0007#4", "relabel", "财经", "review.csv"),
    ]
