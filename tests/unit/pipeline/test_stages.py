"""Gather, split and pretrain: the stages that make the demo's text and its model."""

import json

import pytest

from excise import __version__
from excise.errors import InputError, OutputError
from excise.pipeline import pretrain as pretrain_module
from excise.pipeline.gather import gather
from excise.pipeline.pretrain import pretrain
from excise.pipeline.split import split
from tiny_checkpoints import text

SMALL = {
    "vocabulary": 300,
    "hidden": 32,
    "layers": 1,
    "heads": 2,
    "kv_heads": 1,
    "ffn": 32,
    "window": 16,
    "batch": 2,
    "steps": 3,
}


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    return text(folder / "a.jsonl"), text(folder / "b.jsonl", records=30)


def named(out, home=""):
    """The lines of a finished run's journal."""
    return [json.loads(line) for line in (out / home / "journal.jsonl").read_text().splitlines()]


def test_split_takes_a_list_a_glob_and_a_directory_alike(tmp_path, files):
    made = []
    for number, data in enumerate((list(files), str(tmp_path / "texts" / "*.jsonl"), tmp_path / "texts")):
        out = tmp_path / f"out{number}"
        evidence = split(data, out, holdout=0.3)
        assert sum(evidence["records"].values()) == 70
        assert evidence["warnings"] == []
        made.append([(out / side).read_bytes() for side in ("train.jsonl", "heldout.jsonl")])
    assert made[0] == made[1] == made[2]
    assert sum(part.count(b"\n") for part in made[0]) == 70


def test_what_a_stage_was_made_from_is_in_its_fingerprint(tmp_path, files):
    split(list(files), tmp_path / "split", holdout=0.3)
    pretrain(list(files), tmp_path / "model", **SMALL)
    gather(tmp_path / "gather", megabytes=0.001)
    split_, model, gathered = (
        named(tmp_path / name, home)[0]["fingerprint"]
        for name, home in (("split", ""), ("model", "excise"), ("gather", ""))
    )
    assert split_["version"] == model["version"] == gathered["version"] == __version__
    assert [name for name, _ in split_["data"]] == ["a.jsonl", "b.jsonl"]
    assert split_["data"] == model["data"]
    assert set(SMALL.items()) < {(k, v) for k, v in model.items() if k != "data"}


def test_an_unfinished_run_from_other_text_is_refused(tmp_path, files, monkeypatch):
    monkeypatch.setattr("excise.pipeline.split.write_json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        split(str(tmp_path / "texts" / "*"), tmp_path / "out")
    files[1].write_bytes(files[0].read_bytes())
    with pytest.raises(OutputError, match="holds an unfinished run with other inputs"):
        split(str(tmp_path / "texts" / "*"), tmp_path / "out")


def test_an_output_that_holds_its_input_is_refused(tmp_path, files):
    for stage in (split, pretrain):
        with pytest.raises(OutputError, match="is or holds the input"):
            stage([files[0]], tmp_path / "texts", overwrite=True)
    assert files[0].is_file()


def test_a_side_without_records_is_the_users_mistake(tmp_path, files):
    with pytest.raises(InputError, match="both sides need some"):
        split(files[0], tmp_path / "out", holdout=1e-9)


def test_a_trained_model_is_not_trained_again(tmp_path, files, monkeypatch):
    whole = pretrain(str(tmp_path / "texts" / "*.jsonl"), tmp_path / "whole", **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "write_json", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(list(files), tmp_path / "out", **SMALL)
    monkeypatch.setattr("excise.training.loop.fit", interrupted)
    again = pretrain(list(files), tmp_path / "out", **SMALL)
    assert named(tmp_path / "out", "excise")[-1]["skipped"][-2:] == ["tokenizer", "train"]
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in whole.items() if k != "seconds"}
    assert whole["warnings"] == []
    made = {p.name for p in (tmp_path / "whole").iterdir() if p.is_file()}
    assert made == set(pretrain_module.CHECKPOINT)
    for name in made:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def interrupted(*_, **__):
    raise KeyboardInterrupt
