"""explain_record: what became of one record — every decision about it, its text beside that of the one that stays."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from excise.adapters.files import columnar
from excise.adapters.files.look import kept_by_id, removed_text
from excise.errors import InputError
from excise.evidence.visible import visible
from excise.ledger import Ledger

#: Followers that are named; more are only counted.
_FOLLOWERS = 20
#: What is told of a decision.
_OF_DECISION = ("action", "finder", "by", "redundancy", "reason", "partner", "start", "stop", "value")


def told(home: Path, ledger: Ledger, locus: str) -> dict[str, Any]:
    """What became of a record.

    Args:
        home: The output folder.
        ledger: Its ledger.
        locus: The record's id.

    Returns:
        `id`; `fate`: 'removed', 'rejected', 'changed', 'kept' or 'added'; `reason`; `text`, as it is now, or was where
        it is gone; `decisions`, all that were taken about it. Where they apply: of one that is gone `source`, `row`,
        `finder`, `redundancy`, `partner`, `partner_text`; of one that was changed `changes`: what, by which finder,
        `at` which code point of the text now, and what it `was`; of one that was added `partner`, its parent, with
        `partner_text`; of one that stays `followers`, the ids of records that went for it (20 at most), and
        `copies`, those that were made of it; `probabilities` of labels, where the report has them.

    Raises:
        InputError: No record is called so.
    """
    rows = ledger.explain(locus)
    mine = [row for row in rows if row["id"] == locus]
    others = [row for row in rows if row["id"] != locus]
    final = next((row for row in mine if row["action"] in {"drop", "reject"}), None)
    found: dict[str, Any] = {"id": locus}
    if final is not None:
        found |= _gone(home, ledger, final)
    else:
        text = kept_by_id(home, ledger, locus)
        if text is None:
            raise InputError(_unknown(ledger, locus), home)
        found |= _stays(home, ledger, mine, others, text)
    found["decisions"] = [{name: row[name] for name in _OF_DECISION} for row in mine]
    return found | _view(home, locus)


def _gone(home: Path, ledger: Ledger, row: Mapping[str, Any]) -> dict[str, Any]:
    sources = {source["name"]: source for source in ledger.sources}
    found = {name: row[name] for name in ("source", "row", "finder", "redundancy", "reason", "partner", "by")}
    found["text"] = removed_text(home, ledger, sources[row["source"]], row["row"])
    found["fate"] = "rejected" if row["action"] == "reject" else "removed"
    if row["partner"] is not None:
        found["partner_text"] = _of_partner(home, ledger, row["partner"])
    return found


def _of_partner(home: Path, ledger: Ledger, name: str) -> str | None:
    """The text of a record that stays, or of a reference, which the ledger keeps."""
    text = kept_by_id(home, ledger, name)
    path = ledger.folder / "references.parquet"
    if text is None and path.is_file():
        table = pq.read_table(path, filters=[("id", "=", name)])
        text = table["text"][0].as_py() if len(table) else None
    return text


def _stays(
    home: Path, ledger: Ledger, mine: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], text: str
) -> dict[str, Any]:
    """A record that is in the cleaned data."""
    followers = [row["id"] for row in others if row["action"] == "drop"]
    copies = [row["id"] for row in others if row["action"] == "add"]
    found: dict[str, Any] = {"text": text, "followers": followers[:_FOLLOWERS], "copies": copies[:_FOLLOWERS]}
    changes = _changes(home, ledger, [row for row in mine if row["action"] in {"cut", "mask", "relabel"}])
    added = next((row for row in mine if row["action"] == "add"), None)
    if added is not None:
        parent = kept_by_id(home, ledger, added["partner"])
        return {
            **found,
            "fate": "added",
            "reason": added["reason"],
            "finder": added["finder"],
            "partner": added["partner"],
            "partner_text": parent,
        }
    if changes:
        reason = "; ".join(dict.fromkeys(f"{row['action']}: {row['reason']}" for row in mine))
        return {**found, "fate": "changed", "reason": reason, "changes": changes}
    kept = [row for row in mine if row["action"] == "keep"]
    reason = "nothing matched it"
    if followers:
        reason = f"{_number(followers)} went in favour of it"
    elif copies:
        reason = f"{_number(copies)} made of it"
    elif kept:
        reason = f"{kept[0]['by']} kept it"
    return {**found, "fate": "kept", "reason": f"it stays; {reason}"}


def _number(records: Sequence[str]) -> str:
    return "1 record" if len(records) == 1 else f"{len(records):,} records"


def _changes(home: Path, ledger: Ledger, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was changed inside a record, from left to right."""
    if not rows:
        return []
    labels = [row for row in rows if row["action"] == "relabel"]
    found: list[dict[str, Any]] = []
    spans: list[tuple[int, int]] = []
    moved = reached = 0
    for row in sorted((row for row in rows if row["start"] is not None), key=lambda row: (row["start"], row["stop"])):
        start = max(row["start"], reached)
        if start < row["stop"]:  # else an earlier change has taken all of it
            new = (row["value"] or "") if row["action"] == "mask" else ""
            found.append({**_told(row), "at": start - moved, "characters": row["stop"] - start, "value": new})
            spans.append((start, row["stop"]))
            moved += row["stop"] - start - len(new)
            reached = row["stop"]
    found += [{**_told(row), "at": None, "characters": None, "value": row["value"]} for row in labels]
    was = _originals(home, ledger, rows[0], found, spans)
    return [{**change, "was": was.get(place)} for place, change in enumerate(found)]


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("action", "finder", "by", "reason")}


def _originals(
    home: Path,
    ledger: Ledger,
    row: Mapping[str, Any],
    changes: Sequence[Mapping[str, Any]],
    spans: Sequence[tuple[int, int]],
) -> dict[int, str]:
    """What stood where a record was changed, by number of the change; as far as the ledger has it piece by piece."""
    source = next(entry for entry in ledger.sources if entry["name"] == row["source"])
    if source["format"] in columnar.FORMATS:
        text = removed_text(home, ledger, source, row["row"]) if spans else ""
        return {place: text[start:stop] for place, (start, stop) in enumerate(spans)}
    path, found = ledger.folder / "removed.parquet", dict[int, str]()
    wanted = [("source", "=", row["source"]), ("row", "=", row["row"])]
    cuts = pq.read_table(path, filters=wanted).to_pylist() if path.is_file() else []
    for finder in dict.fromkeys(change["finder"] for change in changes):
        theirs = [_plain(cut["original"], source["format"]) for cut in cuts if cut["finder"] == finder]
        places = [place for place, change in enumerate(changes) if change["finder"] == finder]
        if len(places) == len(theirs):  # else one cut holds several, or several one
            found |= dict(zip(places, theirs, strict=True))
    return found


def _plain(raw: bytes, form: str) -> str:
    """Bytes of a file as the text that they stand for."""
    text = raw.decode("utf-8", "replace")
    if form in {"json", "jsonl"}:
        try:
            return str(json.loads(text if text.startswith('"') else f'"{text}"'))
        except ValueError:
            return text
    return text.replace('""', '"') if form in {"csv", "tsv"} else text


def _view(home: Path, locus: str) -> dict[str, Any]:
    """What a model thought of the record's label, where the evidence tells."""
    try:
        labels = json.loads((home / "evidence.json").read_text(encoding="utf-8")).get("labels", [])
    except (OSError, ValueError, AttributeError):
        return {}
    seen = next((row for row in labels if isinstance(row, dict) and row.get("id") == locus), None)
    return {"probabilities": seen["probabilities"]} if seen and seen.get("probabilities") else {}


def _unknown(ledger: Ledger, locus: str) -> str:
    near = difflib.get_close_matches(locus, ledger.decisions["id"].slice(0, 10_000).to_pylist(), 3)
    if near:
        return f"no record is called {locus!r}; did you mean {visible(' or '.join(near))}?"
    first, names = ledger.sources[0], [source["name"] for source in ledger.sources]
    form = f"a value of {first['id_field']!r}" if first["id_field"] else f"file#row, such as {first['name']}#0"
    files = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return visible(f"no record is called {locus!r}; an id here is {form}, with the files {files}")
