"""explain: what happened to a record or a tensor, and why, and who decided; or to all of them in sum."""

from __future__ import annotations

import contextlib
import difflib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from excise.errors import InputError
from excise.ledger import Ledger
from excise.pipeline.explain_record import told

#: Layers that are named as the worst.
_WORST = 5


def explain(out: str | Path, locus: str | None = None) -> dict[str, Any]:
    """Why a record went or a tensor was changed.

    Args:
        out: The folder that `clean` or `compress` made.
        locus: Id of a record ('file#row', or the user's own id), or name of a tensor; None for all in sum.

    Returns:
        For None: `records_removed`, `records_changed`, `records_added`, `by_action`, `by_finder`, `by_source`,
        `by_person` (counts of actions of each review), `examples` of ids; of a model `tensors_changed` and
        `tensors_untouched` instead, `model`, `bytes_before`, `bytes_after`, and `worst`, the layers with the largest
        error.
        For a record: what `explain_record.told` says. For a tensor: `id`, `fate` ('changed' or 'untouched'), `reason`,
        `decisions`, and `layer`, its numbers from the evidence.

    Raises:
        InputError: No ledger here, or nothing in it has this id.
    """
    home = Path(out)
    ledger = Ledger.of_output(home)
    if not ledger.sources:
        return _of_model(home, ledger) if locus is None else _tensor(home, ledger, locus)
    return _of_data(home, ledger) if locus is None else told(home, ledger, locus)


#: Actions after which a record is not there, is there with other bytes, is there beside those that were.
_GONE, _CHANGED, _ADDED = ("drop", "reject"), ("cut", "mask", "relabel"), ("add",)


def _of_data(home: Path, ledger: Ledger) -> dict[str, Any]:
    """What was done to data."""
    decisions = ledger.decisions

    def records(actions: tuple[str, ...]) -> int:
        mine = decisions.filter(pc.is_in(decisions["action"], pa.array(actions)))
        return int(pc.count_distinct(mine["id"]).as_py())

    theirs = decisions.filter(pc.not_equal(decisions["by"], ""))
    persons = theirs.group_by(["by", "action"]).aggregate([("id", "count")]).to_pylist()
    by_person: dict[str, dict[str, int]] = {}
    for row in sorted(persons, key=lambda row: (row["by"], row["action"])):
        by_person.setdefault(row["by"], {})[row["action"]] = row["id_count"]
    counts = {"records_removed": records(_GONE), "records_changed": records(_CHANGED), "records_added": records(_ADDED)}
    return {"out": str(home), **counts, **_counts(ledger), "by_person": by_person}


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
