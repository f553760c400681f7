"""What cleaning labels does to a classifier's accuracy on clean test data; prints JSON.

    python benchmarks/cleaning_helps_classifier.py [--data ../shared/data] [--seeds 5] [--small]

Labels of the training data are made wrong (0, 10, 20 % symmetric, 20 % class-dependent), found by the built-in
classifier (words or pixels) with the default settings, and dropped, relabelled as suggested, or weighed by the
probability that they are right. The classifiers trained on the result are others than the one that finds: TF-IDF and
logistic regression of scikit-learn, lightly (C = 1) and hardly (C = 100) regularised, and a random forest on pixels;
Chinese by characters and pairs of them.
Arms beside: the noisy labels as they are, as many records dropped at random, and all labels right (the most that can be
gained). Every arm of a seed has the same training records; differences to the noisy labels are paired by seed, their
95 % interval is Student's.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from labelled import Labelled, ag_news, gaokao, mnist, noisy, sst2
from outcome import SHARED, about, progress
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from excise.corpus import Corpus
from excise.data import labels
from excise.data.labels import LabelsSettings

CONDITIONS = ((0.0, "symmetric"), (0.1, "symmetric"), (0.2, "symmetric"), (0.2, "class-dependent"))
TRAIN = {"ag-news": 5000, "sst2": 5000, "gaokao subjects (zh)": 1400, "mnist": 2000}
#: Two-sided 95 % quantile of Student's t by degrees of freedom.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def found(train: Labelled, given: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of findings, suggested labels, probabilities that the given ones are wrong."""
    corpus = Corpus.from_texts(train.texts or [""] * len(given), labels=[str(label) for label in given])
    settings = LabelsSettings(seed=seed)
    measured = labels.measure(corpus, settings, features=train.features)
    findings = next(labels.judge(measured, corpus, settings))
    suggested = np.array([int(value) for value in findings["value"].to_pylist()], np.int64)
    return findings["position"].to_numpy(), suggested, findings["redundancy"].to_numpy()


def arms(train: Labelled, given: np.ndarray, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows, labels and weights to train on, by arm."""
    at, suggested, wrong = found(train, given, seed)
    every, ones = np.arange(len(given)), np.ones(len(given))
    stay = np.setdiff1d(every, at)
    relabelled, weights = given.copy(), ones.copy()
    relabelled[at] = suggested
    weights[at] = 1 - wrong
    chance = np.sort(np.random.default_rng(seed).permutation(every)[: len(stay)])
    return {
        "noisy": (every, given, ones),
        "drop": (stay, given, ones),
        "relabel": (every, relabelled, ones),
        "weigh": (every, given, weights),
        "drop as many at random": (chance, given, ones),
        "all labels right": (every, train.labels, ones),
    }


def trained(
    kind: str, train: Labelled, test: Labelled, arm: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> float:
    """Accuracy on the test data, in [0, 1]."""
    rows, given, weights = arm
    if train.texts is None:
        features, asked = train.features[rows] / 255.0, test.features / 255.0
    else:
        letters = {"analyzer": "char", "ngram_range": (1, 2)} if "(zh)" in train.name else {}
        words = TfidfVectorizer(sublinear_tf=True, min_df=2, **letters)
        features = words.fit_transform([train.texts[i] for i in rows])
        asked = words.transform(test.texts)
    model = (
        RandomForestClassifier(100, random_state=seed)
        if kind == "random forest"
        else LogisticRegression(C=float(kind.split("=")[1]), max_iter=200 if train.texts is None else 1000)
    )
    model.fit(features, given[rows], sample_weight=weights[rows])
    return float((model.predict(asked) == test.labels).mean())


def split(data: Labelled, folder: Path, seed: int) -> tuple[Labelled, Labelled]:
    """Training and test data, disjoint."""
    order = np.random.default_rng(1000 + seed).permutation(len(data.labels))
    train = data.taken(np.sort(order[: TRAIN[data.name]]))
    if data.name == "sst2":
        return train, sst2(folder, "test")
    return train, data.taken(np.sort(order[TRAIN[data.name] :]))


def interval(differences: list[float]) -> dict[str, object]:
    """Mean and 95 % interval of paired differences."""
    mean, count = float(np.mean(differences)), len(differences)
    if count < 2:
        return {"mean": round(mean, 4)}
    half = T95[count - 1] * float(np.std(differences, ddof=1)) / np.sqrt(count)
    return {"mean": round(mean, 4), "interval_95": [round(mean - half, 4), round(mean + half, 4)]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="one seed of one condition")
    chosen = parser.parse_args()
    sets = [ag_news(chosen.data), sst2(chosen.data), gaokao(chosen.data), mnist(chosen.data)]
    conditions, seeds = (CONDITIONS[2:3], 1) if chosen.small else (CONDITIONS, chosen.seeds)
    results = []
    for data in sets[:1] if chosen.small else sets:
        kinds = ["C=1", "random forest"] if data.texts is None else ["C=1", "C=100"]
        for rate, kind in conditions:
            accuracies: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in kinds}
            for seed in range(seeds):
                train, test = split(data, chosen.data, seed)
                given = noisy(train.labels, data.classes, rate, kind, seed)
                for arm, what in arms(train, given, seed).items():
                    for name in kinds:
                        accuracies[name][arm].append(trained(name, train, test, what, seed))
            progress(f"{data.name}: {rate:.0%} {kind}")
            for name, by_arm in accuracies.items():
                results.append(
                    {
                        "data": data.name,
                        "classifier": name,
                        "wrong": rate,
                        "kind": kind,
                        "accuracy": {arm: round(float(np.mean(ones)), 4) for arm, ones in by_arm.items()},
                        "difference_to_noisy": {
                            arm: interval([a - b for a, b in zip(ones, by_arm["noisy"], strict=True)])
                            for arm, ones in by_arm.items()
                            if arm != "noisy"
                        },
                    }
                )
    result = {"benchmark": "cleaning_helps_classifier", **about("scikit-learn"), "seeds": seeds, "results": results}
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
