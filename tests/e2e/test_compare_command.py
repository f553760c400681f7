"""`excise compare` on a tiny checkpoint and what `excise compress` makes of it."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from excise.cli.app import app, main
from excise.evidence import size
from excise.evidence.compare import Evidence
from excise.pipeline.compare import compare
from excise.pipeline.compress import compress
from tiny_checkpoints import save, text


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = tmp_path_factory.mktemp("compare")
    save(home / "model")
    text(home / "calibration.jsonl")
    text(home / "heldout.jsonl", records=30)
    compress(home / "model", home / "small", data=home / "calibration.jsonl", sparsity=0.5, bits=4, group=32, windows=4)
    return home


@pytest.fixture
def small(made, tmp_path):
    """A fresh copy of the compressed model, to write into."""
    shutil.copytree(made / "small", tmp_path / "small")
    return tmp_path / "small"


def run(made, after, *options):
    command = ["compare", str(made / "model"), str(after), "--data", str(made / "heldout.jsonl"), *options]
    return CliRunner().invoke(app, command)


def test_prints_the_table_and_writes_beside_the_model(made, small):
    result = run(made, small)
    assert result.exit_code == 0, result.output
    for label in ("Size on disk", "Nonzero parameters", "Time per new token", "Bits per byte", "Same first choice"):
        assert label in result.stdout
    assert "Smaller: 0." in result.stdout
    assert f"Report: {small / 'excise' / 'compare.html'}" in result.stdout
    assert "quality, both models on the same text" in result.stderr
    assert "%|" not in result.stderr  # no bars of others
    told = json.loads((small / "excise" / "compare.json").read_text())
    assert told["measures"]["nonzeros"]["after"] < told["measures"]["nonzeros"]["before"]
    assert told["measures"]["parameters"]["ratio"] == 1, "logical parameters, also of packed weights"
    assert told["measures"]["tensor_bytes"]["after"] == size.tensor_bytes(small / "model.safetensors")
    assert told["measures"]["memory"]["ratio"] < 1
    assert told["overlap"]["calibration"] == "other files"
    assert (told["before"]["name"], told["after"]["name"]) == ("model", "small")
    assert str(made) not in json.dumps(told)
    assert str(made) not in (small / "excise" / "compare.html").read_text()


def test_exit_codes_tell_a_missed_goal_from_a_mistake(made, small, tmp_path):
    def code(*options, after=small):
        data = ["--data", str(made / "heldout.jsonl")]
        return main(["compare", str(made / "model"), str(after), *data, *map(str, options)])

    assert code("-o", tmp_path / "met", "--goal", "bytes<=0.99x", "--windows", "4") == 0
    assert code("-o", tmp_path / "missed", "--goal", "bytes<=0.01x", "--windows", "4") == 1
    assert json.loads((tmp_path / "missed" / "evidence.json").read_text())["status"] == "goal_missed"
    assert (tmp_path / "missed" / "report.html").is_file()
    assert code("-o", tmp_path / "met", "--windows", "4") == 2
    assert code("-o", tmp_path / "met", "--windows", "4", "--overwrite", "--resume") == 0
    assert code("--goal", "bytes") == 2
    assert code("--windows", "0") == 2
    assert code(after=tmp_path / "nowhere") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["met", "missed", "small"]


def test_json_is_the_evidence_alone(made, small):
    result = run(made, small, "--json", "--windows", "4")
    told = json.loads(result.stdout)
    assert told == json.loads((small / "excise" / "compare.json").read_text())
    assert set(told) == {*Evidence.__dataclass_fields__, "schema_version", "kind", "status"}


def test_a_second_comparison_needs_overwrite(made, small):
    assert run(made, small, "--windows", "4").exit_code == 0
    again = main(["compare", str(made / "model"), str(small), "--data", str(made / "heldout.jsonl")])
    assert again == 2
    assert run(made, small, "--windows", "4", "--overwrite").exit_code == 0


def test_a_place_that_cannot_be_written_is_told_before_any_work(made, small, capsys):
    shutil.rmtree(small / "excise")
    (small / "excise").write_text("a file where the folder should go")
    assert main(["compare", str(made / "model"), str(small), "--data", str(made / "heldout.jsonl")]) == 2
    told = capsys.readouterr().err
    assert "Name another output with -o" in told
    assert "quality" not in told


def test_says_so_where_the_text_is_the_calibration_text(made):
    found = compare(made / "model", made / "small", made / "calibration.jsonl", windows=4, out=made / "same")
    assert found.overlap["calibration"] == "same text"
    assert any("calibration text" in warning for warning in found.warnings)


def test_a_checkpoint_that_says_nothing_of_its_calibration(made, tmp_path):
    found = compare(made / "model", made / "model", made / "heldout.jsonl", windows=4, out=tmp_path / "out")
    assert found.overlap["calibration"] == "not known"
    assert found.measures["bytes"]["ratio"] == 1
    assert (found.verdict["size"], found.verdict["quality"]) == ("same", "same")
    assert not (made / "model" / "excise").exists()
