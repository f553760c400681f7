"""Report: one self-contained HTML page from the evidence of any verb — no network, light and dark, English and Chinese.

The page shows the sections whose numbers are in the evidence, so every verb writes its own dict and knows no page. The
same evidence gives the same bytes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from excise.evidence import cleaning, numbers, plots
from excise.evidence.compare import endings
from excise.evidence.quantities import QUANTITIES
from excise.evidence.visible import shown
from excise.evidence.words import WORDS, both, word
from excise.journal import written_aside

#: Rows of a table shown at once; the rest is in the JSON.
ROWS = 12


def write(path: Path, evidence: Mapping[str, Any]) -> None:
    """Render the evidence of clean, augment, compress, compare or run to one HTML file.

    Args:
        path: The file; it appears only when it is complete.
        evidence: Plain JSON values, as in docs/evidence-format.md.
    """
    with written_aside(path) as file:
        file.write(page(evidence).encode())


def page(evidence: Mapping[str, Any]) -> str:
    """The page as text."""
    whole = evidence["kind"] == "run"
    stages = list(evidence["stages"]) if whole else [evidence]
    shown = [stage for stage in stages if stage["kind"] in _HEADLINES]
    title, lead, outcome = _headline(evidence)
    text: str = _template().render(
        title=f"{evidence['kind']} · Excise",
        evidence=evidence,
        headline=title,
        lead=lead,
        outcome=outcome,
        steps=[_step(stage) for stage in stages] if whole else [],
        parts=[_part(stage, f"s{i}-", alone=not whole) for i, stage in enumerate(shown)],
        data=json.dumps(evidence, indent=1, ensure_ascii=False, sort_keys=True),
    )
    return text


@functools.cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("excise.evidence"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: shown(value) if type(value) is str else value,
    )
    environment.globals.update(word=word, both=both, numbers=numbers, QUANTITIES=QUANTITIES, WORDS=WORDS)
    return environment.get_template("page.html")


def _headline(evidence: Mapping[str, Any]) -> tuple[Markup, Markup, str]:
    """The first sentence, what it cost, and 'good', 'bad' or 'plain'."""
    kind = evidence["kind"]
    if kind == "run":
        told = [s for s in evidence["stages"] if s["kind"] in _HEADLINES]
        if not told:
            return word("run.headline", count=len(evidence["stages"])), Markup(""), "plain"
        title, lead, outcome = _headline(told[-1])
        earlier = [_headline(s)[0] + Markup(both(". ", "。")) for s in told[:-1] if s["kind"] == "clean"]
        return title, Markup("").join([*earlier, lead]), outcome
    return _HEADLINES[kind](evidence)


def _bytes(side: Mapping[str, Any] | None) -> float | None:
    """Bytes on disk, else of the tensors."""
    return None if side is None else side.get("bytes", side.get("tensor_bytes"))


def _compress_headline(evidence: Mapping[str, Any]) -> tuple[Markup, Markup, str]:
    before, after = (_bytes(evidence.get(side)) for side in ("before", "after"))
    if not before or after is None:
        return word("compress.plain", tensors=len(evidence.get("layers", []))), word("compress.cost"), "plain"
    title = word("compress.headline", size=f"{after / before:.2f}")
    return title, word("compress.cost"), "plain"


def _compare_headline(evidence: Mapping[str, Any]) -> tuple[Markup, Markup, str]:
    verdict, measures = evidence["verdict"], evidence["measures"]
    size = (measures.get("bytes") or measures["memory"])["ratio"] or 1.0
    bpb = numbers.percent(measures["bpb"]["ratio"] or 1.0)
    title = Markup(both("; ", "；")).join(
        [
            word(f"size.{verdict['size']}", size=f"{size:.2f}"),
            word(f"speed.{verdict['decode']}.{verdict['prefill']}"),
            word(f"quality.{verdict['quality']}", bpb=bpb),
        ]
    )
    lead = Markup(" ").join(word(key, **fields) for key, fields in endings(verdict, evidence["goals"]))
    if evidence["goals"]:
        return title, lead, "bad" if evidence["status"] == "goal_missed" else "good"
    return title, lead, {"yes": "good", "no": "bad"}.get(verdict["worth"], "plain")


_HEADLINES: dict[str, Callable[[Mapping[str, Any]], tuple[Markup, Markup, str]]] = {
    "clean": cleaning.headline,
    "augment": cleaning.augment_headline,
    "compress": _compress_headline,
    "compare": _compare_headline,
}


def _step(stage: Mapping[str, Any]) -> dict[str, Any]:
    """One line of a run's table: what the stage did, what came of it, how long it took."""
    kind, line = stage["kind"], Markup("")
    if kind in _HEADLINES:
        line = _headline(stage)[0]
    elif kind == "gather":
        files = stage["files"].values()
        records, size = sum(f["records"] for f in files), sum(f["bytes"] for f in files)
        line = word("gather.line", records=f"{records:,}", size=numbers.size(size))
    elif kind == "split":
        line = word("split.line", **{side: f"{count:,}" for side, count in stage["records"].items()})
    elif kind == "pretrain":
        losses = {side: f"{stage[f'{side}_loss_nats']:.2f}" for side in ("first", "last")}
        line = word("pretrain.line", parameters=f"{stage['parameters']:,}", **losses)
    return {"kind": word(f"kind.{kind}"), "line": line, "seconds": stage.get("seconds")}


def _part(evidence: Mapping[str, Any], prefix: str, *, alone: bool) -> dict[str, Any]:
    """What the template shows of one stage: the evidence, its plots, its pairs."""
    return {
        "evidence": evidence,
        "heading": None if alone else _headline(evidence)[0],
        "kind": word(f"kind.{evidence['kind']}"),
        "plots": dict.fromkeys(_FIGURES) | {name: Markup(svg) for name, svg in _plots(evidence, prefix).items()},
        "sizes": _sizes(evidence) if evidence["kind"] == "compress" else {},
        "settings": list(_settings(evidence.get("settings", {}))),
        "layers": _worst_layers(evidence.get("layers", [])),
        "augmented": cleaning.augmented(evidence) if evidence["kind"] == "augment" else {},
        "cleaning": cleaning.arranged(evidence, prefix) if evidence["kind"] == "clean" else {},
    }


def _settings(settings: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, str]]:
    """Settings one by one, those inside others with dots; what is not set is left out."""
    for key, value in settings.items():
        inner = name if key == "settings" else f"{name}.{key}" if name else key
        if isinstance(value, Mapping):
            yield from _settings(value, inner)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            if value:
                yield inner, ", ".join(map(str, value))
        elif value is not None:
            yield inner, str(value)


#: Every figure a template may ask for; None where there is nothing to draw.
_FIGURES = ("sizes", "speed", "layers")


def _plots(evidence: Mapping[str, Any], prefix: str) -> dict[str, str]:
    kinds: dict[str, Callable[[Mapping[str, Any], str], dict[str, str]]] = {
        "compress": _compress_plots,
        "compare": _compare_plots,
    }
    draw = kinds.get(evidence["kind"])
    return {} if draw is None else draw(evidence, prefix)


def _compress_plots(evidence: Mapping[str, Any], prefix: str) -> dict[str, str]:
    found = {}
    rows = [
        (QUANTITIES[name].label[0], evidence["before"][name], evidence["after"][name])
        for name in ("bytes", "tensor_bytes")
        if name in evidence.get("before", {}) and name in evidence.get("after", {})
    ]
    if rows:
        found["sizes"] = plots.before_after(prefix + "sizes", rows, numbers.size, _CHINESE)
    errors = [_error(layer) for layer in evidence.get("layers", [])]
    if any(e for e in errors if e):
        found["layers"] = plots.layer_errors(prefix + "layers", [e or 0.0 for e in errors])
    return found


def _sizes(evidence: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Quantities that a compression states on both sides, as measures without intervals."""
    before, after = evidence.get("before", {}), evidence.get("after", {})
    return {
        name: {
            "before": before[name],
            "after": after[name],
            "ratio": after[name] / before[name] if before[name] else None,
        }
        for name in QUANTITIES
        if name in before and name in after
    }


def _worst_layers(layers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The layers with the largest errors; a layer without one comes last."""
    told = [{**layer, "error": _error(layer)} for layer in layers]
    return sorted(told, key=lambda layer: (layer["error"] is None, -(layer["error"] or 0.0)))[:ROWS]


def _error(layer: Mapping[str, Any]) -> float | None:
    """The error of a layer on its inputs; of the weights alone where there was no calibration text."""
    error = layer.get("relative_output_error")
    return layer.get("relative_weight_error") if error is None else error


def _compare_plots(evidence: Mapping[str, Any], prefix: str) -> dict[str, str]:
    measures = evidence["measures"]
    rows = [
        (QUANTITIES[name].label[0], measures[name]["before"], measures[name]["after"])
        for name in ("bytes", "tensor_bytes", "zstd_bytes", "memory")
        if name in measures
    ]
    found = {"sizes": plots.before_after(prefix + "sizes", rows, numbers.size, _CHINESE)}
    timed = [name for name in ("latency", "prefill") if name in evidence["speed"]]
    if timed:
        panels = [(evidence["speed"][name]["before"], evidence["speed"][name]["after"]) for name in timed]
        writers = [functools.partial(numbers.shown, name) for name in timed]
        found["speed"] = plots.spread(prefix + "speed", panels, writers)
    return found


#: Labels inside figures.
_CHINESE = dict(quantity.label for quantity in QUANTITIES.values())
