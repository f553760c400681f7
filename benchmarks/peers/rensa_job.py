"""rensa: from a jsonl file to a clean one.

    python rensa_job.py IN OUT [--threshold 0.8] [--processes 1] [--strings]

128 values a signature and the package's own deduplicator: LSH, then the estimate of the signatures against the
threshold. `--strings` gives it runs of five words as text and leaves the bands to it, as a reader of its page would.
Without, it gets the bytes of their hashes, by so many processes, and 16 bands of 8, which find what those of the page
miss: the fastest and most complete that was found.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rensa import RMinHashDeduplicator
from shingles import Job, all_hashes, read, strings

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("data", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--threshold", type=float, default=0.8)
parser.add_argument("--processes", type=int, default=1)
parser.add_argument("--strings", action="store_true")
chosen = parser.parse_args()

job = Job()
lines, records = read(chosen.data)
ids = [record["id"] for record in records]
job.done("read")
if chosen.strings:
    shingled: list[object] = [strings(record["text"]) for record in records]
else:
    texts = [record["text"] for record in records]
    shingled = [np.frombuffer(one, "V8").tolist() for one in all_hashes(texts, chosen.processes)]
job.done("shingle")
bands = None if chosen.strings else 16
deduplicator = RMinHashDeduplicator(chosen.threshold, num_perm=128, use_lsh=True, num_bands=bands)
kept = deduplicator.add_pairs(zip(ids, shingled, strict=True))
job.done("sign and compare")
job.finish(lines, kept, ids, chosen.out, signature_bytes=128 * 4)
