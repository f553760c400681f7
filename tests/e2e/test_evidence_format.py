"""What the verbs write, against what docs/evidence-format.md promises of it."""

import json
import re

import pytest
from safetensors.torch import save_file
from torch import ones

from conftest import REPO
from excise.pipeline.clean import clean
from excise.pipeline.compare import compare
from excise.pipeline.compress import compress
from tiny_checkpoints import save, text

PAGE = (REPO / "docs/evidence-format.md").read_text(encoding="utf-8")
SMALLER = {"sparsity": 0.5, "bits": 4, "group": 32}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Every verb once: clean, compress with and without text, compare beside AFTER and into a folder."""
    home = tmp_path_factory.mktemp("home")
    save(home / "model")
    save_file({"all.of.it.again": ones(50_000)}, home / "model/consolidated.safetensors")  # as Mistral ships it
    (home / "model/README.md").write_text("a story")
    (home / "model/training.json").write_text("{}")
    lines = text(home / "text.jsonl").read_text().splitlines(keepends=True)
    (home / "data").mkdir()
    (home / "data/a.jsonl").write_text("".join([*lines, *lines[:3], *(line.replace(" two", "", 1) for line in lines)]))
    (home / "data/b.jsonl").write_text(lines[0] + '{"text": "on its own"}\n')
    clean(home / "data", home / "clean")
    compress(home / "model", home / "small", data=home / "text.jsonl", windows=2, **SMALLER)
    compress(home / "model", home / "blind", **SMALLER)
    compare(home / "model", home / "small", home / "text.jsonl", windows=12)
    goals = ["bytes<=0.01x", "bpb<=9x", "memory<1GB"]
    compare(home / "model", home / "blind", home / "data/b.jsonl", goal=goals, out=home / "missed")
    return home


WRITTEN = {
    "clean": "clean/evidence.json",
    "compress": "small/excise/evidence.json",
    "compress without text": "blind/excise/evidence.json",
    "compare": "small/excise/compare.json",
    "compare with goals": "missed/evidence.json",
}


@pytest.fixture(params=WRITTEN)
def found(request, home):
    return read(home, request.param)


def read(home, name):
    def no_number(word):
        raise AssertionError(f"{name}: {word} is no JSON")

    return json.loads((home / WRITTEN[name]).read_bytes().decode("utf-8"), parse_constant=no_number)


def test_every_kind(found, home):
    assert found["schema_version"] == 1
    assert found["kind"] in {"clean", "compress", "compare"}
    assert found["status"] == ("goal_missed" if any(g["missed"] for g in found.get("goals", ())) else "done")
    assert isinstance(found["warnings"], list) and all(isinstance(w, str) for w in found["warnings"])
    assert found["settings"] and "excise" in found["versions"] and found["seconds"] > 0
    assert str(home) not in json.dumps(found)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_lies_beside_it_and_fetches_nothing(home, name):
    json_path = home / WRITTEN[name]
    page = json_path.with_name("compare.html" if json_path.name == "compare.json" else "report.html").read_text()
    assert not re.search(r"src\s*=|href\s*=\s*[\"'](?!#)|@import|url\((?!#)", page)


@pytest.mark.parametrize("name", ["compare", "compare with goals"])
def test_compare(home, name):
    found = read(home, name)
    table = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## compare\n")[2], re.MULTILINE)
    measures = found["measures"]
    assert list(measures) == table
    for quantity, measure in measures.items():
        assert set(measure) == {"before", "after", "difference", "ratio", "interval"}
        if quantity in {"kl", "top1"}:
            assert measure["before"] is measure["difference"] is measure["ratio"] is None
            continue
        assert measure["difference"] == pytest.approx(measure["after"] - measure["before"])
        if measure["interval"] is None or quantity not in {"latency", "prefill"}:
            assert measure["ratio"] == pytest.approx(measure["after"] / measure["before"])
    exact = {q for q in measures if measures[q]["interval"] is None}
    assert exact == {"bytes", "tensor_bytes", "zstd_bytes", "memory", "parameters", "nonzeros", "bits"}
    for interval in (measures[q]["interval"] for q in measures.keys() - exact):
        assert interval.keys() <= {"after", "difference", "ratio"}
        assert all(low <= high for low, high in interval.values())
    for side in ("before", "after"):
        assert sum(found[side]["files"].values()) == measures["bytes"][side]
    stored = found["text"]
    told = "documents bytes tokens window_tokens windows windows_available predicted_tokens unigram_nats resampled"
    assert stored.keys() == {*told.split(), "resamples", "level", "sources"}
    assert stored["predicted_tokens"] == stored["windows"] * (stored["window_tokens"] - 1)
    assert [s.keys() for s in stored["sources"]] == [{"name", "fingerprint", "records", "size_bytes", "view"}]
    for timed in (found["speed"][q] for q in ("latency", "prefill")):
        assert timed.keys() == {"before", "after", "ratio", "interval"}
        assert all(timed[side]["low"] <= timed[side]["median"] <= timed[side]["high"] for side in ("before", "after"))
    assert found["machine"].keys() == {"cpu", "cores", "threads", "system", "load_1min"}
    assert {s["name"] for s in found["slices"]} <= {"rare_tokens", "short_documents", "long_documents", "non_ascii"}
    assert all(0 < s["tokens"] < stored["predicted_tokens"] for s in found["slices"])
    assert len(found["worst"]) <= 5 and all(w["after"] > w["before"] for w in found["worst"])
    assert found["overlap"]["calibration"] == ("same text" if name == "compare" else "not known")
    assert [g["goal"] for g in found["goals"]] == (
        [] if name == "compare" else ["bytes<=0.01x", "bpb<=9x", "memory<1GB"]
    )
    for goal in found["goals"]:
        assert goal.keys() == {"goal", "name", "relative", "limit", "measured", "interval", "outcome", "missed"}
        assert goal["outcome"] in {"met", "not met", "undecided"}
    verdict = found["verdict"]
    assert verdict["size"] in {"smaller", "same", "larger"}
    assert {verdict["decode"], verdict["prefill"]} <= {"faster", "same", "slower"}
    assert verdict["quality"] in {"better", "same", "worse", "unclear", "lost"}
    assert (verdict["quality"] == "unclear") == ("ratio" not in measures["bpb"]["interval"])
    useless = verdict["quality"] != "unclear" and measures["loss"]["after"] >= stored["unigram_nats"]
    assert verdict["worth"] in ({"no"} if useless else {"yes", "trade-off", "no"})


def test_clean(home):
    found = read(home, "clean")
    before, after = found["before"], found["after"]
    for side in (before, after):
        assert side["records"] == sum(side["sources"].values()) and side["bytes"] > 0
    assert list(before["sources"]) == ["a.jsonl", "b.jsonl"]
    assert before["records"] - after["records"] == sum(found["removed"].values()) + found["rejected"]
    assert found["removed"]["exact"] >= 4 and found["removed"]["near"] > 0
    assert found["removed"].keys() == found["found"].keys() == found["alone"].keys()
    assert found["changed"] == {} and found["changed_records"] == 0
    assert all(found["alone"][name] <= count for name, count in found["found"].items())
    told = {(row["source"], row["records"], row["removed"]) for row in found["sources"]}
    assert told == {(name, n, n - after["sources"][name]) for name, n in before["sources"].items()}
    for pair in found["overlaps"]:
        assert 0 < pair["records"] <= min(found["found"][name] for name in pair["finders"])
        assert pair["examples"].keys() == {"both", "first", "second"} and pair["examples"]["both"]
    assert found["clusters"] and {cluster["shown_for"] for cluster in found["clusters"]} <= {"largest", "doubtful"}
    for cluster in found["clusters"]:
        assert cluster["records"] == 1 + len(cluster["members"]) + cluster["more"]
        assert cluster["lowest"] == min(member["redundancy"] for member in cluster["members"])
        assert cluster["text"] and all(member["text"] for member in cluster["members"])
    near = found["distributions"]["near"]
    assert sum(near["counts"]) == near["beyond"] == found["found"]["near"]
    absent = {"shares", "labels", "label_noise", "values", "contamination", "weights", "reviewed"}
    assert not absent & found.keys() and all(f"`{name}`" in PAGE for name in found.keys() | absent)
    histogram = found["similarities"]
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    assert 0 < len(found["pairs"]) <= 20
    for pair in found["pairs"]:
        assert pair.keys() == {"id", "partner", "redundancy", "finder", "reason", "text", "partner_text"}
        assert 0 < pair["redundancy"] <= 1
    assert found["price"].keys() == {"originals_bytes", "by"}
    assert sum(found["price"]["by"].values()) == 2
    assert found["price"]["by"].keys() <= {"same", "cuts", "original", "content"}


@pytest.mark.parametrize("name", ["compress", "compress without text"])
def test_compress(home, name):
    found, with_text = read(home, name), name == "compress"
    assert found["model"] == "model"
    for side in ("before", "after"):
        assert {"bytes", "tensor_bytes", "parameters", "nonzeros"} <= found[side].keys()
    assert len(found["layers"]) == 14
    for layer in found["layers"]:
        assert layer["sparsity"] == 0.5 and layer["bits"] == 4
        assert (layer["relative_output_error"] is not None) == with_text
        assert 0 < layer["relative_weight_error"] < 1
    assert {*found["untouched"][0]} == {"name", "role", "reason"}
    if not with_text:
        assert found["calibration"] is None
        return
    assert found["calibration"].keys() == {"windows", "tokens", "sources"}
    assert {"name", "fingerprint", "records"} <= found["calibration"]["sources"][0].keys()


@pytest.mark.parametrize("name", ["small", "blind"])
def test_what_lies_beside_the_model_is_neither_counted_nor_copied(home, name):
    belong = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {p.name for p in (home / name).iterdir()} == {*belong, "excise"}
    sizes = [sum((home / folder / file).stat().st_size for file in belong) for folder in ("model", name)]
    found = read(home, "compress" if name == "small" else "compress without text")
    assert [found["before"]["bytes"], found["after"]["bytes"]] == sizes
    assert found["after"]["file_bytes_ratio"] == sizes[1] / sizes[0]
    compared = read(home, "compare" if name == "small" else "compare with goals")
    assert [compared[side]["files"].keys() for side in ("before", "after")] == [belong, belong]
    assert compared["measures"]["bytes"]["ratio"] == sizes[1] / sizes[0]
    assert compared["measures"]["tensor_bytes"]["before"] == found["before"]["tensor_bytes"]
