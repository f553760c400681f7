"""Boilerplate against a slow plain twin, and what holds for any texts."""

import re
import unicodedata
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import text_oracle
from excise.corpus import Corpus
from excise.data import lines
from excise.data.lines import LinesSettings

POOL = [
    "All rights reserved.",
    "all  Rights reserved. ",
    "版权所有，不得转载",
    "版權",
    "return x",
    "}",
    "-----",
    "─────",
    "",
    "   ",
    "\t#",
    "½ ﬁ",
    "o",
    "😀😀",
    "\u3000",
]
TEXT = st.lists(st.sampled_from(POOL), max_size=7).map("\n".join) | st.lists(st.sampled_from(POOL), max_size=5).map(
    "\r\n".join
)
SETTINGS = st.builds(
    LinesSettings,
    st.sampled_from(["line", "paragraph"]),
    st.integers(2, 4),
    st.integers(1, 20),
    st.sampled_from(["first", "none"]),
)


def units(text, unit):
    """(start, stop) in code points; blank lines belong to the unit before them, or to the first."""
    joined, gap = [], False
    for piece in re.findall(r"[^\n]*\n|[^\n]+", text):
        blank = all(ord(c) <= 32 for c in piece)
        begins = not blank and any(ord(c) > 32 for c in joined[-1]) if joined else True
        if begins and (gap or unit == "line" or not joined):
            joined.append(piece)
        else:
            joined[-1] += piece
        gap = blank
    ends = np.cumsum([0, *map(len, joined)]).tolist()
    return list(pairwise(ends))


def length(normal):
    """Code points; those of scripts without blanks count for three; 0 without letters and digits."""
    alone = [text_oracle.tokens(c) == [c] and unicodedata.name(c, "").startswith(text_oracle.ALONE) for c in normal]
    spoken = any(a or c == "_" or unicodedata.category(c)[0] in "LMN" for a, c in zip(alone, normal, strict=True))
    return len(normal) + 2 * sum(alone) if spoken else 0


def twin(texts, chosen, first_own=0, skip=frozenset()):
    told, holders = {}, {}
    for position, text in enumerate(texts):
        told[position] = [
            (a, b, normal, length(normal))
            for a, b in units(text, chosen.unit)
            for normal in [text_oracle.normalised(text[a:b])]
        ]
        for _, _, normal, size in told[position]:
            if size >= chosen.min_length and position not in skip:
                holders.setdefault(normal, {})[position] = None
    found = []
    for position, text in enumerate(texts):
        spoken = [u for u in told[position] if u[3]]
        partners = []
        for _, _, normal, size in spoken:
            who = list(holders.get(normal, ())) if size >= chosen.min_length else []
            partner = who[0] if len(who) >= chosen.min_documents else None
            if partner == position:
                partner = who[1] if chosen.keep == "none" else None
            partners.append((partner, len(who)))
        runs = []
        for i, ((a, b, _, _), (partner, count)) in enumerate(zip(spoken, partners, strict=True)):
            if partner is None:
                continue
            if runs and i and partners[i - 1][0] == partner:
                start, _, _, number, least = runs[-1]
                runs[-1] = (start, b, partner, number + 1, min(least, count))
            else:
                runs.append((a, b, partner, 1, count))
        if runs and all(p is not None for p, _ in partners):
            size = [len(text[a:b].encode()) for a, b, *_ in runs]
            best = runs[size.index(max(size))]
            runs = [(0, len(text), best[2], sum(r[3] for r in runs), min(r[4] for r in runs))]
        if position >= first_own and position not in skip:
            found += [(position, *run) for run in runs]
    return found


def numbers(reason):
    """Units and records that a reason names."""
    count, records = re.match(r"repeats (a|[\d,]+) (?:line|paragraph)s? of \S+ that ([\d,]+) ", reason).groups()
    return 1 if count == "a" else int(count), int(records)


@given(st.lists(TEXT, max_size=9), SETTINGS, st.sets(st.integers(0, 8)))
@settings(max_examples=400)
def test_boilerplate_equals_the_twin(texts, chosen, skipped):
    corpus = Corpus.from_texts(texts, batch=4)
    skip = np.isin(np.arange(len(texts)), list(skipped))
    table = pa.concat_tables(lines.find(corpus, chosen, skip=skip))
    rows = [
        (r["position"], r["start"], r["stop"], r["partner_position"], *numbers(r["reason"])) for r in table.to_pylist()
    ]
    assert rows == twin(texts, chosen, skip=skipped)


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=6), SETTINGS)
@settings(max_examples=100)
def test_references_hold_lines_and_lose_none(old, new, chosen):
    corpus = Corpus.from_texts(new, name="new").beside(Corpus.from_texts(old, name="old"))
    table = pa.concat_tables(lines.find(corpus, chosen))
    rows = [(r["position"], r["start"], r["stop"], r["partner_position"]) for r in table.to_pylist()]
    assert rows == [f[:4] for f in twin([*old, *new], chosen, first_own=len(old))]


@given(st.lists(TEXT, max_size=9), SETTINGS)
@settings(max_examples=100)
def test_what_is_cut_stays_in_the_first_record(texts, chosen):
    """Cutting all spans leaves every boilerplate unit in the first record that held it."""
    table = pa.concat_tables(lines.find(Corpus.from_texts(texts), replace(chosen, keep="first")))
    for row in table.to_pylist():
        gone = texts[row["position"]][row["start"] : row["stop"]]
        there = {
            text_oracle.normalised(texts[row["partner_position"]][a:b])
            for a, b in units(texts[row["partner_position"]], chosen.unit)
        }
        here = {text_oracle.normalised(gone[a:b]) for a, b in units(gone, chosen.unit)}
        whole = row["stop"] - row["start"] == len(texts[row["position"]])
        assert whole or {u for u in here if length(u)} <= there
        assert row["partner_position"] < row["position"]
