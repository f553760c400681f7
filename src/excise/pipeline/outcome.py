"""outcome: what a compressed checkpoint says about itself — evidence, ledger, report and recipe."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import yaml

from excise import __version__
from excise.adapters.checkpoint import Checkpoint, open_checkpoint
from excise.corpus import Corpus
from excise.evidence import report
from excise.journal import write_json, written_aside
from excise.ledger import DECISIONS, write_decisions
from excise.pipeline.preflight import planned_bytes

if TYPE_CHECKING:
    from excise.adapters.network import HFModel
    from excise.weights.solve import Plan

#: From here on a matrix gives more error than half the weights or three bits usually cost, and the result says so.
LOUD = 0.25


def planned(model: HFModel, plan: Plan, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a run would do, for a dry run: the evidence without what only the run can measure."""
    layers = [
        {
            "name": view.name,
            "role": view.role,
            "shape": list(view.shape),
            "sparsity": plan.removed_fraction,
            "bits": plan.bits,
            "bytes_before": math.prod(view.shape) * view.get().element_size(),
            "bytes_after": planned_bytes(view, plan),
        }
        for view in model.matrices()
    ]
    checkpoint: Any = model.checkpoint
    before, after = _total(layers, "bytes_before"), _total(layers, "bytes_after")
    return {
        "schema_version": 1,
        "kind": "compress",
        "status": "dry_run",
        "settings": dict(settings),
        "model": checkpoint.folder.resolve().name,
        "after": {"tensor_bytes_ratio": after / before},
        "layers": layers,
        "warnings": [],
        "untouched": untouched(model),
    }


def evidence(
    model: HFModel,
    folder: Path,
    settings: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    counted: Mapping[str, int],
    corpus: Corpus | None,
    checked: Mapping[str, Any],
) -> dict[str, Any]:
    """What OUT/excise/evidence.json holds.

    Args:
        model: The original.
        folder: Where the compressed checkpoint is.
        settings: Of the run.
        rows: From Blocks.run.
        counted: Windows and tokens of calibration text.
        corpus: The text.
        checked: What comparing the artefact with memory found.
    """
    checkpoint: Any = model.checkpoint
    layers = [{k: _finite(v) for k, v in row.items() if k not in {"digest", "layout"}} for row in rows]
    before, after = _sizes(checkpoint), _sizes(open_checkpoint(folder))
    parameters = sum(math.prod(e.shape) for e in checkpoint.entries.values())
    whole = {name: int(t.count_nonzero()) for name, t in checkpoint.read(checkpoint.entries)}
    changed = {model.stored[row["name"]]: row["nonzeros"] for row in rows}
    compressed = _total(layers, "bytes_after") / _total(layers, "bytes_before")
    return {
        "schema_version": 1,
        "kind": "compress",
        "status": "done",
        "settings": dict(settings),
        "model": checkpoint.folder.resolve().name,
        "before": {**before, "parameters": parameters, "nonzeros": sum(whole.values())},
        "after": {
            **after,
            "parameters": parameters,
            "nonzeros": sum((whole | changed).values()),
            "tensor_bytes_ratio": compressed,
            "file_bytes_ratio": after["bytes"] / before["bytes"],
        },
        "layers": layers,
        "warnings": _warnings(rows, corpus),
        "untouched": untouched(model),
        "calibration": None if corpus is None else {**counted, "sources": _sources(corpus)},
        "verified": dict(checked),
        "versions": _versions(),
    }


def untouched(model: HFModel) -> list[dict[str, str]]:
    """Every tensor that stays as it was, and why."""
    reasons = {
        "embedding": "embeddings are left as they are",
        "head": "the head is left as it is",
        "norm": "norms are left as they are",
        "bias": "biases are left as they are",
    }
    taken = {view.name for view in model.matrices()}
    return [
        {"name": name, "role": role, "reason": reasons.get(role, "not a Linear weight of a block")}
        for name, role in model.roles().items()
        if name not in taken
    ]


def write(
    folder: Path, model: HFModel, found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], recipe: Mapping[str, Any]
) -> None:
    """Write ledger, evidence, report and recipe into OUT/excise."""
    home = folder / "excise"
    with written_aside(home / "ledger" / "decisions.parquet") as file:
        write_decisions(_decisions(model, rows, found["settings"]), file)
    write_json(home / "evidence.json", found)
    with written_aside(home / "recipe.yaml") as file:
        file.write(yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True).encode())
    report.write(home / "report.html", found)


def _decisions(model: HFModel, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> pa.Table:
    """One row a tensor and action: what was pruned, what was quantized."""
    checkpoint: Any = model.checkpoint
    places = {name: place for place, name in enumerate(checkpoint.entries)}
    decisions = []
    for row in rows:
        stored = model.stored[row["name"]]
        common = {"id": row["name"], "source": checkpoint.entries[stored].file, "row": places[stored], "partner": None}
        common["by"] = ""
        error = _told_error(row)
        if row["layout"].get("kept") is not None:
            weights = math.prod(row["shape"])
            told = f"{weights - row['layout']['kept']:,} of {weights:,} weights removed by {settings['importance']}"
            decisions.append(
                {
                    **common,
                    "action": "prune",
                    "finder": settings["importance"],
                    "redundancy": row["sparsity"],
                    "reason": f"{told}, pattern {settings['pattern']}; {error}",
                }
            )
        if row["bits"] is not None:
            width = 8 * row["bytes_before"] / math.prod(row["shape"])
            told = f"{row['bits']} bits a weight instead of {width:.0f}, {settings['grid']} grid"
            decisions.append(
                {
                    **common,
                    "action": "quantize",
                    "finder": settings["grid"],
                    "redundancy": 1 - row["bits"] / width,
                    "reason": f"{told}, group {settings['group']}; {error}",
                }
            )
    return pa.Table.from_pylist(decisions, schema=DECISIONS)


def _told_error(row: Mapping[str, Any]) -> str:
    on_text = row["relative_output_error"]
    if on_text is None:
        return f"relative error of the weight {row['relative_weight_error']:.2g}"
    return f"relative error of the output {on_text:.2g}"


def _sizes(checkpoint: Checkpoint) -> dict[str, int]:
    return {
        "bytes": sum((checkpoint.folder / name).stat().st_size for name in checkpoint.files),
        "tensor_bytes": sum(entry.size_bytes for entry in checkpoint.entries.values()),
    }


def _sources(corpus: Corpus) -> list[dict[str, Any]]:
    told = ("name", "fingerprint", "records", "view")
    return [{name: source.as_dict()[name] for name in told} for source in corpus.sources]


def _warnings(rows: Sequence[Mapping[str, Any]], corpus: Corpus | None) -> list[str]:
    found = []
    if corpus is None:
        found.append("No calibration text was given: errors are those of the weights alone, not of the outputs.")
    for row in rows:
        error = row["relative_output_error"]
        error = row["relative_weight_error"] if error is None else error
        if not error < LOUD:
            found.append(
                f"{row['name']}: relative error {error:.2f}, above {LOUD}. Its output is much changed; "
                "use more bits, a smaller group or less sparsity, and compare on held-out text."
            )
    return found


def _total(layers: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(int(layer[key]) for layer in layers)


def _finite(value: Any) -> Any:
    """JSON knows no infinity: an error that has no size becomes null, and is in the warnings."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _versions() -> dict[str, str]:
    found = {"excise": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in ("torch", "transformers", "safetensors")}
