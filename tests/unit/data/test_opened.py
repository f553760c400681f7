"""Texts by position, in any order, from memory and from files, here and in another process."""

import pickle

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from excise.corpus import BATCH, Corpus
from excise.data.opened import Opened

TEXTS = [f"{i} " * (i % 5) + "é中" * (i % 3) for i in range(30)]


def on_disk(corpus, folder):
    """The same corpus with its batches in files."""
    views = []
    for index in range(len(corpus.sources)):
        views.append(folder / f"{index}.arrow")
        with pa.OSFile(str(views[-1]), "wb") as file, pa.ipc.new_file(file, BATCH) as sink:
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
