"""What augmentation does to accuracy, on clean and on corrupted test data; prints JSON.

    python benchmarks/augmentation.py [--data ../shared/data] [--seeds 5]

Images: MNIST, a random 1,000 of the training images a seed, a 784-128-10 network, as many steps with augmentation as
without; the whole test set, clean and with noise, shifts and cut-outs. Text: SST-2 (the test set) and AG News (2,000
articles of the one split there is, disjoint from those that are trained on), 1,000 records a seed, clean, with typos
and as misread print; once with a small network on embedded character n-grams, augmented anew each epoch, and once with
four copies beside the originals and a linear model on TF-IDF of words. The arm "copies unchanged" tells what more of
the same does. Every arm of a seed sees the same records. What is drawn for the test sets is drawn from other seeds than
for training. Differences to the arm without augmentation are paired by seed; their 95 % interval is Student's.
"""

import argparse
import csv
import gzip
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from excise.adapters.transforms import Augment
from excise.data.augment.images import IMAGES
from excise.data.augment.seeds import generator

TRAIN, STEPS, BATCH = 1000, 1200, 50
COPIES = 4

#: Image arms and image corruptions: steps of (operation, rate).
IMAGE_ARMS = {
    "none": (),
    "noise": (("gaussian", 0.3),),
    "shift": (("crop", 0.1),),
    "cutout": (("cutout", 0.5),),
    "shift+noise+cutout": (("crop", 0.1), ("gaussian", 0.15), ("cutout", 0.35)),
}
IMAGE_TESTS = {
    "clean": (),
    "noise": (("gaussian", 0.4),),
    "shift": (("crop", 0.1),),
    "cutout": (("cutout", 0.5),),
    "all": (("crop", 0.07), ("gaussian", 0.2), ("cutout", 0.35)),
}
#: Text arms: operations, of which one is drawn for each text and epoch.
NETWORK_ARMS = {
    "none": [],
    "keyboard": ["keyboard=0.2"],
    "drop": ["drop=0.2"],
    "keyboard, noise, drop": ["keyboard=0.2", "noise=0.2", "drop=0.2"],
}
LINEAR_ARMS = {"none": [], "copies unchanged": [], "keyboard": ["keyboard=0.1"], "drop": ["drop=0.15"]}
TEXT_TESTS = {
    "clean": "",
    "typos, keyboard 0.1": "keyboard=0.1",
    "typos, keyboard 0.2": "keyboard=0.2",
    "typos, noise 0.2": "noise=0.2",
    "OCR 0.2": "ocr=0.2",
}
#: Of the network on text: epochs, share of the texts that is changed in each, hashed n-grams, numbers for each.
EPOCHS, SHARE, BUCKETS, WIDTH = 20, 0.7, 1 << 14, 32

#: Two-sided 95 % quantile of Student's t by degrees of freedom.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def idx(path: Path, header: int) -> np.ndarray:
    """The uint8 values of a gzipped idx file."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def altered(images: np.ndarray, steps: Sequence[tuple[str, float]], rng: np.random.Generator) -> np.ndarray:
    """Images after these operations, each image by itself."""
    for name, rate in steps:
        images = IMAGES[name](images, rng, rate)
    return images


def as_input(images: np.ndarray) -> torch.Tensor:
    """Float32 [n, 784] in [0, 1]."""
    return torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)


def train_network(images: np.ndarray, labels: np.ndarray, steps: Sequence[tuple[str, float]], seed: int):
    """A 784-128-10 network after STEPS steps; each epoch is augmented anew."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    targets = torch.from_numpy(labels.astype(np.int64))
    order = np.random.default_rng(seed)
    done = epoch = 0
    while done < STEPS:
        inputs = as_input(altered(images, steps, generator(seed, "train", epoch)))
        places = torch.from_numpy(order.permutation(len(images)))
        for batch in places.split(BATCH):
            loss = torch.nn.functional.cross_entropy(network(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        done, epoch = done + len(places) // BATCH, epoch + 1
    return network


def on_images(folder: Path, seeds: int) -> dict[str, dict[str, list[float]]]:
    """Accuracy by arm and test set, one a seed."""
    images = idx(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = idx(folder / "train-labels-idx1-ubyte.gz", 8)
    tested = idx(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    truth = torch.from_numpy(idx(folder / "t10k-labels-idx1-ubyte.gz", 8).astype(np.int64))
    tests = {name: as_input(altered(tested, steps, generator(1, "test", name))) for name, steps in IMAGE_TESTS.items()}
    found = {arm: {name: [] for name in tests} for arm in IMAGE_ARMS}
    for seed in range(seeds):
        chosen = np.random.default_rng(seed).choice(len(images), TRAIN, replace=False)
        for arm, steps in IMAGE_ARMS.items():
            network = train_network(images[chosen], labels[chosen], steps, seed)
            with torch.no_grad():
                for name, inputs in tests.items():
                    found[arm][name].append((network(inputs).argmax(1) == truth).float().mean().item())
    return found


def sst2(folder: Path) -> tuple[list[str], list[str], list[str], list[str]]:
    """Training sentences and labels, test sentences and labels."""
    sides = []
    for name in ("train", "test"):
        rows = [
            line.rpartition("\t") for line in (folder / f"{name}.tsv").read_text("utf-8").splitlines() if "\t" in line
        ]
        sides += [[text for text, _, _ in rows], [label for _, _, label in rows]]
    return tuple(sides)


def ag_news(folder: Path) -> tuple[list[str], list[str], list[str], list[str]]:
    """As `sst2`: 5,600 articles to train on, 2,000 to test on."""
    with (folder / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = [(f"{title} {body}", label) for label, title, body in csv.reader(file)]
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = [rows[i] for i in order]
    train, test = shuffled[2000:], shuffled[:2000]
    return [t for t, _ in train], [la for _, la in train], [t for t, _ in test], [la for _, la in test]


def n_grams(texts: Sequence[str]) -> list[np.ndarray]:
    """Buckets of the 3-, 4- and 5-byte sequences of each text."""
    found = []
    for text in texts:
        data = np.frombuffer(f"  {text.lower()}  ".encode(), np.uint8).astype(np.uint32)
        codes, parts = data, []
        for size in range(2, 6):
            codes = codes[:-1] * np.uint32(16777619) ^ data[size - 1 :]
            if size > 2:
                parts.append((codes * np.uint32(2654435761)) >> np.uint32(32 - 14))
        found.append(np.concatenate(parts).astype(np.int64))
    return found


def bag(rows: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """N-grams of several texts as an EmbeddingBag takes them."""
    starts = np.cumsum([0, *(len(row) for row in rows[:-1])])
    return torch.from_numpy(np.concatenate(rows)), torch.from_numpy(starts)


class Network(torch.nn.Module):
    """The mean of a text's n-gram vectors, and a linear layer."""

    def __init__(self, classes: int) -> None:
        """Random numbers everywhere."""
        super().__init__()
        self.vectors = torch.nn.EmbeddingBag(BUCKETS, WIDTH, mode="mean")
        self.out = torch.nn.Linear(WIDTH, classes)

    def forward(self, rows: Sequence[np.ndarray]) -> torch.Tensor:
        """Scores of classes."""
        return self.out(self.vectors(*bag(rows)))


def by_network(texts: list[str], labels: np.ndarray, ops: list[str], seed: int):
    """A function from texts to classes; each epoch is augmented anew."""
    torch.manual_seed(seed)
    network, targets = Network(int(labels.max()) + 1), torch.from_numpy(labels)
    optimizer, order = torch.optim.Adam(network.parameters(), 1e-2), np.random.default_rng(seed)
    augment = Augment(ops, seed, share=SHARE) if ops else None
    rows = n_grams(texts)
    for epoch in range(EPOCHS):
        if augment:
            augment.set_epoch(epoch)
            rows = n_grams(augment({"text": texts})["text"])
        for batch in np.array_split(order.permutation(len(texts)), len(texts) // BATCH):
            loss = torch.nn.functional.cross_entropy(network([rows[i] for i in batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def guess(inputs: list[str]) -> np.ndarray:
        with torch.no_grad():
            return network(n_grams(inputs)).argmax(1).numpy()

    return guess


def by_linear_model(texts: list[str], labels: np.ndarray, ops: list[str] | None, seed: int):
    """A function from texts to classes; COPIES of each text are added, unchanged ones without operations."""
    more = list(texts)
    for copy in range(0 if ops is None else COPIES):
        augment = Augment(ops, seed) if ops else None
        if augment:
            augment.set_epoch(copy)
        more += augment({"text": texts})["text"] if augment else texts
    vectorizer = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=300)
    model.fit(vectorizer.fit_transform(more), np.tile(labels, len(more) // len(texts)))
    return lambda inputs: model.predict(vectorizer.transform(inputs))


def on_texts(data: tuple[list[str], ...], arms: dict[str, list[str]], linear: bool, seeds: int):
    """Accuracy by arm and test set, one a seed."""
    texts, named, tested, truth = data
    classes = sorted(set(named))
    labels, wanted = (np.array([classes.index(name) for name in side]) for side in (named, truth))
    tests = {}
    for name, op in TEXT_TESTS.items():
        corrupt = Augment([op], seed=1_000_000) if op else None
        tests[name] = [corrupt.changed(t, f"test {i}") for i, t in enumerate(tested)] if corrupt else tested
    found = {arm: {name: [] for name in tests} for arm in arms}
    for seed in range(seeds):
        chosen = np.random.default_rng(seed).choice(len(texts), TRAIN, replace=False)
        mine = [texts[i] for i in chosen]
        for arm, ops in arms.items():
            if linear:
                guess = by_linear_model(mine, labels[chosen], None if arm == "none" else ops, seed)
            else:
                guess = by_network(mine, labels[chosen], ops, seed)
            for name, inputs in tests.items():
                found[arm][name].append(float(np.mean(guess(inputs) == wanted)))
    return found


def summed(found: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, dict[str, object]]]:
    """Mean and spread over seeds, and the difference to the arm without augmentation."""
    table: dict[str, dict[str, dict[str, object]]] = {}
    for arm, tests in found.items():
        table[arm] = {}
        for name, values in tests.items():
            accuracy, n = np.array(values), len(values)
            entry = {"mean": round(accuracy.mean(), 4), "sd": round(accuracy.std(ddof=1), 4)}
            if arm != "none":
                gain = accuracy - np.array(found["none"][name])
                half = T95[n - 1] * gain.std(ddof=1) / np.sqrt(n)
                entry["gain"] = round(gain.mean(), 4)
                entry["gain_95"] = [round(gain.mean() - half, 4), round(gain.mean() + half, 4)]
            table[arm][name] = entry
    return table


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=5, choices=range(2, 11))
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    result: dict[str, object] = {"mnist, 784-128-10": summed(on_images(options.data / "mnist", options.seeds))}
    sentences, articles = sst2(options.data / "sst2"), ag_news(options.data / "ag-news")
    for name, data in (("ag-news", articles), ("sst2", sentences)):
        result[f"{name}, network on character n-grams"] = summed(on_texts(data, NETWORK_ARMS, False, options.seeds))
    for name, data in (("ag-news", articles), ("sst2", sentences)):
        result[f"{name}, linear model on words"] = summed(on_texts(data, LINEAR_ARMS, True, options.seeds))
    versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
    told = {
        "benchmark": "augmentation",
        "accuracy": result,
        "seeds": options.seeds,
        "train_records": TRAIN,
        "copies": COPIES,
        "image_arms": IMAGE_ARMS,
        "image_tests": IMAGE_TESTS,
        "network_arms": NETWORK_ARMS,
        "linear_arms": LINEAR_ARMS,
        "text_tests": TEXT_TESTS,
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(time.process_time(), 1),
        "versions": {**versions, "scikit-learn": sklearn.__version__},
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
