"""Near duplicates on text and code of this machine, from file to clean file: Excise, its peers, and the exact truth.

    python benchmarks/duplicates.py [--megabytes 95] [--repeats 3] [--without datatrove] [--work FOLDER] [--write]

Man pages, documentation, Python and C sources and encyclopedia articles, 4 % of them copied as they are, 12.5 % with
0.5 to 5 % of the words changed, beside what repeats by nature. The truth is every pair with Jaccard similarity >= 0.8
of the sets of runs of five tokens, found by other code (truth.py). All jobs get the same jsonl, one after another in
each round: whole processes, imports and start included; every compiled cache is warm. Excise runs in the environment of
its base alone where `make base` has made one, the peers in that of `make bench-peers`. rensa and datasketch come twice:
as a reader of their pages would use them, and tuned here: hashed shingles, the fastest that Python makes, by as many
processes as there are cores. datatrove uses all cores by itself.

`pair_recall`: share of the true pairs of which at least one record went. `wrong`: records that went though no record
that stayed is a match for them. Both look at nothing but what was removed, so they are the same measure for all.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from corpora import mixed, write_jsonl
from numpy.typing import NDArray
from outcome import HERE, about, options, progress, say
from process import run
from truth import cached_pairs

from excise.data import minhash

THRESHOLD, LEAST = 0.8, 0.7
CORES = sorted(os.sched_getaffinity(0))
BASE = HERE.parent / ".venv-base/bin/python"
EXCISE = [str(BASE) if BASE.exists() else sys.executable, "-m", "excise"]
PEERS = HERE.parent / ".venv-peers/bin/python"


def jobs(data: Path, folder: Path, without: str) -> dict[str, list[str | Path]]:
    """Commands by name; each writes below `folder`."""
    peer = [PEERS, HERE / "peers"]

    def of(script: str, *more: str) -> list[str | Path]:
        return [peer[0], peer[1] / f"{script}_job.py", data, folder / "out.jsonl", "--threshold", str(THRESHOLD), *more]

    every = ("--processes", str(len(CORES)))
    listed: dict[str, list[str | Path]] = {
        "excise": [*EXCISE, "clean", data, "-o", folder / "out"],
        "excise, near only": [*EXCISE, "clean", data, "-o", folder / "out", "--finders", "near"],
        "rensa": of("rensa", "--strings"),
        "rensa, tuned": of("rensa", *every),
        "datasketch": of("datasketch", "--strings"),
        "datasketch, tuned": of("datasketch", *every),
        "datatrove": of("datatrove", *every),
    }
    left_out = {name for name in without.split(",") if name}
    return {name: job for name, job in listed.items() if name.split(",")[0] not in left_out}


def removed_by(name: str, output: str, folder: Path) -> list[int]:
    """Rows that went."""
    if name.startswith("excise"):
        decisions = pq.read_table(folder / "out/ledger/decisions.parquet", columns=["row", "action"]).to_pydict()
        return [r for r, action in zip(decisions["row"], decisions["action"], strict=True) if action == "drop"]
    return [int(one) for one in json.loads(output)["removed"]]


class Truth:
    """All pairs of the corpus."""

    def __init__(self, texts: list[str], folder: Path) -> None:
        self.count = len(texts)
        self.first, self.second, self.similar = cached_pairs(texts, LEAST, folder)

    def as_dict(self) -> dict[str, Any]:
        """Counts, and what following matches of matches would remove."""
        near = self.similar >= THRESHOLD
        head = np.arange(self.count)
        while True:
            before = head.copy()
            np.minimum.at(head, self.first[near], before[self.second[near]])
            np.minimum.at(head, self.second[near], before[self.first[near]])
            head = head[head]
            if (head == before).all():
                break
        bands, rows = minhash.shape_for(THRESHOLD)
        return {
            "pairs": int(near.sum()),
            "pairs_equal_sets": int((self.similar == 1).sum()),
            "removable_by_closure": int((head != np.arange(self.count)).sum()),
            "mean_probability_found": round(float((1 - (1 - self.similar[near] ** rows) ** bands).mean()), 5),
        }

    def judged(self, removed: list[int]) -> dict[str, Any]:
        """Recall and precision of a removal."""
        gone = np.zeros(self.count, np.bool_)
        gone[removed] = True
        near = self.similar >= THRESHOLD
        missed = near & ~gone[self.first] & ~gone[self.second]
        return {
            "removed": len(removed),
            "pair_recall": round(1 - missed.sum() / max(1, near.sum()), 5),
            "pairs_missed": int(missed.sum()),
            "wrong": int((gone & ~self._partnered(gone, THRESHOLD)).sum()),
            "without_partner_at_0.7": int((gone & ~self._partnered(gone, LEAST)).sum()),
        }

    def _partnered(self, gone: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
        found = np.zeros(self.count, np.bool_)
        for one, other in ((self.first, self.second), (self.second, self.first)):
            found[one[(self.similar >= least) & gone[one] & ~gone[other]]] = True
        return found


def steps_of(folder: Path) -> dict[str, float]:
    """Seconds by step, from the journal of `excise clean`."""
    path = next((folder / "out").rglob("journal.jsonl"))
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {event["step"]: event["seconds"] for event in events if event["event"] == "done"}


def compared(data: Path, truth: Truth, repeats: int, without: str, work: Path) -> dict[str, Any]:
    """Every job in every round; the slow one in the first only."""
    results: dict[str, Any] = {}
    for turn in range(repeats):
        for name, command in jobs(data, work, without).items():
            if name == "datatrove" and turn:
                continue
            for left in (work / "out", work / "out.jsonl"):
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            ran = run(command, environment={"PYTHONHASHSEED": "0"})
            progress(f"{name}: {ran.seconds:.1f} s, {ran.processor_seconds:.1f} s of processor, {ran.peak_mb:.0f} MB")
            mine = results.setdefault(name, {"runs": [], **truth.judged(removed_by(name, ran.output, work))})
            mine["runs"].append(ran.as_dict())
            mine["steps_s"] = steps_of(work) if name.startswith("excise") else json.loads(ran.output)["steps_s"]
            if not name.startswith("excise"):
                mine["signature_bytes"] = json.loads(ran.output)["signature_bytes"]
    for mine in results.values():
        for cost in ("seconds", "processor_seconds", "peak_mb", "peak_anonymous_mb"):
            mine[cost] = round(statistics.median(one[cost] for one in mine["runs"]), 2)
        mine["runs"] = [{k: one[k] for k in ("seconds", "processor_seconds")} for one in mine["runs"]]
    results["excise"]["signature_bytes"] = minhash.BINS * 4
    return results


def cores_used(data: Path, work: Path, repeats: int) -> dict[str, Any]:
    """The same job on one core and on all: whole, and the steps that look for duplicates."""
    found: dict[str, list[dict[str, float]]] = {"one": [], "all": []}
    for _ in range(repeats):
        for name, cores in (("one", CORES[:1]), ("all", CORES)):
            shutil.rmtree(work / "out", ignore_errors=True)
            ran = run([*EXCISE, "clean", data, "-o", work / "out"], cores=cores)
            steps = steps_of(work)
            finding = sum(seconds for step, seconds in steps.items() if step.startswith("find "))
            near = sum(seconds for step, seconds in steps.items() if step == "find near")
            found[name].append({"whole": ran.seconds, "find": finding, "find near": near})
    best = {name: {part: min(one[part] for one in runs) for part in runs[0]} for name, runs in found.items()}
    return {
        "cores": len(CORES),
        **{f"{name}_s": {part: round(value, 2) for part, value in parts.items()} for name, parts in best.items()},
        "ratio": {part: round(best["one"][part] / max(1e-9, best["all"][part]), 2) for part in best["one"]},
    }


def kernels(texts: list[str], repeats: int) -> dict[str, float]:
    """MB/s of one core, on text in memory: best of the rounds, by the thread's processor time."""
    import pyarrow as pa
    import xxhash

    from excise.data import text

    slices = [pa.array(texts[at : at + 1000], pa.large_string()) for at in range(0, len(texts), 1000)]  # about 3 MB
    size = sum(len(one.encode()) for one in texts)
    shape = minhash.shape_for(THRESHOLD)

    def keyed(piece: pa.Array) -> None:
        data, offsets = text.buffers(text.normalised(piece))
        body = data.data
        for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            xxhash.xxh3_128_digest(body[a:b])

    work = {
        "tokenise_shingle_sign": lambda piece: minhash.band_keys(minhash.signatures(piece)[0], shape),
        "normalise_and_key": keyed,
        "normalise": text.normalised,
    }
    rates = {}
    for name, function in work.items():
        best = float("inf")
        for _ in range(repeats + 1):
            began = time.thread_time()
            for piece in slices:
                function(piece)
            best = min(best, time.thread_time() - began)
        rates[name] = round(size / 1e6 / best, 1)
    return rates


def main() -> None:
    """Print the measurements."""
    parser = options(__doc__, megabytes=95.0, repeats=3, without="", work="")
    chosen = parser.parse_args()
    if chosen.small:
        chosen.megabytes, chosen.repeats, chosen.without = 3.0, 1, chosen.without or "datatrove"
    if not PEERS.exists():
        progress("no .venv-peers: `make bench-peers` makes it; Excise alone is measured")
        chosen.without = "rensa,datasketch,datatrove"
    envelope = about()
    with tempfile.TemporaryDirectory() as made:
        work = Path(chosen.work or made).resolve()
        work.mkdir(exist_ok=True)
        planted = mixed(chosen.megabytes, chosen.seed)
        data = write_jsonl(planted.texts, work / "corpus.jsonl")
        progress(f"{len(planted.texts)} records, {data.stat().st_size / 1e6:.1f} MB; looking for the truth")
        truth = Truth(planted.texts, work)
        few = [*EXCISE, "clean", write_jsonl(planted.texts[:50], work / "few.jsonl"), "--dry-run"]
        run(few)  # fills caches
        start = run(few)
        results = compared(data, truth, chosen.repeats, chosen.without, work)
        cores = cores_used(data, work, chosen.repeats)
        size_mb = round(data.stat().st_size / 1e6, 1)
    rates = kernels(planted.texts, chosen.repeats)
    peers = {name: mine for name, mine in results.items() if not name.startswith("excise")}
    result: dict[str, Any] = {
        "corpus": {
            "megabytes": size_mb,
            "records": len(planted.texts),
            "megabytes_by_kind": planted.megabytes(),
            "planted": {"exact": len(planted.exact), "near": len(planted.near)},
        },
        "threshold": THRESHOLD,
        "truth": truth.as_dict(),
        "excise": {
            "environment": "base" if BASE.exists() else "development",
            "start_s": round(start.seconds, 2),
            "start_processor_s": round(start.processor_seconds, 2),
        },
        "jobs": results,
        "cores": cores,
        "kernel_megabytes_per_second_of_one_core": rates,
    }
    if peers:
        plain = [name for name in peers if "tuned" not in name]
        result["peers"] = {
            "versions": json.loads(run([PEERS, "-c", _VERSIONS]).output),
            "fastest": min(plain, key=lambda name: peers[name]["seconds"]),
            "fastest_tuned": min(peers, key=lambda name: peers[name]["seconds"]),
            "seconds_over_excise": {
                name: round(mine["seconds"] / results["excise"]["seconds"], 2) for name, mine in peers.items()
            },
            "processor_seconds_over_excise": {
                name: round(mine["processor_seconds"] / results["excise"]["processor_seconds"], 2)
                for name, mine in peers.items()
            },
        }
    say("duplicates", envelope, result, chosen)


_VERSIONS = """
import importlib.metadata, json
print(json.dumps({n: importlib.metadata.version(n) for n in ("rensa", "datasketch", "datatrove", "spacy", "numpy")}))
"""

if __name__ == "__main__":
    main()
