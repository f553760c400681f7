"""datatrove: from a jsonl file to a clean one.

    python datatrove_job.py IN OUT [--processes 1]

Its four MinHash steps with its own defaults: words by spaCy, 14 buckets of 8 hashes (the probability of meeting is
0.924 at similarity 0.8; what meets goes, unverified). The input is cut into a shard a process, as its users do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.typeshelper import Languages
from loguru import logger
from shingles import Job


def executed(steps: list[object], folder: Path, name: str, tasks: int, processes: int) -> None:
    """One executor to its end."""
    LocalPipelineExecutor(
        pipeline=steps, tasks=tasks, workers=processes, logging_dir=str(folder / "logs" / name), skip_completed=False
    ).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threshold", type=float, default=0.8, help="not used: the bands decide")
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args()
    logger.remove()

    job = Job()
    config = MinhashConfig()
    with tempfile.TemporaryDirectory(dir=chosen.out.parent) as made:
        folder = Path(made)
        (folder / "in").mkdir()
        lines = chosen.data.read_bytes().splitlines(keepends=True)
        for shard in range(chosen.processes):
            start, stop = (len(lines) * (shard + more) // chosen.processes for more in (0, 1))
            (folder / "in" / f"{shard:05d}.jsonl").write_bytes(b"".join(lines[start:stop]))
        job.done("cut into shards")
        reader = JsonlReader(str(folder / "in"))
        sign = MinhashDedupSignature(str(folder / "signatures"), config=config, language=Languages.english)
        executed([reader, sign], folder, "sign", chosen.processes, chosen.processes)
        job.done("sign")
        buckets = MinhashDedupBuckets(str(folder / "signatures"), str(folder / "buckets"), config=config)
        executed([buckets], folder, "buckets", config.num_buckets, chosen.processes)
        job.done("buckets")
        cluster = MinhashDedupCluster(str(folder / "buckets"), str(folder / "remove"), config=config)
        executed([cluster], folder, "cluster", 1, 1)
        job.done("cluster")
        went = JsonlWriter(str(folder / "removed"), compression=None)
        kept = JsonlWriter(str(folder / "kept"), compression=None)
        filter_ = MinhashDedupFilter(str(folder / "remove"), exclusion_writer=went)
        executed([reader, filter_, kept], folder, "filter", chosen.processes, chosen.processes)
        with chosen.out.open("wb") as file:
            for path in sorted((folder / "kept").glob("*.jsonl")):
                file.write(path.read_bytes())
        job.done("filter and write")
        dropped = b"".join(path.read_bytes() for path in sorted((folder / "removed").glob("*.jsonl")))
        removed = [json.loads(line)["id"] for line in dropped.splitlines()]
    width = config.num_buckets * config.hashes_per_bucket * config.hash_config.precision // 8
    json.dump({"removed": removed, "steps_s": job.seconds, "signature_bytes": width}, sys.stdout)
