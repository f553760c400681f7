"""Compare: the case closed — what was measured before and after, put together, with an honest verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from excise.evidence import numbers
from excise.evidence.goals import Judgement
from excise.evidence.quantities import QUANTITIES
from excise.evidence.words import english

SCHEMA_VERSION = 1

#: Changes below these are not called changes: rounding of file headers, jitter between rounds of one machine,
#: and 1 % more bits per byte, which is about what a change of tokenizer version or dtype costs.
SIZE_MARGIN, SPEED_MARGIN, QUALITY_MARGIN = 0.01, 0.03, 0.01
#: Below this intervals are called rough.
FEW_WINDOWS = 30


@dataclass(frozen=True)
class Evidence:
    """What `excise compare` found; `as_dict()` is specified in docs/evidence-format.md.

    Attributes:
        before: {name, files} of the model before.
        after: The same of the model after.
        measures: Name to {before, after, ratio, difference, interval: {after, difference, ratio}}; interval is None
            for what is exact, and lacks what the text is too short to tell.
        speed: Settings, rounds and spread of the timings.
        machine: What they were measured on.
        text: The held-out text and how it was cut and resampled.
        slices: Loss by slice.
        worst: Documents that lost most.
        overlap: What is known about text shared with the calibration data.
        goals: Each goal with its outcome.
        verdict: {size, decode, prefill, quality, worth, sentence}.
        warnings: Things a reader must know before believing the numbers.
        versions: Of Excise and what it ran on.
        settings: How the command was called.
        seconds: Wall-clock time.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    measures: dict[str, dict[str, Any]]
    speed: dict[str, Any]
    machine: dict[str, Any]
    text: dict[str, Any]
    slices: list[dict[str, Any]]
    worst: list[dict[str, Any]]
    overlap: dict[str, Any]
    goals: list[Judgement]
    verdict: dict[str, Any]
    warnings: list[str]
    versions: dict[str, str]
    settings: dict[str, Any]
    seconds: float = field(compare=False)

    @property
    def status(self) -> str:
        """'goal_missed' where a measured value is on the wrong side of a goal, else 'done'."""
        return "goal_missed" if any(goal.missed for goal in self.goals) else "done"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "compare",
            "status": self.status,
            "before": self.before,
            "after": self.after,
            "measures": self.measures,
            "verdict": self.verdict,
            "goals": [goal.as_dict() for goal in self.goals],
            "warnings": self.warnings,
            "slices": self.slices,
            "worst": self.worst,
            "speed": self.speed,
            "text": self.text,
            "overlap": self.overlap,
            "machine": self.machine,
            "versions": self.versions,
            "settings": self.settings,
            "seconds": self.seconds,
        }


def measures_of(
    sizes: tuple[Mapping[str, Any], Mapping[str, Any]],
    speed: Mapping[str, Any],
    quality: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """One table of all quantities, in the order of QUANTITIES.

    Args:
        sizes: `size.measure` of both models.
        speed: `speed.measure`; may be empty.
        quality: `losses.measures`.
    """
    table: dict[str, dict[str, Any]] = {}
    for name in QUANTITIES:
        if name in quality:
            table[name] = _measure(**quality[name])
        elif name in speed:
            timed = speed[name]
            table[name] = _measure(timed["before"]["median"], timed["after"]["median"], timed["interval"])
            table[name]["ratio"] = timed["ratio"]
        elif name in sizes[0] and name in sizes[1]:
            table[name] = _measure(sizes[0][name], sizes[1][name], None)
    return table


def _measure(before: float | None, after: float, interval: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "before": before,
        "after": after,
        "difference": None if before is None else after - before,
        "ratio": after / before if before else None,
        "interval": interval,
    }


def verdict_of(
    measures: Mapping[str, Mapping[str, Any]], unigram_nats: float, goals: Sequence[Judgement] = ()
) -> dict[str, Any]:
    """What was gained and what it cost, in words.

    Args:
        measures: From `measures_of`.
        unigram_nats: Loss of counting tokens; a model above it is of no use.
        goals: Judged goals; where there are any, they decide.

    Returns:
        size 'smaller' | 'larger' | 'same'; decode and prefill 'faster' | 'slower' | 'same'; quality 'better' | 'same' |
        'worse' | 'unclear' | 'lost'; worth 'yes' | 'trade-off' | 'no'; sentence.
    """
    size = _direction(measures.get("bytes") or measures["memory"], SIZE_MARGIN, ("smaller", "larger"))
    decode = _direction(measures.get("latency"), SPEED_MARGIN, ("faster", "slower"))
    prefill = _direction(measures.get("prefill"), SPEED_MARGIN, ("slower", "faster"))
    quality = _quality(measures, unigram_nats)
    gained = size == "smaller" or "faster" in (decode, prefill) or quality == "better"
    useless = quality != "unclear" and measures["loss"]["after"] >= unigram_nats
    worth = "no" if not gained or useless else "yes" if quality in {"better", "same"} else "trade-off"
    found = {"size": size, "decode": decode, "prefill": prefill, "quality": quality, "worth": worth}
    return {**found, "sentence": _sentence(found, measures, goals)}


def doubts_of(measures: Mapping[str, Mapping[str, Any]], text: Mapping[str, Any]) -> list[str]:
    """Warnings: why these numbers of quality may say little.

    Args:
        measures: From `measures_of`.
        text: `Evidence.text`: windows, unigram_nats.
    """
    found = []
    if text["windows"] < FEW_WINDOWS:
        counted = f"{text['windows']} window{'' if text['windows'] == 1 else 's'}"
        known = measures["kl"]["interval"]
        rough = "intervals are rough" if known else "too little for intervals, so quality is not judged"
        found.append(f"The held-out text gives {counted}: {rough}. Give more text.")
    if min(measures["loss"]["before"], measures["loss"]["after"]) >= text["unigram_nats"]:
        found.append(
            "Both models predict this text worse than its token counts alone would "
            f"({text['unigram_nats']:.2f} nats per token): what one gains over the other is worth nothing here. "
            "Give text that BEFORE was made for, or check BEFORE."
        )
    return found


def _direction(measure: Mapping[str, Any] | None, margin: float, words: tuple[str, str]) -> str:
    """words[0] where the ratio is surely below 1 - margin, words[1] where surely above 1 + margin, else 'same'."""
    if measure is None or measure["ratio"] is None:
        return "same"
    low, high = (measure["interval"] or {}).get("ratio") or (measure["ratio"], measure["ratio"])
    if measure["ratio"] < 1 - margin and high < 1:
        return words[0]
    if measure["ratio"] > 1 + margin and low > 1:
        return words[1]
    return "same"


def _quality(measures: Mapping[str, Mapping[str, Any]], unigram_nats: float) -> str:
    bounds = measures["bpb"]["interval"].get("ratio")
    if bounds is None:
        return "unclear"
    if measures["loss"]["after"] >= unigram_nats > measures["loss"]["before"]:
        return "lost"
    low, high = bounds
    if high < 1:
        return "better"
    if high <= 1 + QUALITY_MARGIN:
        return "same"
    return "worse" if low > 1 else "unclear"


def _sentence(found: Mapping[str, str], measures: Mapping[str, Mapping[str, Any]], goals: Sequence[Judgement]) -> str:
    size = (measures.get("bytes") or measures["memory"])["ratio"] or 1.0
    bpb = measures["bpb"]["ratio"] or 1.0
    parts = (
        english(f"size.{found['size']}", size=f"{size:.2f}"),
        english(f"speed.{found['decode']}.{found['prefill']}"),
        english(f"quality.{found['quality']}", bpb=numbers.percent(bpb)),
    )
    ending = [english(key, **fields) for key, fields in endings(found, goals)]
    return f"{'; '.join(parts)}. {' '.join(ending)}"


def endings(
    verdict: Mapping[str, str], goals: Sequence[Judgement | Mapping[str, Any]]
) -> list[tuple[str, dict[str, str]]]:
    """Keys of `words` that close the case: the goals where there are any, else whether it was worth it."""
    plain = [g.as_dict() if isinstance(g, Judgement) else g for g in goals]
    if not plain:
        return [(f"worth.{verdict['worth']}", {})]
    missed = ", ".join(g["goal"] for g in plain if g["missed"])
    unsure = ", ".join(g["goal"] for g in plain if g["outcome"] == "undecided" and not g["missed"])
    first: tuple[str, dict[str, str]] = ("goals.missed", {"goals": missed}) if missed else ("goals.met", {})
    return [first, *([("goals.unsure", {"goals": unsure})] if unsure else [])]
