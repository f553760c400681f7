"""The byte n-gram model against its definition."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.corpus import Corpus
from excise.data import ngram_kernels, ngram_model, text
from excise.journal import silent


def pieces_of(texts, size=1 << 20, batch=65536):
    return list(text.pieces(Corpus.from_texts(texts, batch=batch), size, silent, ""))


def all_of(piece):
    return np.ones(piece.count, np.bool_)


def trained(texts):
    return ngram_model.train(pieces_of(texts), all_of)


def slow_bits(learnt, one, order=ngram_model.ORDER, strength=ngram_model.STRENGTH):
    """The interpolated model from plain counts."""
    counts, total = Counter(), 0
    for each in learnt:
        data = b"\xff" * 8 + each.encode()
        for i in range(7, len(data)):
            total += 1
            for n in range(1, order + 1):
                counts[data[i + 1 - n : i + 1]] += 1
    data, bits = b"\xff" * 8 + one.encode(), 0.0
    for i in range(8, len(data)):
        p = 1 / 256
        for n in range(1, order + 1):
            context = counts[data[i + 1 - n : i]] if n > 1 else total
            p = (counts[data[i + 1 - n : i + 1]] + strength * p) / (context + strength)
        bits -= math.log2(p)
    return bits


@given(
    st.lists(st.text("abc 中é", max_size=30), max_size=5),
    st.lists(st.text("abd 中文é", max_size=30), min_size=1, max_size=3),
)
@settings(max_examples=60)
def test_bits_equal_the_definition(learnt, scored):
    model = trained(learnt)
    assert model.total == sum(len(t.encode()) + 1 for t in learnt)
    got = model.bits(pa.array(scored, pa.large_string()))
    assert got == pytest.approx([slow_bits(learnt, one) for one in scored], rel=1e-9)


def test_a_text_less_likely_than_any_float():
    (bits,) = trained(["abc"]).bits(pa.array(["xyz 中文 " * 60], pa.large_string()))
    assert bits > 1100
    assert bits == pytest.approx(slow_bits(["abc"], "xyz 中文 " * 60), rel=1e-9)


def test_two_bytes_on_paper():
    """After learning 'ab' once: p(a) and p(b | a), by hand for the two shortest orders that matter."""
    s = ngram_model.STRENGTH
    p = (1 + s / 256) / (3 + s)  # three bytes: the boundary, a, b
    for _ in range(2, ngram_model.ORDER + 1):
        p = (1 + s * p) / (1 + s)  # every longer context was seen once, before this byte
    assert trained(["ab"]).bits(pa.array(["a"], pa.large_string()))[0] == pytest.approx(-math.log2(p))


def test_the_next_byte_has_probabilities_that_sum_to_one():
    model = trained(["the cat sat on the mat", "the dog sat on the log", "天气很好"])
    for context in (b"", b"the ", b"the c", b"zz", "天".encode()):
        each = [context + bytes([b]) for b in range(255)]  # 255 is the boundary
        data = np.frombuffer(b"".join([context, *each]), np.uint8)
        offsets = np.cumsum([0, len(context), *map(len, each)])
        bits = np.empty(256)
        ngram_kernels.surprise(data, offsets, 6, model.table, model.total, 32.0, bits)
        total = np.exp2(bits[0] - bits[1:]).sum()
        assert 0.9 < total <= 1 + 1e-9  # what is missing is the end of a text, which no byte follows


def test_it_knows_what_it_has_seen():
    model = trained(["the weather is fine today and the river is calm"] * 20)
    fine, odd = model.bits(pa.array(["the river is fine today", "qx zzk wvv jjq hhtr uuq"], pa.large_string()))
    assert fine < 0.4 * odd
    assert model.bits(pa.array([""], pa.large_string()))[0] == 0


def test_a_full_table_keeps_the_frequent():
    """1,000 rare n-grams for 64 slots: memory stays, the frequent n-gram's count stays near its own."""
    table = np.zeros(ngram_kernels.EXACT + 64, np.uint32)
    rng = np.random.default_rng(0)
    parts = [b"frequent" if i % 3 == 0 else rng.integers(97, 123, 8, np.uint8).tobytes() for i in range(1500)]
    data, offsets = np.frombuffer(b"".join(parts), np.uint8), np.arange(0, 8 * 1501, 8)
    ngram_kernels.learn(data, offsets, np.ones(1500, np.bool_), 3, table)
    window = np.uint64(int.from_bytes(b"frequent", "big"))
    assert 250 < ngram_kernels.count_of(table, window, 3) <= 510
    assert ngram_kernels.count_of(table, window, 1) == sum(part.count(b"t") for part in parts)


def test_a_count_never_exceeds_its_bits():
    table = np.zeros(ngram_kernels.EXACT + 64, np.uint32)
    window = np.uint64(int.from_bytes(b"xxxxxxxx", "big"))
    ngram_kernels.increase(table, window, 3)
    slot = int(np.flatnonzero(table)[-1])
    table[slot] |= np.uint32((1 << 22) - 1)
    before = int(table[slot])
    ngram_kernels.increase(table, window, 3)
    assert int(table[slot]) == before and ngram_kernels.count_of(table, window, 3) == (1 << 22) - 1


def test_pieces_change_nothing():
    texts = [f"record number {i} of the corpus" for i in range(200)]
    whole, parts = pieces_of(texts), pieces_of(texts, 300, 17)
    assert len(parts) > 20
    chosen = [p for piece in parts for p in ngram_model.lots(piece, 5).tolist()]
    assert chosen == ngram_model.lots(whole[0], 5).tolist()
    few = [ngram_model.train(ps, lambda piece: ngram_model.lots(piece, 5) < 0.5) for ps in (whole, parts)]
    assert few[0].total == few[1].total and (few[0].table == few[1].table).all()


def test_lots_are_even_and_independent():
    piece = pieces_of([""] * 20_000)[0]
    one, other = ngram_model.lots(piece, 1), ngram_model.lots(piece, 2)
    assert ((one >= 0) & (one < 1)).all()
    assert abs(one.mean() - 0.5) < 0.01 and abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert np.bincount(ngram_model.dealt(piece, 4), minlength=4) == pytest.approx(5000, abs=250)


def test_bytes_of_a_corpus_without_its_references():
    corpus = Corpus.from_texts(["中文", "abc"]).beside(Corpus.from_texts(["long reference"], name="other"))
    assert text.size_bytes(corpus, own=True) == 9
