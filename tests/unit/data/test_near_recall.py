"""Recall on planted near duplicates in Chinese and English; truth is the oracle's Jaccard similarity of all pairs."""

import json
import random
import re
import tarfile
from collections import Counter

import pyarrow as pa
import pytest

import text_oracle
from excise.corpus import Corpus
from excise.data import keep, near
from excise.data.decide import decide

THRESHOLD = 0.8


def synthetic_english(count, rng):
    """Words with a natural spread of frequencies."""
    vocabulary = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(3000)]
    weights = [1 / (rank + 1) for rank in range(3000)]
    return [" ".join(rng.choices(vocabulary, weights, k=rng.randint(20, 300))) for _ in range(count)]


def synthetic_chinese(count, rng):
    """Han characters with a natural spread of frequencies, and punctuation, without blanks."""
    characters = [chr(0x4E00 + i) for i in rng.sample(range(20000), 2000)]
    weights = [1 / (rank + 1) for rank in range(2000)]
    return [
        "，".join("".join(rng.choices(characters, weights, k=rng.randint(5, 20))) for _ in range(rng.randint(5, 25)))
        + "。"
        for _ in range(count)
    ]


def enwiki(shared, count):
    with tarfile.open(shared / "data/enwiki/enwiki-aa.tar.xz") as archive:
        for member in archive:
            if member.isfile() and "wiki_" in member.name:
                body = archive.extractfile(member).read().decode()
                articles = [a.strip()[:2000] for a in re.findall(r"<doc [^>]*>\n(.*?)</doc>", body, re.DOTALL)]
                return [a for a in articles if len(a) > 300][:count]
    raise AssertionError("no articles")


def zhwiki(shared, count):
    with tarfile.open(shared / "data/zhwiki/zhwiki.tar.xz") as archive:
        for member in archive:
            if member.isfile() and "wiki_" in member.name:
                body = archive.extractfile(member).read().decode()
                if body.startswith("{"):
                    articles = [json.loads(line)["text"].strip()[:900] for line in body.splitlines()]
                    return [a for a in articles if len(a) > 150][:count]
    raise AssertionError("no articles")


def varied(original, units, joiner, rng):
    """0.5-5 % of the units changed, dropped or doubled, at least one."""
    parts = list(units(original))
    for _ in range(max(1, round(rng.uniform(0.005, 0.05) * len(parts)))):
        at = rng.randrange(len(parts))
        parts[at : at + 1] = rng.choice([[rng.choice(parts)], [], [parts[at], rng.choice(parts)]])
    return joiner.join(parts)


def truth(texts):
    """All pairs with a Jaccard similarity of at least THRESHOLD, through an index of shingles."""
    sets = [text_oracle.shingles(t) for t in texts]
    index = {}
    pairs = {}
    for i, shingles in enumerate(sets):
        shared = Counter(j for s in shingles for j in index.get(s, ()))
        for j, both in shared.items():
            similarity = both / (len(shingles) + len(sets[j]) - both)
            if similarity >= THRESHOLD:
                pairs[i, j] = similarity
        for s in shingles:
            index.setdefault(s, []).append(i)
    return pairs


def recall_of(originals, units, joiner, rng):
    """Share of the true pairs of which not both stay; also checks that no match is false."""
    texts = originals + [varied(o, units, joiner, rng) for o in originals for _ in range(2)]
    rng.shuffle(texts)
    pairs = truth(texts)
    assert len(pairs) >= len(originals) // 2
    corpus = Corpus.from_texts(texts)
    table = pa.concat_tables(near.find(corpus, near.NearSettings(THRESHOLD), rank=keep.ranks(corpus, "first")))
    for a, b, similarity in zip(
        *(table[c].to_pylist() for c in ("position", "partner_position", "redundancy")), strict=True
    ):
        assert pairs[max(a, b), min(a, b)] == similarity
    gone = set(decide(table, corpus)["row"].to_pylist())
    return 1 - sum(i not in gone and j not in gone for i, j in pairs) / len(pairs)


@pytest.mark.parametrize("seed", [0, 1])
def test_english_made_up(seed):
    rng = random.Random(seed)
    assert recall_of(synthetic_english(200, rng), str.split, " ", rng) >= 0.99


@pytest.mark.parametrize("seed", [0, 1])
def test_chinese_made_up(seed):
    rng = random.Random(seed)
    assert recall_of(synthetic_chinese(200, rng), str, "", rng) >= 0.99


def test_english_encyclopedia(shared):
    assert recall_of(enwiki(shared, 250), lambda t: t.split(" "), " ", random.Random(0)) >= 0.99


def test_english_encyclopedia_by_characters(shared):
    assert recall_of(enwiki(shared, 150), lambda t: re.findall(".{1,40}", t, re.DOTALL), "", random.Random(1)) >= 0.99


def test_chinese_encyclopedia(shared):
    assert recall_of(zhwiki(shared, 250), str, "", random.Random(0)) >= 0.99
