"""The form of a review: what Excise proposes, as rows that a person decides on, and what they mean by a row."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from excise.corpus import Corpus
from excise.data.excerpts import excerpts
from excise.errors import InputError

#: One row a proposed decision, as a person sees it. `span`: code points of the text view, '120..180'; `made_for`: the
#: fingerprint of the data.
REVIEW = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("id", "source", "finder", "action")),
        pa.field("redundancy", pa.float64(), nullable=False),
        *(pa.field(name, pa.string()) for name in ("reason", "text", "partner", "partner_text", "value")),
        *(pa.field(name, pa.string()) for name in ("decision", "comment", "span", "made_for")),
    ]
)

#: What a person decided, checked: `decision` is keep, drop, cut or relabel, `line` the row in the file.
REVIEWED = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in ("id", "finder", "decision", "comment")),
        pa.field("start", pa.int64()),
        pa.field("stop", pa.int64()),
        pa.field("value", pa.string()),
        pa.field("line", pa.int64(), nullable=False),
    ]
)

#: The words of the decision column; no word is 'as proposed'.
WORDS = {
    **dict.fromkeys(("keep", "保留"), "keep"),
    **dict.fromkeys(("drop", "删除"), "drop"),
    **dict.fromkeys(("cut", "剪去", "剪切"), "cut"),
    **dict.fromkeys(("relabel", "改标", "改标签"), "relabel"),
}
#: Characters of a text in a cell, of those before a span, and rows that are worked out at a time.
_CHARACTERS, _BEFORE, _ROWS = 300, 80, 20_000
_SPAN = re.compile(r"\s*(\d+)\s*\.\.\s*(\d+)\s*")


def fingerprint(corpus: Corpus) -> str:
    """What a review is made for: the files and the view of their text, but no reference."""
    told = "\n".join(f"{s.name}\t{s.fingerprint}\t{s.records}\t{s.view}" for s in corpus.own.sources)
    return f"data-{xxhash.xxh3_64_hexdigest(told.encode())}"


def proposals(decisions: pa.Table, corpus: Corpus, thresholds: Mapping[str, float] | None = None) -> Iterator[pa.Table]:
    """What a person can decide on, the most doubtful first.

    Doubt is the distance of the redundancy from the threshold of its finder, as a share of what is possible:
    (redundancy - threshold) / (1 - threshold).

    Args:
        decisions: DECISIONS; records that could not be read are left out.
        corpus: The records.
        thresholds: By finder, the redundancy from which it finds; 0 where none is given, or one that is no redundancy
            below 1.

    Yields:
        REVIEW with empty decisions.

    Cost: One pass over the ids of the corpus for each 20,000 decisions; their texts' beginnings in memory.
    """
    decisions = decisions.filter(pc.invert(pc.is_in(decisions["action"], pa.array(["reject", "keep"]))))
    limits = np.array([(thresholds or {}).get(name, 0.0) for name in decisions["finder"].to_pylist()])
    limits = np.where((limits >= 0) & (limits < 1), limits, 0.0)
    order = np.argsort((decisions["redundancy"].to_numpy() - limits) / (1 - limits), kind="stable")
    made_for = fingerprint(corpus)
    for at in range(0, len(order), _ROWS):
        rows = decisions.take(pa.array(order[at : at + _ROWS])).to_pylist()
        for row in rows:
            row["shown"] = max(0, (row["start"] or 0) - _BEFORE)
        wanted: dict[str, set[int]] = {}
        for row in rows:
            wanted.setdefault(row["id"], set()).add(row["shown"])
            if row["partner"] is not None:
                wanted.setdefault(row["partner"], set()).add(0)
        found = excerpts(corpus, wanted, _CHARACTERS)

        def part(name: str | None, start: int, found: Any = found) -> str | None:
            one = found.get((name, start))
            if one is None:
                return None
            end = "…" if start + len(one.text) < one.characters else ""
            return f"{'…' if start else ''}{one.text}{end}"

        told = [
            {
                **{name: row[name] for name in ("id", "source", "finder", "action", "redundancy", "reason")},
                "partner": row["partner"],
                "value": row["value"],
                "made_for": made_for,
                "text": part(row["id"], row["shown"]),
                "partner_text": part(row["partner"], 0),
                "span": None if row["start"] is None else f"{row['start']}..{row['stop']}",
            }
            for row in rows
        ]
        yield pa.Table.from_pylist(told, schema=REVIEW)


def checked(rows: pa.Table, corpus: Corpus, path: str) -> pa.Table:
    """The rows on which a person decided something, understood.

    Args:
        rows: What was read: columns of REVIEW as strings, at least `id` and `decision`; and `line`, the row in the
            file.
        corpus: The records.
        path: The file, for errors.

    Returns:
        REVIEWED, in the order of the corpus.

    Raises:
        InputError: A column is missing, the file was made for other data, an id is not in the corpus, a decision is
            none or does not fit its row, or two rows contradict each other; with the row.
    """
    for name in ("id", "decision"):
        if name not in rows.column_names:
            raise InputError(f"there is no column {name!r}; a review has the columns {', '.join(REVIEW.names)}", path)
    made_for, told = fingerprint(corpus), []
    for read in rows.to_pylist():
        line, row = read["line"], {name: read.get(name) or "" for name in REVIEW.names}
        if row["made_for"].strip() not in {"", made_for}:
            raise InputError(
                f"made_for is {row['made_for']!r}; these data are {made_for!r}, so the review was made for others, or "
                "for another text field. Make it again with --review",
                path,
                line,
            )
        told.append({**row, **_understood(row, path, line), "line": line})
    places = _positions(corpus, {row["id"] for row in told})
    for row in told:
        if row["id"] not in places:
            raise InputError(f"id is {row['id']!r}; no record of these data is called so", path, row["line"])
        row["position"] = places[row["id"]]
    table = pa.Table.from_pylist([row for row in told if row["decision"]], schema=REVIEWED)
    _refuse_contradictions(table, path)
    return table.take(pc.sort_indices(table, [("position", "ascending"), ("line", "ascending")]))


def _understood(row: Mapping[str, str], path: str, line: int) -> dict[str, Any]:
    """Decision, value and span of a row."""
    head, colon, label = row["decision"].replace("：", ":").partition(":")
    word = "".join(unicodedata.normalize("NFKC", head).casefold().split())
    decision = "" if not word and not colon else WORDS.get(word)
    if decision is None or (colon and decision != "relabel"):
        raise InputError(
            f"decision is {row['decision']!r}; it must be empty (as proposed), keep, drop, cut, relabel or "
            "relabel:LABEL (保留, 删除, 剪去, 改标, 改标:标签)",
            path,
            line,
        )
    span = _SPAN.fullmatch(row["span"])
    start, stop = (int(span[1]), int(span[2])) if span else (None, None)
    value = label.strip() if colon else row["value"].strip()
    if decision == "relabel" and not value:
        raise InputError("decision is relabel, but there is no label; write relabel:LABEL", path, line)
    if decision == "cut" and start is None:
        raise InputError("decision is cut, but the row names no span; only such rows can be cut", path, line)
    return {"decision": decision, "value": value if decision == "relabel" else None, "start": start, "stop": stop}


def _positions(corpus: Corpus, ids: set[str]) -> dict[str, int]:
    """Where records are, by id; references are not looked at."""
    found: dict[str, int] = {}
    wanted, at = pa.array(sorted(ids), pa.string()), corpus.first_own
    for batch in corpus.own.batches():
        here = np.flatnonzero(pc.is_in(batch["id"], wanted).to_numpy(zero_copy_only=False))
        found |= {batch["id"][i].as_py(): at + i for i in here.tolist()}
        at += len(batch)
    return found


def _refuse_contradictions(reviewed: pa.Table, path: str) -> None:
    """Raise InputError where a record is dropped and something else as well, or given two labels."""
    first: dict[int, dict[str, Any]] = {}
    for row in reviewed.to_pylist():
        other = first.setdefault(row["position"], row)
        labels = {r["value"] for r in (row, other) if r["decision"] == "relabel"}
        if len(labels) > 1 or (row["decision"] != other["decision"] and "drop" in {row["decision"], other["decision"]}):
            raise InputError(
                f"{row['id']!r} is told to {_told(row)} here and to {_told(other)} in row {other['line']}; leave one",
                path,
                row["line"],
            )
        if labels and other["decision"] != "relabel":
            first[row["position"]] = row


def _told(row: Mapping[str, Any]) -> str:
    return f"relabel:{row['value']}" if row["decision"] == "relabel" else str(row["decision"])
