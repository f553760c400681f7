"""Texts by position, in any order, from memory and from files, here and in another process."""

import pickle

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from excise.corpus import BATCH, Corpus
from excise.data.opened import Opened

TEXTS = [f"{i} " * (i % 5) + "é中" * (i % 3) for i in range(30)]


def on_disk(corpus, folder, compression=None):
    """The same corpus with its batches in files."""
    options = pa.ipc.IpcWriteOptions(compression=compression)
    views = []
    for index in range(len(corpus.sources)):
        views.append(folder / f"{index}.arrow")
        with pa.OSFile(str(views[-1]), "wb") as file, pa.ipc.new_file(file, BATCH, options=options) as sink:
            for batch in corpus.batches_of(index):
                sink.write_batch(batch)
    return Corpus(corpus.sources, tuple(views))


@given(st.lists(st.integers(0, len(TEXTS) - 1), max_size=50), st.integers(1, 31))
def test_any_order_any_batches(positions, batch):
    opened = Opened(Corpus.from_texts(TEXTS, batch=batch))
    assert opened.at(np.array(positions, np.int64)).to_pylist() == [TEXTS[i] for i in positions]


def test_files_references_and_another_process(tmp_path):
    corpus = Corpus.from_texts(TEXTS[20:], batch=3).beside(Corpus.from_texts(TEXTS[:20], batch=7))
    opened = Opened(on_disk(corpus, tmp_path))
    positions = np.random.default_rng(0).permutation(30)
    expected = [TEXTS[i] for i in positions]
    assert opened.at(positions).to_pylist() == expected
    assert opened.at(positions).type == pa.large_string()
    assert pickle.loads(pickle.dumps(opened)).at(positions).to_pylist() == expected


def test_nothing():
    assert Opened(Corpus.from_texts([])).at(np.zeros(0, np.int64)).to_pylist() == []


def test_compressed_files_are_not_kept_in_memory(tmp_path, monkeypatch):
    """As an index's: a few unpacked batches stay, whatever was read; beside them a batch in memory and a mapped one."""
    monkeypatch.setattr("excise.data.opened._KEPT", 2)
    texts = [f"{i} " + "abcdefghij" * 10_000 for i in range(40)]
    index = on_disk(Corpus.from_texts(texts, batch=2), tmp_path, "zstd")
    (tmp_path / "own").mkdir()
    corpus = on_disk(Corpus.from_texts(TEXTS, batch=7), tmp_path / "own").beside(index)
    opened, expected = Opened(corpus), [*texts, *TEXTS]
    before = pa.total_allocated_bytes()
    for _ in range(2):
        for positions in np.random.default_rng(0).permutation(70).reshape(7, 10):
            assert opened.at(positions).to_pylist() == [expected[i] for i in positions]
    assert 200_000 < pa.total_allocated_bytes() - before < 450_000, "two batches of two texts, of twenty"
    assert pickle.loads(pickle.dumps(opened)).at(np.array([69, 0])).to_pylist() == [TEXTS[29], texts[0]]
