"""A user's own probabilities from a file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise.adapters import probabilities
from excise.corpus import Corpus
from excise.data import labels
from excise.errors import InputError

ROWS = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])


@pytest.fixture
def corpus():
    return Corpus.from_texts(["a", "b", "c"], labels=["ham", "spam", "ham"])


def test_npz_names_its_columns(corpus, tmp_path):
    np.savez(tmp_path / "p.npz", probabilities=ROWS[:, ::-1], classes=["spam", "ham"])
    read = probabilities.read(tmp_path / "p.npz", corpus)
    assert read.classes == ("spam", "ham")
    np.testing.assert_array_equal(read.values, ROWS[:, ::-1].astype(np.float32))


def test_npz_and_parquet_may_give_ids_in_any_order_and_leave_some_out(corpus, tmp_path):
    ids = ["memory#2", "memory#0"]
    np.savez(tmp_path / "p.npz", probabilities=ROWS[[2, 0]], classes=["ham", "spam"], ids=ids)
    table = pa.table({"spam": ROWS[[2, 0], 1], "id": ids, "ham": ROWS[[2, 0], 0]})
    pq.write_table(table, tmp_path / "p.parquet")
    for name, order in (("p.npz", [0, 1]), ("p.parquet", [1, 0])):
        read = probabilities.read(tmp_path / name, corpus)
        assert read.classes == tuple(np.array(["ham", "spam"])[order])
        np.testing.assert_array_equal(read.values[[0, 2]], ROWS[[0, 2]][:, order].astype(np.float32))
        assert np.isnan(read.values[1]).all()
    measured = labels.measure(corpus, labels.LabelsSettings(), probabilities=read)
    assert measured["unjudged"].to_pylist() == [None, "no probabilities", None]


def test_parquet_without_ids_is_in_the_order_of_the_corpus(corpus, tmp_path):
    pq.write_table(pa.table({"ham": ROWS[:, 0], "spam": ROWS[:, 1]}), tmp_path / "p.parquet")
    np.testing.assert_array_equal(probabilities.read(tmp_path / "p.parquet", corpus).values, ROWS.astype(np.float32))


def test_npy_has_the_labels_in_their_order(tmp_path, corpus):
    np.save(tmp_path / "p.npy", ROWS)
    assert probabilities.read(tmp_path / "p.npy", corpus).classes == ("ham", "spam")
    assert probabilities.in_their_order(["10", "9", "-1"]) == ("-1", "9", "10")
    assert probabilities.in_their_order(["b", "10", "9"]) == ("10", "9", "b")


def test_references_have_no_row(corpus, tmp_path):
    np.save(tmp_path / "p.npy", ROWS)
    beside = corpus.beside(Corpus.from_texts(["x"], name="other", labels=["eggs"]))
    assert len(probabilities.read(tmp_path / "p.npy", beside).values) == 3


def broken(path, kind):
    if kind == "suffix":
        path = path.with_suffix(".csv")
    elif kind == "rubbish":
        path.write_bytes(b"not numpy at all")
    elif kind == "missing array":
        np.savez(path, p=ROWS)
    elif kind == "objects":
        np.savez(path, probabilities=np.array([{}], object), classes=["a"])
    elif kind == "text":
        np.savez(path, probabilities=np.array([["a", "b"]]), classes=["ham", "spam"])
    elif kind == "names":
        np.savez(path, probabilities=ROWS, classes=["ham"])
    elif kind == "rows":
        np.savez(path, probabilities=ROWS[:2], classes=["ham", "spam"])
    elif kind == "strange id":
        np.savez(path, probabilities=ROWS, classes=["ham", "spam"], ids=["memory#0", "x#1", "x#2"])
    elif kind == "twice":
        np.savez(path, probabilities=ROWS, classes=["ham", "spam"], ids=["memory#0", "memory#1", "memory#0"])
    elif kind == "ids":
        np.savez(path, probabilities=ROWS, classes=["ham", "spam"], ids=["memory#0"])
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("suffix", "read from .npz, .npy, .parquet files"),
        ("nothing", "no .npz file of probabilities"),
        ("rubbish", "no .npz file of probabilities"),
        ("missing array", "no array 'probabilities'; it has p"),
        ("objects", "no .npz file of probabilities"),
        ("text", "must be a matrix of numbers"),
        ("names", "there are 2 columns and 1 classes"),
        ("rows", r"it must be \[3, 2\]"),
        ("strange id", "2 of 3 ids are of no record, 'x#1' first"),
        ("twice", "an id occurs twice"),
        ("ids", "1 ids for 3 rows"),
    ],
)
def test_what_does_not_fit_is_refused(corpus, tmp_path, kind, says):
    with pytest.raises(InputError, match=says):
        probabilities.read(broken(tmp_path / "p.npz", kind), corpus)
