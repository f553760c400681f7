"""Repeated substrings against slow plain twins, and what holds for any texts."""

from unittest import mock

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.corpus import Corpus
from excise.data import spilled, substring_kernels, substrings
from excise.data.substrings import SubstringsSettings

M64, BASE = (1 << 64) - 1, 0x9E3779B97F4A7C15
SHORT = SubstringsSettings(min_bytes=30, min_points=10)
LEAST = 30


def winnowed(data, width, window):
    """Places of the robustly winnowed fingerprints of one text."""
    hashes = []
    for i in range(len(data) - width + 1):
        h = 0
        for byte in data[i : i + width]:
            h = (h * BASE + byte) & M64
        hashes.append(h ^ (h >> 32))
    chosen = []
    for i in range(len(hashes) - window + 1):
        least = min(hashes[i : i + window])
        if not chosen or chosen[-1] < i or hashes[chosen[-1]] > least:
            chosen.append(max(j for j in range(i, i + window) if hashes[j] == least))
    return chosen


@given(
    st.lists(st.binary(max_size=80) | st.text("ab", max_size=80).map(str.encode), max_size=4),
    st.integers(1, 9),
    st.integers(1, 9),
)
@settings(max_examples=300)
def test_fingerprints_equal_the_twin(texts, width, window):
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)])
    ring = np.empty(1 << (window - 1).bit_length(), np.uint64)
    keys, places = np.empty(len(data), np.uint64), np.empty(len(data), np.int64)
    count = substring_kernels.winnow(data, offsets, width, window, ring, keys, places)
    expected = [offsets[i] + p for i, one in enumerate(texts) for p in winnowed(one, width, window)]
    assert places[:count].tolist() == expected
    runs = [bytes(data[p : p + width]) for p in expected]
    assert len(set(keys[:count].tolist())) == len(set(runs))


def found(texts, chosen=SHORT, *, snapped=True, first=0, **more):
    corpus = Corpus.from_texts(texts[first:], name="own", batch=2)
    if first:
        corpus = corpus.beside(Corpus.from_texts(texts[:first], name="old"))
    snap = substring_kernels.snap if snapped else lambda *_: None
    with mock.patch.object(substring_kernels, "snap", snap):
        return pa.concat_tables(substrings.find(corpus, chosen, **more)).to_pylist()


def covered(rows):
    return {(r["position"], i) for r in rows for i in range(r["start"], r["stop"])}


def repeated(texts):
    """Every character of a substring of LEAST or more that an earlier text holds."""
    out = set()
    for position, text in enumerate(texts):
        earlier = "\0".join(texts[:position])
        for i in range(len(text) - LEAST + 1):
            if text[i : i + LEAST] in earlier:
                out |= {(position, i + j) for j in range(LEAST)}
    return out


@st.composite
def twice(draw):
    """Texts in which no run of 20 bytes occurs more than twice, in parts that do and parts that do not repeat."""
    rng = draw(st.randoms(use_true_random=False))

    def unique(size):
        return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=size))

    parts = [unique(rng.randint(1, 90)) for _ in range(draw(st.integers(1, 5)))]
    parts = [*parts, *parts, *(unique(rng.randint(1, 40)) for _ in range(draw(st.integers(0, 6))))]
    rng.shuffle(parts)
    texts = [[] for _ in range(draw(st.integers(1, 4)))]
    for part in parts:
        rng.choice(texts).append(part)
    return ["".join(text) for text in texts]


@given(twice())
@settings(max_examples=300)
def test_all_that_an_earlier_record_holds_is_found(texts):
    assert covered(found(texts, snapped=False)) == repeated(texts)


PIECES = st.sampled_from(
    [
        "the same words again and again, ",
        "中文文本没有空格，一字一词，重复。",
        "x",
        ". ",
        "\n",
        "ab" * 20,
        "é" * 20,
        "other things. ",
    ]
)
TEXTS = st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=5)
ANY = st.builds(SubstringsSettings, st.integers(30, 60), st.integers(10, 20), st.booleans())


@given(TEXTS, ANY)
@settings(max_examples=300)
def test_a_span_is_held_by_its_partner_at_an_earlier_place(texts, chosen):
    ends = {}
    for row in found(texts, chosen):
        position, partner, start, stop = (row[n] for n in ("position", "partner_position", "start", "stop"))
        span, there = texts[position][start:stop], texts[partner]
        assert 0 <= ends.get(position, 0) <= start < stop <= len(texts[position])
        ends[position] = stop
        assert partner < position or (chosen.within and partner == position)
        assert span in (there if partner < position else there[: stop - 1])


@given(TEXTS, ANY)
@settings(max_examples=150)
def test_pieces_and_parts_do_not_change_what_is_found(texts, chosen):
    whole = found(texts, chosen)
    with mock.patch.object(substrings, "_SLICE_BYTES", 50), mock.patch.object(spilled, "_PART_BYTES", 100):
        assert found(texts, chosen) == whole


@given(TEXTS, ANY, st.integers(0, 4), st.sets(st.integers(0, 4)))
@settings(max_examples=150)
def test_references_and_skipped_records_lose_nothing(texts, chosen, first, skipped):
    """What is found in own records is what is found of them without references, where those merely come first."""
    first = min(first, len(texts))
    skip = np.isin(np.arange(len(texts)), list(skipped))
    rows = found(texts, chosen, first=first, skip=skip)
    taken = [text if i not in skipped else "" for i, text in enumerate(texts)]
    spans = [(r["position"], r["start"], r["stop"], r["partner_position"]) for r in found(taken, chosen)]
    assert [(r["position"], r["start"], r["stop"], r["partner_position"]) for r in rows] == [
        s for s in spans if s[0] >= first
    ]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(100, 400))
@settings(max_examples=100)
def test_of_a_period_as_much_stays_as_a_repeat_is_long(period, seed, length):
    rng = np.random.default_rng(seed)
    one = "".join(chr(97 + c) for c in rng.integers(0, 26, period))
    text = (one * length)[:length]
    rows = found([text], SubstringsSettings(min_bytes=30, min_points=10, within=True), snapped=False)
    assert len(rows) == 1
    assert rows[0]["stop"] == length
    assert rows[0]["start"] == max(LEAST, period)
