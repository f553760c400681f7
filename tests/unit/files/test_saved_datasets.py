"""Folders of `Dataset.save_to_disk`: cleaned, they load again with the real library and hold the right rows."""

import json
from pathlib import Path

import pytest

from excise.errors import InputError
from excise.pipeline.clean import clean
from excise.pipeline.restore import restore

datasets = pytest.importorskip("datasets")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TEXTS = [f"text number {i % 7}" for i in range(20)]
KEPT = [f"text number {i}" for i in range(7)]


@pytest.fixture
def quiet():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def made(texts: list[str]) -> "datasets.Dataset":
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "x": datasets.Array2D((1, 2), "float32"),
        }
    )
    rows = {"text": texts, "label": [i % 2 for i in range(len(texts))], "x": [[[i, i]] for i in range(len(texts))]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_dataset_loads_again(tmp_path, quiet):
    made(TEXTS).save_to_disk(tmp_path / "in", num_shards=3)
    (tmp_path / "in" / "cache-0123456789abcdef.arrow").write_bytes(b"what map() left behind")
    result = clean(tmp_path / "in", tmp_path / "out", finders=("exact",))
    assert (result.removed, result.kept) == (13, 7)
    new, old = datasets.load_from_disk(tmp_path / "out" / "data"), datasets.load_from_disk(tmp_path / "in")
    assert new["text"][:] == KEPT
    assert new["x"][:] == old["x"][:7]
    assert new.features == old.features
    assert new._fingerprint != old._fingerprint  # or what was computed from the original would be found again
    assert len(new.map(lambda row: {"n": len(row["text"])})) == 7
    restore(tmp_path / "out", tmp_path / "back")
    before = tree(tmp_path / "in")
    assert {name: data for name, data in before.items() if "cache" not in name} == tree(tmp_path / "back")


def test_every_split_of_a_dict_loads_again(tmp_path, quiet):
    both = {"train": made(TEXTS), "test": made(["only here", "text number 3"])}
    datasets.DatasetDict(both).save_to_disk(tmp_path / "in")
    clean(tmp_path / "in", tmp_path / "out", finders=("exact",))
    new = datasets.load_from_disk(tmp_path / "out" / "data")
    assert {split: rows["text"][:] for split, rows in new.items()} == {
        "train": [t for t in KEPT if t != "text number 3"],  # files come by name: test before train
        "test": ["only here", "text number 3"],
    }
    restore(tmp_path / "out", tmp_path / "back")
    assert tree(tmp_path / "in") == tree(tmp_path / "back")


def test_nothing_to_remove_changes_nothing(tmp_path, quiet):
    made(KEPT).save_to_disk(tmp_path / "in")
    clean(tmp_path / "in", tmp_path / "out", finders=("exact",))
    assert tree(tmp_path / "out" / "data") == tree(tmp_path / "in")


def test_one_finder_is_undone(tmp_path, quiet):
    made([*TEXTS, "TEXT number 2"]).save_to_disk(tmp_path / "in")
    clean(tmp_path / "in", tmp_path / "out", finders=("exact", "normalised"))
    restore(tmp_path / "out", tmp_path / "back", only=["normalised"])
    back = datasets.load_from_disk(tmp_path / "back")
    assert back["text"][:] == [*KEPT, "TEXT number 2"]
    prints = {
        datasets.load_from_disk(p)._fingerprint for p in (tmp_path / "in", tmp_path / "out" / "data", tmp_path / "back")
    }
    assert len(prints) == 3


def test_counts_of_the_split_follow(tmp_path, quiet):
    made(TEXTS).save_to_disk(tmp_path / "in")
    state, info = (json.loads((tmp_path / "in" / name).read_text()) for name in ("state.json", "dataset_info.json"))
    state["_split"], info["splits"] = "train", {"train": {"name": "train", "num_examples": 20, "num_bytes": 1}, "x": {}}
    (tmp_path / "in" / "state.json").write_text(json.dumps(state))
    (tmp_path / "in" / "dataset_info.json").write_text(json.dumps(info))
    clean(tmp_path / "in", tmp_path / "out", finders=("exact",))
    told = json.loads((tmp_path / "out" / "data" / "dataset_info.json").read_text())
    assert told["splits"]["train"]["num_examples"] == 7
    assert told["features"] == info["features"]


def test_an_index_over_the_rows_is_refused(tmp_path, quiet):
    made(TEXTS).save_to_disk(tmp_path / "in")
    state = json.loads((tmp_path / "in" / "state.json").read_text())
    (tmp_path / "in" / "state.json").write_text(json.dumps({**state, "_indices_data_files": [{"filename": "i.arrow"}]}))
    with pytest.raises(InputError, match="flatten_indices"):
        clean(tmp_path / "in", tmp_path / "out")
