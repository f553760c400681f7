"""Irrelevant data, found by likeness to a target: recall and precision per source; prints JSON.

    python benchmarks/unlike.py [--write]

Records of one source are mixed into another. The target is a clean sample of the wanted source, none of whose records
are in the mixture. Settings are the defaults: the limit is what 99 of 100 held-out records of the target keep.
`area` is the share of pairs (unwanted, wanted) that the measure orders rightly, whatever the limit.
"""

from __future__ import annotations

import random
import time
from typing import Any, NamedTuple

import numpy as np
from outcome import about, options, progress, say
from sources import SOURCES

from excise.corpus import Corpus
from excise.data import unlike


class Mixture(NamedTuple):
    """Records drawn: of the target, and of both sources in the mixture."""

    unwanted: str
    wanted: str
    target: int
    good: int
    bad: int


MIXTURES = (
    Mixture("zhwiki", "enwiki", 2000, 10000, 1000),
    Mixture("alpaca-zh", "enwiki", 2000, 10000, 3000),
    Mixture("reuters", "ag-news", 1500, 6000, 2000),
    Mixture("ag-news", "reuters", 1500, 6000, 2000),
    Mixture("bbc-news", "ag-news", 1500, 6000, 1000),
    Mixture("alpaca-en", "bbc-news", 600, 1600, 1000),
    Mixture("python", "enwiki", 2000, 10000, 1000),
    Mixture("zhwiki", "alpaca-zh", 2000, 10000, 1000),
)


def area(bad: np.ndarray, good: np.ndarray) -> float:
    """Area under the receiver's curve, by ranks."""
    ranks = np.argsort(np.argsort(np.concatenate([bad, good]), kind="stable"), kind="stable")
    return float((ranks[: len(bad)].sum() - len(bad) * (len(bad) - 1) / 2) / (len(bad) * len(good)))


def measured(mixture: Mixture, texts: dict[str, list[str]], seed: int) -> dict[str, Any]:
    """Both measures on one mixture."""
    rng = random.Random(seed)
    wanted, unwanted = (rng.sample(texts[name], len(texts[name])) for name in (mixture.wanted, mixture.unwanted))
    target, good = wanted[: mixture.target], wanted[mixture.target :][: mixture.good]
    mixed = [*((text, 0) for text in good), *((text, 1) for text in unwanted[: mixture.bad])]
    rng.shuffle(mixed)
    bad = np.array([kind for _, kind in mixed], np.bool_)
    corpus, like = Corpus.from_texts([text for text, _ in mixed], batch=2048), Corpus.from_texts(target, batch=2048)
    began, worked = time.perf_counter(), time.process_time()
    table = unlike.measure(corpus, unlike.UnlikeSettings(), like=like)
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    size = sum(len(text.encode()) for text, _ in mixed) / 1e6
    result: dict[str, Any] = {
        "records": {"target": len(target), mixture.wanted: int((~bad).sum()), mixture.unwanted: int(bad.sum())},
        "megabytes": round(size, 1),
        "megabytes_per_second": round(size / seconds, 2),
        "megabytes_per_processor_second": round(size / processor, 2),
    }
    for by in ("difference", "importance"):
        settings = unlike.UnlikeSettings(by=by)
        gone = np.zeros(len(bad), np.bool_)
        for found in unlike.judge(table, corpus, settings):
            gone[found["position"].to_numpy()] = True
        value = table[by].to_numpy() * (1 if by == "difference" else -1)
        value = np.nan_to_num(value, nan=-np.inf)
        result[by] = {
            "recall": round(float(gone[bad].mean()), 4),
            "precision": round(float(bad[gone].mean()) if gone.any() else 1.0, 4),
            "wanted_lost": round(float(gone[~bad].mean()), 4),
            "area": round(area(value[bad], value[~bad]), 4),
            "limit": round(unlike.limit_of(table, settings), 4),
        }
    return result


def main() -> None:
    """Print the measurements."""
    chosen = options(__doc__).parse_args()
    unlike.measure(Corpus.from_texts(["warm"]), unlike.UnlikeSettings(), like=Corpus.from_texts(["caches"] * 200))
    names = sorted({name for mixture in MIXTURES for name in (mixture.unwanted, mixture.wanted)})
    texts = {name: SOURCES[name]()[: 900 if chosen.small else None] for name in names}
    envelope, results = about(), {}
    for mixture in MIXTURES:
        name = f"{mixture.unwanted} in {mixture.wanted}"
        progress(name)
        small = mixture._replace(target=300, good=400, bad=200) if chosen.small else mixture
        results[name] = measured(small, texts, chosen.seed)
    say("unlike", envelope, {"mixtures": results}, chosen)


if __name__ == "__main__":
    main()
