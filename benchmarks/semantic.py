"""How well vectors of words find what says the same: sentence pairs, records of one article, texts; prints JSON.

    python benchmarks/semantic.py [--data ../shared/data] [--texts 100000] [--model FOLDER]

Pairs of stsbenchmark with a score of at least 4.5 of 5 count as duplicates; of DBLP-ACM those labelled so. Thresholds
that are not the defaults are chosen by F1 on the dev (valid) split and reported on the test split. `near` is the
Jaccard similarity of 5-word sequences, as the finder of that name computes it; `both` is either of the two.
"""

import argparse
import json
import lzma
import platform
import re
import resource
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import sklearn
import usearch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from excise.corpus import Corpus
from excise.data import embed, near, semantic, verify
from excise.data.embed import EmbedSettings
from excise.data.near import NearSettings
from excise.data.semantic import SemanticSettings

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
Pairs = tuple[list[str], list[str], np.ndarray]
Encoder = Callable[[list[str]], np.ndarray] | None


def sentences(folder: Path, split: str) -> Pairs:
    """Sentences and scores 0-5 of stsbenchmark."""
    lines = (folder / "stsbenchmark" / f"sts-{split}.csv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return [r[5] for r in rows], [r[6] for r in rows], np.array([float(r[4]) for r in rows])


def articles(folder: Path, split: str) -> Pairs:
    """Records of DBLP and of ACM, their fields on lines, and 1 where they are one article."""
    packed = (folder / "er-dblp-acm" / f"{split}.txt.xz").read_bytes()
    rows = [line.split("\t") for line in lzma.decompress(packed).decode().rstrip("\n").split("\n")]
    left, right = ([re.sub(r"COL \w+ VAL", "\n", row[side]).strip() for row in rows] for side in (0, 1))
    return left, right, np.array([float(row[2]) for row in rows])


def jaccard(left: list[str], right: list[str]) -> np.ndarray:
    """Of the sets of shingles of each pair; 0 where one has none."""
    sets, starts = verify.shingle_sets(pa.array([*left, *right], pa.large_string()))
    of = [set(sets[a:b].tolist()) for a, b in pairwise(starts)]
    pairs = zip(of[: len(left)], of[len(left) :], strict=True)
    return np.array([len(a & b) / max(1, len(a | b)) for a, b in pairs])


def told(found: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of the pairs that were found."""
    hits = float((found & same).sum())
    precision, recall = hits / max(1, found.sum()), hits / same.sum()
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return {"precision": round(float(precision), 4), "recall": round(float(recall), 4), "f1": round(float(f1), 4)}


def best(likeness: np.ndarray, same: np.ndarray) -> float:
    """The threshold with the greatest F1, of those that leave something out."""
    likeness, same = likeness[likeness > 0], same[likeness > 0]
    order = np.argsort(-likeness, kind="stable")
    hits = np.cumsum(same[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + same.sum())
    return float(likeness[order][f1.argmax()])


def pairs(splits: dict[str, Pairs], least: float, choose: str, encoder: Encoder) -> dict[str, object]:
    """Near, semantic and both on the test split."""
    texts = [text for left, right, _ in splits.values() for text in (*left, *right)]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "vectors.npy"
        vectors = np.array(embed.vectors(Corpus.from_texts(texts), path, EmbedSettings(), encoder=encoder))
    likeness: dict[str, dict[str, np.ndarray]] = {"near": {}, "semantic": {}}
    at = 0
    for split, (left, right, _) in splits.items():
        likeness["near"][split] = jaccard(left, right)
        middle, end = at + len(left), at + 2 * len(left)
        likeness["semantic"][split] = np.einsum("ij,ij->i", vectors[at:middle], vectors[middle:end])
        at = end
    scores, same = splits["test"][2], splits["test"][2] >= least
    result: dict[str, object] = {"pairs": len(same), "duplicates": int(same.sum())}
    found = {}
    for name, default in (("near", NearSettings().threshold), ("semantic", SemanticSettings().threshold)):
        values = likeness[name]["test"]
        chosen = best(likeness[name][choose], splits[choose][2] >= least)
        found[name] = {"default": values >= default, "chosen": values >= chosen}
        result[name] = {
            "auc": round(float(roc_auc_score(same, values)), 4),
            "spearman": round(float(spearmanr(scores, values)[0]), 4),
            "default": {"threshold": default, **told(found[name]["default"], same)},
            "chosen": {"threshold": round(chosen, 4), **told(found[name]["chosen"], same)},
            "by_threshold": {str(t): told(values >= t, same) for t in THRESHOLDS},
        }
    result["both"] = {how: told(found["near"][how] | found["semantic"][how], same) for how in ("default", "chosen")}
    return result


def gone(corpus: Corpus, vectors: np.ndarray, threshold: float, exact: int = semantic.EXACT) -> dict[int, int]:
    """Records that go, each with the one that stays."""
    tables = semantic.find(corpus, SemanticSettings(threshold), vectors, exact=exact)
    columns = [(t["position"].to_pylist(), t["partner_position"].to_pylist()) for t in tables]
    return {position: partner for left, right in columns for position, partner in zip(left, right, strict=True)}


def instructions(folder: Path) -> list[str]:
    """Instructions (with inputs) and answers of alpaca-en: short texts."""
    records = json.loads(lzma.decompress((folder / "alpaca-en" / "alpaca_data.json.xz").read_bytes()))
    return [f"{r['instruction']} {r['input']}".strip() for r in records] + [r["output"] for r in records]


def scale(folder: Path, count: int) -> dict[str, object]:
    """Time and memory of embedding and finding, and the graph against the comparison of all with all."""
    texts = instructions(folder)[:count]
    corpus = Corpus.from_texts(texts)
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        vectors = embed.vectors(corpus, Path(place) / "vectors.npy", EmbedSettings())
        embedded = time.perf_counter()
        whole = gone(corpus, vectors, SemanticSettings().threshold, exact=10**9)
        compared = time.perf_counter()
        graph = gone(corpus, vectors, SemanticSettings().threshold, exact=0)
        ended = time.perf_counter()
        nearly = list(near.find(corpus, NearSettings()))
        by_near = set(nearly[0]["position"].to_pylist()).union(*(t["position"].to_pylist() for t in nearly[1:]))
    return {
        "texts": len(texts),
        "megabytes": round(sum(len(t.encode()) for t in texts) / 1e6, 1),
        "seconds": {
            "embed": round(embedded - began, 1),
            "all with all": round(compared - embedded, 1),
            "graph": round(ended - compared, 1),
        },
        "gone": {"all with all": len(whole), "graph": len(graph), "near": len(by_near)},
        "recall_of_graph": round(len(whole.keys() & graph.keys()) / max(1, len(whole)), 5),
        "semantic_but_not_near": len(whole.keys() - by_near),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--model", type=Path)
    asked = parser.parse_args()
    encoder = None
    if asked.model is not None:
        from excise.adapters import encoder as adapter

        encoder = adapter.encoder(asked.model)
    splits = {split: sentences(asked.data, split) for split in ("train", "dev", "test")}
    records = {split: articles(asked.data, split) for split in ("train", "valid", "test")}
    print(
        json.dumps(
            {
                "machine": platform.machine(),
                "python": platform.python_version(),
                "numpy": np.__version__,
                "scikit-learn": sklearn.__version__,
                "usearch": usearch.__version__,
                "vectors": "words" if asked.model is None else asked.model.name,
                "stsbenchmark": pairs(splits, 4.5, "dev", encoder),
                "er-dblp-acm": pairs(records, 1, "valid", encoder),
                "scale": scale(asked.data, asked.texts),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
