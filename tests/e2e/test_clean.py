"""clean, explain, restore as a user types them."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from excise.cli.app import main

EXCISE = [sys.executable, "-m", "excise"]


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """corpus.jsonl: 40 texts, then 5 copies, 5 in capitals, 5 with a word more, and one that is no JSON."""
    monkeypatch.chdir(tmp_path)
    texts = [" ".join(f"word{(i * 31 + j * j) % 997}" for j in range(40)) for i in range(40)]
    texts += texts[:5] + [t.upper() for t in texts[5:10]] + [t + " more" for t in texts[10:15]]
    lines = [json.dumps({"n": i, "text": t}) + "\n" for i, t in enumerate(texts)]
    Path("corpus.jsonl").write_text("".join(lines))
    return lines


def said(capsys):
    out, err = capsys.readouterr()
    return out + err


def test_clean_explain_restore(corpus, capsys):
    assert main(["clean", "corpus.jsonl", "-o", "out"]) == 0
    told = said(capsys)
    assert "same text" in told
    assert "excise restore out -o ORIGINAL" in told
    assert Path("out/data/corpus.jsonl").read_text() == "".join(corpus[:40])
    assert sorted(p.name for p in Path("out").iterdir()) == ["data", "evidence.json", "ledger", "report.html"]
    evidence = json.loads(Path("out/evidence.json").read_text())
    assert evidence["removed"] == {"exact": 5, "normalised": 5, "near": 5}
    assert (evidence["before"]["records"], evidence["after"]["records"]) == (55, 40)
    assert evidence["after"]["decoded_bytes"] == Path("out/data/corpus.jsonl").stat().st_size
    assert sum(evidence["similarities"]["counts"]) == 5
    assert len(evidence["pairs"]) == 15
    assert "corpus.jsonl#50" in Path("out/report.html").read_text()

    assert main(["explain", "out"]) == 0
    assert "15 records removed" in said(capsys)
    assert main(["explain", "out", "corpus.jsonl#50"]) == 0
    told = said(capsys)
    assert "removed: corpus.jsonl#50" in told
    assert "kept: corpus.jsonl#10" in told
    assert main(["explain", "out", "corpus.jsonl#10", "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert (kept["fate"], kept["followers"], kept["text"]) == (
        "kept",
        ["corpus.jsonl#50"],
        json.loads(corpus[10])["text"],
    )

    assert main(["restore", "out", "-o", "back.jsonl"]) == 0
    assert "bit for bit" in said(capsys)
    assert Path("back.jsonl").read_bytes() == Path("corpus.jsonl").read_bytes()


def test_json_goes_to_stdout_alone(corpus, capsys):
    assert main(["clean", "corpus.jsonl", "-o", "out", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["out"], told["after"]["records"]) == ("done", "out", 40)
    assert main(["restore", "out", "-o", "back", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"to": "back", "files": 1, "bitwise": True, "status": "done"}


def test_a_dry_run_writes_nothing(corpus, capsys):
    assert main(["clean", "corpus.jsonl", "--dry-run", "--finders", "exact"]) == 0
    assert "nothing was written" in said(capsys)
    assert [p.name for p in Path().iterdir()] == ["corpus.jsonl"]


def test_a_directory_comes_back_as_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record = b'{"text": "the same text in both files, long enough to be compared"}\n'
    made = {
        "in/a.jsonl": record + b'{"text": "another"}\n',
        "in/deep/b.jsonl.gz": gzip.compress(record * 2 + b'{"text": "third"}\n'),
        "in/deep/c.csv": b"n,text\n1,x y\n2,x y\n",
        "in/empty.jsonl": b"",
        "in/notes.txt": b"",
    }
    for name, data in made.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)
    assert main(["clean", "in", "-o", "in/out"]) == 0
    assert gzip.decompress(Path("in/out/data/deep/b.jsonl.gz").read_bytes()) == b'{"text": "third"}\n'
    assert Path("in/out/data/deep/c.csv").read_bytes() == b"n,text\n1,x y\n"
    assert json.loads(Path("in/out/evidence.json").read_text())["price"]["by"] == {"cuts": 1, "original": 1, "same": 3}
    assert main(["restore", "in/out", "-o", "back"]) == 0
    assert {str("in" / p.relative_to("back")): p.read_bytes() for p in Path("back").rglob("*") if p.is_file()} == made
    assert main(["restore", "in/out", "-o", "back"]) == 2
    assert "back exists already" in said(capsys)
    assert main(["explain", "in/out", "deep/c.csv#1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["partner_text"] == "x y"


def test_records_are_explained_in_every_format(tmp_path, monkeypatch, capsys):
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.chdir(tmp_path)
    texts = ["one", "two", "one", "three", "two"]
    Path("a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    Path("a.json").write_text(json.dumps([{"text": t} for t in texts], indent=1))
    Path("a.csv").write_text('text,"two\nlines"\n' + "".join(f'"{t}",1\n' for t in texts))
    Path("a.txt").write_text("\n".join(texts))
    pq.write_table(pa.table({"text": texts}), "a.parquet")
    for name in ("a.jsonl", "a.json", "a.csv", "a.txt", "a.parquet"):
        out = name + ".out"
        extra = ["--text", "text"] if name == "a.csv" else []
        assert main(["clean", name, "-o", out, *extra]) == 0
        capsys.readouterr()
        for row, text in ((2, "one"), (4, "two"), (3, "three"), (0, "one")):
            assert main(["explain", out, f"{name}#{row}", "--json"]) == 0
            told = json.loads(capsys.readouterr().out)
            assert told["text"] == text, (name, row)
            assert told.get("partner_text", text) == text


def test_the_users_own_ids(corpus, capsys):
    assert main(["clean", "corpus.jsonl", "-o", "out", "--id", "n"]) == 0
    capsys.readouterr()
    assert main(["explain", "out", "50", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["partner"], told["partner_text"]) == ("10", json.loads(corpus[10])["text"])
    assert main(["explain", "out", "zz"]) == 2
    assert "an id here is a value of 'n'" in said(capsys)


def test_any_id_of_the_users_can_be_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ids = ["a b", "http://x:80/#7", "b.jsonl#0", " ", "-1", "名前"]
    lines = [json.dumps({"key": i, "text": "the very same"}) for i in ids]
    Path("b.jsonl").write_text("\n".join([*lines[:2], '{"key": "broken', *lines[2:]]) + "\n")
    assert main(["clean", "b.jsonl", "-o", "out", "--id", "key", "--corrupt", "reject"]) == 0
    capsys.readouterr()
    for one in ids:
        assert main(["explain", "out", "--json", "--", one]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["id"], told["text"]) == (one, "the very same")
        assert told["fate"] == ("kept" if one == ids[0] else "removed")
    assert main(["explain", "out", "b.jsonl#2", "--json"]) == 0  # it has no id that could be read
    told = json.loads(capsys.readouterr().out)
    assert (told["fate"], told["text"]) == ("rejected", '{"key": "broken')
    assert told["reason"].startswith("line 3: ")


def test_an_unknown_id_is_met_with_help(corpus, capsys):
    main(["clean", "corpus.jsonl", "-o", "out"])
    capsys.readouterr()
    assert main(["explain", "out", "corpus.json#50"]) == 2
    assert "did you mean corpus.jsonl#50" in said(capsys)
    assert main(["explain", "out", "xyz"]) == 2
    assert "an id here is file#row, such as corpus.jsonl#0" in said(capsys)
    assert main(["explain", "."]) == 2
    assert "no ledger here" in said(capsys)


def test_unreadable_records_go_to_the_ledger_and_come_back(corpus, capsys):
    broken = [*corpus[:3], '{"text": "cut of\n', *corpus[3:]]
    Path("broken.jsonl").write_text("".join(broken))
    assert main(["clean", "broken.jsonl", "-o", "out"]) == 2
    assert "broken.jsonl:4: not JSON" in said(capsys)
    assert not Path("out.partial").exists()
    assert main(["clean", "broken.jsonl", "-o", "out", "--corrupt", "reject"]) == 0
    assert Path("out/data/broken.jsonl").read_text() == "".join(corpus[:40])
    capsys.readouterr()
    assert main(["explain", "out", "broken.jsonl#3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["fate"], told["text"]) == ("rejected", '{"text": "cut of')
    assert main(["restore", "out", "-o", "back"]) == 0
    assert Path("back").read_bytes() == Path("broken.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["corpus.jsonl"], "--out is not given"),
        (["corpus.jsonl", "-o", "out", "--threshold", "1.5"], "threshold is 1.5"),
        (["corpus.jsonl", "-o", "out", "--keep", "best"], "keep is 'best'; it must be one of first, last, longest"),
        (["corpus.jsonl", "-o", "out", "--finders", "exact,fuzzy"], "finders has 'fuzzy'"),
        (["corpus.jsonl", "-o", "out", "--finders", ","], "finders names none"),
        (["corpus.jsonl", "-o", "out", "--restore", "all"], "restore is 'all'"),
        (["corpus.jsonl", "-o", "out", "--corrupt", "skip"], "corrupt is 'skip'"),
        (["corpus.jsonl", "-o", "out", "--text", "a", "--on", "b"], "Give one of them"),
        (["corpus.jsonl", "-o", "out", "--on", "zzz"], "has no field 'zzz'"),
        (["missing.jsonl", "-o", "out"], "missing.jsonl: no such file"),
        (["full/data/x.jsonl", "-o", "full"], "is or holds the input"),
        (["corpus.jsonl", "-o", "full"], "full exists already"),
        (["corpus.jsonl", "-o", "full", "--overwrite"], "was not made by this command"),
        (["corpus.jsonl", "-o", "corpus.jsonl", "--overwrite"], "is or holds the input"),
    ],
)
def test_mistakes_are_told_and_change_nothing(corpus, capsys, arguments, told):
    Path("full/data").mkdir(parents=True)
    Path("full/data/x.jsonl").write_text(corpus[0])
    assert main(["clean", *arguments]) == 2
    assert told in said(capsys).replace("\n", " ")
    assert sorted(str(p) for p in Path().rglob("*")) == ["corpus.jsonl", "full", "full/data", "full/data/x.jsonl"]
    assert Path("corpus.jsonl").read_text() == "".join(corpus)


def test_finders_have_one_name_and_find_is_short_for_it(corpus, capsys):
    for option in ("--finders", "--find"):
        assert main(["clean", "corpus.jsonl", "--dry-run", option, "normalised,exact", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["settings"]["finders"] == ["exact", "normalised"]  # the order in which they run
        assert told["removed"] == {"exact": 5, "normalised": 5}


def test_each_finder_is_a_step_so_a_kill_costs_one_at_most(corpus, monkeypatch, capsys):
    from excise.data import exact, near

    find_near, find_exact, asked = near.find, exact.find, []

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    def watched(*arguments, normalised, **options):
        asked.append(normalised)
        return find_exact(*arguments, normalised=normalised, **options)

    assert main(["clean", "corpus.jsonl", "-o", "whole"]) == 0
    monkeypatch.setattr(near, "find", killed)
    assert main(["clean", "corpus.jsonl", "-o", "out"]) == 130
    monkeypatch.setattr(near, "find", find_near)
    monkeypatch.setattr(exact, "find", watched)
    assert main(["clean", "corpus.jsonl", "-o", "out", "--json"]) == 0
    captured = capsys.readouterr().out
    assert json.loads(captured[captured.index("{") :])["skipped"] == [
        "read corpus.jsonl",
        "find exact",
        "find normalised",
    ]
    assert asked == []
    assert kept_bytes(Path("out")) == kept_bytes(Path("whole"))


def test_a_finished_out_is_replaced_only_when_asked(corpus, capsys):
    for code, extra in ((0, []), (2, []), (0, ["--overwrite"])):
        assert main(["clean", "corpus.jsonl", "-o", "out", "--finders", "exact", *extra]) == code


def test_an_edited_file_is_not_taken_for_the_cleaned_one(corpus, capsys):
    main(["clean", "corpus.jsonl", "-o", "out"])
    with Path("out/data/corpus.jsonl").open("ab") as file:
        file.write(b"\n")
    assert main(["restore", "out", "-o", "back"]) == 1
    assert "was changed after it was cleaned" in said(capsys)
    Path("out/data/corpus.jsonl").unlink()
    assert main(["restore", "out", "-o", "back"]) == 2
    assert "is gone" in said(capsys)
    assert not Path("back").exists()


@pytest.mark.parametrize("name", ["decisions.parquet", "removed.parquet", "sources.json"])
@pytest.mark.parametrize("damage", [None, b"", b"zz", b"[{}]", b"[", b"PAR1"])
def test_a_damaged_ledger_is_named(corpus, capsys, name, damage):
    main(["clean", "corpus.jsonl", "-o", "out"])
    gone = json.loads(Path("out/evidence.json").read_text())["pairs"][0]["id"]
    path = Path("out/ledger", name)
    path.unlink() if damage is None else path.write_bytes(damage)
    capsys.readouterr()
    for command in (["restore", "out", "-o", "back"], ["explain", "out", gone]):
        assert main(command) == 2
        told = said(capsys)
        assert f"{name}: the ledger is damaged" in told or (damage is None and "no ledger here" in told)
    assert not Path("back").exists()


def test_explain_does_not_show_another_records_text(corpus, capsys):
    main(["clean", "corpus.jsonl", "-o", "out"])
    gone = json.loads(Path("out/evidence.json").read_text())["pairs"][0]["id"]
    cleaned = Path("out/data/corpus.jsonl")
    cleaned.write_bytes(b"".join(cleaned.read_bytes().splitlines(keepends=True)[1:]))
    assert main(["explain", "out", gone]) == 1
    assert "changed after it was cleaned" in said(capsys)


def test_a_ledger_cannot_write_outside(corpus, capsys):
    main(["clean", "corpus.jsonl", "-o", "out"])
    listing = Path("out/ledger/sources.json")
    for name in ("../../evil", "/tmp/evil", "a/../../evil", ""):
        entry = json.loads(listing.read_text())
        entry[0].update(name=name, folder=True)
        listing.write_text(json.dumps(entry))
        assert main(["restore", "out", "-o", "back"]) == 2
        assert "leads out of its folder" in said(capsys)
    assert not Path("back").exists()


def test_too_large_a_removal_stops_unless_allowed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    base = " ".join(f"word{j}" for j in range(60))
    Path("a.jsonl").write_text("".join(json.dumps({"text": f"{base} {i}"}) + "\n" for i in range(1200)))
    assert main(["clean", "a.jsonl", "--dry-run"]) == 0
    assert "A run would stop here" in said(capsys).replace("\n", " ")
    assert main(["clean", "a.jsonl", "-o", "out"]) == 1
    assert "--allow-large" in said(capsys)
    assert not Path("out").exists()
    assert main(["clean", "a.jsonl", "-o", "out", "--allow-large"]) == 0
    assert json.loads(Path("out/evidence.json").read_text())["after"]["records"] == 1


def kept_bytes(out):
    """All that must be the same in two runs: data and ledger, without the journal, which has times in it."""
    return {
        str(p.relative_to(out)): p.read_bytes()
        for folder in ("data", "ledger")
        for p in sorted((out / folder).rglob("*"))
        if p.is_file() and p.name != "journal.jsonl"
    }


@pytest.mark.parametrize("container", ["", ".gz", ".zst", ".xz"])
def test_two_runs_give_the_same_bytes(corpus, tmp_path, container):
    import lzma

    import zstandard

    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress, ".xz": lzma.compress}[container]
    name = "packed.jsonl" + container
    Path(name).write_bytes(pack(Path("corpus.jsonl").read_bytes()))
    for out in ("one", "two"):
        assert main(["clean", name, "-o", out]) == 0
        time.sleep(0.01)
    assert kept_bytes(Path("one")) == kept_bytes(Path("two"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, how):
    record = "".join(
        json.dumps({"text": " ".join(f"w{(i * 7919 + j) % 5003}" for j in range(30))}) + "\n" for i in range(300)
    )
    for index in range(12):
        path = tmp_path / "in" / f"{index:02d}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(record + json.dumps({"text": f"only here {index}"}) + "\n")
    whole = [*EXCISE, "clean", "in", "-o", "whole"]
    assert subprocess.run(whole, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    journal = tmp_path / "out.partial" / "ledger" / "journal.jsonl"
    killed = 0
    for lines in (3, 16, 22) if how == signal.SIGKILL else (9,):
        run = subprocess.Popen(
            [*EXCISE, "clean", "in", "-o", "out"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        while run.poll() is None and not (journal.is_file() and journal.read_bytes().count(b'"done"') >= lines):
            time.sleep(0.001)
        if run.poll() is None:
            run.send_signal(how)
            killed += 1
        _, told = run.communicate()
        if (tmp_path / "out").exists():
            break
        assert journal.is_file()
        assert b"Traceback" not in told
        assert run.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if not (tmp_path / "out").exists():
        assert (
            subprocess.run([*EXCISE, "clean", "in", "-o", "out", "--resume"], cwd=tmp_path, check=False).returncode == 0
        )
    assert killed
    assert kept_bytes(tmp_path / "out") == kept_bytes(tmp_path / "whole")
    log = (tmp_path / "out/ledger/journal.jsonl").read_text()
    assert '"skipped"' in log


def test_alpaca_has_its_repeated_outputs(shared, tmp_path, capsys):
    import lzma

    data = tmp_path / "alpaca.json"
    data.write_bytes(lzma.decompress((shared / "data" / "alpaca-en" / "alpaca_data.json.xz").read_bytes()))
    out, back = str(tmp_path / "out"), tmp_path / "back"
    assert main(["clean", str(data), "-o", out, "--on", "output", "--finders", "exact", "--json"]) == 0
    evidence = json.loads(capsys.readouterr().out)
    # 52,002 records have 50,842 distinct outputs: 1,160 repeat, 27 of them the empty output.
    assert evidence["before"]["records"] == 52002
    assert evidence["removed"] == {"exact": 1160}
    assert any("28" in note and "empty" in note for note in evidence["warnings"])
    assert len(json.loads((tmp_path / "out/data/alpaca.json").read_bytes())) == 52002 - 1160
    assert main(["restore", out, "-o", str(back)]) == 0
    assert back.read_bytes() == data.read_bytes()


def test_chinese_alpaca_comes_back(shared, tmp_path, capsys):
    data = shared / "data" / "alpaca-zh"
    out, back = str(tmp_path / "out"), tmp_path / "back"
    names = [str(data / f"{name}.json.xz") for name in ("edited-0-3252", "edited-12345-15323")]
    assert main(["clean", *names, "-o", out, "--json"]) == 0
    evidence = json.loads(capsys.readouterr().out)
    assert evidence["before"]["records"] == 3247 + 2978
    assert main(["restore", out, "-o", str(back)]) == 0
    for name in names:
        assert (back / Path(name).name).read_bytes() == Path(name).read_bytes()


def test_no_torch_is_needed(corpus):
    script = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from excise.cli.app import main\n"
        "codes = [main(a.split()) for a in ('clean corpus.jsonl -o out', 'explain out', 'restore out -o back')]\n"
        "sys.exit(sum(codes))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, env={**os.environ})
    assert run.returncode == 0, run.stderr


def test_labels_that_disagree_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [
        {"text": "good film", "lab": "pos"},
        {"text": "good film", "lab": "neg"},
        {"text": "good film", "lab": "pos"},
    ]
    Path("a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["clean", "a.jsonl", "-o", "out", "--label", "lab"]) == 0
    assert "whose label is not that of the record that stays: 1" in said(capsys)
    assert main(["explain", "out", "a.jsonl#1"]) == 0
    assert "labels disagree: neg here, pos there" in said(capsys)


def test_a_field_that_is_mostly_empty_stops_with_the_way_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [{"text": f"text {i}", "note": "" if i % 5 else f"note {i}"} for i in range(1000)]
    Path("a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["clean", "a.jsonl", "-o", "out", "--on", "note"]) == 1
    told = said(capsys)
    assert "800 of the 1,000 records of a.jsonl have an empty text" in told
    assert "compare another field" in told and "--allow-large" in told
    assert not Path("out").exists()
    assert main(["clean", "a.jsonl", "-o", "out", "--on", "note", "--allow-large"]) == 0
    assert json.loads(Path("out/evidence.json").read_text())["after"]["records"] == 201
