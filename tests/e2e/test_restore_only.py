"""restore --only as a user types it; and cleaned files with changed records come back."""

import json
from pathlib import Path

import pytest

from excise.cli.app import main


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """20 texts, 3 copies, 3 with a word more, of which one holds an address."""
    monkeypatch.chdir(tmp_path)
    texts = [" ".join(f"word{(i * 31 + j * j) % 997}" for j in range(40)) for i in range(20)]
    texts[19] += " write to jane.doe@mailbox.net"
    texts += texts[:3] + [t + " more" for t in texts[10:13]]
    lines = [json.dumps({"n": i, "text": t}) + "\n" for i, t in enumerate(texts)]
    Path("corpus.jsonl").write_text("".join(lines))
    return lines


def said(capsys):
    out, err = capsys.readouterr()
    return out + err


def test_one_finder_is_undone(corpus, capsys):
    assert main(["clean", "corpus.jsonl", "-o", "out", "--finders", "exact,near,pii"]) == 0
    assert "jane" not in Path("out/data/corpus.jsonl").read_text()
    assert main(["restore", "out", "-o", "near.jsonl", "--only", "near"]) == 0
    assert "as if near had not acted" in said(capsys)
    masked = corpus[19].replace("jane.doe@mailbox.net", "<EMAIL>")
    assert Path("near.jsonl").read_text() == "".join([*corpus[:19], masked, *corpus[23:]])
    assert main(["restore", "out", "-o", "told.jsonl", "--only", "near", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == [
        "3 records come back whole, in which pii changed nothing; run pii on the result."
    ]
    assert main(["restore", "out", "-o", "two.jsonl", "--only", "pii, exact", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "to": "two.jsonl",
        "files": 1,
        "bitwise": False,
        "status": "done",
        "only": ["pii", "exact"],
    }
    assert Path("two.jsonl").read_text() == "".join(corpus[:23])
    assert main(["restore", "out", "-o", "all.jsonl"]) == 0
    assert Path("all.jsonl").read_bytes() == Path("corpus.jsonl").read_bytes()


def test_a_finder_that_did_nothing_is_refused(corpus, capsys):
    assert main(["clean", "corpus.jsonl", "-o", "out", "--finders", "exact,normalised,near"]) == 0
    capsys.readouterr()
    for name in ("normalised", "nearly"):
        assert main(["restore", "out", "-o", "back", "--only", name]) == 2
        assert f"only has '{name}'; it must be among the finders that did something here: exact (3), near (3)" in said(
            capsys
        )
    assert not Path("back").exists()


def test_a_changed_cleaned_file_is_refused(corpus, capsys):
    assert main(["clean", "corpus.jsonl", "-o", "out", "--finders", "exact"]) == 0
    with Path("out/data/corpus.jsonl").open("a") as file:
        file.write("\n")
    assert main(["restore", "out", "-o", "back", "--only", "exact"]) == 1
    assert "was changed after it was cleaned" in said(capsys)
    assert not Path("back").exists()


def test_a_folder_with_every_format(corpus, tmp_path, capsys):
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [json.loads(line) for line in corpus]
    Path("in").mkdir()
    for name, part in (("a", rows[:20]), ("b", rows[20:])):
        pq.write_table(pa.Table.from_pylist(part), f"in/{name}.parquet")
        Path(f"in/{name}.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in part).encode()))
        Path(f"in/{name}.json").write_text(json.dumps(part))
    assert main(["clean", "in", "-o", "out", "--finders", "exact,near,pii"]) == 0
    assert main(["restore", "out", "-o", "back", "--only", "near"]) == 0
    texts = lambda path: [r["text"] for r in json.loads(Path(path).read_text())]  # noqa: E731
    assert texts("back/b.json")[-3:] == [row["text"] for row in rows[23:]]
    assert "<EMAIL>" in Path("back/a.json").read_text()
    assert main(["restore", "out", "-o", "whole"]) == 0
    for path in Path("in").iterdir():
        assert (Path("whole") / path.name).read_bytes() == path.read_bytes()


def test_an_older_ledger_without_finders_of_cuts_will_do(corpus):
    import pyarrow.parquet as pq

    assert main(["clean", "corpus.jsonl", "-o", "out", "--finders", "exact,near"]) == 0
    path = Path("out/ledger/removed.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["finder"]), path)
    assert main(["restore", "out", "-o", "back", "--only", "near"]) == 0
    assert Path("back").read_text() == "".join([*corpus[:20], *corpus[23:]])
    assert main(["restore", "out", "-o", "whole"]) == 0


def test_undoing_lines_leaves_addresses_masked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    footer = "Write to us at jane.doe@acme-corp.com for more about our services today."
    texts = [" ".join(f"word{(i * 31 + j * j) % 997}" for j in range(40)) + "\n" + footer for i in range(60)]
    Path("in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert main(["clean", "in.jsonl", "-o", "out", "--finders", "lines,pii"]) == 0
    assert "Write" in Path("out/data/in.jsonl").read_text().splitlines()[0]
    assert Path("out/data/in.jsonl").read_text().count("Write") == 1
    assert main(["restore", "out", "-o", "back", "--only", "lines"]) == 0
    back = Path("back").read_text()
    assert back.count("Write to us at <EMAIL> for more") == 60
    assert "jane" not in back
