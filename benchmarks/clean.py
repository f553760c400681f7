"""From file to clean file: `clean` on a jsonl of the corpus of near.py, by step. Prints JSON.

python benchmarks/clean.py [--megabytes 95] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

from near import planted

from excise.pipeline.clean import clean


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=95)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    shared = Path(os.environ.get("EXCISE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    options = parser.parse_args()
    texts = planted(options.megabytes, shared / "data/enwiki/enwiki-aa.tar.xz", options.seed).texts
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "corpus.jsonl")
        with data.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
        for number in range(options.repeats + 1):  # the first fills numba's cache
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
            out = clean(data, Path(folder, f"out{number}")).out
            after = resource.getrusage(resource.RUSAGE_SELF)
            assert out is not None
            lines = [json.loads(line) for line in (out / "ledger" / "journal.jsonl").read_text().splitlines()]
            runs.append(
                {
                    "seconds": round(time.perf_counter() - began, 2),
                    "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
                    "steps": {line["step"]: line["seconds"] for line in lines if line["event"] == "done"},
                }
            )
        size = data.stat().st_size
    best = min(runs[1:], key=lambda run: run["seconds"])
    print(
        json.dumps({"megabytes": round(size / 1e6, 1), "records": len(texts), "best": best, "all": runs[1:]}, indent=1)
    )


if __name__ == "__main__":
    main()
