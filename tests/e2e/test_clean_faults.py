"""A disk that fills up at any write: nothing half done under a final name, and the same command goes on."""

import json
import os
from pathlib import Path

import pytest

from excise.cli.app import main
from excise.evidence import report
from full_disk import Disk


@pytest.fixture
def disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    plain = report.page
    monkeypatch.setattr(report, "page", lambda evidence: plain.__name__)  # plots take time and write nothing
    texts = [" ".join(f"word{(i * 31 + j * j) % 997}" for j in range(30)) for i in range(20)]
    texts += texts[:3] + [t + " more" for t in texts[5:8]]
    Path("in").mkdir()
    Path("in/a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    Path("in/b.csv").write_text("text\nsome words\nsome words\n")
    return Disk(monkeypatch, tmp_path)


def kept_bytes(out):
    return {
        str(p.relative_to(out)): p.read_bytes()
        for p in sorted(out.rglob("*"))
        if p.is_file() and p.name not in {"journal.jsonl", "evidence.json"}
    }


def test_clean_goes_on_after_a_full_disk(disk, tmp_path, capsys):
    assert main(["clean", "in", "-o", "whole"]) == 0
    writes, whole = disk.count, kept_bytes(tmp_path / "whole")
    assert writes > 40
    for full_at in [*range(1, writes, max(1, writes // 25)), writes]:
        disk.count, disk.full_at = 0, full_at
        assert main(["clean", "in", "-o", "out"]) in {1, 2}, full_at
        told = capsys.readouterr().err
        assert "No space left" in told or "disk is full" in told
        assert not Path("out").exists()
        assert not list(tmp_path.rglob("*.aside"))
        if full_at % 2:  # twice in a row, now and then
            disk.count, disk.full_at = 0, full_at
            main(["clean", "in", "-o", "out"])
        disk.full_at = None
        if not Path("out").exists():
            assert main(["clean", "in", "-o", "out"]) == 0
        assert kept_bytes(tmp_path / "out") == whole
        assert main(["clean", "in", "-o", "out", "--overwrite", "--dry-run"]) == 0
        for path in sorted(Path("out").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        Path("out").rmdir()


def test_restore_leaves_nothing_on_a_full_disk(disk, tmp_path, capsys):
    assert main(["clean", "in", "-o", "out"]) == 0
    disk.count = 0
    assert main(["restore", "out", "-o", "whole"]) == 0
    for full_at in range(1, disk.count + 1):
        disk.count, disk.full_at = 0, full_at
        assert main(["restore", "out", "-o", "back"]) == 1
        assert not Path("back").exists()
        disk.full_at = None
    assert main(["restore", "out", "-o", "back"]) == 0
    assert kept_bytes(Path("back")) == kept_bytes(Path("in"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(disk, tmp_path, capsys):
    Path("shut").mkdir()
    Path("shut").chmod(0o500)
    assert main(["clean", "in", "-o", "shut/out"]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["clean", "in", "-o", "out"]) == 0
    assert main(["restore", "out", "-o", "shut/back"]) in {1, 2}
    assert "ermission" in capsys.readouterr().err


def test_writing_into_the_original_does_not_touch_the_ledger(disk, tmp_path, capsys):
    import gzip

    whole = gzip.compress(Path("in/a.jsonl").read_bytes())
    Path("a.jsonl.gz").write_bytes(whole)
    assert main(["clean", "a.jsonl.gz", "-o", "out"]) == 0
    assert "copies of originals" in capsys.readouterr().out
    with Path("a.jsonl.gz").open("wb") as file:  # as cp does
        file.write(Path("out/data/a.jsonl.gz").read_bytes())
    assert main(["restore", "out", "-o", "back.gz"]) == 0
    assert Path("back.gz").read_bytes() == whole


def test_a_file_that_changes_while_it_is_read_is_noticed(disk, tmp_path, monkeypatch, capsys):
    from excise.adapters.files import read

    parsed = read.parsed

    def meddling(one, fields, chunks):
        one.path.write_bytes(one.path.read_bytes() + b'{"text": "late"}\n')
        return parsed(one, fields, chunks)

    monkeypatch.setattr(read, "parsed", meddling)
    assert main(["clean", "in/a.jsonl", "-o", "out"]) == 2
    assert "changed while it was being read" in capsys.readouterr().err
    assert not Path("out").exists()


SHRUNK, EDITED, GONE = (lambda data: data[: len(data) // 3]), (lambda data: data.replace(b"o", b"0")), None


@pytest.mark.parametrize("when", ["collect", "write_source"])
@pytest.mark.parametrize("change", [SHRUNK, EDITED, GONE], ids=["shrunk", "edited", "gone"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_file_that_changes_before_it_is_written_is_noticed(disk, monkeypatch, capsys, name, change, when):
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    from excise.pipeline import clean

    lines, path = Path("in/a.jsonl").read_bytes(), Path(name)
    if name == "a.parquet":
        pq.write_table(pa.Table.from_pylist([json.loads(line) for line in lines.splitlines()]), path)
    else:
        path.write_bytes(gzip.compress(lines) if name.endswith("gz") else lines)
    work = getattr(clean, when)

    def meddling(*arguments):
        path.unlink() if change is None else path.write_bytes(change(path.read_bytes()))
        return work(*arguments)

    monkeypatch.setattr(clean, when, meddling)
    assert main(["clean", name, "-o", "out", "--restore", "content"]) == 2
    assert f"{name}: the file was changed while it was being read" in capsys.readouterr().err
    assert not Path("out").exists() and not Path("out.partial").exists()


def test_a_damaged_file_of_dropped_rows_is_named(disk, capsys):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["one", "two", "one"]}), "a.parquet")
    assert main(["clean", "a.parquet", "-o", "out", "--restore", "content"]) == 0
    Path("out/ledger/rows/a.parquet").write_bytes(b"PAR1")
    for command in (["restore", "out", "-o", "back"], ["explain", "out", "a.parquet#2"]):
        assert main(command) == 2
        assert "a.parquet: " in capsys.readouterr().err
    assert not Path("back").exists()


def test_restoring_touches_nobodys_folder_and_leaves_none(disk, tmp_path, capsys):
    assert main(["clean", "in", "-o", "out"]) == 0
    Path("back.partial").mkdir()
    Path("back.partial/theirs").write_text("an unfinished run")
    kept = Path("out/data/b.csv").read_bytes()
    Path("out/data/b.csv").write_bytes(b"edited")
    assert main(["restore", "out", "-o", "back"]) == 1  # a.jsonl is back already when this is noticed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back.partial", "in", "out"]
    Path("out/data/b.csv").write_bytes(kept)
    assert main(["restore", "out", "-o", "back"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back", "back.partial", "in", "out"]
    assert Path("back.partial/theirs").read_text() == "an unfinished run"
