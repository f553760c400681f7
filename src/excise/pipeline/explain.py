"""explain: what happened to a record or a tensor, and why; or to all of them in sum."""

from __future__ import annotations

import contextlib
import difflib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from excise.adapters.files.look import kept_by_id, removed_text
from excise.errors import InputError
from excise.ledger import Ledger

#: Followers that are named (more are only counted), and layers that are named as the worst.
_FOLLOWERS, _WORST = 20, 5


def explain(out: str | Path, locus: str | None = None) -> dict[str, Any]:
    """Why a record went or a tensor was changed.

    Args:
        out: The folder that `clean` or `compress` made.
        locus: Id of a record ('file#row', or the user's own id), or name of a tensor; None for all in sum.

    Returns:
        For None: `records_removed`, `by_action`, `by_finder`, `by_source`, `examples` of ids; of a model
        `tensors_changed` and `tensors_untouched` instead, `model`, `bytes_before`, `bytes_after`, and `worst`, the
        layers with the largest error.
        For a record: `id`, `fate` ('removed', 'rejected', 'kept'), `reason`, and where they apply `finder`,
        `redundancy`, `text`, `partner`, `partner_text`, `followers` (records that went for this one). For a tensor:
        `id`, `fate` ('changed' or 'untouched'), `reason`, `decisions`, and `layer`, its numbers from the evidence.

    Raises:
        InputError: No ledger here, or nothing in it has this id.
    """
    home = Path(out)
    ledger = Ledger.of_output(home)
    if not ledger.sources:
        return _of_model(home, ledger) if locus is None else _tensor(home, ledger, locus)
    if locus is None:
        return {"out": str(home), "records_removed": ledger.decisions.num_rows, **_counts(ledger)}
    rows = ledger.explain(locus)
    mine = [row for row in rows if row["id"] == locus]
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


def _counts(ledger: Ledger) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for column in ("action", "finder", "source"):
        values, numbers = pc.value_counts(ledger.decisions[column]).flatten()
        counts[f"by_{column}"] = dict(sorted(zip(values.to_pylist(), numbers.to_pylist(), strict=True)))
    return {**counts, "examples": ledger.decisions["id"].slice(0, 5).to_pylist()}


def _of_model(home: Path, ledger: Ledger) -> dict[str, Any]:
    """What was done to a model, and where it hurts most."""
    with model_evidence(home) as evidence:
        layers = sorted(evidence["layers"], key=_error, reverse=True)
        return {
            "out": str(home),
            "model": evidence["model"],
            "tensors_changed": pc.count_distinct(ledger.decisions["id"]).as_py(),
            "tensors_untouched": len(evidence["untouched"]),
            "bytes_before": sum(layer["bytes_before"] for layer in layers),
            "bytes_after": sum(layer["bytes_after"] for layer in layers),
            **_counts(ledger),
            "worst": layers[:_WORST],
        }


def _error(layer: Mapping[str, Any]) -> float:
    """A layer's error; one that has no size is the worst."""
    on_text = layer["relative_output_error"]
    found = layer["relative_weight_error"] if on_text is None else on_text
    return math.inf if found is None else float(found)


def _tensor(home: Path, ledger: Ledger, name: str) -> dict[str, Any]:
    """What became of a tensor of a compressed model."""
    with model_evidence(home) as evidence:
        layers = {layer["name"]: layer for layer in evidence["layers"]}
        untouched = {tensor["name"]: tensor["reason"] for tensor in evidence["untouched"]}
    decisions = ledger.explain(name)
    if decisions:
        reason = "; ".join(f"{row['action']}: {row['reason']}" for row in decisions)
        return {"id": name, "fate": "changed", "reason": reason, "decisions": decisions, "layer": layers.get(name)}
    if name in untouched:
        return {"id": name, "fate": "untouched", "reason": untouched[name], "decisions": [], "layer": None}
    names = [*layers, *untouched]
    near = [n for n in names if name in n][:3] or difflib.get_close_matches(name, names, 3)
    told = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"there are {len(names):,}, such as {' and '.join(names[:2])}."
    )
    raise InputError(f"no tensor is called {name!r}; {told}", home)


@contextlib.contextmanager
def model_evidence(home: Path) -> Iterator[dict[str, Any]]:
    """The evidence of a compressed model.

    Raises:
        InputError: It is missing or damaged, or not what whoever reads it here expects.
    """
    path = home / "excise" / "evidence.json"
    try:
        yield json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError("the evidence cannot be read; bring back the folder as it was", path) from error


def _removed(home: Path, ledger: Ledger, row: dict[str, Any]) -> dict[str, Any]:
    sources = {source["name"]: source for source in ledger.sources}
    told = {name: row[name] for name in ("id", "source", "row", "finder", "redundancy", "reason", "partner")}
    told["text"] = removed_text(home, ledger, sources[row["source"]], row["row"])
    told["fate"] = "rejected" if row["action"] == "reject" else "removed"
    if row["partner"] is not None:
        told["partner_text"] = kept_by_id(home, ledger, row["partner"])
    return told


def _unknown(ledger: Ledger, locus: str) -> str:
    near = difflib.get_close_matches(locus, ledger.decisions["id"].slice(0, 10_000).to_pylist(), 3)
    if near:
        return f"no record is called {locus!r}; did you mean {' or '.join(near)}?"
    first, names = ledger.sources[0], [source["name"] for source in ledger.sources]
    form = f"a value of {first['id_field']!r}" if first["id_field"] else f"file#row, such as {first['name']}#0"
    files = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"no record is called {locus!r}; an id here is {form}, with the files {files}"
