"""Across sets and over time: --against, --index, --cache, as a user types them."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from excise.cli.app import main
from excise.data import minhash
from excise.errors import InputError, OutputError, SettingError
from excise.pipeline.clean import clean

WORDS = [f"word{n}" for n in range(3000)]


def write(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def texts_of(folder):
    lines = [line for path in sorted(folder.iterdir()) for line in path.read_text("utf-8").splitlines()]
    return [json.loads(line)["text"] for line in lines]


@pytest.fixture
def shards(tmp_path, monkeypatch):
    """Three files that repeat themselves and one another, exactly and nearly."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(20, 80))) for _ in range(300)]
    for _ in range(200):
        words = rng.choice(texts).split()
        for _ in range(rng.choice([0, 1, 1, 2])):
            words[rng.randrange(len(words))] = f"other{rng.randrange(50)}"
        texts.append(" ".join(words))
    rng.shuffle(texts)
    return [write(tmp_path / f"s{k}.jsonl", texts[k::3]) for k in range(3)]


def test_shard_by_shard_equals_all_at_once(shards):
    clean(shards, "all")
    for k, shard in enumerate(shards):
        clean(shard, f"one{k}", index="index")
        assert Path(f"one{k}/data/s{k}.jsonl").read_bytes() == Path(f"all/data/s{k}.jsonl").read_bytes()
    assert sum(len(texts_of(Path(f"one{k}/data"))) for k in range(3)) < 500
    told = json.loads(Path("index/index.json").read_text())
    assert [segment["sources"] for segment in told["segments"]] == [["s0.jsonl"], ["s1.jsonl"], ["s2.jsonl"]]
    assert sum(segment["records"] for segment in told["segments"]) == len(texts_of(Path("all/data")))


def test_earlier_shards_are_not_read_again(shards):
    clean(shards[0], "one0", index="index")
    shards[0].unlink()
    result = clean(shards[1], "one1", index="index")
    partners = pq.read_table("one1/ledger/decisions.parquet")["partner"].to_pylist()
    assert any(partner.startswith("index/000001/s0.jsonl#") for partner in partners)
    assert result.evidence["before"]["records"] == len(texts_of(Path("one1/data"))) + len(partners)
    kept = dict(zip(*pq.read_table("one1/ledger/references.parquet").to_pydict().values(), strict=True))
    assert {partner for partner in partners if partner.startswith("index/")} == set(kept)


def test_an_interrupted_run_adds_its_segment_once(shards, monkeypatch):
    """Killed between adding to the index and the last rename: the same command finishes, and the index has it once."""
    clean(shards[0], "one0", index="index")

    def dies(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("excise.journal.Journal.finish", dies)
        with pytest.raises(KeyboardInterrupt):
            clean(shards[1], "one1", index="index")
    assert len(json.loads(Path("index/index.json").read_text())["segments"]) == 2
    clean(shards[1], "one1", index="index")
    assert len(json.loads(Path("index/index.json").read_text())["segments"]) == 2
    clean(shards[:2], "both")
    assert Path("one1/data/s1.jsonl").read_bytes() == Path("both/data/s1.jsonl").read_bytes()


def test_an_index_made_otherwise_is_refused_with_the_difference(shards, monkeypatch):
    clean(shards[0], "one0", index="index")
    with pytest.raises(InputError, match=r"near.threshold 0.8, this run has 0.7"):
        clean(shards[1], "one1", index="index", threshold=0.7)
    with pytest.raises(InputError, match=r"finders \['exact', 'normalised', 'near'\], this run has \['exact'\]"):
        clean(shards[1], "one1", index="index", finders=["exact"])
    with pytest.raises(SettingError, match="the first of a cluster stays"):
        clean(shards[1], "one1", index="index", keep="longest")
    monkeypatch.setattr(minhash, "VERSION", 0)
    with pytest.raises(InputError, match="signatures"):
        clean(shards[1], "one1", index="index")
    Path("index/index.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        clean(shards[1], "one1", index="index")
    Path("other").mkdir()
    Path("other/file").touch()
    with pytest.raises(InputError, match="no index of Excise"):
        clean(shards[1], "one1", index="other")
    assert not Path("one1").exists()
    assert not Path("one1.partial").exists()


def test_two_runs_do_not_share_an_index(shards, monkeypatch):
    from excise.pipeline import study

    inner = []

    def meanwhile(*given):
        with pytest.raises(OutputError, match="in use by another run"):
            clean(shards[1], "one1", index="index")
        inner.append(True)
        return original(*given)

    original = study.keep.ranks
    with monkeypatch.context() as patched:
        patched.setattr(study.keep, "ranks", meanwhile)
        clean(shards[0], "one0", index="index")
    assert inner


def test_against_another_set(shards, capsys):
    """What is in B goes from A; B stays as it is and is not written."""
    assert main(["clean", "s1.jsonl", "-o", "out", "--against", "s0.jsonl", "--json"]) == 0
    clean(shards[:2], "both")
    assert Path("out/data/s1.jsonl").read_bytes() == Path("both/data/s1.jsonl").read_bytes()
    assert [path.name for path in Path("out/data").iterdir()] == ["s1.jsonl"]
    ids = pq.read_table("out/ledger/decisions.parquet")["partner"].to_pylist()
    assert any(partner.startswith("against/s0.jsonl#") for partner in ids)
    assert main(["restore", "out", "-o", "back.jsonl"]) == 0
    assert Path("back.jsonl").read_bytes() == shards[1].read_bytes()


def test_references_that_repeat_each_other_all_count(tmp_path, monkeypatch):
    """0 ~ 1 among the references: what is near 1 only goes all the same."""
    monkeypatch.chdir(tmp_path)
    words = WORDS[:100]

    def changed(*places):
        return " ".join("x" if n in places else word for n, word in enumerate(words))

    write(tmp_path / "b.jsonl", [changed(), changed(10)])
    write(tmp_path / "a.jsonl", [changed(10, 50, 90)])
    result = clean("a.jsonl", None, against="b.jsonl", dry_run=True, threshold=0.75)
    assert result.evidence["removed"]["near"] == 1
    assert result.evidence["pairs"][0]["partner"] == "against/b.jsonl#1"


def test_contamination(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(1)
    items = [" ".join(rng.choices(WORDS, k=40)) for _ in range(5)]
    (tmp_path / "eval.jsonl").write_text("".join(json.dumps({"question": i, "answer": "7"}) + "\n" for i in items))
    texts = [" ".join(rng.choices(WORDS, k=60)) for _ in range(20)]
    texts[7] += " " + items[3]
    write(tmp_path / "train.jsonl", texts)
    arguments = ["clean", "train.jsonl", "-o", "out", "--finders", "contaminated", "--against", "eval.jsonl"]
    assert main([*arguments, "--set", "contaminated.share=0.6"]) == 0
    assert texts_of(Path("out/data")) == texts[:7] + texts[8:]
    row = pq.read_table("out/ledger/decisions.parquet").to_pylist()[0]
    assert (row["id"], row["partner"]) == ("train.jsonl#7", "against/eval.jsonl#3")
    assert main([*arguments[:-2], "--overwrite"]) == 2
    assert "Name them with --against" in capsys.readouterr().err


def test_another_threshold_measures_nothing_again(shards, monkeypatch):
    clean(shards, "fresh", threshold=0.9)
    clean(shards, "first", cache="cache")
    made = {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*") if path.is_file()}
    assert len(made) == 9
    monkeypatch.setattr(minhash, "signatures", None)
    clean(shards, "second", cache="cache", threshold=0.9)
    assert {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*") if path.is_file()} == made
    for name in ("data/s0.jsonl", "data/s1.jsonl", "data/s2.jsonl", "ledger/decisions.parquet"):
        assert Path("second", name).read_bytes() == Path("fresh", name).read_bytes()
    signatures = np.load(next(Path("cache").rglob("signatures-*.npy")))
    assert signatures.nbytes / len(signatures) <= 500


def test_a_dry_run_makes_no_index(shards):
    clean(shards[0], None, index="index", dry_run=True)
    assert not Path("index").exists()
    clean(shards[0], "one0", index="index")
    before = Path("index/index.json").read_bytes()
    clean(shards[1], None, index="index", dry_run=True)
    assert Path("index/index.json").read_bytes() == before


def test_contamination_is_not_looked_for_in_an_index(shards):
    with pytest.raises(SettingError, match="contaminated"):
        clean(shards[0], "out", finders=["exact", "contaminated"], against="s1.jsonl", index="index")


def test_the_same_shard_again_is_refused_or_replaced(shards):
    for k in (0, 1):
        clean(shards[k], f"one{k}", index="index")
    kept = Path("one1/data/s1.jsonl").read_bytes()
    dry = clean(shards[1], None, index="index", dry_run=True)
    assert dry.kept == len(texts_of(Path("one1/data")))
    clean(shards[1], "one1", index="index", overwrite=True)
    assert Path("one1/data/s1.jsonl").read_bytes() == kept
    assert len(json.loads(Path("index/index.json").read_text())["segments"]) == 2
    with pytest.raises(InputError, match="in it already, as segment 000001"):
        clean(shards[0], "one0", index="index", overwrite=True)
    assert len(texts_of(Path("one0/data"))) > 0


def test_data_are_not_compared_with_themselves(shards, capsys):
    assert main(["clean", "s0.jsonl", "s1.jsonl", "-o", "out", "--against", "s1.jsonl"]) == 2
    assert "against names s1.jsonl, which is among the data" in capsys.readouterr().err
