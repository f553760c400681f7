"""Semantic duplicates on vectors whose angles are known."""

import math
import sys

import numpy as np
import pytest

from excise.corpus import Corpus, Source
from excise.data import embed, semantic
from excise.data.anchors import Graph, Listed
from excise.data.matches import reason
from excise.data.semantic import SemanticSettings
from excise.errors import InputError, MissingExtraError, SettingError


def at(*degrees):
    """Vectors in a plane."""
    angles = np.deg2rad(np.array(degrees, float))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def corpus(count, references=0):
    given = Corpus.from_texts([f"text {i}" for i in range(count)])
    if not references:
        return given
    batch = given.views[0][0]
    parts = [batch.slice(0, references), batch.slice(references)]
    sources = tuple(Source(n, n, "memory", "", 0, "", len(p), "text") for n, p in zip("ab", parts, strict=True))
    return Corpus(sources, tuple((p,) for p in parts), references=1)


def found(vectors, threshold=0.9, given=None, **more):
    tables = semantic.find(given or corpus(len(vectors)), SemanticSettings(threshold), vectors, **more)
    rows = [row for table in tables for row in table.to_pylist()]
    return {row["position"]: (row["partner_position"], row["redundancy"]) for row in rows}


def test_a_record_goes_for_the_nearest_one_that_stays():
    # 0.9 is an angle of 25.8 degrees
    pairs = found(at(0, 50, 20, 30, 90))
    assert {k: v[0] for k, v in pairs.items()} == {2: 0, 3: 1}
    assert pairs[2][1] == pytest.approx(math.cos(math.radians(20)), abs=1e-6)


def test_no_chain_forms():
    assert {k: v[0] for k, v in found(at(0, 20, 40, 60, 80)).items()} == {1: 0, 3: 2}


def test_the_rank_says_who_stays():
    rank = np.array([4, 3, 2, 1, 0])
    assert {k: v[0] for k, v in found(at(0, 20, 40, 60, 80), rank=rank).items()} == {3: 4, 1: 2}


def test_exactly_at_the_threshold_is_a_match():
    vectors = np.array([[1, 0], [0.6, 0.8]], np.float32)
    cosine = float(vectors[1, 0])
    assert list(found(vectors, cosine)) == [1]
    assert not found(vectors, math.nextafter(cosine, 2))


def test_zeros_and_skipped_records_take_no_part():
    vectors = np.concatenate([np.zeros((2, 2), np.float32), at(0, 0, 0)])
    assert {k: v[0] for k, v in found(vectors).items()} == {3: 2, 4: 2}
    assert {k: v[0] for k, v in found(vectors, skip=np.arange(5) == 2).items()} == {4: 3}


def test_references_stay_and_are_partners_whatever_the_rank():
    rank = np.array([4, 3, 2, 1, 0])
    pairs = found(at(0, 5, 3, 80, 80), given=corpus(5, references=2), rank=rank)
    assert {k: v[0] for k, v in pairs.items()} == {2: 1, 3: 4}


def test_only_records_of_one_group_are_compared():
    pairs = found(at(0, 1, 2, 3), group=np.array([7, 1, 7, 1]))
    assert {k: v[0] for k, v in pairs.items()} == {2: 0, 3: 1}


@pytest.mark.parametrize("exact", [10**6, 0])
def test_blocks_do_not_matter_nor_does_the_graph(monkeypatch, exact):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(300, 16))
    copies = base[rng.integers(0, 300, 200)] + rng.normal(size=(200, 16)) * 0.1
    vectors = embed.normalised(rng.permutation(np.concatenate([base, copies])))
    whole = found(vectors)
    assert 150 < len(whole) < 250
    monkeypatch.setattr(semantic, "_BLOCK", 37)
    parts = found(vectors, exact=exact)
    assert parts == found(vectors, exact=exact)
    if exact:
        assert parts == whole
    else:  # the graph finds nearly all
        assert len(parts.keys() & whole.keys()) >= 0.98 * len(whole)


@pytest.mark.parametrize("anchors", [Listed(3, 3), Graph(3)], ids=["listed", "graph"])
def test_anchors_are_numbered_on(anchors):
    rows = np.eye(3, dtype=np.float32)
    assert anchors.nearest(rows).tolist() == [-1, -1, -1]
    anchors.add(rows[:1])
    assert anchors.nearest(rows[:1]).tolist() == [0]
    anchors.add(rows[:0])
    anchors.add(rows[1:])
    assert anchors.nearest(rows[::-1]).tolist() == [2, 1, 0]
    assert anchors.nearest(rows[:0]).tolist() == []


def test_the_finding_tells_the_cosine():
    vectors = at(0, 20)
    [table] = semantic.find(corpus(2), SemanticSettings(), vectors)
    [row] = table.to_pylist()
    assert row["finder"] == "semantic"
    assert (row["locus"], row["partner"]) == ("memory#1", "memory#0")
    assert row["reason"] == "says much the same as memory#0: the cosine of their vectors is 0.93"
    assert "1.00" not in reason("semantic", 0.9999, "x")
    assert "1.00" in reason("semantic", 1.0, "x")
    assert "0.90" in reason("semantic", 0.9, "x")


def test_rewordings_are_found_where_few_words_are_shared_in_order(tmp_path):
    texts = [
        "Name three types of clouds. Cirrus, stratus and cumulus are three types of clouds.",
        "How do I bake bread at home without an oven?",
        "Name 3 types of clouds: three types of clouds are cumulus, cirrus, and stratus",
        "列出彩虹中的颜色。彩虹的颜色有红、橙、黄、绿、蓝、靛、紫。",
        "说出彩虹的颜色。彩虹的颜色有红、橙、黄、绿、蓝、靛、紫。",
    ]
    given = Corpus.from_texts(texts)
    vectors = embed.vectors(given, tmp_path / "v.npy", embed.EmbedSettings())
    assert {k: v[0] for k, v in found(vectors, 0.8, given).items()} == {2: 0, 4: 3}


def test_progress_ends_with_all_records():
    told = []
    found(at(*range(0, 360, 40)), progress=lambda label, done, total: told.append((done, total)))
    assert told[-1] == (9, 9)


def test_nothing_to_compare():
    assert not found(np.zeros((0, 4), np.float32))
    assert not found(np.zeros((3, 4), np.float32))
    assert not found(at(5))


def test_vectors_are_one_a_record():
    with pytest.raises(InputError, match="2 vectors for 3 records"):
        found(at(0, 1), given=corpus(3))


def test_without_usearch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    assert found(at(0, 1))
    with pytest.raises(MissingExtraError, match=r"excise\[semantic\]"):
        found(at(0, 1), exact=1)


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_thresholds_out_of_range(threshold):
    with pytest.raises(SettingError, match=r"semantic\.threshold"):
        SemanticSettings(threshold)
