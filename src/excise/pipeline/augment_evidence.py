"""The evidence of augmentation: counts before and after, by operation and by class, and copies to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise import __version__
from excise.adapters.files.read import Reading

#: Bytes of JSON lines that `datasets.load_dataset` reads at a time; fields that come up later it refuses.
_DATASETS_CHUNK = 10 << 20

#: Copies shown in the report, and classes counted there.
_EXAMPLES, _CLASSES = 20, 50


def evidence_of(
    reading: Reading,
    tallies: Sequence[Mapping[str, Any] | None],
    settings: Mapping[str, Any],
    written: Mapping[str, Any],
    skipped: Sequence[str],
) -> dict[str, Any]:
    """What OUT/evidence.json holds.

    Args:
        reading: The corpus as it was.
        tallies: By source, what was added; None where it was left alone.
        settings: Of the run.
        written: By source, what was told of writing it; empty for a dry run.
        skipped: Files that no reader takes.
    """
    sources = reading.corpus.sources
    before = {s.name: s.records + reading.rejects_of(i).num_rows for i, s in enumerate(sources)}
    made = [tally for tally in tallies if tally is not None]
    added = _summed(tally["added"] for tally in made)
    grown = {s.name: sum(t["added"].values()) if t else 0 for s, t in zip(sources, tallies, strict=True)}
    left_alone = [s.name for s, t in zip(sources, tallies, strict=True) if t is None and s.records]
    evidence: dict[str, Any] = {
        "schema_version": 1,
        "kind": "augment",
        "status": "done",
        "settings": {**settings, "views": sorted({s.view for s in sources if s.view})},
        "before": {
            "records": sum(before.values()),
            "bytes": sum(s.size_bytes for s in sources),
            "sources": before,
        },
        "after": {
            "records": sum(before.values()) + sum(added.values()),
            "sources": {name: count + grown[name] for name, count in before.items()},
        },
        "added": dict(sorted(added.items())),
        "unchanged": sum(tally["unchanged"] for tally in made),
        "too_long": sum(tally["too_long"] for tally in made),
        "left_alone": left_alone,
        "labels": _labels(reading, tallies) if settings["label"] is not None else [],
        "warnings": [],
        "pairs": _spread([example for tally in made for example in tally["examples"]]),
        "versions": {"excise": __version__, "pyarrow": pa.__version__, "numpy": np.__version__},
    }
    evidence["warnings"] = list(_warnings(evidence, reading, grown, skipped))
    if written:
        evidence["after"]["bytes"] = sum(w["cleaned_bytes"] for w in written.values())
        evidence["price"] = {
            "originals_bytes": sum(w["ledger_bytes"] for w in written.values()),
            "by": dict(sorted(Counter(w["restore"] for w in written.values()).items())),
        }
    return evidence


def _summed(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def _labels(reading: Reading, tallies: Sequence[Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """Records before and after, by class, the largest first; of the files that are augmented."""
    before: Counter[str] = Counter()
    for index, tally in enumerate(tallies):
        for batch in reading.corpus.batches_of(index) if tally is not None else ():
            for entry in pc.value_counts(pc.drop_null(batch["label"])).to_pylist():
                before[entry["values"]] += entry["counts"]
    added = _summed(tally["labels"] for tally in tallies if tally is not None)
    ordered = sorted(before, key=lambda label: (-before[label], label))[:_CLASSES]
    return [{"label": label, "before": before[label], "after": before[label] + added[label]} for label in ordered]


def _spread(examples: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    count = min(_EXAMPLES, len(examples))
    return [dict(examples[len(examples) * i // count]) for i in range(count)]


def _warnings(
    evidence: Mapping[str, Any], reading: Reading, grown: Mapping[str, int], skipped: Sequence[str]
) -> Iterator[str]:
    """What a person should know."""
    if not evidence["added"]:
        yield "Nothing was added: no operation changed a text. Raise the rates, or check that the text field is right."
    if evidence["unchanged"]:
        yield (
            f"Copies not made because no draw gave a new text: {evidence['unchanged']:,}; "
            "their texts are short, or the rates low."
        )
    if evidence["too_long"]:
        yield f"Records left alone because they are longer than a million characters: {evidence['too_long']:,}."
    if evidence["left_alone"]:
        names = evidence["left_alone"]
        yield f"Files left alone because they look like test sets: {len(names):,} ({', '.join(names[:5])})."
    large = [
        source.name
        for source, content in zip(reading.corpus.sources, reading.contents, strict=True)
        if source.format == "jsonl" and content.size_bytes > _DATASETS_CHUNK and grown[source.name]
    ]
    if large and evidence["settings"]["marks"]:
        yield (
            f"datasets.load_dataset cannot read JSON lines of more than 10 MiB in which only the last ones have the "
            f"fields augmented_from and augmentation ({', '.join(large[:5])}). Give --no-marks if it is to; the ledger "
            "holds the same."
        )
    rejected = sum(reading.rejects_of(index).num_rows for index in range(len(reading.rejects)))
    if rejected:
        yield f"Records that could not be read stay as they are, without copies: {rejected:,}."
    if skipped:
        yield f"Files left out because their kind is not known: {len(skipped):,} ({', '.join(skipped[:5])})."
