"""Equal texts: raw and normalised, verified on the bytes, the first record the partner."""

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import exact
from excise.finding import FINDINGS


def pairs(texts, *, normalised=False, batch=3):
    corpus = Corpus.from_texts(texts, batch=batch)
    table = pa.concat_tables(exact.find(corpus, normalised=normalised))
    assert table.schema == FINDINGS
    assert set(table["redundancy"].to_pylist()) <= {1.0}
    return list(zip(table["position"].to_pylist(), table["partner_position"].to_pylist(), strict=True))


def test_partners_are_the_first_of_their_group():
    assert pairs(["a", "b", "a", "c", "b", "a", "A"]) == [(2, 0), (5, 0), (4, 1)]


def test_normalised_sees_case_space_and_form():
    texts = ["Ａ  b", "a B", "a\tb\n", "ab", "é", "e\u0301"]
    assert pairs(texts, normalised=True) == [(1, 0), (2, 0), (5, 4)]
    assert pairs(texts) == []


@pytest.mark.parametrize("normalised", [False, True])
def test_the_empty_text_is_a_text(normalised):
    found = pairs(["", "", " ", "a"], normalised=normalised)
    assert found == ([(1, 0), (2, 0)] if normalised else [(1, 0)])


def test_an_empty_corpus_gives_an_empty_table():
    tables = list(exact.find(Corpus.from_texts([]), normalised=False))
    assert [t.num_rows for t in tables] == [0]


def test_equal_keys_alone_are_not_enough(monkeypatch):
    class Colliding:
        @staticmethod
        def xxh3_128_digest(body):
            return b"0123456789abcdef"

    monkeypatch.setattr(exact, "xxhash", Colliding)
    assert pairs(["a", "b", "a", "c"]) == [(2, 0)]


def test_the_upper_half_of_a_key_alone_is_not_a_group():
    keys = np.array([[7, 1], [7, 2], [7, 1], [8, 1]], np.uint64)
    first, again = exact._groups(keys)
    assert (first.tolist(), again.tolist()) == ([0], [2])


def test_many_large_copies_are_compared_in_chunks(monkeypatch):
    monkeypatch.setattr(exact, "_COMPARE_BYTES", 2000)
    texts = ["x" * 900, "y", *["x" * 900] * 5, "y"]
    assert pairs(texts) == [(2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 1)]


def test_sentences_name_the_partner():
    corpus = Corpus.from_texts(["Same", "Same", "same "])
    raw, folded = (pa.concat_tables(exact.find(corpus, normalised=n)) for n in (False, True))
    assert raw["reason"].to_pylist() == ["has the same text as memory#0"]
    assert folded["reason"].to_pylist()[1] == "has the same text as memory#0 but for case, white space and Unicode form"
    assert set(folded["finder"].to_pylist()) == {"normalised"}


@pytest.mark.parametrize("normalised", [False, True])
def test_many_keys_are_sorted_in_parts_and_told_in_tables(normalised, monkeypatch):
    texts = [f"text {i % 70}" for i in range(200)] + ["TEXT 3"]
    whole = pairs(texts, normalised=normalised)
    assert len(whole) == 130 + normalised
    monkeypatch.setattr(exact, "_SORTED_AT_ONCE", 10)
    monkeypatch.setattr(exact, "_TABLE_ROWS", 7)
    assert pairs(texts, normalised=normalised) == whole
