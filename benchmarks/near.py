"""Speed and recall of the data engine on about 95 MB of real text with planted duplicates; prints JSON.

    python benchmarks/near.py [--megabytes 95] [--seed 0] [--enwiki ../shared/data/enwiki/enwiki-aa.tar.xz]

The text is encyclopedia articles where that archive is there, and the Python sources of this machine, cut at blank
lines. 4 % of the records get an exact copy, 12 % a near copy (0.5-5 % of the words changed). Recall counts planted
copies whose Jaccard similarity to their original, computed in plain Python, reaches the threshold.
"""

import argparse
import json
import os
import platform
import random
import re
import resource
import sysconfig
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

began = time.perf_counter()
import numba  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from excise.corpus import BATCH, Corpus, Source, batch_of  # noqa: E402
from excise.data import exact, keep, near, rails  # noqa: E402
from excise.data.decide import decide  # noqa: E402

imported = time.perf_counter()
from excise.data import kernels, unicode  # noqa: E402, F401 - compiles, or reads the cache

compiled = time.perf_counter()
unicode.points()
tabled = time.perf_counter()

_TOKEN = re.compile(r"\w+|[^\w\s.,:;!?'\"()\[\]{}\u2010-\u2027\u3001-\u3011]")
_BATCH = 8192


def articles(archive: Path) -> Iterator[str]:
    """Plain-text articles of more than 200 characters."""
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isfile() and "wiki_" in member.name:
                body = opened.extractfile(member).read().decode()
                for article in re.findall(r"<doc [^>]*>\n(.*?)</doc>", body, re.DOTALL):
                    if len(article) > 200:
                        yield article.strip()


def sources() -> Iterator[str]:
    """Python sources of the standard library and the installed packages, in pieces of about 3,000 characters."""
    paths = sysconfig.get_paths()
    for root in dict.fromkeys([paths["stdlib"], paths["purelib"]]):
        for path in sorted(Path(root).rglob("*.py")):
            piece: list[str] = []
            for block in path.read_text("utf-8", "ignore").split("\n\n"):
                piece.append(block)
                if sum(map(len, piece)) > 3000:
                    yield "\n\n".join(piece)
                    piece = []


@dataclass
class Planted:
    """Texts, and which of them are copies of which."""

    texts: list[str] = field(default_factory=list)
    exact: dict[int, int] = field(default_factory=dict)
    near: dict[int, int] = field(default_factory=dict)


def varied(original: str, rng: random.Random) -> str:
    """0.5-5 % of the words replaced."""
    words = original.split(" ")
    for _ in range(max(1, round(rng.uniform(0.005, 0.05) * len(words)))):
        words[rng.randrange(len(words))] = f"word{rng.randrange(10**6)}"
    return " ".join(words)


def planted(megabytes: float, archive: Path, seed: int) -> Planted:
    """Originals and copies, shuffled, about so many MB."""
    rng = random.Random(seed)
    originals: list[str] = []
    size = 0
    for stream in (articles(archive) if archive.is_file() else iter(()), sources()):
        for original in stream:
            originals.append(original)
            size += len(original.encode()) * 1.16
            if size >= megabytes * 1e6:
                break
    drawn = [(original, "", None) for original in originals]
    for index, original in enumerate(originals):
        lot = rng.random()
        if lot < 0.04:
            drawn.append((original, "exact", index))
        elif lot < 0.16:
            drawn.append((varied(original, rng), "near", index))
    order = list(range(len(drawn)))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    out = Planted(texts=[drawn[i][0] for i in order])
    for old, (_, kind, origin) in enumerate(drawn):
        if kind:
            getattr(out, kind)[place[old]] = place[origin]
    return out


def on_disk(texts: list[str], folder: Path) -> Corpus:
    """As a reader leaves it: one Arrow IPC file, mapped into memory."""
    view = folder / "view.arrow"
    with pa.OSFile(str(view), "wb") as sink, pa.ipc.new_file(sink, BATCH) as writer:
        for at in range(0, len(texts), _BATCH):
            part = texts[at : at + _BATCH]
            writer.write_batch(batch_of([f"bench#{at + i}" for i in range(len(part))], part, first_row=at))
    size = sum(len(t.encode()) for t in texts)
    return Corpus((Source("bench", "bench", "jsonl", "", size, "", len(texts), "text"),), (view,))


def similarity(a: str, b: str) -> float:
    """Jaccard similarity of the sets of shingles of 5 words or symbols, in plain Python; marks and rare signs aside."""
    sets = []
    for one in (a, b):
        words = _TOKEN.findall(one.lower())
        width = min(5, len(words))
        sets.append({tuple(words[i : i + width]) for i in range(len(words) - width + 1)})
    return len(sets[0] & sets[1]) / max(1, len(sets[0] | sets[1]))


def measure(corpus: Corpus) -> tuple[dict[str, tuple[float, float]], pa.Table]:
    """Seconds by the clock and of the processor for each stage, and the decisions."""
    seconds = {}
    clock = time.perf_counter(), time.process_time()

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter(), time.process_time()
        seconds[name] = now[0] - clock[0], now[1] - clock[1]
        clock = now

    found = [*exact.find(corpus, normalised=False)]
    lap("exact")
    found += exact.find(corpus, normalised=True)
    lap("normalised")
    rank = keep.ranks(corpus, "first")
    skip = np.zeros(len(corpus), np.bool_)
    skip[keep.resolve(pa.concat_tables(found), rank).position] = True
    found += near.find(corpus, near.NearSettings(), skip=skip, rank=rank)
    lap("near")
    decisions = decide(pa.concat_tables(found), corpus)
    rails.guard(decisions, corpus, [0] * len(corpus.sources))
    lap("keep")
    return seconds, decisions


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=95)
    parser.add_argument("--seed", type=int, default=0)
    shared = Path(os.environ.get("EXCISE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    parser.add_argument("--enwiki", type=Path, default=shared / "data/enwiki/enwiki-aa.tar.xz")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    made = planted(options.megabytes, options.enwiki, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        corpus = on_disk(made.texts, Path(folder))
        runs = [measure(corpus) for _ in range(options.repeats)]
    decisions = runs[0][1]
    best = {stage: [min(run[0][stage][kind] for run in runs) for kind in (0, 1)] for stage in runs[0][0]}
    wall, processor = (sum(times[kind] for times in best.values()) for kind in (0, 1))
    gone = set(decisions["row"].to_pylist())
    reachable = [c for c, o in made.near.items() if similarity(made.texts[c], made.texts[o]) >= 0.8]
    # Either end may stay: the one that comes first does.
    found = [c for c in reachable if c in gone or made.near[c] in gone]
    megabytes = sum(len(t.encode()) for t in made.texts) / 1e6
    rounded = {stage: [round(t, 3) for t in times] for stage, times in best.items()}
    report = {
        "machine": {
            "processor": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "system": platform.platform(),
        },
        "versions": {
            "python": platform.python_version(),
            "numba": numba.__version__,
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
        "seed": options.seed,
        "records": len(made.texts),
        "megabytes": round(megabytes, 1),
        "seconds_once": {
            "import": round(imported - began, 3),
            "compile_or_read_cache": round(compiled - imported, 3),
            "table_of_code_points": round(tabled - compiled, 3),
        },
        "repeats": options.repeats,
        "seconds_and_processor_seconds": rounded,
        "seconds_total": round(wall, 3),
        "processor_seconds_total": round(processor, 3),
        "megabytes_per_second": round(megabytes / wall, 1),
        "megabytes_per_processor_second": round(megabytes / processor, 1),
        "recall_planted_near": round(len(found) / max(1, len(reachable)), 5),
        "planted": {"exact": len(made.exact), "near": len(made.near), "near_reaching_threshold": len(reachable)},
        "removed": dict(Counter(decisions["finder"].to_pylist())),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
