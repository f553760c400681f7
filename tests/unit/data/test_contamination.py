"""Contamination: what holds an evaluation item, by a slow twin and by hand."""

import random

import pyarrow as pa
import pytest

import text_oracle
from excise.corpus import Corpus
from excise.data import contamination
from excise.data.contamination import ContaminationSettings
from excise.errors import SettingError
from excise.finding import FINDINGS

WORDS = [f"w{n}" for n in range(5000)]


def found(texts, items, **settings):
    corpus = Corpus.from_texts(texts, batch=7).beside(Corpus.from_texts(items, name="eval", batch=3))
    table = pa.concat_tables(contamination.find(corpus, ContaminationSettings(**settings)))
    assert table.schema == FINDINGS
    return table.to_pylist()


def prose(rng, words):
    return " ".join(rng.choices(WORDS, k=words))


def test_a_record_that_holds_an_item_is_found_and_half_an_item_is_not_enough():
    rng = random.Random(0)
    item, other = prose(rng, 40), prose(rng, 40)
    half = " ".join(item.split()[:25])  # 13 of its 28 sequences
    texts = [prose(rng, 60), f"{prose(rng, 20)} {item} {prose(rng, 20)}", f"{prose(rng, 9)} {half} {prose(rng, 9)}"]
    rows = found(texts, [other, item])
    assert [(r["locus"], r["partner"], r["redundancy"]) for r in rows] == [("memory#1", "eval#1", 1.0)]
    assert rows[0]["reason"] == "holds 100 % of the evaluation item eval#1: 28 of its 28 sequences of 13 words"
    rows = found(texts, [other, item], share=13 / 28)
    assert [(r["locus"], r["redundancy"]) for r in rows] == [("memory#1", 1.0), ("memory#2", 13 / 28)]


def test_shares_equal_those_of_a_plain_twin():
    rng = random.Random(1)
    items = [prose(rng, rng.randint(8, 60)) for _ in range(12)]
    texts = []
    for _ in range(80):
        words = prose(rng, 30).split()
        item = rng.choice(items).split()
        start = rng.randrange(len(item))
        texts.append(" ".join(words[:10] + item[start : start + rng.randint(5, 60)] + words[10:]))

    def runs(one, width):
        tokens = text_oracle.tokens(one)
        return {tuple(tokens[k : k + width]) for k in range(len(tokens) - width + 1)}

    expected = {}
    for row, one in enumerate(texts):
        shares = []
        for number, item in enumerate(items):
            width = min(13, len(item.split()))
            wanted = runs(item, width)
            shares.append((len(wanted & runs(one, width)) / len(wanted), -number))
        if max(shares)[0] >= 0.3:
            expected[row] = max(shares)
    assert len(expected) > 20
    rows = found(texts, items, share=0.3, common=1.0)
    assert {r["position"] - 12: (r["redundancy"], -r["partner_position"]) for r in rows} == expected


def test_what_many_records_share_is_a_phrase_and_no_leak():
    rng = random.Random(2)
    clause = prose(rng, 30)
    texts = [f"{prose(rng, 5)} {clause} {prose(rng, 5)}" for _ in range(40)]
    assert found(texts, [clause]) == []
    assert len(found(texts[:10], [clause])) == 10
    assert len(found(texts, [clause], common=1.0)) == 40


def test_what_many_items_share_is_their_template_and_no_leak():
    rng = random.Random(4)
    prompt = prose(rng, 40)
    items = [f"{prompt} {prose(rng, 30)}" for _ in range(30)]
    texts = [f"{prompt} {prose(rng, 50)}", f"{prose(rng, 5)} {items[7]}", items[9].removeprefix(prompt)]
    rows = found(texts, items, share=0.3)
    assert [(r["locus"], r["partner"], r["redundancy"]) for r in rows] == [
        ("memory#1", "eval#7", 1.0),
        ("memory#2", "eval#9", 18 / 30),
    ]
    assert [r["locus"] for r in found(texts, items[:10], share=0.3)] == ["memory#0", "memory#1", "memory#2"]


def test_an_item_that_is_all_template_keeps_its_sequences():
    rng = random.Random(5)
    item = prose(rng, 40)
    rows = found([item, prose(rng, 40)], [item] * 20)
    assert [(r["locus"], r["partner"], r["redundancy"]) for r in rows] == [("memory#0", "eval#0", 1.0)]


def test_chunks_of_records_change_nothing(monkeypatch):
    rng = random.Random(6)
    items = [prose(rng, rng.randint(13, 40)) for _ in range(10)]
    texts = [f"{rng.choice(items)} {rng.choice(items)}" for _ in range(40)]
    whole = found(texts, items, common=1.0)
    monkeypatch.setattr(contamination, "_PAIRS", 30)
    assert found(texts, items, common=1.0) == whole and len(whole) == 40


def test_chinese_items_are_judged_by_code_points_and_short_ones_not_at_all():
    rng = random.Random(3)
    chars = [chr(c) for c in range(0x4E00, 0x5E00)]
    item, short = "".join(rng.choices(chars, k=60)), "".join(rng.choices(chars, k=14))
    texts = ["".join(rng.choices(chars, k=50)), f"前面，{item}。后面", f"前面{short}后面", item[:40]]
    rows = found(texts, [item, short])
    assert [(r["locus"], r["partner"]) for r in rows] == [("memory#1", "eval#0")]
    assert "36 of its 36 sequences of 25 words" in rows[0]["reason"]
    rows = found(texts, [item, short], shortest=0.5)
    assert [(r["locus"], r["partner"]) for r in rows] == [("memory#1", "eval#0"), ("memory#2", "eval#1")]


def test_settings_and_references_are_checked():
    for name in ("share", "common", "shortest"):
        with pytest.raises(SettingError, match=rf"contaminated\.{name} is 0"):
            ContaminationSettings(**{name: 0})
    with pytest.raises(SettingError, match=r"contaminated\.words is 2"):
        ContaminationSettings(words=2)
    with pytest.raises(SettingError, match="--against"):
        list(contamination.find(Corpus.from_texts(["a"]), ContaminationSettings()))
    assert found(["a b c"], ["", "a b"]) == []
