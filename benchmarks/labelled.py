"""Labelled data of ../shared and of scikit-learn, and wrong labels planted in them."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """Texts, or features where `texts` is None, and classes in [0, k)."""

    name: str
    labels: Ints
    texts: list[str] | None = None
    features: np.ndarray | None = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.labels.max()) + 1

    def taken(self, rows: Ints) -> Labelled:
        """Some of the records."""
        texts = None if self.texts is None else [self.texts[i] for i in rows]
        features = None if self.features is None else self.features[rows]
        return Labelled(self.name, self.labels[rows], texts, features)


def ag_news(folder: Path) -> Labelled:
    """English news in four classes."""
    with (folder / "ag-news" / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return Labelled("ag-news", np.array([int(row[0]) - 1 for row in rows]), [f"{row[1]} {row[2]}" for row in rows])


def sst2(folder: Path, split: str = "train") -> Labelled:
    """English sentences, good or bad."""
    lines = (folder / "sst2" / f"{split}.tsv").read_text("utf-8").splitlines()
    pairs = [line.rsplit("\t", 1) for line in lines if "\t" in line]
    return Labelled("sst2", np.array([int(label) for _, label in pairs]), [text for text, _ in pairs])


def sms_spam(folder: Path) -> Labelled:
    """Short messages, one in eight spam; many occur several times."""
    lines = (folder / "sms-spam" / "SMSSpamCollection").read_text("utf-8").splitlines()
    pairs = [line.split("\t", 1) for line in lines if "\t" in line]
    return Labelled("sms-spam", np.array([int(label == "spam") for label, _ in pairs]), [text for _, text in pairs])


def gaokao(folder: Path) -> Labelled:
    """Chinese (and some English) examination questions in nine subjects."""
    texts, labels = [], []
    for subject, path in enumerate(sorted((folder / "agieval-gaokao").glob("*.jsonl"))):
        for line in path.read_text("utf-8").splitlines():
            question = json.loads(line)
            texts.append(f"{question.get('passage') or ''} {question['question']}")
            labels.append(subject)
    return Labelled("gaokao subjects (zh)", np.array(labels), texts)


def news_groups(folder: Path) -> Labelled:
    """Posts to twenty news groups, with their published labels."""
    with lzma.open(folder / "label-errors" / "20news_test_texts.jsonl.xz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    labels = np.load(folder / "label-errors" / "20news_test_set_original_labels.npy")
    return Labelled("20news", labels.astype(np.int64), texts)


def mnist(folder: Path, split: str = "t10k") -> Labelled:
    """Digits as 784 grey values."""
    images = gzip.decompress((folder / "mnist" / f"{split}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "mnist" / f"{split}-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)
    return Labelled("mnist", np.frombuffer(labels, np.uint8, offset=8).astype(np.int64), features=pixels)


def tables(folder: Path) -> list[Labelled]:
    """Tables of numbers: cardiotocograms, tumours, pen strokes."""
    cardio = np.load(folder / "adbench" / "6_cardio.npz", allow_pickle=False)
    cancer, digits = load_breast_cancer(), load_digits()
    return [
        Labelled("cardio (table)", cardio["y"].astype(np.int64), features=cardio["X"]),
        Labelled("breast cancer (table)", cancer.target.astype(np.int64), features=cancer.data),
        Labelled("digits 8x8 (table)", digits.target.astype(np.int64), features=digits.data),
    ]


def noisy(labels: Ints, classes: int, rate: float, kind: str, seed: int) -> Ints:
    """Labels with wrong ones among them.

    Args:
        labels: The right ones.
        classes: k.
        rate: Share that is wrong, on average.
        kind: symmetric: any other class. class-dependent: each class is taken for one other, some half as often as
            the average, some one and a half times.
        seed: Of all draws.
    """
    rng = np.random.default_rng(seed)
    if rate == 0:
        return labels
    if kind == "symmetric":
        wrong = rng.random(len(labels)) < rate
        return np.where(wrong, (labels + rng.integers(1, classes, len(labels))) % classes, labels)
    rates = rate * rng.uniform(0.5, 1.5, classes)
    share = np.bincount(labels, minlength=classes) / len(labels)
    rates *= rate / (rates @ share)
    taken_for = (np.arange(classes) + rng.integers(1, classes, classes)) % classes
    wrong = rng.random(len(labels)) < np.minimum(rates, 0.9)[labels]
    return np.where(wrong, taken_for[labels], labels)
