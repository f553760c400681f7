"""Wrong labels: published ones that people judged, and planted ones; ours, cleanlab and thresholds. Prints JSON.

    python benchmarks/labels.py [--data ../shared/data] [--seeds 3] [--small]

Published: the test sets of MNIST and 20 news groups with the authors' cross-validated probabilities; a label counts as
wrong where fewer than three of five people agreed with it. Only records that confident learning had picked were shown
to people, so recall is of those. Planted: 5, 10, 20 % of the labels, symmetric and class-dependent; all methods see the
same probabilities, of the built-in classifier. `differ`: records on which our flags are not cleanlab's. Precision and
recall are means over seeds. Thresholds on the probability of the given label are what one would do without confident
learning. Needs cleanlab.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from labelled import Labelled, ag_news, gaokao, mnist, news_groups, noisy, sms_spam, sst2, tables
from outcome import SHARED, about, progress
from sklearn.metrics import roc_auc_score

from excise.corpus import Corpus
from excise.data import classify, confident
from excise.data.threads import workers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import cleanlab
    from cleanlab.filter import find_label_issues

THEIRS = {
    "joint": "confident_learning",
    "noise_rate": "prune_by_noise_rate",
    "class_count": "prune_by_class",
    "both": "both",
}
THRESHOLDS = (0.05, 0.1, 0.2, 0.3)


def cleanlab_flags(labels: np.ndarray, probabilities: np.ndarray, method: str) -> np.ndarray:
    """Flags of the reference implementation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_label_issues(labels, probabilities, filter_by=THEIRS[method], n_jobs=1)


def all_flags(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Flags by way of finding them."""
    own = confident.self_confidence(labels, probabilities)
    counts_as = confident.counted(probabilities, confident.thresholds(labels, probabilities))
    wrong = confident.wrong(labels, probabilities, confident.joint(labels, counts_as, probabilities.shape[1]))
    ours = {name: confident.issues(labels, probabilities, name) for name in confident.METHODS}
    theirs = {name: cleanlab_flags(labels, probabilities, name) for name in THEIRS}
    as_many = np.zeros(len(labels), np.bool_)
    as_many[np.argsort(-wrong, kind="stable")[: int(theirs["noise_rate"].sum())]] = True
    return {
        **{f"excise {name}": flags for name, flags in ours.items()},
        "excise posterior, at least 0.5": ours["posterior"] & (wrong >= 0.5),
        "excise posterior, as many as cleanlab noise_rate": as_many,
        **{f"cleanlab {name}": flags for name, flags in theirs.items()},
        **{f"p(given) < {limit}": own < limit for limit in THRESHOLDS},
        "prediction differs": probabilities.argmax(1) != labels,
    }


def quality(flags: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of flags."""
    hits = int((flags & wrong).sum())
    precision, recall = hits / max(int(flags.sum()), 1), hits / max(int(wrong.sum()), 1)
    return {"precision": precision, "recall": recall, "f1": 2 * hits / max(int(flags.sum() + wrong.sum()), 1)}


def differing(flags: dict[str, np.ndarray]) -> dict[str, int]:
    """Records on which our flags are not cleanlab's, by method."""
    return {name: int((flags[f"excise {name}"] != flags[f"cleanlab {name}"]).sum()) for name in THEIRS}


def judged(folder: Path, name: str, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, object]:
    """Flags against the verdicts of people."""
    reviews = json.loads((folder / "label-errors" / f"{name}_mturk.json").read_text("utf-8"))
    seen, wrong = np.zeros(len(labels), np.bool_), np.zeros(len(labels), np.bool_)
    for review in reviews:
        seen[int(review["id"])] = True
        wrong[int(review["id"])] = review["mturk"]["given"] < 3
    flags = all_flags(labels, probabilities)
    own = confident.self_confidence(labels, probabilities)
    told = {}
    for way, found in flags.items():
        hits, shown = int((found & wrong).sum()), int((found & seen).sum())
        told[way] = {
            "flags": int(found.sum()),
            "shown_to_people": shown,
            "wrong": hits,
            "precision_of_shown": round(hits / max(shown, 1), 3),
            "recall_of_shown": round(hits / int(wrong.sum()), 3),
        }
    return {
        "records": len(labels),
        "shown_to_people": int(seen.sum()),
        "wrong": int(wrong.sum()),
        "auc_among_shown": round(float(roc_auc_score(wrong[seen], -own[seen])), 3),
        "differ": differing(flags),
        "ways": told,
    }


def own_probabilities(data: Labelled, labels: np.ndarray, seed: int) -> classify.Judgement:
    """What the built-in classifier says."""
    names = tuple(f"{number:04d}" for number in range(data.classes))
    if data.texts is not None:
        return classify.by_words(Corpus.from_texts(data.texts), labels, names, seed=seed)
    return classify.by_features(data.features, labels, names, seed=seed)


def planted(data: Labelled, rate: float, kind: str, seeds: int) -> dict[str, object]:
    """Flags against the truth."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    differ: dict[str, int] = defaultdict(int)
    accuracy, auc, kept = [], [], []
    for seed in range(seeds):
        labels = noisy(data.labels, data.classes, rate, kind, seed)
        told = own_probabilities(data, labels, seed)
        rows = np.flatnonzero([why is None for why in told.unjudged])
        values, given, wrong = told.probabilities.values[rows], labels[rows], (labels != data.labels)[rows]
        flags = all_flags(given, values)
        for way, one in flags.items():
            found[way].append(quality(one, wrong))
        for name, count in differing(flags).items():
            differ[name] += count
        accuracy.append(float((values.argmax(1) == data.labels[rows]).mean()))
        auc.append(float(roc_auc_score(wrong, -confident.self_confidence(given, values))))
        kept.append(len(rows) / len(labels))
    progress(f"{data.name}: {rate:.0%} {kind}")
    return {
        "data": data.name,
        "kind": kind,
        "rate": rate,
        "judged_fraction": round(float(np.mean(kept)), 4),
        "accuracy_on_true_labels": round(float(np.mean(accuracy)), 4),
        "auc_of_self_confidence": round(float(np.mean(auc)), 4),
        "differ": dict(differ),
        "ways": {
            way: {key: round(float(np.mean([one[key] for one in ones])), 4) for key in ones[0]}
            for way, ones in found.items()
        },
    }


def means(conditions: list[dict[str, object]]) -> dict[str, dict[str, float]]:
    """Of all conditions, by way."""
    ways = conditions[0]["ways"]
    return {
        way: {key: round(float(np.mean([c["ways"][way][key] for c in conditions])), 4) for key in ways[way]}
        for way in ways
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="one seed, one rate, two sets")
    chosen = parser.parse_args()
    folder = chosen.data

    published, seconds = {}, {}
    for name in ("mnist", "20news"):
        labels = np.load(folder / "label-errors" / f"{name}_test_set_original_labels.npy").astype(np.int64)
        probabilities = np.load(folder / "label-errors" / f"{name}_test_set_pyx.npy")
        published[name] = judged(folder, name, labels, probabilities)
        for who, flagged in (("excise", confident.issues), ("cleanlab", cleanlab_flags)):
            flagged(labels, probabilities, "noise_rate")
            began = time.perf_counter()
            flagged(labels, probabilities, "noise_rate")
            seconds[f"{who}, {name}"] = round(time.perf_counter() - began, 4)
    posts = news_groups(folder)
    clock, processor = time.perf_counter(), time.process_time()
    told = own_probabilities(posts, posts.labels, 0)
    spent = {
        "records": len(posts.labels),
        "characters": sum(map(len, posts.texts or [])),
        "seconds": round(time.perf_counter() - clock, 2),
        "processor_seconds": round(time.process_time() - processor, 2),
        "cores": workers(),
        "accuracy": round(float((told.probabilities.values.argmax(1) == posts.labels).mean()), 4),
    }
    published["20news, built-in classifier"] = judged(folder, "20news", posts.labels, told.probabilities.values)

    digits = mnist(folder)
    sets = [
        ag_news(folder),
        sst2(folder),
        sms_spam(folder),
        gaokao(folder),
        digits.taken(np.arange(5000)),
        *tables(folder),
    ]
    rates, seeds = ([0.1], 1) if chosen.small else ([0.05, 0.1, 0.2], chosen.seeds)
    conditions = [
        planted(data, rate, kind, seeds)
        for data in (sets[2:4] if chosen.small else sets)
        for rate in rates
        for kind in ("symmetric", "class-dependent")
    ]
    result = {
        "benchmark": "labels",
        **about(),
        "cleanlab": cleanlab.__version__,
        "seeds": seeds,
        "published": published,
        "flagging_seconds": seconds,
        "classifier_on_20news": spent,
        "planted_means": means(conditions),
        "planted": conditions,
    }
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
