import json

import pytest

from excise.errors import OutputError
from excise.journal import Journal, fingerprint_of, write_json, written_aside


def steps(journal, calls):
    for name in ("a", "b", "c"):
        path = journal.folder / name

        def work(path=path, name=name):
            calls.append(name)
            with written_aside(path) as file:
                file.write(name.encode())
            return {"name": name}

        assert journal.step(name, work, [path]) == {"name": name}


def test_finished_run_is_renamed_and_work_is_gone(tmp_path):
    with Journal(tmp_path / "out", {"x": 1}, "home") as journal:
        (journal.work / "scratch").write_text("x")
        steps(journal, [])
        journal.finish()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "b", "c", "home"]
    assert not (tmp_path / "out.partial").exists()


def test_second_run_skips_what_is_whole(tmp_path):
    calls = []
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, calls)
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, calls)
        assert journal.skipped == ["a", "b", "c"]
    assert calls == ["a", "b", "c"]


def test_a_damaged_file_redoes_it_and_all_that_follows(tmp_path):
    calls = []
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, calls)
    (tmp_path / "out.partial" / "b").write_text("longer than it was")
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, calls)
        assert journal.skipped == ["a"]
    assert calls == ["a", "b", "c", "b", "c"]


def test_redone_steps_stay_redone_when_killed_again(tmp_path):
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, [])
    (tmp_path / "out.partial" / "a").unlink()
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:

        def killed():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            journal.step("a", killed, [journal.folder / "a"])
    (tmp_path / "out.partial" / "a").write_text("a")
    calls = []
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, calls)
    assert calls == ["a", "b", "c"]


def test_half_a_line_from_a_kill_is_cut_off(tmp_path):
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, [])
    path = tmp_path / "out.partial" / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    calls = []
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, calls)
    assert calls == ["c"]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_other_inputs_are_refused_and_named(tmp_path):
    with Journal(tmp_path / "out", {"data": "abc", "bits": 4}, ""):
        pass
    with pytest.raises(OutputError, match=r"bits was 4, is 3.*--overwrite"):
        Journal(tmp_path / "out", {"data": "abc", "bits": 3}, "")
    with Journal(tmp_path / "out", {"data": "abc", "bits": 3}, "", overwrite=True) as journal:
        assert sorted(p.name for p in journal.folder.iterdir()) == [".lock", "journal.jsonl"]


def test_a_finished_out_needs_overwrite_and_stays_until_replaced(tmp_path):
    with Journal(tmp_path / "out", {"x": 1}, "") as journal:
        steps(journal, [])
        journal.finish()
    with pytest.raises(OutputError, match="--overwrite"):
        Journal(tmp_path / "out", {"x": 1}, "")
    with Journal(tmp_path / "out", {"x": 2}, "", overwrite=True) as journal:
        assert (tmp_path / "out" / "a").read_text() == "a"
        journal.finish()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["journal.jsonl"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_only_an_output_of_the_same_command_is_replaced(tmp_path):
    with Journal(tmp_path / "out", {"command": "split"}, "") as journal:
        journal.finish()
    with pytest.raises(OutputError, match="not made by this command"):
        Journal(tmp_path / "out", {"command": "run"}, "", overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not made by this command"):
        Journal(tmp_path / "mine", {"command": "run"}, "", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("inside", ["out", "out/data/a.jsonl", "out.partial/a.jsonl"])
def test_an_output_that_holds_an_input_is_refused(tmp_path, inside):
    (tmp_path / inside).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / inside).write_text("x")
    with pytest.raises(OutputError, match="which would be lost"):
        Journal(tmp_path / "out", {}, "", inputs=[tmp_path / inside], overwrite=True)
    assert (tmp_path / inside).read_text() == "x"


def test_a_partial_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "out.partial" / "home").mkdir(parents=True)
    with Journal(tmp_path / "out", {}, "home"):
        pass  # killed before it had a journal
    (tmp_path / "other.partial").mkdir()
    (tmp_path / "other.partial" / "mine.txt").write_text("precious")
    (tmp_path / "file.partial").write_text("precious")
    for name in ("other", "file"):
        with pytest.raises(OutputError, match="holds something else"):
            Journal(tmp_path / name, {}, "", overwrite=True)
    assert (tmp_path / "other.partial" / "mine.txt").read_text() == "precious"
    assert [p.name for p in (tmp_path / "other.partial").iterdir()] == ["mine.txt"]


def test_an_output_inside_the_input_is_fine(tmp_path):
    with Journal(tmp_path / "data" / "out", {}, "", inputs=[tmp_path / "data"]) as journal:
        journal.finish()


def test_a_symlinked_output_is_replaced_and_its_target_stays(tmp_path):
    with Journal(tmp_path / "real", {}, "") as journal:
        journal.finish()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with Journal(tmp_path / "out", {}, "", overwrite=True) as journal:
        journal.finish()
    assert not (tmp_path / "out").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "real"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["journal.jsonl"]


def test_killed_while_finishing_nothing_is_done_again(tmp_path, monkeypatch):
    with Journal(tmp_path / "out", {}, "") as journal:
        steps(journal, [])
        monkeypatch.setattr("pathlib.Path.rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            journal.finish()
    monkeypatch.undo()
    calls = []
    with Journal(tmp_path / "out", {}, "") as journal:
        steps(journal, calls)
        journal.finish()
    assert calls == []
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "b", "c", "journal.jsonl"]


def test_json_is_json(tmp_path):
    assert write_json(tmp_path / "a.json", {"中": 1}).read_text("utf-8") == '{\n "中": 1\n}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "b.json", {"x": float("nan")})
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_two_runs_at_once_are_refused(tmp_path):
    with Journal(tmp_path / "out", {"x": 1}, ""), pytest.raises(OutputError, match="in use"):
        Journal(tmp_path / "out", {"x": 1}, "")


def test_written_aside_leaves_nothing_half_written(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(RuntimeError), written_aside(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_written_aside_verifies_first(tmp_path):
    def refuse(path):
        assert path.read_bytes() == b"whole"
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), written_aside(tmp_path / "file", refuse) as file:
        file.write(b"whole")
    assert list(tmp_path.iterdir()) == []


def test_two_runs_write_one_name_each_aside_by_itself(tmp_path):
    path = tmp_path / ("n" * 255)  # no name is too long for it
    with written_aside(path) as one:
        one.write(b"one")
        with written_aside(path) as other:
            other.write(b"other one")
        assert path.read_bytes() == b"other one"
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_only_durable_files_are_flushed_to_disk(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr("os.fsync", flushed.append)
    for durable in (False, True):
        with written_aside(tmp_path / "file", durable=durable) as file:
            file.write(b"x")
        assert len(flushed) == durable


def test_what_a_killed_run_had_begun_is_gone(tmp_path, monkeypatch):
    def work():
        with written_aside(journal.folder / "data" / "a") as file:
            file.write(b"half")
            raise SystemExit

    with Journal(tmp_path / "out", {"x": 1}, "ledger") as journal, monkeypatch.context() as killed:
        killed.setattr("pathlib.Path.unlink", lambda path, missing_ok: None)
        with pytest.raises(SystemExit):
            journal.step("a", work)
        assert len(list((journal.folder / "data").iterdir())) == 1
    with Journal(tmp_path / "out", {"x": 1}, "ledger") as journal:
        assert list((journal.folder / "data").iterdir()) == []


def test_fingerprint_knows_names_and_bytes(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("1")
    first = fingerprint_of(tmp_path / "d")
    (tmp_path / "d" / "a").rename(tmp_path / "d" / "b")
    second = fingerprint_of(tmp_path / "d")
    (tmp_path / "d" / "b").write_text("2")
    assert len({first, second, fingerprint_of(tmp_path / "d"), fingerprint_of(tmp_path / "d" / "b")}) == 4
