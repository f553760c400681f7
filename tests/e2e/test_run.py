"""The demo's stages in small: end to end, killed and resumed, with the same bytes."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from excise.cli.app import app, main

RECIPE = """\
schema_version: 1
name: small
stages:
  - {kind: gather, name: corpus, megabytes: 0.5}
  - {kind: clean, data: "{corpus}/data"}
  - {kind: split, data: "{clean}/data"}
  - {kind: pretrain, name: model, data: "{split}/train.jsonl", vocabulary: 512, hidden: 64, layers: 2, heads: 2,
     kv_heads: 1, ffn: 128, window: 64, batch: 4, steps: 12, checkpoint_every: 3}
  - {kind: compress, name: small, model: "{model}", data: "{split}/train.jsonl", sparsity: 0.5, bits: 4, group: 64, windows: 4}
  - {kind: compare, before: "{model}", after: "{small}", data: "{split}/heldout.jsonl", windows: 8}
"""


def contents(out):
    """What must be the same bytes: data files, ledger tables, safetensors."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.suffix in {".jsonl", ".parquet", ".safetensors"} and path.name != "journal.jsonl"
    }


def started(recipe, out):
    command = [sys.executable, "-m", "excise", "run", str(recipe), "-o", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def steps_done(out):
    path = out.with_name(out.name + ".partial") / "journal.jsonl"
    return path.read_text().count('"done"') if path.is_file() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "small.yaml").write_text(RECIPE)
    process = started(folder / "small.yaml", folder / "out")
    told, _ = process.communicate()
    assert process.returncode == 0, told
    return folder, told


def test_every_stage_leaves_its_evidence_and_the_report_shows_all(whole):
    folder, told = whole
    evidence = json.loads((folder / "out" / "evidence.json").read_text())
    assert [s["name"] for s in evidence["stages"]] == ["corpus", "clean", "split", "model", "small", "compare"]
    assert evidence["status"] == "done"
    assert all(isinstance(s["warnings"], list) for s in evidence["stages"])
    few = next(w for w in evidence["warnings"] if re.match(r"compare: The held-out text gives \d+ windows", w))
    assert f"note: {few}" in told
    page = (folder / "out" / "report.html").read_text()
    assert "http" not in page.split("<body")[0]
    for word in ("Records of text", "Size on disk", "Bits per byte", "report.html"):
        assert word in told
    clean = evidence["stages"][1]
    assert clean["after"]["records"] < clean["before"]["records"], "licences repeat in every Python"
    assert (folder / "out" / "recipe.yaml").is_file()
    assert not (folder / "out.partial").exists()


@pytest.mark.parametrize(("done", "later"), [(1, 0.2), (3, 1.0), (4, 0.5)])
def test_killed_and_started_again_it_ends_with_the_same_bytes(whole, tmp_path, done, later):
    folder, _ = whole
    out = tmp_path / "out"
    process = started(folder / "small.yaml", out)
    while process.poll() is None and steps_done(out) < done:
        time.sleep(0.02)
    time.sleep(later)
    process.kill()
    process.communicate()
    assert not out.exists() or process.returncode == 0
    again = started(folder / "small.yaml", out)
    told, _ = again.communicate()
    assert again.returncode == 0, told
    assert contents(out) == contents(folder / "out")
    journal = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    assert journal[-1]["event"] == "finished" and len(journal[-1]["skipped"]) >= done


def test_a_recipe_that_names_a_missing_input_is_the_users_mistake(tmp_path, capsys):
    (tmp_path / "r.yaml").write_text("schema_version: 1\nname: r\nstages:\n  - {kind: clean, data: nowhere.jsonl}\n")
    assert main(["run", str(tmp_path / "r.yaml"), "-o", str(tmp_path / "out")]) == 2
    assert "nowhere.jsonl" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "none.yaml")]) == 2
    assert "shipped recipes" in capsys.readouterr().err


def test_recipe_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    listed = runner.invoke(app, ["recipe", "list"])
    assert "demo" in listed.output
    assert runner.invoke(app, ["recipe", "copy", "demo", "mine.yaml"]).exit_code == 0
    assert "well formed" in runner.invoke(app, ["recipe", "check", "mine.yaml"]).output
    explained = runner.invoke(app, ["recipe", "explain", "mine.yaml"]).output
    assert "sparsity = 0.5" in explained and "1. corpus: " in explained
