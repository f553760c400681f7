"""The verb: what it writes and where, what it refuses, and that it goes on where it stopped."""

import json

import pytest

from evidence_fakes import FakeModel
from excise.corpus import Corpus
from excise.errors import InputError, OutputError, SettingError
from excise.evidence import losses, speed
from excise.pipeline.compare import compare

TEXTS = [f"Document number {i}, with some words of its own: {'abcdefgh'[i % 8] * (20 + 3 * i)}." for i in range(40)]
CORPUS = Corpus.from_texts(TEXTS)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(losses, "resampled_totals", lambda units, seed: _few(units, seed=seed, resamples=100))


_few = losses.resampled_totals


def test_a_model_compared_with_itself(tmp_path):
    found = compare(FakeModel(), FakeModel(), CORPUS)
    assert found.status == "done"
    assert found.measures["kl"]["after"] == 0
    assert found.measures["top1"]["after"] == 1
    assert found.measures["bpb"]["difference"] == 0
    assert found.measures["bpb"]["interval"]["difference"] == [0.0, 0.0]
    assert found.measures["parameters"]["ratio"] == 1
    assert found.verdict["quality"] == "same"
    assert found.worst == []
    assert "bytes" not in found.measures
    assert found.text["resampled"] == "documents"
    assert found.text["documents"] == 40


def test_writes_page_and_json_into_out(tmp_path):
    out = tmp_path / "out"
    found = compare(FakeModel(), FakeModel(noise=1), CORPUS, out=out, goal=["bpb<=10x", "memory<=1x"])
    assert sorted(p.name for p in out.iterdir()) == ["evidence.json", "journal.jsonl", "report.html"]
    written = json.loads((out / "evidence.json").read_text())
    assert written == json.loads(json.dumps(found.as_dict()))
    assert (written["schema_version"], written["kind"], written["status"]) == (1, "compare", "done")
    assert [g["outcome"] for g in written["goals"]] == ["met", "met"]
    assert "FakeModel" in (out / "report.html").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    with pytest.raises(OutputError, match="exists already"):
        compare(FakeModel(), FakeModel(), CORPUS, out=out)
    compare(FakeModel(), FakeModel(), CORPUS, out=out, overwrite=True)


def test_a_missed_goal_is_the_status(tmp_path):
    found = compare(FakeModel(), FakeModel(noise=3), CORPUS, goal="kl<=0.001", out=tmp_path / "out")
    assert found.status == "goal_missed"
    assert json.loads((tmp_path / "out" / "evidence.json").read_text())["status"] == "goal_missed"


def test_an_interrupted_comparison_goes_on(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise KeyboardInterrupt

    before, after = FakeModel(), FakeModel(noise=1)
    with monkeypatch.context() as patch:
        patch.setattr(speed, "measure", broken)
        with pytest.raises(KeyboardInterrupt):
            compare(before, after, CORPUS, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    before.seen.clear()
    monkeypatch.setattr(losses, "measures", broken)
    compare(before, after, CORPUS, out=tmp_path / "out")
    assert {shape[0] for shape in before.seen} == {1}, "only the timing ran again"
    lines = (tmp_path / "out" / "journal.jsonl").read_text()
    assert '"event": "skipped", "step": "quality"' in lines


@pytest.mark.parametrize("bad", ["bpb", "speed<=1x", "kl<=1x"])
def test_a_bad_goal_is_refused_before_any_work(bad):
    model = FakeModel()
    with pytest.raises(SettingError):
        compare(model, model, CORPUS, goal=bad)
    assert model.seen == []


def test_a_goal_on_what_is_not_measured_is_refused():
    model = FakeModel()
    with pytest.raises(SettingError, match="bytes was not measured here"):
        compare(model, FakeModel(), CORPUS, goal="bytes<=1x")
    assert model.seen == []


def test_models_that_cannot_be_compared_leave_nothing_behind(tmp_path):
    other = FakeModel()
    other.encode = lambda text: [1]
    with pytest.raises(SettingError, match="different tokens"):
        compare(FakeModel(), other, CORPUS, out=tmp_path / "out")
    other = FakeModel()
    other.encode = lambda text: [40 + b for b in text.encode()]
    with pytest.raises(InputError, match="outside the model's vocabulary of 32"):
        compare(other, other, CORPUS, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_data_without_text_is_refused():
    with pytest.raises(InputError, match="holds no text"):
        compare(FakeModel(), FakeModel(), Corpus.from_texts(["", " \n"]))


def test_the_same_seed_gives_the_same_numbers():
    first, second = (compare(FakeModel(), FakeModel(noise=1), CORPUS, windows=9, seed=5) for _ in range(2))
    for name in ("bpb", "kl", "top1", "loss", "perplexity"):
        assert first.measures[name] == second.measures[name]
    assert (first.slices, first.worst, first.text) == (second.slices, second.worst, second.text)
    assert first.text["windows"] == 9
