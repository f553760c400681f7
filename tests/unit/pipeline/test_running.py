"""Running a recipe: what is refused before any work, what a run depends on, and doing it again."""

import json
import random

import pytest

import excise.pipeline.run as run_module
from excise import recipe
from excise.errors import InputError, OutputError
from excise.pipeline.run import run
from tiny_checkpoints import save

HEAD = "schema_version: 1\nname: small\nstages:\n"

#: Lists, globs and a model from outside, at every stage that takes them; a stage with the name of a journal's folder.
WHOLE = (
    HEAD
    + """\
  - {kind: clean, data: [../texts/a.jsonl, "../texts/[bc].jsonl"], text: "{text}\\n"}
  - {kind: split, name: work, data: ["{clean}/data/a.jsonl", "{clean}/data/b*"], holdout: 0.3}
  - {kind: pretrain, data: "../texts/*.jsonl", vocabulary: 300, hidden: 32, layers: 1, heads: 2, kv_heads: 1, ffn: 32,
     window: 16, batch: 2, steps: 3, learning_rate: 1.0e-5}
  - {kind: compress, model: ../model, data: ["../texts/a*", "{work}/train.jsonl"], pattern: 2:4, bits: 4, group: channel,
     windows: 2}
"""
)


@pytest.fixture
def home(tmp_path):
    """A recipe's folder, beside texts and a model."""
    for name in ("home", "texts"):
        (tmp_path / name).mkdir()
    for name in "abcd":
        texts(tmp_path / "texts" / f"{name}.jsonl", 20)
    return tmp_path / "home"


def texts(path, records):
    draw = random.Random(path.name)
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    lines = [json.dumps({"text": " ".join(draw.choices(words, k=40))}) + "\n" for _ in range(records)]
    path.write_text("".join([*lines, lines[0]]))


def written(home, text):
    path = home / "recipe.yaml"
    path.write_text(text)
    return path


def contents(out):
    """What must be the same bytes: data files, ledger tables, safetensors."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.suffix in {".jsonl", ".parquet", ".safetensors"} and path.name != "journal.jsonl"
    }


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("{kind: clean, data: ../texts/none.jsonl}", r"stage clean, data: .*none.jsonl: no such file or directory"),
        ("{kind: split, name: s, data: [../texts, '../texts/*.csv']}", r"stage s, data: .*\*.csv: the pattern matches no"),
        ("{kind: pretrain, data: ../texts/a.jsonl/b}", r"stage pretrain, data: .*no such file or directory"),
        ("{kind: compress, model: ../no/model, bits: 4}", r"stage compress, model: .*no/model: no such directory"),
        ("{kind: compress, model: ../texts/a.jsonl, bits: 4}", r"stage compress, model: .*a.jsonl: no such directory"),
        ("{kind: compress, model: ., bits: 4, data: '*.txt'}", r"stage compress, data: .*\*.txt: the pattern matches no"),
        ("{kind: compare, before: ., after: none, data: ../texts}", r"stage compare, after: .*none: no such directory"),
    ],
)  # fmt: skip
def test_an_input_that_is_not_there_is_told_before_any_work(home, tmp_path, stage, told):
    path = written(home, HEAD + "  - {kind: gather, megabytes: 0.001}\n  - " + stage + "\n")
    with pytest.raises(InputError, match=told):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out.partial").exists()


def test_a_hub_name_is_not_taken_for_a_path(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = written(home, HEAD + "  - {kind: compress, model: owner/some-model, bits: 4}\n")
    with pytest.raises(InputError, match=r"^owner/some-model: .*HF_HUB_OFFLINE"):
        run(path, tmp_path / "out")


@pytest.mark.parametrize("data", ["../texts", "../**/*.jsonl"])
def test_an_output_inside_the_input_is_refused(home, tmp_path, data):
    path = written(home, HEAD + f"  - {{kind: clean, data: '{data}'}}\n")
    with pytest.raises(OutputError, match="the data of stage clean"):
        run(path, tmp_path / "texts" / "out")


def test_an_output_that_is_the_input_is_refused(home, tmp_path):
    path = written(home, HEAD + "  - {kind: clean, data: '../texts/*'}\n")
    with pytest.raises(OutputError, match="is or holds the input"):
        run(path, tmp_path / "texts", overwrite=True)
    assert len(list((tmp_path / "texts").iterdir())) == 4


def test_a_changed_file_behind_a_glob_makes_it_another_run(home, tmp_path, monkeypatch):
    path = written(home, HEAD + "  - {kind: split, data: '../texts/*.jsonl'}\n")
    with monkeypatch.context() as patch:
        patch.setattr(run_module.report, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(path, tmp_path / "out")
    texts(tmp_path / "texts" / "c.jsonl", 5)
    with pytest.raises(OutputError, match="holds an unfinished run with other inputs"):
        run(path, tmp_path / "out")


def test_a_run_can_be_done_again_from_the_recipe_it_leaves(home, tmp_path, monkeypatch):
    save(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    written(home, WHOLE)
    first = run("home/recipe.yaml", "deep/er/first")
    left = tmp_path / "deep" / "er" / "first" / "recipe.yaml"
    assert str(tmp_path) not in left.read_text()
    assert "../../../texts/[bc].jsonl" in left.read_text() and "{work}/train.jsonl" in left.read_text()
    monkeypatch.chdir(home)
    second = run(left, tmp_path / "second")
    assert contents(first.out) == contents(second.out)
    assert first.evidence["stages"][0]["removed"]["exact"] == 3
    assert {"work/train.jsonl", "work/heldout.jsonl", "pretrain/model.safetensors"} <= contents(first.out).keys()
    there = recipe.load(second.out / "recipe.yaml")[0]
    assert [stage.model_dump(exclude={"data", "model"}) for stage in there.stages] == [
        stage.model_dump(exclude={"data", "model"}) for stage in recipe.load(home / "recipe.yaml")[0].stages
    ]
    assert there.stages[3].model == "../model"


def interrupted(*_, **__):
    raise KeyboardInterrupt
