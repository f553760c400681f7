"""What the page shows of a cleaning: the bar, the agreement of finders, clusters, labels, distributions, sources.

Each part is there when its numbers are in the evidence; all of them are only arranged here, none is counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from excise.evidence import numbers
from excise.evidence.differences import beside, marked
from excise.evidence.distribution import distribution
from excise.evidence.visible import shown
from excise.evidence.words import WORDS, word

#: Colours of finders in the page's style sheet; they are used in turn.
_COLOURS = 8

Evidence = Mapping[str, Any]


def headline(evidence: Evidence) -> tuple[Markup, Markup, str]:
    """The first sentence, what it means, and that it is neither good nor bad."""
    before, after = evidence["before"]["records"], evidence["after"]["records"]
    changed, dry = evidence.get("changed_records", 0), evidence.get("status") == "dry_run"
    means = word("clean.cost.content" if evidence.get("settings", {}).get("restore") == "content" else "clean.cost")
    means = word("clean.dry") if dry else means
    if before == after and not changed:
        return word("clean.nothing", records=f"{before:,}"), Markup(""), "plain"
    told = {"removed": f"{before - after:,}", "records": f"{before:,}", "changed": f"{changed:,}"}
    told["share"] = _share(before - after, before)
    kind = "clean.headline.only_changed" if before == after else "clean.headline.changed"
    return word(kind if changed else "clean.headline", **told), means, "plain"


def augment_headline(evidence: Evidence) -> tuple[Markup, Markup, str]:
    """The first sentence of an augmentation."""
    told = {"added": f"{sum(evidence['added'].values()):,}", "records": f"{evidence['before']['records']:,}"}
    means = word("clean.dry" if evidence.get("status") == "dry_run" else "augment.cost")
    return word("augment.headline", **told), means, "plain"


def augmented(evidence: Evidence) -> dict[str, Any]:
    """What the template of an augmentation asks for."""
    rows = [{"name": name, "records": count} for name, count in evidence["added"].items()]
    pairs = evidence.get("pairs", [])[:20]
    return {
        "operations": _counted(rows),
        "pairs": [{**pair, "marked": marked(pair["partner_text"], pair["text"])} for pair in pairs],
    }


def _share(part: float, whole: float) -> str:
    """A part in percent; a line never ends before its sign."""
    return f"{numbers.three(100 * part / whole)}\u00a0%" if whole else "–"


def arranged(evidence: Evidence, prefix: str) -> dict[str, Any]:
    """Everything the template asks for.

    Args:
        evidence: Of a cleaning.
        prefix: Of names in the page, so that several cleanings can share it.
    """
    finders = _finders(evidence)
    colours = {name: f"c{place % _COLOURS + 1}" for place, name in enumerate(finders)}
    return {
        "prefix": prefix,
        "finders": [_finder(evidence, name, colours) for name in finders],
        "bar": _bar(evidence, colours),
        "matrix": _matrix(evidence, finders),
        "overlaps": [pair for pair in evidence.get("overlaps", []) if pair["examples"]],
        "clusters": _clusters(evidence.get("clusters", [])),
        "pairs": _pairs(evidence) if not evidence.get("clusters") else [],
        "labels": [_label(row) for row in evidence.get("labels", [])],
        "noise": _noise(evidence.get("label_noise")),
        "samples": {name: [_sample(row) for row in rows] for name, rows in evidence.get("samples", {}).items() if rows},
        "distributions": [_distribution(one) for one in _all_distributions(evidence)],
        "shares": {finder: _counted(rows) for finder, rows in evidence.get("shares", {}).items()},
        "sources": _sources(evidence),
        "items": [_item(row) for row in evidence.get("contamination", {}).get("examples", [])],
        "weights": _weights(evidence.get("weights")),
        "reviewed": [_review(row) for row in evidence.get("reviewed", [])],
        "undo": next((name for name, count in evidence.get("removed", {}).items() if count), None),
    }


def _finders(evidence: Evidence) -> list[str]:
    named = [evidence.get(part, {}) for part in ("removed", "found", "changed")]
    return list(dict.fromkeys(itertools.chain.from_iterable(named)))


def _finder(evidence: Evidence, name: str, colours: Mapping[str, str]) -> dict[str, Any]:
    """A row of the table of finders; a number is None where the evidence does not have it."""
    row = {part: evidence.get(part, {}).get(name) for part in ("found", "alone", "removed", "changed")}
    meaning = word(f"finder.{name}") if f"finder.{name}" in WORDS else Markup("")
    return {"name": name, "colour": colours[name], "meaning": meaning, **row}


def _bar(evidence: Evidence, colours: Mapping[str, str]) -> list[dict[str, Any]]:
    """All records in one bar: kept, changed, not readable, and gone by finder."""
    total, left = evidence["before"]["records"], evidence["after"]["records"]
    changed = evidence.get("changed_records", 0)
    if not total:
        return []
    gone = [(name, colours[name], count) for name, count in evidence.get("removed", {}).items()]
    parts: list[tuple[Any, str, int]] = [
        (word("kept"), "kept", left - changed),
        (word("changed"), "changed", changed),
        *gone,
        (word("unreadable"), "rejected", evidence.get("rejected", 0)),
    ]
    return [
        {
            "name": name,
            "colour": colour,
            "count": count,
            "width": f"{100 * count / total:.3f}",
            "share": _share(count, total),
        }
        for name, colour, count in parts
        if count
    ]


def _matrix(evidence: Evidence, finders: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of the table of agreement; the depth of a cell is the share of the smaller of the two."""
    overlaps = {frozenset(pair["finders"]): pair["records"] for pair in evidence.get("overlaps", [])}
    found = evidence.get("found", {})
    told = [name for name in finders if found.get(name)]
    if len(told) < 2 or not overlaps:
        return []

    def cell(one: str, other: str) -> dict[str, Any]:
        if one == other:
            return {"count": found[one], "depth": 0, "own": True}
        both = overlaps.get(frozenset((one, other)), 0)
        return {"count": both, "depth": round(100 * min(1.0, both / min(found[one], found[other]))), "own": False}

    return [{"name": one, "cells": [cell(one, other) for other in told]} for one in told]


def _clusters(clusters: Sequence[Evidence]) -> dict[str, list[dict[str, Any]]]:
    """Groups by why they are shown, each with its differences marked."""
    told: dict[str, list[dict[str, Any]]] = {"largest": [], "doubtful": []}
    for cluster in clusters:
        kept, others = beside(cluster["text"], [member["text"] for member in cluster["members"]])
        members = [{**m, "marked": text} for m, text in zip(cluster["members"], others, strict=True)]
        lowest = None if cluster["lowest"] is None else f"{cluster['lowest']:.2f}"
        told[cluster["shown_for"]].append({**cluster, "lowest": lowest, "marked": kept, "members": members})
    return {why: found for why, found in told.items() if found}


def _pairs(evidence: Evidence) -> list[dict[str, Any]]:
    """Pairs, where the evidence has no clusters."""
    pairs = evidence.get("pairs", [])[:20]
    return [
        {**pair, "marked": marked(pair["text"], pair["partner_text"])}
        for pair in pairs
        if pair.get("partner_text") is not None
    ]


def _label(row: Evidence) -> dict[str, Any]:
    bars = [
        {"name": name, "width": f"{100 * share:.1f}", "share": f"{share:.2f}", "given": name == row["given"]}
        for name, share in row["probabilities"].items()
    ]
    return {**row, "bars": bars}


def _noise(noise: Evidence | None) -> list[dict[str, Any]]:
    """Rows of the table of labels; the depth of a cell off the diagonal is its share of the largest of those."""
    if not noise:
        return []
    names, counts = noise["labels"], noise["counts"]
    most = max((c for i, row in enumerate(counts) for j, c in enumerate(row) if i != j), default=0) or 1
    return [
        {
            "name": names[i],
            "cells": [
                {"count": c, "depth": 0 if i == j else round(100 * c / most), "own": i == j} for j, c in enumerate(row)
            ],
        }
        for i, row in enumerate(counts)
    ]


def _sample(row: Evidence) -> dict[str, Any]:
    return {**row, "marked": with_spans(row["text"], row["spans"])}


def with_spans(text: str, spans: Sequence[Sequence[Any]]) -> Markup:
    """A text as HTML with spans marked, and beside each what stands there now.

    Args:
        text: The text, or a part of it.
        spans: Ascending and apart: start and stop in it, and what replaces it or None.
    """
    parts, at = [], 0
    for first, last, *new in spans:
        start, stop = max(at, first), min(len(text), last)
        parts.append(shown(text[at:start]))
        parts.append(Markup("<mark>{}</mark>").format(shown(text[start:stop])))
        if new and new[0]:
            parts.append(Markup('<span class="new">{}</span>').format(shown(str(new[0]))))
        at = max(at, stop)
    return Markup("").join([*parts, shown(text[at:])])


def _all_distributions(evidence: Evidence) -> list[Evidence]:
    """Those of the evidence; of an older one the similarities of near duplicates."""
    found = list(evidence.get("distributions", {}).values())
    similar = evidence.get("similarities")
    if not found and similar and any(similar["counts"]):
        least, beyond = similar["edges"][0], sum(similar["counts"])
        found = [{"finder": "near", "label": "Jaccard", **similar, "threshold": [None, least], "beyond": beyond}]
    return found


def _distribution(one: Evidence) -> dict[str, Any]:
    drawn = distribution(one["edges"], one["counts"], one["threshold"], logarithmic=one.get("scale") == "logarithmic")
    return {**one, "svg": drawn}


def _counted(rows: Sequence[Evidence]) -> list[dict[str, Any]]:
    most = max((row["records"] for row in rows), default=0) or 1
    return [{**row, "width": f"{100 * row['records'] / most:.1f}"} for row in rows]


def _sources(evidence: Evidence) -> list[dict[str, Any]]:
    """Rows of the table of sources, those that lose most first; none where there is but one."""
    rows = evidence.get("sources")
    if rows is None:
        before, after = (evidence[side].get("sources", {}) for side in ("before", "after"))
        rows = [{"source": s, "records": n, "removed": n - after.get(s, 0), "changed": 0} for s, n in before.items()]
    if len(rows) < 2:
        return []
    told = [
        {
            **row,
            "share": _share(row["removed"], row["records"]),
            "width": f"{100 * row['removed'] / (row['records'] or 1):.1f}",
        }
        for row in rows
    ]
    return sorted(told, key=lambda row: (-row["removed"] / (row["records"] or 1), row["source"]))


def _item(row: Evidence) -> dict[str, Any]:
    return {**row, "marked": with_spans(row["text"], row["spans"]), "share": _share(row["matched"], 1)}


def _weights(weights: Evidence | None) -> dict[str, Any] | None:
    if not weights:
        return None
    told = {"records": f"{weights['records']:,}", "effective": f"{weights['effective_records']:,.0f}"}
    told |= {name: numbers.three(weights[name]) for name in ("lowest", "mean")}
    return {"told": word("weights.told", **told), "svg": distribution(weights["edges"], weights["counts"])}


def _review(row: Evidence) -> Markup:
    told = [_both(f"action.{action}", count) for action, count in row["decisions"].items() if count]
    english, chinese = (", ".join(t[0] for t in told), "，".join(t[1] for t in told))
    return word("reviewed.told", by=row["by"], told=(english, chinese))


def _both(key: str, count: int) -> tuple[str, str]:
    english, chinese = WORDS.get(key, (key, key))
    return f"{count:,} {english}", f"{chinese} {count:,} 条"
