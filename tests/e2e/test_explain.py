"""explain as a user types it: what went, what was changed, what was added, who decided; no terminal is misused."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise.cli.app import main

LONG = [" ".join(f"word{(i * 31 + j * j) % 997}" for j in range(40)) for i in range(6)]
MAIL = 'Dear anna.k@posteo.de, \x1b[2J\u202e please write "soon" to bob77@gmail.com and 陈 says hello to all of you.'
ROWS = [{"text": t, "label": "x"} for t in [MAIL, *LONG, LONG[0], LONG[1] + " more \x9b31m"]]
FINDERS = "exact,normalised,near,pii"


@pytest.fixture(scope="module", params=["jsonl", "json", "csv", "parquet"])
def home(request, tmp_path_factory):
    """A file of each format, cleaned: a copy and a near copy gone, two addresses masked."""
    home = tmp_path_factory.mktemp("explain")
    path = home / f"a.{request.param}"
    if request.param == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif request.param == "json":
        path.write_text(json.dumps(ROWS, ensure_ascii=False))
    elif request.param == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label"])
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    assert main(["clean", str(path), "-o", str(home / "out"), "--finders", FINDERS]) == 0
    return home


def told(home, capsys, row, *more):
    (name,) = (path.name for path in home.iterdir() if path.is_file())
    capsys.readouterr()
    assert main(["explain", str(home / "out"), f"{name}#{row}", *more]) == 0
    return capsys.readouterr().out


def test_a_changed_record_is_told_with_what_was_there(home, capsys):
    found = json.loads(told(home, capsys, 0, "--json"))
    assert found["fate"] == "changed"
    assert [change["was"] for change in found["changes"]] == ["anna.k@posteo.de", "bob77@gmail.com"]
    for change in found["changes"]:
        assert found["text"][change["at"] :].startswith(change["value"])
    assert [(d["action"], d["finder"], d["by"]) for d in found["decisions"]] == [("mask", "pii", "")] * 2

    shown = told(home, capsys, 0)
    assert "⟦anna.k@posteo.de⟧<" in shown
    assert "陈 says hello" in shown


def test_no_character_acts_on_the_terminal(home, capsys):
    for row in (0, 8):
        shown = told(home, capsys, row)
        assert not [c for c in shown if ord(c) < 32 and c != "\n"] and "\x9b" not in shown and "\u202e" not in shown
    assert "⟨ESC⟩[2J" in told(home, capsys, 0)


def test_a_removed_record_stands_beside_the_kept_one_with_differences_marked(home, capsys):
    found = json.loads(told(home, capsys, 8, "--json"))
    assert (found["fate"], found["text"], found["partner_text"]) == ("removed", ROWS[8]["text"], ROWS[2]["text"])
    assert "⟦ more ⟨U+009B⟩31m⟧" in " ".join(told(home, capsys, 8).split())


def test_the_sum(home, capsys):
    capsys.readouterr()
    assert main(["explain", str(home / "out")]) == 0
    assert "2 records removed, 1 changed" in capsys.readouterr().out


def test_a_person_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert main(["clean", "a.jsonl", "--finders", FINDERS, "--review", "mine.csv"]) == 0
    with Path("mine.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["decision"] = "保留" if row["id"] == "a.jsonl#8" else ""
    rows.append({**dict.fromkeys(rows[0], ""), "id": "a.jsonl#5", "decision": "drop", "comment": "nonsense"})
    with Path("mine.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert main(["clean", "a.jsonl", "-o", "out", "--finders", FINDERS, "--apply", "mine.csv"]) == 0
    kept = [json.loads(line)["text"] for line in Path("out/data/a.jsonl").read_text().splitlines()]
    assert ROWS[8]["text"] in kept and ROWS[5]["text"] not in kept and len(kept) == 7

    capsys.readouterr()
    assert main(["explain", "out", "a.jsonl#8"]) == 0
    shown = capsys.readouterr().out
    assert "it stays; mine.csv kept it" in shown and "keep" in shown
    assert main(["explain", "out", "a.jsonl#5"]) == 0
    assert "removed: mine.csv says so; mine.csv: nonsense (found by review)" in capsys.readouterr().out
    assert main(["explain", "out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by_person"] == {"mine.csv": {"drop": 1, "keep": 1}}
    evidence = json.loads(Path("out/evidence.json").read_text())
    assert evidence["reviewed"] == [{"by": "mine.csv", "decisions": {"drop": 1, "keep": 1}}]
    assert evidence["removed"] == {"exact": 1, "normalised": 0, "near": 0, "pii": 0, "review": 1}
    assert main(["restore", "out", "-o", "back.jsonl"]) == 0
    assert Path("back.jsonl").read_bytes() == Path("a.jsonl").read_bytes()


def test_an_added_record_stands_beside_its_parent(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in LONG))
    assert main(["augment", "a.jsonl", "-o", "out", "--op", "noise=0.2"]) == 0
    capsys.readouterr()
    assert main(["explain", "out", "a.jsonl#6", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["fate"], found["partner"], found["partner_text"]) == ("added", "a.jsonl#0", LONG[0])
    assert "noise" in found["reason"] and found["text"] != LONG[0]
    assert main(["explain", "out", "a.jsonl#0"]) == 0
    assert "made of it: a.jsonl#6" in capsys.readouterr().out
    assert main(["explain", "out"]) == 0
    assert "0 records removed, 6 added" in capsys.readouterr().out
