"""The main job on the reference model: sizes promised by the format, quality within what was measured before."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from excise.cli.app import main
from tiny_checkpoints import save, text, weight_bytes

WINDOW = 256


@pytest.fixture(scope="module")
def wikillama(shared):
    return shared / "models/wikillama"


@pytest.fixture(scope="module")
def compressed(wikillama, tmp_path_factory):
    """OUT by the options given, each made once."""
    home, made = tmp_path_factory.mktemp("wikillama"), {}

    def by(*options):
        if options not in made:
            made[options] = home / str(len(made))
            assert main(["compress", str(wikillama), "-o", str(made[options]), *options]) == 0
        return made[options]

    return by


@pytest.fixture(scope="module")
def heldout(wikillama):
    """Loss (nats a token) on the first windows of the held-out text, by the convention of models/README."""
    from excise.adapters.hf import open_model

    tokens = None

    def loss(folder, windows=64):
        nonlocal tokens
        model = open_model(folder)
        if tokens is None:
            ids = []
            for line in (wikillama / "heldout.jsonl").read_text().splitlines():
                ids += [model.separator, *model.encode(json.loads(line)["text"])]
                if len(ids) >= windows * WINDOW:
                    break
            tokens = torch.tensor(ids[: windows * WINDOW]).reshape(windows, WINDOW)
        with torch.no_grad():
            sums = [model.loss(batch) for batch in tokens.split(16)]
        return sum(float(total) for total, _ in sums) / sum(count for _, count in sums)

    return loss


def ratio(out):
    return json.loads((out / "excise/evidence.json").read_text())["after"]["tensor_bytes_ratio"]


def test_the_command_of_the_readme(compressed, wikillama, heldout, capsys):
    out = compressed(
        "--data", str(wikillama / "calibration.jsonl"), "--windows", "8", "--sparsity", "0.5", "--bits", "4"
    )
    told = capsys.readouterr()
    assert "42 matrices: 50.0% of the weights removed (magnitude, row); 4 bits a weight" in told.out
    assert "Relative output error: median" in told.out
    assert told.err.split("\n")[:3] == ["reading the weights ...", "looking at the files ...", "reading ..."]
    assert told.err.split("\n")[-3:] == ["compressing ...", "writing model.safetensors ...", ""]  # no bars of others
    assert ratio(out) <= 0.20
    evidence = json.loads((out / "excise/evidence.json").read_text())
    errors = [row["relative_output_error"] for row in evidence["layers"]]
    assert 0.005 < sorted(errors)[21] < 0.05
    assert evidence["warnings"] == []
    assert heldout(out) - heldout(wikillama) == pytest.approx(
        0.114, abs=0.03
    )  # measured apart: by magnitude, then rounded


def test_from_pretrained_generates(compressed, wikillama):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = compressed(
        "--data", str(wikillama / "calibration.jsonl"), "--windows", "8", "--sparsity", "0.5", "--bits", "4"
    )
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    prompt = tokenizer("The city of", return_tensors="pt", add_special_tokens=False)
    made = model.generate(**prompt, max_new_tokens=12, do_sample=False, pad_token_id=0)
    assert made.shape[1] > prompt["input_ids"].shape[1]
    assert tokenizer.decode(made[0]).startswith("The city of")


@pytest.mark.parametrize(
    ("options", "largest", "nats", "tolerance"),
    [
        (("--sparsity", "0.5", "--pattern", "layer"), 0.57, 0.108, 0.02),
        (("--bits", "4"), 0.27, 0.0090, 0.004),
        (("--sparsity", "0.5", "--bits", "4", "--grid", "affine"), 0.205, 0.114, 0.03),
        (("--pattern", "2:4"), 0.57, 0.228, 0.04),
    ],
)
def test_sizes_and_quality(compressed, wikillama, heldout, options, largest, nats, tolerance):
    out = compressed(*options)
    assert ratio(out) <= largest
    change = heldout(out) - heldout(wikillama)
    assert change == pytest.approx(nats, abs=tolerance)  # measured apart, on another number of windows


def test_bad_settings_are_exit_code_2(wikillama, tmp_path, capsys):
    for options, told in (
        (["--sparsity", "1.2"], "sparsity is 1.2"),
        (["--sparsity", "-0.1"], "sparsity is -0.1"),
        (["--bits", "9"], "bits is 9"),
        (
            ["--bits", "4", "--group", "100"],
            "group is 100 at model.layers.0.self_attn.q_proj.weight, whose width is 256",
        ),
        (["--bits", "4", "--group", "²"], "group is '²'"),
        (["--bits", "4", "--group", "-8"], "group is -8"),
        ([], "nothing would be done"),
    ):
        assert main(["compress", str(wikillama), "-o", str(tmp_path / "out"), *options]) == 2
        assert told in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["compress", str(tmp_path / "empty"), "-o", str(tmp_path / "out"), "--bits", "4"]) == 2
    assert "no model here" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def test_a_dry_run_writes_nothing(wikillama, tmp_path, capsys):
    assert main(["compress", str(wikillama), "-o", str(tmp_path / "out"), "--bits", "4", "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["status"], planned["out"], planned["report"]) == ("dry_run", None, None)
    assert planned["after"]["tensor_bytes_ratio"] == 0.2578125
    assert not list(tmp_path.iterdir())


def test_kill_9_and_the_same_command_again(tmp_path, capsys):
    """Killed for real, as soon as the second block is recorded."""
    save(tmp_path / "model", num_hidden_layers=6)
    text(tmp_path / "text.jsonl")
    settings = ["--data", str(tmp_path / "text.jsonl"), "--windows", "6", "--sparsity", "0.5", "--bits", "4"]
    command = ["compress", str(tmp_path / "model"), *settings, "--group", "32", "-o"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    running = subprocess.Popen(
        [sys.executable, "-m", "excise", *command, str(tmp_path / "out")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    journal = tmp_path / "out.partial/excise/journal.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        if journal.is_file() and '"done", "step": "model.layers.1"' in journal.read_text():
            break
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    capsys.readouterr()
    assert main([*command, str(tmp_path / "out"), "--resume", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["out"], told["skipped"][0]) == ("done", str(tmp_path / "out"), "windows")
    assert told["report"] == str(tmp_path / "out/excise/report.html")
    assert weight_bytes(tmp_path / "out") == weight_bytes(tmp_path / "whole")
    lines = [json.loads(line) for line in (tmp_path / "out/excise/journal.jsonl").read_text().splitlines()]
    skipped = [line["step"] for line in lines if line["event"] == "skipped"]
    assert skipped[:3] == ["windows", "model.layers.0", "model.layers.1"]
    done = [line["step"] for line in lines if line["event"] == "done"]
    assert len(done) == len(set(done)) == 9  # nothing that was recorded is done again


def test_explain_and_restore_on_a_compressed_model(tmp_path, capsys):
    save(tmp_path / "model")
    out, name = str(tmp_path / "out"), "model.layers.0.mlp.up_proj.weight"
    assert (
        main(["compress", str(tmp_path / "model"), "-o", out, "--sparsity", "0.5", "--bits", "4", "--group", "channel"])
        == 0
    )
    capsys.readouterr()
    assert main(["explain", out]) == 0
    told = capsys.readouterr().out
    assert "14 tensors of model changed (14 pruned, 14 quantized), 6 untouched" in told
    assert "147,456 bytes before, " in told and "largest errors" in told
    assert main(["explain", out, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    errors = [layer["relative_weight_error"] for layer in told["worst"]]
    assert len(errors) == 5 and errors == sorted(errors, reverse=True)
    assert main(["explain", out, name]) == 0
    told = capsys.readouterr().out
    assert "prune: 4,096 of 8,192 weights" in told and "quantize: 4 bits a weight instead of 16" in told
    assert "16,384 bytes before" in told and "removed 50.0 %; bits 4; relative error" in told
    assert main(["explain", out, "model.embed_tokens.weight"]) == 0
    assert "untouched" in capsys.readouterr().out
    assert main(["explain", out, "model.layers.0.mlp.up_proj"]) == 2
    assert name in capsys.readouterr().err.partition("did you mean")[2]
    assert main(["restore", out, "-o", out + "-back"]) == 2
    assert "the original, model, is not in the ledger" in capsys.readouterr().err
    for damage in (b"", b"[]", b"{}", b'{"layers": [{}], "untouched": [], "model": "m"}', None):
        path = tmp_path / "out" / "excise" / "evidence.json"
        path.unlink() if damage is None else path.write_bytes(damage)
        assert main(["explain", out]) == 2
        assert "evidence.json: the evidence cannot be read" in capsys.readouterr().err
