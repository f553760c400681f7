"""datasketch: from a jsonl file to a clean one.

    python datasketch_job.py IN OUT [--threshold 0.8] [--processes 1] [--strings]

128 permutations and MinHashLSH with the bands it chooses for the threshold; a record goes if a kept one shares a band
and the estimate of their signatures reaches the threshold. `--strings` gives it runs of five words and its own SHA-1,
as its page has it; without, the shingles come as hashes.
"""

from __future__ import annotations

import argparse
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray
from shingles import Job, hashes, read, strings

PERMUTATIONS = 128


def _as_it_is(value: int) -> int:
    return value


_EMPTY = MinHash(num_perm=PERMUTATIONS, hashfunc=_as_it_is)


def sketch_of(values: NDArray[np.uint32] | None) -> MinHash:
    """A MinHash with these values, or one of nothing."""
    return MinHash(
        num_perm=PERMUTATIONS,
        hashfunc=_as_it_is,
        hashvalues=values,
        permutations=_EMPTY.permutations,
        scheme=_EMPTY.scheme,
    )


def signature(text: str) -> NDArray[np.uint32]:
    """The 128 values of one text."""
    sketch = sketch_of(None)
    sketch.update_batch(np.frombuffer(hashes(text), np.uint64) >> np.uint64(32))
    return sketch.hashvalues


def documented(text: str) -> NDArray[np.uint32]:
    """The 128 values of one text, as a reader of its page makes them."""
    sketch = MinHash(num_perm=PERMUTATIONS, permutations=_EMPTY.permutations, scheme=_EMPTY.scheme)
    sketch.update_batch([one.encode() for one in set(strings(text))])
    return sketch.hashvalues


if __name__ == "__main__":
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
    texts, sign = [record["text"] for record in records], documented if chosen.strings else signature
    if chosen.processes == 1:
        values = list(map(sign, texts))
    else:
        with get_context("fork").Pool(chosen.processes) as pool:
            values = list(pool.imap(sign, texts, chunksize=64))
    job.done("shingle and sign")
    index = MinHashLSH(threshold=chosen.threshold, num_perm=PERMUTATIONS)
    sketches: dict[str, MinHash] = {}
    kept = []
    for one, value in zip(ids, values, strict=True):
        sketch = sketch_of(value)
        stays = not any(sketch.jaccard(sketches[other]) >= chosen.threshold for other in index.query(sketch))
        if stays:
            index.insert(one, sketch)
            sketches[one] = sketch
        kept.append(stays)
    job.done("compare")
    job.finish(lines, kept, ids, chosen.out, signature_bytes=int(values[0].nbytes), bands=[index.b, index.r])
