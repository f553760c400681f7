"""explain: what happened to a record or a tensor, and why; or to all of them in sum."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from excise.adapters.files.look import kept_by_id, removed_text
from excise.errors import InputError
from excise.ledger import Ledger

#: Followers that are named; more are only counted.
_FOLLOWERS = 20


def explain(out: str | Path, locus: str | None = None) -> dict[str, Any]:
    """Why a record went or a tensor was changed.

    Args:
        out: The folder that `clean` or `compress` made.
        locus: Id of a record ('file#row', or the user's own id), or name of a tensor; None for all in sum.

    Returns:
        For None: `records_removed` (or `tensors_changed`), `by_action`, `by_finder`, `by_source`, `examples` of ids.
        For a record: `id`, `fate` ('removed', 'rejected', 'kept'), `reason`, and where they apply `finder`,
        `redundancy`, `text`, `partner`, `partner_text`, `followers` (records that went for this one). For a tensor:
        `id`, `fate` ('changed' or 'untouched'), `reason`, `decisions`, and `layer`, its numbers from the evidence.

    Raises:
        InputError: No ledger here, or nothing in it has this id.
    """
    home = Path(out)
    ledger = Ledger.of_output(home)
    if locus is None:
        return _summary(home, ledger)
    rows = ledger.explain(locus)
    mine = [row for row in rows if row["id"] == locus]
    if not ledger.sources:
        return _tensor(home, ledger, locus, mine)
    if mine:
        return _removed(home, ledger, mine[0])
    followers = [row["id"] for row in rows]
    text = kept_by_id(home, ledger, locus)
    if text is None:
        raise InputError(_unknown(ledger, locus), home)
    reason = (
        f"it stays; {len(followers):,} records went in favour of it" if followers else "it stays; nothing matched it"
    )
    return {"id": locus, "fate": "kept", "reason": reason, "text": text, "followers": followers[:_FOLLOWERS]}


def _tensor(home: Path, ledger: Ledger, name: str, decisions: list[dict[str, Any]]) -> dict[str, Any]:
    """What became of a tensor of a compressed model."""
    path = home / "excise" / "evidence.json"
    try:
        evidence = json.loads(path.read_text(encoding="utf-8"))
        layers = {layer["name"]: layer for layer in evidence["layers"]}
        untouched = {tensor["name"]: tensor["reason"] for tensor in evidence["untouched"]}
    except (OSError, ValueError, KeyError) as error:
        raise InputError("the evidence cannot be read; compress the model again", path) from error
    if decisions:
        reason = "; ".join(f"{row['action']}: {row['reason']}" for row in decisions)
        return {"id": name, "fate": "changed", "reason": reason, "decisions": decisions, "layer": layers.get(name)}
    if name in untouched:
        return {"id": name, "fate": "untouched", "reason": untouched[name], "decisions": [], "layer": None}
    raise InputError(_unknown(ledger, name), home)


def _summary(home: Path, ledger: Ledger) -> dict[str, Any]:
    table = ledger.decisions
    counts = {
        name: dict(sorted(Counter(table[column].to_pylist()).items()))
        for name, column in (("by_action", "action"), ("by_finder", "finder"), ("by_source", "source"))
    }
    kind = "records_removed" if ledger.sources else "tensors_changed"
    return {
        "out": str(home),
        kind: len(set(table["id"].to_pylist())),
        **counts,
        "examples": table["id"].slice(0, 5).to_pylist(),
    }


def _removed(home: Path, ledger: Ledger, row: dict[str, Any]) -> dict[str, Any]:
    sources = {source["name"]: source for source in ledger.sources}
    told = {name: row[name] for name in ("id", "source", "row", "finder", "redundancy", "reason", "partner")}
    told["text"] = removed_text(home, ledger, sources[row["source"]], row["row"])
    told["fate"] = "rejected" if row["action"] == "reject" else "removed"
    if row["partner"] is not None:
        told["partner_text"] = kept_by_id(home, ledger, row["partner"])
    return told


def _unknown(ledger: Ledger, locus: str) -> str:
    what = "record" if ledger.sources else "tensor"
    near = difflib.get_close_matches(locus, ledger.decisions["id"].slice(0, 10_000).to_pylist(), 3)
    if near:
        return f"no {what} is called {locus!r}; did you mean {' or '.join(near)}?"
    if not ledger.sources:
        return f"no {what} is called {locus!r}; `excise explain` without a name lists what there is."
    first = ledger.sources[0]
    form = f"a value of {first['id_field']!r}" if first["id_field"] else f"file#row, such as {first['name']}#0"
    return f"no {what} is called {locus!r}; an id here is {form}, with the files {_files(ledger)}"


def _files(ledger: Ledger) -> str:
    names = [source["name"] for source in ledger.sources]
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
