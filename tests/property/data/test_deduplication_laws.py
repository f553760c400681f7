"""Laws of the data engine: what holds for any texts."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import text_oracle
from excise.corpus import Corpus
from excise.data import exact, keep, minhash, near, text, verify
from excise.data.decide import decide
from excise.finding import Finding, table_of

KNOWN = st.characters(exclude_categories=("Cs", "Cn", "Co"))  # what Python and Arrow both know
TEXT = st.text(KNOWN, max_size=60)
MIXED = st.text(
    st.sampled_from("aB é\u0301中文，。กา가ᄀ\u1161①½ﬁ\u3000\u00a0\u2028 \t_9-+%＜‰—😀\ufe0fﾊﾟΣİ𠀀"), max_size=60
)
#: Words around eight bytes long, which are read eight bytes at a time, and what may interrupt them.
EIGHTS = st.text(st.sampled_from("abcdefXYZ0189__éЖ中½ﬁ😀-+,   \n\x00\x7f@[`{/:\u00a0"), max_size=80)


def long(*texts):
    return pa.array(texts, pa.large_string())


@given(st.lists(st.one_of(TEXT, MIXED, EIGHTS), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_shingle_sets_equal_the_oracle(texts):
    hashes, starts = verify.shingle_sets(long(*texts))
    for i, one in enumerate(texts):
        expected = sorted(text_oracle.hashed(s) for s in text_oracle.shingles(one))
        assert hashes[starts[i] : starts[i + 1]].tolist() == expected


@given(st.one_of(TEXT, MIXED, EIGHTS))
@settings(max_examples=100, deadline=None)
def test_signatures_equal_the_oracle(one):
    values, filled = minhash.signatures(long(one))
    if text_oracle.shingles(one):
        assert values[0].tolist() == text_oracle.signature(one)
    bins = {text_oracle.hashed(s) >> 32 for s in text_oracle.shingles(one)}
    assert filled[0] == len({(h * text_oracle.BINS) >> 32 for h in bins})


@given(st.lists(st.one_of(TEXT, MIXED, EIGHTS), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_normalised_equals_the_oracle(texts):
    assert text.normalised(long(*texts)).to_pylist() == [text_oracle.normalised(t) for t in texts]


WORDS = st.lists(st.sampled_from(["red", "Blue", "green", "中", "文", "x1"]), min_size=0, max_size=14)
CORPORA = st.lists(WORDS.map(" ".join), max_size=14)


def cleaned(texts, policy="first"):
    """Decisions, and the texts that stay."""
    corpus = Corpus.from_texts(texts, batch=5)
    found = [t for n in (False, True) for t in exact.find(corpus, normalised=n)]
    rank = keep.ranks(corpus, policy)
    skip = np.zeros(len(corpus), np.bool_)
    skip[keep.resolve(pa.concat_tables(found), rank).position] = True
    found += near.find(corpus, near.NearSettings(), skip=skip, rank=rank)
    decisions = decide(pa.concat_tables(found), corpus, keep.ranks(corpus, policy)).to_pylist()
    gone = {d["row"] for d in decisions}
    return decisions, [t for i, t in enumerate(texts) if i not in gone]


@given(CORPORA, st.sampled_from(["first", "last", "longest", "shortest"]))
@settings(max_examples=100, deadline=None)
def test_a_record_goes_only_for_one_that_stays_and_that_it_matches(texts, policy):
    decisions, _ = cleaned(texts, policy)
    gone = {d["row"] for d in decisions}
    for d in decisions:
        partner = int(d["partner"].removeprefix("memory#"))
        mine, other = texts[d["row"]], texts[partner]
        assert partner not in gone
        if d["finder"] == "exact":
            assert mine == other
        elif d["finder"] == "normalised":
            assert text_oracle.normalised(mine) == text_oracle.normalised(other)
        else:
            assert d["redundancy"] == text_oracle.jaccard(mine, other) >= 0.8
        if policy == "longest" and d["finder"] != "near":
            assert len(mine) <= len(other)


@given(CORPORA, st.sampled_from(["first", "last", "longest", "shortest"]))
@settings(max_examples=100, deadline=None)
def test_cleaning_twice_is_cleaning_once(texts, policy):
    _, kept = cleaned(texts, policy)
    again, same = cleaned(kept, policy)
    assert (again, same) == ([], kept)


@given(CORPORA, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_longest_stay_whatever_the_order_of_records(texts, random):
    texts = list({len(t): t for t in texts}.values())  # of different lengths: the order decides nothing
    shuffled = random.sample(texts, len(texts))
    assert sorted(cleaned(texts, "longest")[1]) == sorted(cleaned(shuffled, "longest")[1])


PAIRS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(0, 9),
        st.sampled_from(["exact", "normalised", "near"]),
        st.sampled_from([0.8, 0.9]),
    ).filter(lambda pair: pair[0] != pair[1]),
    max_size=20,
)
TEN = Corpus.from_texts(["x" * (i % 4) for i in range(10)])


@given(PAIRS, st.randoms(use_true_random=False), st.sampled_from(["first", "last", "longest", "shortest"]))
@settings(max_examples=200, deadline=None)
def test_decisions_do_not_depend_on_the_order_of_findings(pairs, random, policy):
    rows = [
        Finding(name, f"memory#{a}", value if name == "near" else 1.0, "", a, f"memory#{b}", b)
        for a, b, name, value in pairs
    ]
    # An equality may be told from either side, a near match too.
    turned = [
        Finding(r.finder, r.partner, r.redundancy, "", r.partner_position, r.locus, r.position)
        if random.random() < 0.5
        else r
        for r in random.sample(rows, len(rows))
    ]
    decisions = decide(table_of(rows), TEN, keep.ranks(TEN, policy)).to_pylist()
    assert decisions == decide(table_of(turned), TEN, keep.ranks(TEN, policy)).to_pylist()
    gone = {d["id"] for d in decisions}
    assert not gone & {d["partner"] for d in decisions}
    assert [d["row"] for d in decisions] == sorted(d["row"] for d in decisions)
    # Maximal: of two records that a finding joins, never both stay, save where equals of one go with the class.
    for row in rows:
        assert row.locus in gone or row.partner in gone
