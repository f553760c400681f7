"""Rows in files: order, what waits, and how often a file is opened."""

from pathlib import Path

import numpy as np

from excise.data import spilled


def test_rows_keep_their_order_and_a_file_is_not_opened_for_every_addition(tmp_path, monkeypatch):
    monkeypatch.setattr(spilled, "_WAITING_BYTES", 16_000)
    opened = []
    really = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *mode: opened.append(path) or really(path, *mode))
    rng, spill = np.random.default_rng(0), spilled.Spill(tmp_path, "x", 5)
    parts, rows = rng.integers(0, 4, 10_000), rng.integers(0, 1 << 60, (10_000, 2)).astype(np.uint64)
    for start in range(0, 10_000, 50):
        spill.add(parts[start : start + 50], rows[start : start + 50])
    files = spill.written()
    assert len(opened) == 4 * 10, "4 files, 10 times 16 kB: 200 additions of 800 bytes"
    for part, path in enumerate(files):
        assert (spilled.read(path, 2) == rows[parts == part]).all()
    assert not files[4].exists() and spilled.read(files[4], 2).shape == (0, 2)
    assert spill.written() == files and len(opened) == 40, "nothing waits"


def test_keys_are_spread_by_their_upper_bits():
    keys = np.array([0, (1 << 62) - 1, 1 << 62, 1 << 63, (1 << 64) - 1], np.uint64)
    assert spilled.by_key(keys, 4).tolist() == [0, 0, 1, 2, 3]
    assert (spilled.parts_for(1), spilled.parts_for(1e8), spilled.parts_for(1e15)) == (1, 5, 1024)
