"""distributions: what the finders measured, as histograms with the thresholds that were applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Bars of a histogram; the share of the records at either end that share the last bar; rules of one finder drawn.
_BARS, _END, _RULES = 28, 0.002, 12
#: A measure that spans so much, most of it below a tenth of the largest, is drawn by its logarithm.
_WIDE = 300.0
#: Languages and the like that are named.
_NAMED = 12


@dataclass(frozen=True)
class Measure:
    """One number a record.

    Attributes:
        name: Of the distribution: the finder's if empty, or with a dot what of it.
        label: What the number is, in a person's words.
        values: float64 [records]; NaN where there is none.
        threshold: What is kept lies from the first to the second; None leaves that side open.
        reached: Whether what is just at the upper threshold goes.
    """

    name: str
    label: str
    values: Floats
    threshold: tuple[float | None, float | None]
    reached: bool = False

    @property
    def beyond(self) -> int:
        """Records outside the threshold."""
        least, most = self.threshold
        out = np.zeros(len(self.values), np.bool_)
        if least is not None:
            out |= self.values < least
        if most is not None:
            out |= self.values >= most if self.reached else self.values > most
        return int(out.sum())


def distributions(
    findings: pa.Table, tables: Mapping[str, pa.Table], settings: Mapping[str, Any], first_own: int
) -> dict[str, dict[str, Any]]:
    """Histograms by name, as the evidence holds them.

    Args:
        findings: FINDINGS of the run.
        tables: What was measured, by finder: one row a record from `first_own` on.
        settings: Of the finders.
        first_own: Position of the first record that is no reference.

    Returns:
        {name: {finder, label, edges, counts, threshold, beyond, scale}}.
    """
    found: dict[str, dict[str, Any]] = {}
    for finder in dict.fromkeys([*settings, *pc.unique(findings["finder"]).to_pylist()]):
        mine = findings.filter(pc.equal(findings["finder"], finder))
        if finder in _OF_FINDINGS:
            measures = _OF_FINDINGS[finder](mine, settings.get(finder))
        elif finder in tables:
            places = np.unique(mine["position"].to_numpy()) - first_own
            measures = _OF_TABLES.get(finder, _first_column)(tables[finder], settings.get(finder), places)
        else:
            continue
        for measure in measures:
            drawn = histogram(measure)
            if drawn:
                found[measure.name or finder] = {"finder": finder, "label": measure.label, **drawn}
    return found


def shares(tables: Mapping[str, pa.Table], settings: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Counts of what records are, where that is a name: by finder, {name, records, kept}, the most frequent first."""
    table = tables.get("language")
    if table is None:
        return {}
    values, counts = pc.value_counts(table["language"].cast(pa.string())).flatten()
    from excise.data.language import KIN

    kept = {name for wanted in settings["language"].keep for name in (wanted, *KIN.get(wanted, ()))}
    rows = sorted(zip(values.to_pylist(), counts.to_pylist(), strict=True), key=lambda row: (-row[1], str(row[0])))
    told = [{"name": name or "–", "records": count, "kept": name is None or name in kept} for name, count in rows]
    return {"language": told[:_NAMED]}


def histogram(measure: Measure) -> dict[str, Any] | None:
    """Edges, counts and threshold; None where there is nothing to count.

    The rarest at either end share a bar, so that one record of a million words does not make all others one bar; a
    threshold is an edge, so that no bar lies on both sides of it.
    """
    values = measure.values[np.isfinite(measure.values)]
    if not len(values):
        return None
    limits = [limit for limit in measure.threshold if limit is not None]
    low, high = np.quantile(values, [_END, 1 - _END]).tolist()
    low, high = min([low, *limits]), max([high, *limits])
    if low == high:
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    wide = low > 0 and high / low > _WIDE and float(np.median(values)) < high / 10
    edges = np.geomspace(low, high, _BARS + 1) if wide else np.linspace(low, high, _BARS + 1)
    if limits and low < high:  # an edge gives way to the threshold next to it
        for limit in limits:
            edges[np.argmin(np.abs(edges - limit))] = limit
        edges = np.unique(edges)
    if low == high:
        edges = np.array([low, low + max(1.0, abs(low) / 100)])  # apart in the digits that are told, too
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return {
        "edges": [_rounded(edge) for edge in edges],
        "counts": counts.tolist(),
        "threshold": [None if limit is None else _rounded(limit) for limit in measure.threshold],
        "beyond": measure.beyond,
        "scale": "logarithmic" if wide else "linear",
    }


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _similarity(name: str, label: str, setting: str, default: float) -> Callable[[pa.Table, Any], Iterator[Measure]]:
    """Similarity of each record to the most similar one, from the findings themselves: all lie beyond the threshold.

    Args:
        name: Of the finder.
        label: What the similarity is.
        setting: Name of the setting that is its threshold.
        default: Its value where the finder has no settings.
    """

    def measures(findings: pa.Table, settings: Any) -> Iterator[Measure]:
        best = findings.group_by("position").aggregate([("redundancy", "max")])["redundancy_max"].to_numpy()
        yield Measure(name, label, best, (None, getattr(settings, setting, default)), reached=True)

    return measures


def _rules(table: pa.Table, settings: Any, places: NDArray[np.int64]) -> Iterator[Measure]:
    """The rules of quality that most records break."""
    from excise.data import rules

    active = settings.active()
    measures = []
    for name, limit in active.items():
        rule = rules.RULES[name]
        values = rules.values(table, (name,))[name]
        measures.append(Measure(f"quality.{name}", name, values, (None, limit) if rule.at_most else (limit, None)))
    measures.sort(key=lambda measure: -measure.beyond)
    yield from (measure for measure in measures[:_RULES] if measure.beyond)


def _language(table: pa.Table, settings: Any, places: NDArray[np.int64]) -> Iterator[Measure]:
    """How sure the model is of the language."""
    yield Measure("language", "probability of the language", table["probability"].to_numpy(), (None, None))


def _outliers(table: pa.Table, settings: Any, places: NDArray[np.int64]) -> Iterator[Measure]:
    """Oddness, with the least of what was found as the threshold."""
    odd = table["oddness"].to_numpy().astype(np.float64)
    limit = float(odd[places].min()) if len(places) else None
    yield Measure("outliers", "how odd", odd, (None, limit), reached=True)


def _perplexity(table: pa.Table, settings: Any, places: NDArray[np.int64]) -> Iterator[Measure]:
    """Surprise of the records that are long enough to be judged."""
    from excise.data import perplexity

    judged = table["size_bytes"].to_numpy() >= settings.min_length
    values = np.where(judged, table["bits_per_byte"].to_numpy(), np.nan)
    yield Measure(
        "perplexity", "bits a byte under a model of the other texts", values, perplexity.limits(table, settings)
    )


def _unlike(table: pa.Table, settings: Any, places: NDArray[np.int64]) -> Iterator[Measure]:
    """Likeness to the target, by the measure that decides."""
    from excise.data import unlike

    limit, values = unlike.limit_of(table, settings), table[settings.by].to_numpy()
    if settings.by == "difference":
        yield Measure("unlike", "bits a byte more under a model of the target", values, (None, limit))
    else:
        yield Measure("unlike", "importance, nats a word", values, (limit, None))


def _labels(table: pa.Table, settings: Any, places: NDArray[np.int64]) -> Iterator[Measure]:
    """What the threshold is for; of what lies beyond it only what the method picks is found, and at 0 that alone."""
    wrong = table["wrong"].to_numpy().astype(np.float64)
    yield Measure(
        "labels", "probability that the label is wrong", wrong, (None, settings.threshold or None), reached=True
    )


def _values(table: pa.Table, settings: Any, places: NDArray[np.int64]) -> Iterator[Measure]:
    """Distance of the values from what a model expects."""
    far = np.abs(table["z"].to_numpy().astype(np.float64))
    yield Measure("values", "usual deviations from the expected value", far, (None, settings.threshold), reached=True)


def _first_column(table: pa.Table, settings: Any, places: NDArray[np.int64]) -> Iterator[Measure]:
    """The first column of numbers, without a threshold."""
    for field in table.schema:
        if pa.types.is_floating(field.type):
            values = table[field.name].to_numpy().astype(np.float64)
            yield Measure("", field.name.replace("_", " "), values, (None, None))
            return


_Tables = Callable[[pa.Table, Any, NDArray[np.int64]], Iterator[Measure]]

#: Finders of pairs: their findings hold the similarities.
_OF_FINDINGS: dict[str, Callable[[pa.Table, Any], Iterator[Measure]]] = {
    "near": _similarity("near", "Jaccard similarity of 5-word sequences to the nearest record", "threshold", 0.8),
    "semantic": _similarity("semantic", "cosine to the nearest record", "threshold", 0.9),
    "contaminated": _similarity("contaminated", "share of an evaluation item that the record holds", "share", 0.5),
}
#: Finders that measure every record.
_OF_TABLES: dict[str, _Tables] = {
    "quality": _rules,
    "language": _language,
    "perplexity": _perplexity,
    "unlike": _unlike,
    "outliers": _outliers,
    "labels": _labels,
    "values": _values,
}


def spread(indices: Sequence[int] | NDArray[np.int64], count: int) -> list[int]:
    """Up to `count` of them, evenly spread."""
    if len(indices) <= count:
        return [int(i) for i in indices]
    return [int(indices[len(indices) * i // count]) for i in range(count)]
