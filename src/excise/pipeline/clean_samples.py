"""clean_samples: records to look at in the report of a cleaning, a few of each kind, chosen without chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data.decide import PAIRED
from excise.data.excerpts import Excerpt, excerpts
from excise.evidence.shared import shared
from excise.pipeline.distributions import spread

#: Code points of a text that are shown, and read where two long texts begin alike.
CHARACTERS, _READ = 2000, 200_000
#: Groups of each kind, their members that are shown, samples of a finder, evaluation items.
_GROUPS, _MEMBERS, _SAMPLES, _ITEMS = 10, 5, 4, 10
#: Code points before what differs, or before a span, where a text does not begin so.
_BEFORE = 200
#: Finders that have a part of their own in the report.
_APART = (*PAIRED, "labels", "values", "contaminated")


def clusters(dropped: pa.Table, corpus: Corpus, thresholds: Mapping[str, float]) -> list[dict[str, Any]]:
    """The largest groups of records that repeat each other, and those nearest the threshold.

    Args:
        dropped: DECISIONS to drop.
        corpus: The records, with references.
        thresholds: By finder, the similarity from which it finds.
    """
    paired = dropped.filter(pc.is_in(dropped["finder"], pa.array(PAIRED)))
    paired = paired.filter(pc.is_valid(paired["partner"])).combine_chunks()
    if not len(paired):
        return []
    coded = paired["partner"].combine_chunks().dictionary_encode()
    names, code = coded.dictionary, coded.indices.to_numpy()
    sizes, redundancy = np.bincount(code), paired["redundancy"].to_numpy()
    limit = np.array([thresholds.get(name, 1.0) for name in paired["finder"].to_pylist()])
    told = {int(group): "largest" for group in np.argsort(-sizes, kind="stable")[:_GROUPS] if sizes[group] > 1}
    above = np.where((limit < 1) & (redundancy < 1), redundancy - limit, np.inf)
    doubtful = code[np.argsort(above, kind="stable")[: np.isfinite(above).sum()]]
    for group in dict.fromkeys(doubtful.tolist()):
        if sum(why == "doubtful" for why in told.values()) == _GROUPS:
            break
        told.setdefault(group, "doubtful")
    if not told:  # equal texts in twos
        told = dict.fromkeys(spread(np.arange(len(names)), _GROUPS), "largest")
    groups = {names[group].as_py(): (group, _members(paired, code == group)) for group in told}
    texts = _Texts(corpus, {anchor: [m["id"] for m in members] for anchor, (_, members) in groups.items()})
    return [
        _cluster(anchor, told[group], members, int(sizes[group]), texts) for anchor, (group, members) in groups.items()
    ]


def _members(paired: pa.Table, mine: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """The least similar records of a group, and of those with the same bytes one."""
    rows = np.flatnonzero(mine)
    rows = rows[np.argsort(paired["redundancy"].to_numpy()[rows], kind="stable")]
    exact = pc.equal(paired["finder"].take(pa.array(rows)), "exact").to_numpy(zero_copy_only=False)
    rows = rows[~exact | (np.cumsum(exact) == 1)][:_MEMBERS]
    shown: list[dict[str, Any]] = (
        paired.take(pa.array(rows)).select(["id", "finder", "redundancy", "reason"]).to_pylist()
    )
    return shown


def _cluster(anchor: str, why: str, members: list[dict[str, Any]], gone: int, texts: _Texts) -> dict[str, Any]:
    kept = texts.of(anchor, anchor)
    return {
        "anchor": anchor,
        "records": gone + 1,
        "lowest": members[0]["redundancy"],
        "shown_for": why,
        "label": kept.label,
        "start": kept.start,
        "text": kept.text,
        "characters": kept.characters,
        "members": [
            {**member, "text": one.text, "characters": one.characters}
            for member in members
            for one in [texts.of(member["id"], anchor)]
        ],
        "more": gone - len(members),
    }


class _Texts:
    """Excerpts of groups of texts: of those that begin alike for long, from shortly before they differ.

    Args:
        corpus: The records.
        groups: The id of the record that stays, and those of its members.
    """

    def __init__(self, corpus: Corpus, groups: Mapping[str, list[str]]) -> None:
        members = {anchor: [anchor, *others] for anchor, others in groups.items()}
        self._found = excerpts(corpus, {name: [0] for ids in members.values() for name in ids}, CHARACTERS)
        alike = {anchor: ids for anchor, ids in members.items() if self._begin_alike(ids)}
        self._starts: dict[str, int] = {}
        if alike:
            whole = excerpts(corpus, {name: [0] for ids in alike.values() for name in ids}, _READ)
            for anchor, ids in alike.items():
                texts = [whole[name, 0].text for name in ids]
                same = min(_alike(texts[0], text) for text in texts[1:])
                start = max(0, same - _BEFORE) if same < max(map(len, texts)) else 0
                self._starts[anchor] = start
                for name in ids:
                    one = whole[name, 0]
                    part = one.text[start : start + CHARACTERS]
                    self._found[name, start] = Excerpt(part, start, one.characters, one.label)

    def _begin_alike(self, ids: list[str]) -> bool:
        found = [self._found.get((name, 0)) for name in ids]
        if any(one is None or one.characters <= CHARACTERS for one in found):
            return False
        return len(ids) > 1 and all(one is not None and one.text == found[0].text for one in found)  # type: ignore[union-attr]

    def of(self, name: str, anchor: str) -> Excerpt:
        """The excerpt of a record of the group of an anchor."""
        return self._found.get((name, self._starts.get(anchor, 0)), Excerpt("", 0, 0, None))


def _alike(one: str, other: str) -> int:
    """Code points at the beginning that are the same."""
    most = min(len(one), len(other))
    return next((i for i in range(most) if one[i] != other[i]), most)


def most(findings: pa.Table, count: int) -> list[dict[str, Any]]:
    """The most redundant findings, as rows."""
    order = np.argsort(-findings["redundancy"].to_numpy(), kind="stable")[:count]
    rows: list[dict[str, Any]] = findings.take(pa.array(order)).to_pylist()
    return rows


def samples(findings: pa.Table, corpus: Corpus, actions: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """A few of what each finder saw in single records, evenly spread, with the spans that it named."""
    told: dict[str, list[dict[str, Any]]] = {}
    for finder in pc.unique(findings["finder"]).to_pylist():
        if finder in _APART:
            continue
        mine = findings.filter(pc.equal(findings["finder"], finder))
        places = spread(np.unique(mine["position"].to_numpy()), _SAMPLES)
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in mine.filter(pc.is_in(mine["position"], pa.array(places, pa.int64()))).slice(0, 10_000).to_pylist():
            rows.setdefault(row["locus"], []).append(row)
        starts = {name: max(0, (seen[0]["start"] or 0) - _BEFORE) for name, seen in rows.items()}
        texts = excerpts(corpus, {name: [start] for name, start in starts.items()}, CHARACTERS)
        told[finder] = [
            _sample(seen, texts[name, starts[name]], actions.get(finder, "drop"))
            for name, seen in rows.items()
            if (name, starts[name]) in texts
        ]
    return told


def _sample(seen: list[dict[str, Any]], one: Excerpt, action: str) -> dict[str, Any]:
    """A record with its spans; those that are masked are masked here too, for a report is passed on."""
    found = sorted((row["start"], row["stop"], row["value"]) for row in seen if row["start"] is not None)
    spans: list[list[int]] = []
    text, moved = one.text, one.start
    for first, last, value in found:
        start, stop = max(first - moved, 0), min(last - moved, len(text))
        if start >= stop or (spans and start < spans[-1][1]):
            continue
        if action == "mask":
            text = text[:start] + (value or "") + text[stop:]
            moved, stop = moved + stop - start - len(value or ""), start + len(value or "")
        spans.append([start, stop])
    return {
        "id": seen[0]["locus"],
        "redundancy": max(row["redundancy"] for row in seen),
        "reason": seen[0]["reason"],
        "text": text,
        "characters": one.characters,
        "start": one.start,
        "spans": spans,
        "action": action,
    }


def contamination(findings: pa.Table, corpus: Corpus) -> dict[str, Any] | None:
    """Evaluation items that records hold: how many, and those of which most is held beside the record that does."""
    if not len(findings) and not corpus.first_own:
        return None
    held = findings.group_by("partner").aggregate([("redundancy", "max"), ("position", "count_distinct")])
    order = np.lexsort((np.arange(len(held)), -held["redundancy_max"].to_numpy()))[:_ITEMS]
    rows = []
    for item in held.take(pa.array(order)).to_pylist():
        mine = findings.filter(pc.equal(findings["partner"], item["partner"]))
        (best,) = most(mine, 1)
        rows.append((item, best))
    texts = excerpts(corpus, {name: [0] for item, best in rows for name in (item["partner"], best["locus"])}, _READ)
    return {
        "items": corpus.first_own,
        "touched": len(held),
        "examples": [
            _item(item, best["locus"], texts[item["partner"], 0], texts[best["locus"], 0])
            for item, best in rows
            if (item["partner"], 0) in texts and (best["locus"], 0) in texts
        ],
    }


def _item(item: Mapping[str, Any], record: str, asked: Excerpt, holds: Excerpt) -> dict[str, Any]:
    text = asked.text[:CHARACTERS]
    runs = shared(text, holds.text)
    longest = max(runs, key=lambda run: run.words, default=None)
    start = max(0, longest.other - _BEFORE) if longest else 0
    return {
        "id": item["partner"],
        "matched": item["redundancy_max"],
        "longest": longest.words if longest else 0,
        "records": item["position_count_distinct"],
        "text": text,
        "characters": asked.characters,
        "spans": [[run.start, run.stop] for run in runs],
        "example": record,
        "example_text": holds.text[start : start + len(text) + 2 * _BEFORE],
    }
