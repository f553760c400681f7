"""Which measure of oddness should be the default, and how good is it? Prints JSON.

    python benchmarks/outliers.py [--data ../shared/data] [--seeds 3]

Numbers: the 14 sets of ADBench there. Sorted by name, every second one, from the first on, is for choosing: the
candidate with the greatest mean ROC-AUC there is the choice, and the others say how good it is. The candidates were
drawn up with all sets in view; only the choice among them is made on one half. Both directions are told.

Texts: out-of-scope queries among those of CLINC150, and records of other kinds put into AG News (2 %), by vectors of
words.
"""

import argparse
import csv
import json
import lzma
import platform
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import sklearn
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from excise.corpus import Corpus
from excise.data import embed, oddness
from excise.data.oddness import RobustScale

PLANTED = 0.02


def sets(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values [n, d] and anomalies [n] by name, in order of names without regard to case."""
    found = {path.stem.split("_", 1)[1]: np.load(path) for path in folder.glob("*.npz")}
    return {name: (found[name]["X"], found[name]["y"]) for name in sorted(found, key=str.lower)}


def scaled(values: np.ndarray, kind: str) -> RobustScale:
    """The package's scale, or another."""
    scale = RobustScale.of(values, 0)
    kept = values[:, scale.columns].astype(float)
    deviation = kept.std(axis=0)
    if kind == "deviations":
        return RobustScale(scale.columns, kept.mean(axis=0), deviation)
    if kind == "quartiles":
        low, high = np.percentile(kept, (25, 75), axis=0)
        return RobustScale(scale.columns, scale.centre, np.where(high > low, (high - low) / 1.349, deviation))
    return scale


def measures(values: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Every candidate's oddness of every row."""
    where = np.arange(len(values))
    quiet: Callable[[int], None] = lambda done: None  # noqa: E731
    found = {
        "forest": oddness.forest(values, where, RobustScale.of(values, 0).apply, seed, quiet),
        "ecod": oddness.ecod(values, where, quiet),
    }
    for kind in ("percentiles", "quartiles", "deviations"):
        transform = scaled(values, kind).apply
        found[f"samples, {kind}"] = oddness.samples(values, where, transform, seed, quiet)
        for count in (10, 20, 50):
            name = f"neighbours {count}, {kind}"
            found[name] = oddness.neighbours(values, where, transform, count, seed, quiet)[0]
    ranks = {name: rankdata(odd) / len(odd) for name, odd in found.items()}
    pairs = (
        ("samples, percentiles", "neighbours 10, percentiles"),
        ("samples, percentiles", "neighbours 20, percentiles"),
        ("samples, percentiles", "forest"),
        ("neighbours 20, percentiles", "forest"),
        ("forest", "ecod"),
        ("samples, percentiles", "neighbours 20, percentiles", "forest", "ecod"),
    )
    for names in pairs:
        found["mean rank of " + " + ".join(names)] = np.mean([ranks[name] for name in names], axis=0)
        found["highest rank of " + " + ".join(names)] = np.max([ranks[name] for name in names], axis=0)
    return found


def numbers(folder: Path, seeds: int) -> dict[str, object]:
    """ROC-AUC of every candidate on every set, and the choice by either half."""
    given = sets(folder)
    areas: dict[str, dict[str, list[float]]] = {}
    for name, (values, odd) in given.items():
        for seed in range(seeds):
            for candidate, measured in measures(values, seed).items():
                area = float(roc_auc_score(odd, measured))
                areas.setdefault(candidate, {}).setdefault(name, []).append(area)
    names = list(given)
    halves = {"first": names[::2], "second": names[1::2]}
    mean = {
        c: {h: float(np.mean([np.mean(by[n]) for n in members])) for h, members in halves.items()}
        for c, by in areas.items()
    }

    def chosen(on: str, told: str) -> dict[str, object]:
        best = max(mean, key=lambda candidate: mean[candidate][on])
        return {
            "candidate": best,
            "auc_where_chosen": round(mean[best][on], 4),
            "auc_reported": round(mean[best][told], 4),
        }

    return {
        "halves": halves,
        "chosen_on_first": chosen("first", "second"),
        "chosen_on_second": chosen("second", "first"),
        "mean_auc": {
            candidate: {
                **{half: round(value, 4) for half, value in by.items()},
                "all": round(float(np.mean([np.mean(v) for v in areas[candidate].values()])), 4),
            }
            for candidate, by in sorted(mean.items(), key=lambda item: -item[1]["first"])
        },
        "auc": {c: {name: round(float(np.mean(v)), 4) for name, v in by.items()} for c, by in areas.items()},
        "largest_spread_over_seeds": round(max(float(np.ptp(v)) for by in areas.values() for v in by.values()), 4),
    }


def clinc(folder: Path) -> tuple[list[str], list[str]]:
    """Queries in scope (train) and out of scope (test)."""
    data = json.loads((folder / "clinc150" / "data_full.json").read_text("utf-8"))
    return [text for text, _ in data["train"]], [text for text, _ in data["oos_test"]]


def news(folder: Path) -> list[str]:
    """AG News, title and text."""
    with (folder / "ag-news" / "test.csv").open(encoding="utf-8") as file:
        return [f"{title}\n{body}" for _, title, body in csv.reader(file)]


def unpacked(path: Path) -> list[dict[str, str]]:
    """The records of a packed JSON file."""
    return json.loads(lzma.decompress(path.read_bytes()))


def foreign(folder: Path) -> dict[str, list[str]]:
    """Records of other kinds."""
    chinese = unpacked(folder / "alpaca-zh" / "zh-data-part-00.json.xz")
    code = unpacked(folder / "gpteacher-codegen" / "codegen-instruct.json.xz")
    messages = next((folder / "sms-spam").glob("SMS*")).read_text("utf-8").splitlines()
    return {
        "Chinese instructions (alpaca-zh)": [f"{r['instruction']}\n{r['output']}" for r in chinese],
        "code (gpteacher-codegen)": [r["response"] for r in code],
        "text messages (sms-spam)": [line.split("\t", 1)[1] for line in messages],
        "newswire (reuters21578)": list(newswire(folder / "reuters21578" / "reuters21578.tar.xz")),
    }


def newswire(archive: Path) -> Iterator[str]:
    """Bodies of the articles of the first file of Reuters-21578."""
    with tarfile.open(archive) as opened:
        member = min((m for m in opened if m.name.endswith(".sgm")), key=lambda m: m.name)
        pages = opened.extractfile(member).read().decode("latin-1")
    for body in re.findall(r"<BODY>(.*?)</BODY>", pages, re.DOTALL):
        yield " ".join(body.split())


def texts(folder: Path, seed: int) -> dict[str, dict[str, float]]:
    """ROC-AUC by corpus and measure."""
    rng = np.random.default_rng(seed)
    base = news(folder)
    corpora = {"clinc150, out of scope": clinc(folder)}
    for name, records in foreign(folder).items():
        picked = rng.choice(len(records), round(PLANTED * len(base)), replace=False)
        corpora[f"ag-news, {name}"] = (base, [records[i] for i in picked])
    quiet: Callable[[int], None] = lambda done: None  # noqa: E731
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for name, (inside, outside) in corpora.items():
            corpus = Corpus.from_texts([*inside, *outside])
            vectors = embed.vectors(corpus, Path(place) / "vectors.npy", embed.EmbedSettings())
            odd = np.repeat([0, 1], [len(inside), len(outside)])
            where, same = np.arange(len(odd)), oddness.as_they_are
            measured = {
                f"neighbours {count}": oddness.neighbours(vectors, where, same, count, seed, quiet)[0]
                for count in (1, 5, 10, 20, 50)
            }
            measured["samples"] = oddness.samples(vectors, where, same, seed, quiet)
            measured["forest"] = oddness.forest(vectors, where, same, seed, quiet)
            measured["ecod"] = oddness.ecod(vectors, where, quiet)
            found[name] = {m: round(float(roc_auc_score(odd, values)), 4) for m, values in measured.items()}
            found[name]["records"], found[name]["outliers"] = len(odd), len(outside)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    told = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "seeds": asked.seeds,
        "numbers": numbers(asked.data / "adbench", asked.seeds),
        "texts": texts(asked.data, 0),
    }
    print(json.dumps(told, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
