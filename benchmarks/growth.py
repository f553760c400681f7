"""How time and memory of `excise clean` grow with the corpus, and 10 GB under a limit of 1 GB. Prints JSON.

    python benchmarks/growth.py [--megabytes 48] [--write]
    python benchmarks/growth.py --ten-gigabytes [--gigabytes 10] [--limit-mb 1024] [--work FOLDER] [--write]

The first takes a made corpus at 1, 4 and 16 times its size; each size holds the smaller one and has new text besides,
with the same shares of copies. The second runs under RLIMIT_DATA, which counts heap and anonymous maps but not mapped
files, and checks what went against what was planted. Memory: VmHWM as the kernel kept it, mapped files included;
`anonymous` (RssAnon), without those, and `data` (VmData), what the limit counts, sampled every 20 ms.

Made text has the word frequencies of the encyclopedia where it is there. Of the records 5 % are equal copies, 5 % near
copies (1 to 3 words of 200 changed), all of earlier records, up to the whole corpus away.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from corpora import articles
from numpy.typing import NDArray
from outcome import SHARED, about, options, progress, say
from process import CommandError, run

from excise.data import minhash

WORDS = 500  # a record, on average: about 3 kB, as in the corpus of duplicates.py
EXACT, NEAR = 0.05, 0.05
BLOCK = 4096
TIMES = (1, 4, 16)


def frequent_words() -> NDArray[np.object_]:
    """2^20 words, each as often as it is in the text it comes from: drawing evenly gives its frequencies."""
    source = itertools.islice(articles(), 3000) if (SHARED / "data/enwiki").is_dir() else iter(())
    counts = Counter(itertools.chain.from_iterable(text.split() for text in source))
    if not counts:  # Zipf's law over made words
        counts = Counter({f"w{i:x}": 10**6 // (i + 1) for i in range(50_000)})
    words, times = zip(*counts.most_common(50_000), strict=True)
    share = np.array(times) / sum(times)
    return np.repeat(np.array(words, object), np.maximum(1, np.round(share * 2**20)).astype(np.int64))


def write(path: Path, size_bytes: float, seed: int) -> Counter[str]:
    """A jsonl file of at least so many bytes, whose beginning is the same for every size; records by kind."""
    words, draw = frequent_words(), np.random.default_rng(seed)
    kinds: Counter[str] = Counter()
    starts, sizes = array("q"), array("q")  # of the lines that are no copies
    at = 0
    with path.open("wb") as file, path.open("rb") as earlier:
        while True:
            known, lots = len(starts), draw.random(BLOCK)
            origins = draw.integers(0, max(1, known), BLOCK)
            ends = np.cumsum(draw.integers(WORDS // 2, WORDS * 3 // 2, BLOCK))
            drawn = words[draw.integers(0, len(words), ends[-1])]
            for i in range(BLOCK):
                kind = "new" if not known or lots[i] >= EXACT + NEAR else "exact" if lots[i] < EXACT else "near"
                if kind == "new":
                    line = _line(" ".join(drawn[ends[i - 1] if i else 0 : ends[i]]))
                    starts.append(at)
                    sizes.append(len(line))
                else:
                    origin = int(origins[i])
                    line = os.pread(earlier.fileno(), sizes[origin], starts[origin])
                if kind == "near":
                    line = _line(_edited(json.loads(line)["text"], draw))
                kinds[kind] += 1
                at += len(line)
                file.write(line)
                if at >= size_bytes:
                    return kinds
            file.flush()


def _line(text: str) -> bytes:
    return json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n"


def _edited(text: str, draw: np.random.Generator) -> str:
    """1 to 3 words of 200 exchanged for words that occur nowhere else."""
    words = text.split(" ")
    for place in draw.integers(0, len(words), max(1, round(draw.uniform(0.005, 0.015) * len(words)))).tolist():
        words[place] = f"x{draw.integers(10**12)}"
    return " ".join(words)


def cleaned(data: Path, out: Path, *more: str, limit_mb: int | None = None) -> dict[str, Any]:
    """Cost of `excise clean`, removals by finder, time of its steps."""
    command = [sys.executable, "-m", "excise", "clean", data, "-o", out, "--restore", "content", *more]
    ran = run(command, data_limit_bytes=None if limit_mb is None else limit_mb << 20)
    removed = Counter(pq.read_table(out / "ledger/decisions.parquet", columns=["finder"])["finder"].to_pylist())
    journal = next(out.rglob("journal.jsonl")).read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in journal]
    return {
        "seconds": round(ran.seconds, 2),
        "processor_seconds": round(ran.processor_seconds, 2),
        "high_water_mb": round(ran.peak_one_mb),
        "anonymous_mb": round(ran.peak_anonymous_mb),
        "data_mb": round(ran.peak_data_mb),
        "removed": dict(removed),
        "steps_s": {event["step"]: event["seconds"] for event in events if event["event"] == "done"},
    }


def expectation(kinds: Counter[str], removed: dict[str, int]) -> dict[str, Any]:
    """What was planted, and what went."""
    exact, near = kinds["exact"], kinds["near"]
    return {
        "planted": {"exact": exact, "near": near},
        "removed_of_planted": round(sum(removed.values()) / max(1, exact + near), 5),
        "equal_ones_all_found": removed.get("exact", 0) >= exact,
    }


def growth(megabytes: float, seed: int, folder: Path) -> dict[str, Any]:
    """The same corpus, longer and longer."""
    sizes: dict[str, Any] = {}
    for times in TIMES:
        data = folder / f"{times}.jsonl"
        kinds = write(data, megabytes * times * 1e6, seed)
        cost = cleaned(data, folder / f"out-{times}")
        sizes[f"{times}x"] = {
            "megabytes": round(data.stat().st_size / 1e6, 1),
            "records": sum(kinds.values()),
            **cost,
            **expectation(kinds, cost["removed"]),
        }
        progress(f"{times}x: {cost['seconds']} s, {cost['anonymous_mb']} MB")
        data.unlink()
    ends = [sizes[f"{times}x"] for times in TIMES]
    slope = np.polyfit(np.log([e["megabytes"] for e in ends]), np.log([e["processor_seconds"] for e in ends]), 1)[0]
    rows = np.diff([end["records"] for end in ends])
    return {
        "sizes": sizes,
        "seconds_by_size": [round(e["seconds"] / ends[0]["seconds"], 2) for e in ends],
        "exponent_of_processor_time": round(float(slope), 3),
        "anonymous_bytes_a_further_record": [
            round((b["anonymous_mb"] - a["anonymous_mb"]) * 2**20 / more)
            for a, b, more in zip(ends[:-1], ends[1:], rows.tolist(), strict=True)
        ],
    }


def large(gigabytes: float, limit_mb: int, seed: int, folder: Path) -> dict[str, Any]:
    """A corpus many times larger than the memory allowed."""
    data, began = folder / "large.jsonl", time.monotonic()
    kinds = write(data, gigabytes * 1e9, seed)
    progress(f"made in {time.monotonic() - began:.0f} s")
    try:
        cost = cleaned(data, folder / "out-large", limit_mb=limit_mb)
    except CommandError as error:
        return {"gigabytes": gigabytes, "limit_mb": limit_mb, "runs_through": False, "error": str(error)[-800:]}
    return {
        "runs_through": True,
        "gigabytes": round(data.stat().st_size / 1e9, 2),
        "records": sum(kinds.values()),
        "limit_mb": limit_mb,
        "megabytes_per_second": round(data.stat().st_size / 1e6 / cost["seconds"], 1),
        **cost,
        **expectation(kinds, cost["removed"]),
    }


def main() -> None:
    """Print the measurements."""
    parser = options(__doc__, megabytes=48.0, gigabytes=10.0, limit_mb=1024, work="")
    parser.add_argument("--ten-gigabytes", action="store_true")
    chosen = parser.parse_args()
    if chosen.small:
        chosen.megabytes, chosen.gigabytes = 1.0, 0.03
    envelope = about()
    with tempfile.TemporaryDirectory(dir=chosen.work or None) as folder:
        if chosen.ten_gigabytes:
            name, result = "ten_gigabytes", large(chosen.gigabytes, chosen.limit_mb, chosen.seed, Path(folder))
        else:
            name, result = "growth", growth(chosen.megabytes, chosen.seed, Path(folder))
    say(name, envelope, {"signature_bytes": minhash.BINS * 4, **result}, chosen)


if __name__ == "__main__":
    main()
