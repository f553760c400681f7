"""Compress on a disk that fills up at any write, and interrupted by Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from excise.cli.app import main
from excise.evidence import report
from full_disk import Disk
from tiny_checkpoints import save, text, weight_bytes

SETTINGS = ["--sparsity", "0.5", "--bits", "4", "--group", "32", "--windows", "2"]
COMMAND = ["compress", "model", "--data", "text.jsonl", *SETTINGS, "-o"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_goes_on_after_a_disk_that_is_full_at_any_write(home, monkeypatch, capsys):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(report, "page", lambda evidence: "page")  # plots take time and write nothing
    save(home / "model", tokenizer=False, num_hidden_layers=1)
    command = ["compress", "model", "--sparsity", "0.5", "-o"]
    disk = Disk(monkeypatch, home)
    assert main([*command, "whole"]) == 0
    writes, whole = disk.count, weight_bytes(home / "whole")
    assert writes > 40
    for full_at in range(1, writes + 1):
        disk.count, disk.full_at = 0, full_at
        assert main([*command, "out"]) == 1, full_at
        assert "the disk is full" in capsys.readouterr().err
        assert not Path("out").exists()
        assert not list(home.rglob("*.aside"))
        disk.full_at = None
        if full_at % 5 == 0 or full_at == writes:
            assert main([*command, "out"]) == 0
            assert weight_bytes(home / "out") == whole
            shutil.rmtree("out")
        shutil.rmtree("out.partial", ignore_errors=True)


def test_ctrl_c_keeps_what_was_finished(home, capsys):
    save(home / "model", num_hidden_layers=6)
    text(home / "text.jsonl")
    running = subprocess.Popen(
        [sys.executable, "-m", "excise", *COMMAND, "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    journal, deadline = Path("out.partial/excise/journal.jsonl"), time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        if journal.is_file() and '"done", "step": "model.layers.0"' in journal.read_text():
            break
        time.sleep(0.002)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "")
    assert "interrupted. What was finished is kept; the same command goes on from there." in err
    assert "Traceback" not in err
    assert not Path("out").exists()
    assert main([*COMMAND, "out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"][:2] == ["windows", "model.layers.0"]
    assert main([*COMMAND, "whole"]) == 0
    assert weight_bytes(home / "out") == weight_bytes(home / "whole")
