"""Vectors, semantic duplicates and oddness against slow plain twins, and what holds for any input."""

import itertools

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from excise.corpus import Corpus
from excise.data import embed, oddness, outliers, semantic, text
from excise.data.embed import Bags
from excise.data.oddness import RobustScale
from excise.data.outliers import OutliersSettings
from excise.data.semantic import SemanticSettings
from excise.data.unicode import ALONE, POINT, WORD, points

MASK = (1 << 64) - 1
BORDER, NONE = 0x110000, 0x110001
TEXT = st.text(st.sampled_from("aAbcé1_ .,-+/\n北京大学ありがとうก한국😀𝔸ﬁ\u0301"), max_size=30)


def mixed(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def twin_bag(told):
    """Features by splitting into runs first, then cutting each run into grams."""
    [told] = text.composed(pa.array([told], pa.large_string())).to_pylist()
    table = points()
    entries = [int(table[ord(c)]) if ord(c) < len(table) else 0 for c in told]
    grams = []
    kinds = [(1 if e & WORD else 2 if e & ALONE else 0, e & POINT) for e in entries]
    for kind, run in itertools.groupby(kinds, key=lambda pair: pair[0]):
        letters = [point for _, point in run]
        if kind == 1:
            framed = [BORDER, *letters, BORDER]
            grams += zip(framed, framed[1:], framed[2:], strict=False)
        if kind == 2:
            grams += [(NONE, NONE, point) for point in letters]
            grams += [(BORDER, a, b) for a, b in itertools.pairwise(letters)]
    counts = {}
    for a, b, c in grams:
        bucket = mixed(((a << 42 | b << 21 | c) + 0x9E3779B97F4A7C15) & MASK) >> (64 - embed.BITS)
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


@given(st.lists(TEXT, max_size=5))
def test_bags_are_those_of_the_twin(texts):
    bags = Bags.of(pa.array(texts, pa.large_string()))
    assert len(bags.starts) == len(texts) + 1
    for i, told in enumerate(texts):
        here = slice(bags.starts[i], bags.starts[i + 1])
        assert dict(zip(bags.buckets[here].tolist(), bags.counts[here].tolist(), strict=True)) == twin_bag(told)


def twin_pairs(vectors, rank, threshold):
    """Greedy, one by one, all with all, in double precision."""
    staying, found = [], {}
    for i in np.argsort(rank):
        if not vectors[i].any():
            continue
        cosines = [float(np.dot(vectors[i].astype(float), vectors[j].astype(float))) for j in staying]
        if cosines and max(cosines) >= threshold:
            found[int(i)] = max(cosines)
        else:
            staying.append(i)
    return staying, found


@settings(max_examples=60)
@given(st.data())
def test_semantic_pairs_are_those_of_the_twin(data):
    count = data.draw(st.integers(0, 16))
    raw = data.draw(arrays(np.float32, (count, 3), elements=st.integers(-3, 3)))
    vectors = embed.normalised(raw)
    rank = np.array(data.draw(st.permutations(range(count))), np.int64)
    # Between the cosines that these vectors can have: rounding decides nothing.
    threshold = data.draw(st.sampled_from([0.3003, 0.7003, 0.9003, 0.9903]))
    block, semantic._BLOCK = semantic._BLOCK, data.draw(st.sampled_from([1, 5, 1024]))
    try:
        corpus = Corpus.from_texts([str(i) for i in range(count)])
        tables = list(semantic.find(corpus, SemanticSettings(threshold), vectors, rank=rank))
    finally:
        semantic._BLOCK = block
    rows = [row for table in tables for row in table.to_pylist()]
    staying, expected = twin_pairs(vectors, rank, threshold)
    assert {row["position"] for row in rows} == expected.keys()
    for row in rows:
        assert row["partner_position"] in staying
        assert rank[row["partner_position"]] < rank[row["position"]]
        assert abs(row["redundancy"] - expected[row["position"]]) < 1e-6


NUMBERS = arrays(np.float64, st.tuples(st.integers(2, 30), st.integers(1, 4)), elements=st.integers(-50, 50))


@given(NUMBERS, st.integers(1, 5))
def test_neighbour_distances_are_those_of_the_twin(values, count):
    rows = values.astype(np.float32)
    where = np.arange(len(rows))
    odd, nearest, least = oddness.neighbours(rows, where, oddness.as_they_are, count, 0, lambda done: None)
    for i in range(len(rows)):
        others = sorted(float(np.linalg.norm(values[i] - values[j])) for j in range(len(rows)) if j != i)
        assert abs(odd[i] - others[min(count, len(others)) - 1]) < 1e-3
        assert abs(least[i] - others[0]) < 1e-3
        assert abs(np.linalg.norm(values[i] - values[nearest[i]]) - least[i]) < 1e-3
        assert nearest[i] != i


def measured(values, method):
    corpus = Corpus.from_texts([str(i) for i in range(len(values))])
    names = [f"x{i}" for i in range(values.shape[1])]
    table = outliers.measure(corpus, OutliersSettings(method=method), values, names=names)
    return table["oddness"].to_numpy()


@settings(max_examples=40)
@given(NUMBERS, st.sampled_from(["neighbours", "samples", "ecod"]), st.integers(-3, 3), st.randoms())
def test_units_and_the_order_of_columns_do_not_matter(values, method, exponent, random):
    columns = list(range(values.shape[1]))
    random.shuffle(columns)
    other = values[:, columns] * 2.0**exponent + 16
    np.testing.assert_allclose(measured(other, method), measured(values, method), rtol=1e-3, atol=1e-4)


@given(NUMBERS, st.floats(0, 0.99), st.one_of(st.none(), st.floats(0.5, 10)))
def test_no_more_than_the_share_and_never_the_median(values, share, threshold):
    corpus = Corpus.from_texts([str(i) for i in range(len(values))])
    chosen = OutliersSettings(method="ecod", share=share, threshold=threshold)
    table = outliers.measure(corpus, chosen, values, names=[f"x{i}" for i in range(values.shape[1])])
    rows = [row for found in outliers.judge(table, corpus, chosen) for row in found.to_pylist()]
    odd = table["oddness"].to_numpy()
    assert len(rows) <= (round(share * len(values)) if threshold is None else len(values) / 2)
    assert all(odd[row["position"]] > np.median(odd) for row in rows)
    assert all(0 <= row["redundancy"] <= 1 for row in rows)
    left = [odd[i] for i in range(len(odd)) if i not in {row["position"] for row in rows}]
    assert not rows or max(left) <= min(odd[row["position"]] for row in rows)


@given(NUMBERS)
def test_a_scaled_column_has_its_median_at_zero(values):
    scale = RobustScale.of(values, 0)
    assert set(scale.columns) == {i for i in range(values.shape[1]) if np.ptp(values[:, i]) > 0}
    np.testing.assert_allclose(np.median(scale.apply(values), axis=0), 0, atol=1e-6)
