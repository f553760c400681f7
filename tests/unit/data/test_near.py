"""Near duplicates: small corpora by hand, large buckets, blocks, orphans, settings, spill."""

import random

import numpy as np
import pyarrow as pa
import pytest

import text_oracle
from excise.corpus import Corpus
from excise.data import buckets, near, verify
from excise.data.decide import decide
from excise.data.minhash import band_keys, signatures
from excise.errors import SettingError
from excise.finding import FINDINGS

WORDS = [f"w{i}" for i in range(100)]
BASE = " ".join(WORDS)
CHANGED = " ".join([*WORDS[:50], "x", *WORDS[51:]])


def found(texts, threshold=0.8, **settings):
    corpus = Corpus.from_texts(texts, batch=3)
    table = pa.concat_tables(near.find(corpus, near.NearSettings(threshold), **settings))
    assert table.schema == FINDINGS
    return table


def gone(texts, **settings):
    corpus = Corpus.from_texts(texts)
    return decide(found(texts, **settings), corpus)["row"].to_pylist()


def test_a_changed_word_is_found_with_its_true_similarity():
    table = found([BASE, "something else entirely, of no account here", CHANGED])
    assert table.to_pylist() == [
        {
            "finder": "near",
            "locus": "memory#2",
            "position": 2,
            "partner": "memory#0",
            "partner_position": 0,
            "redundancy": 91 / 101,
            "start": None,
            "stop": None,
            "reason": "shares 90 % of the 5-word sequences of both with memory#0",
            "value": None,
        }
    ]
    assert text_oracle.jaccard(BASE, CHANGED) == 91 / 101


def test_the_threshold_is_included():
    texts = ["a b c d e", "a b c d e f", "g h i j k l m n", "g h i j k l m n o"]  # 1 of 2 and 4 of 5 shingles shared
    assert [r["position"] for r in found(texts, 0.8).to_pylist()] == [3]
    assert found(texts, 0.8)["redundancy"].to_pylist() == [0.8]
    assert [r["position"] for r in found(texts, 0.5).to_pylist()] == [1, 3]
    assert found(texts, 0.81).num_rows == 0


def test_rank_says_who_is_the_locus():
    table = found([BASE, CHANGED], rank=np.array([1, 0]))
    assert (table["position"].to_pylist(), table["partner_position"].to_pylist()) == ([0], [1])


def test_skipped_and_empty_records_take_no_part():
    assert found([BASE, CHANGED], skip=np.array([True, False])).num_rows == 0
    assert found(["", "", "。", "。", "!?", "!?"]).num_rows == 0
    assert found([]).num_rows == 0


def test_short_texts_are_compared_as_a_whole():
    assert gone(["Yes!", "yes", "no", "Yes, no", "yes no."]) == [1, 4]


def test_chinese_without_blanks_is_found():
    # 60 different code points; one changed touches 5 of 56 shingles: 51 / 61.
    text = "".join(chr(0x4E00 + i) for i in range(60))
    other = text[:30] + "龍" + text[31:]
    assert found([text, other])["redundancy"].to_pylist() == [pytest.approx(51 / 61)]


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan")])
def test_thresholds_out_of_range_are_refused(threshold):
    with pytest.raises(SettingError, match=r"threshold is .* above 0 and at most 1"):
        near.NearSettings(threshold)


def test_the_work_folder_is_left_empty(tmp_path):
    assert found([BASE, CHANGED], folder=tmp_path).num_rows == 1
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_both_stages():
    labels = {}
    found([BASE, CHANGED], progress=lambda label, done, total: labels.setdefault(label, []).append((done, total)))
    assert labels["reading for near duplicates"][-1] == (2, 2)
    assert labels["comparing near duplicates"] == [(band, 24) for band in range(24)]


def template(count, own, rng):
    """Texts of one template: 150 words shared, `own` words not."""
    shared = [f"t{i}" for i in range(150)]
    return [" ".join(shared + [f"o{rng.randrange(10**9)}" for _ in range(own)]) for _ in range(count)]


@pytest.fixture
def large():
    """Texts that share most bands: 300 of one template at J = 0.7, and 100 near copies among them."""
    rng = random.Random(5)
    texts = template(300, 30, rng)
    for original in texts[:100]:
        words = original.split()
        words[rng.randrange(150)] = "z"
        texts.append(" ".join(words))
    return texts


def test_large_buckets_lose_nothing(large):
    """Templates share a bucket and do not match; each copy matches its original."""
    keys = band_keys(signatures(pa.array(large, pa.large_string()))[0], (24, 5)).T
    assert max(np.unique(keys[:, band], return_counts=True)[1].max() for band in range(24)) > verify._MANY
    assert gone(large) == list(range(300, 400))


def test_the_index_of_rare_shingles_agrees_with_all_pairs(large, monkeypatch):
    texts = pa.array(large, pa.large_string())
    bounds = np.array([0, 3, len(large)])
    by_index = verify.matches(texts, bounds, np.zeros(len(texts), np.bool_), 0.8)
    monkeypatch.setattr(verify, "_MANY", 10**6)
    by_pairs = verify.matches(texts, bounds, np.zeros(len(texts), np.bool_), 0.8)
    for one, other in zip(by_index, by_pairs, strict=True):
        assert np.array_equal(one, other)
    assert len(by_pairs[0]) > 50


def test_buckets_larger_than_memory_are_compared_block_by_block(large, monkeypatch):
    corpus = Corpus.from_texts(large)
    everyone, sizes = np.arange(len(large)), np.array([len(t) for t in large])

    def absorbed():
        nodes = buckets.Nodes(corpus, everyone, sizes, everyone, 0.8)
        gone = list(nodes.compare(everyone, np.array([0, 5, 10, len(large)])))
        return len(gone), np.sort(np.concatenate(gone)).tolist()

    rounds, whole = absorbed()
    assert (rounds, whole) == (1, [*range(310, 400)])
    monkeypatch.setattr(buckets, "_COMPARE_BYTES", 100_000)  # about a hundred texts: eight blocks of fifty
    rounds, by_block = absorbed()
    assert by_block == whole
    assert rounds > 20  # every two of the blocks that are left, and those inside


@pytest.mark.parametrize("threshold", [0.5, 2 / 3, 0.75, 0.8, 1.0])
def test_both_ways_of_comparing_agree_with_sets(threshold, monkeypatch):
    """Small sets of few words: similarities often lie exactly at the threshold."""
    rng = random.Random(3)
    texts = [" ".join(rng.choices("abcd", k=rng.randint(1, 12))) for _ in range(400)]
    sets = [text_oracle.shingles(t) for t in texts]
    staying = []
    for i, one in enumerate(sets):
        if not any(len(one & sets[j]) / len(one | sets[j]) >= threshold for j in staying):
            staying.append(i)
    assert 20 < len(staying) < 390
    for most in (1, 10**6):
        monkeypatch.setattr(verify, "_MANY", most)
        worse, better, redundancy, ended = verify.matches(
            pa.array(texts, pa.large_string()), np.array([0, len(texts)]), np.zeros(len(texts), np.bool_), threshold
        )
        assert sorted({*range(len(texts))} - {*worse.tolist()}) == staying
        assert ended == 0
        for i, j, similarity in zip(worse.tolist(), better.tolist(), redundancy.tolist(), strict=True):
            one, other = sets[i], sets[j]
            assert similarity == len(one & other) / len(one | other) >= threshold


@pytest.mark.parametrize("most", [1, 10**6])
@pytest.mark.parametrize("limit", [2, 5, 1000])
def test_as_many_matches_are_told_as_are_asked_for(most, limit, monkeypatch):
    rng = random.Random(4)
    texts = [" ".join(rng.choices("abc", k=rng.randint(1, 9))) for _ in range(200)]
    sets = [text_oracle.shingles(t) for t in texts]
    expected = [[j for j in range(i) if len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= 0.7] for i in range(200)]
    monkeypatch.setattr(verify, "_MANY", most)
    worse, better, _, _ = verify.matches(
        pa.array(texts, pa.large_string()), np.array([0, 200]), np.arange(200) == 7, 0.7, limit
    )
    for i, others in enumerate(expected):
        found = sorted(better[worse == i].tolist())
        assert len(found) == (0 if i == 7 else min(limit, len(others)))
        assert set(found) <= set(others)


def alike(count):
    """Texts of 20 passages of the same 26, in order: hardly two of them match, and none holds anything rare."""
    rng = random.Random(1)
    passages = [" ".join(f"s{i}w{j}" for j in range(40)) for i in range(26)]
    return [" ".join(passages[i] for i in sorted(rng.sample(range(26), 20))) for _ in range(count)]


def test_records_too_much_alike_are_not_compared_all_with_all(monkeypatch):
    texts = pa.array(alike(300), pa.large_string())
    fixed = np.zeros(len(texts), np.bool_)
    monkeypatch.setattr(verify, "_MANY", 1)
    all_, *_, ended = verify.matches(texts, np.array([0, len(texts)]), fixed, 0.8)
    assert 0 < len(all_) < 200
    assert ended == 0
    monkeypatch.setattr(verify, "_MOST", 10)
    fewer, *_, ended = verify.matches(texts, np.array([0, len(texts)]), fixed, 0.8)
    assert len(fewer) < len(all_)
    assert 50 < ended <= len(texts) - len(fewer)


def test_a_search_that_was_ended_is_said(large, monkeypatch):
    monkeypatch.setattr(verify, "_MANY", 1)
    monkeypatch.setattr(verify, "_MOST", 0)
    said = []
    assert found(large, warn=said.append).num_rows < 100
    assert len(said) == 1
    assert said[0].startswith("Near duplicates: ")
    assert "Some near duplicates may remain among them" in said[0]
    monkeypatch.undo()
    assert found(large, warn=pytest.fail).num_rows == 100


def test_of_a_bucket_of_very_many_blocks_neighbours_are_compared(large, monkeypatch):
    monkeypatch.setattr(buckets, "_COMPARE_BYTES", 20_000)
    monkeypatch.setattr(buckets, "_BLOCKS", 2)
    said = []
    assert found(large, warn=said.append).num_rows > 0
    assert len(said) == 1


def test_what_signatures_rule_out_is_no_match(large, monkeypatch):
    """Templates at J = 0.7 and short texts: nothing is lost, and records are left out of buckets before they are read."""
    for number in range(30):  # at J = 0.4: pairs that share a band or two, not more
        large += [f"{number} {one}".replace("t", f"t{number}x") for one in template(4, 100, random.Random(number))]
    large += ["one two three four five six", "one two three four five six seven"]
    read = []
    matches = verify.matches
    monkeypatch.setattr(verify, "matches", lambda texts, *rest: read.append(len(texts)) or matches(texts, *rest))
    by_signature, fewer = found(large), sum(read)
    read.clear()
    monkeypatch.setattr(buckets, "_ALL_PAIRS", 0)
    assert found(large).equals(by_signature)
    assert 0 < fewer < sum(read)


def test_a_group_is_compared_once_however_many_bands_it_shares(monkeypatch):
    texts = template(3, 22, random.Random(7))  # J = 0.75: meets in many bands and never matches
    read = []
    matches = verify.matches
    monkeypatch.setattr(verify, "matches", lambda given, *rest: read.append(given.to_pylist()) or matches(given, *rest))
    assert found(texts).num_rows == 0
    assert 0 < len(read) <= 4  # the three, and each two of them
    assert len({tuple(group) for group in read}) == len(read)


def test_rare_first_numbers_the_rarest_element_0():
    sets, starts = np.array([5, 9, 5, 7, 9, 5], np.uint64), np.array([0, 2, 5, 6])
    elements, kinds = verify.rare_first(sets, starts)
    assert kinds == 3
    assert elements.tolist() == [1, 2, 0, 1, 2, 2]  # 7 once, 9 twice, 5 three times


def test_a_large_family_of_copies_ends_in_one_record():
    """Every two of them match: the family collapses although bands absorb it under several heads at first."""
    rng = random.Random(1)
    family = []
    for i in range(600):
        words = [f"f{k}" for k in range(200)]
        words[rng.randrange(200)] = f"c{i}"
        family.append(" ".join(words))
    table = found(family)
    assert decide(table, Corpus.from_texts(family))["row"].to_pylist() == list(range(1, 600))
    assert table.num_rows < 800  # orphans are adopted at once, not handed from head to head


def test_orphans_are_compared_with_those_they_missed():
    """0 ~ 1 ~ 2 ~ 3 and no others: 1 goes for 0, so 2 stays, and 3 goes for 2, whichever band meets first."""
    texts = []
    for family in range(40):
        words = [f"w{family}x{i}" for i in range(110)]
        texts += [" ".join(words[start : start + 86]) for start in (0, 7, 14, 21)]
    assert [text_oracle.jaccard(texts[a], texts[b]) >= 0.8 for a, b in ((0, 1), (1, 2), (2, 3))] == [True] * 3
    assert [text_oracle.jaccard(texts[a], texts[b]) >= 0.8 for a, b in ((0, 2), (1, 3), (0, 3))] == [False] * 3
    assert gone(texts) == [4 * family + i for family in range(40) for i in (1, 3)]


def test_orphans_come_back():
    """1 matches 0, 2 matches 1 and not 0: 2 stays, and 3, a copy of 2, goes for it and not for 1."""
    words = [f"w{i}" for i in range(100)]

    def cut(start, stop):
        return " ".join(words[start:stop])

    texts = [cut(0, 88), cut(7, 95), cut(14, 100), cut(14, 100)]
    assert text_oracle.jaccard(texts[0], texts[1]) >= 0.8
    assert text_oracle.jaccard(texts[1], texts[2]) >= 0.8
    assert text_oracle.jaccard(texts[0], texts[2]) < 0.8
    decisions = decide(found(texts), Corpus.from_texts(texts))
    assert dict(zip(decisions["row"].to_pylist(), decisions["partner"].to_pylist(), strict=True)) == {
        1: "memory#0",
        3: "memory#2",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-8", "8"),
        ("80", "80%"),
        ("C++", "C"),
        ("C#", "C"),
        ("x > y", "x < y"),
        ("a-b", "a+b"),
        ("3/14", "3.14"),
        (r"^(.+)\1+$", "1"),
        ("x + y > 5", "x + y = 5"),
        ("def f(a, b): return a - b", "def f(a, b): return a + b"),
        ("The temperature is 5 °C.", "The temperature is -5 °C."),
    ],
)
def test_symbols_are_not_overlooked(one, other):
    assert found([one, other]).num_rows == 0
    assert found([one, one, other, other])["position"].to_pylist() == [1, 3]


def test_hyphenated_prose_with_a_changed_word_is_found():
    text = " ".join(f"well-known{i} half-truths{i}, state-of-the-art{i} (or so-called) e-mail{i}." for i in range(6))
    other = text.replace("known3", "loved3")
    table = found([text, "a long-term, far-reaching plan", other])
    assert table["position"].to_pylist() == [2]
    assert table["redundancy"].to_pylist() == [text_oracle.jaccard(text, other)]
    assert 0.8 <= text_oracle.jaccard(text, other) < 1


def test_equal_words_are_told_so_however_short_the_text():
    table = found(["Yes.", "yes!", "one, two; three four five six", "one two three four five six", "a " * 6, "a " * 7])
    assert list(zip(table["position"].to_pylist(), table["reason"].to_pylist(), strict=True)) == [
        (1, "has the same words as memory#0 but for punctuation or repetition"),
        (3, "has the same words as memory#2 but for punctuation or repetition"),
        (5, "has the same words as memory#4 but for punctuation or repetition"),
    ]


@pytest.mark.parametrize("step", [4, 7, 11])
def test_a_chain_of_neighbours_comes_to_rest(step, monkeypatch):
    """Windows of 200 words over one text: each matches a few before and after it, and greedy keeps every so manieth."""
    texts = [" ".join(f"w{i}" for i in range(at, at + 200)) for at in range(0, 300 * step, step)]
    sets = [text_oracle.shingles(text) for text in texts]
    staying = []
    for i, one in enumerate(sets):
        if not any(len(one & sets[j]) / len(one | sets[j]) >= 0.8 for j in staying[-9:]):
            staying.append(i)
    rounds = []
    anchors = buckets.Nodes.anchors
    monkeypatch.setattr(buckets.Nodes, "anchors", lambda nodes: rounds.append(1) or anchors(nodes))
    assert sorted({*range(300)} - {*gone(texts)}) == staying
    assert len(rounds) < 40


@pytest.mark.parametrize(("equal", "filled", "kept"), [(72, 120, True), (71, 120, False), (71, 99, True)])
def test_a_pair_five_deviations_below_is_left_out(equal, filled, kept):
    """0.8 - 5 sqrt(0.8 * 0.2 / 100) = 0.6: 72 of 120 values; of signatures less full nothing is said."""
    rough = np.zeros((3, 121), np.uint8)
    rough[1, equal:120], rough[2, :120] = 1, 2
    rough[:, 120] = filled, 120, 120
    members, bounds = buckets.likely(rough, np.array([0, 1]), np.array([0, 2]), 0.8)
    assert members.tolist() == ([0, 1] if kept else [])
    assert bounds.tolist() == ([0, 2] if kept else [0])
    members, bounds = buckets.likely(rough, np.array([1, 2, 0, 1, 2]), np.array([0, 2, 5]), 0.8)
    assert members.tolist() == ([0, 1] if kept and filled == 120 else [0, 1, 2] if kept else [])


def test_many_keys_are_sorted_in_parts(large, monkeypatch):
    expected = found(large)
    monkeypatch.setattr(buckets, "_SORTED_AT_ONCE", 10)
    assert found(large).equals(expected)
    assert expected.num_rows == 100
