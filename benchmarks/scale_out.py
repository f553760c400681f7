"""The engine on Ray against the local one: the same output, at what price. Prints JSON.

    python benchmarks/scale_out.py [--megabytes 95] [--small] [--write]

One corpus in eight files is cleaned by six finders on all cores of this machine, locally, on a Ray that the run starts
itself, and on such a Ray one worker of which is killed while it works. The outputs must be the same: the fingerprint is
of the cleaned files and of the ledger's tables. `in_flight` is counted on Ray's side, from the times at which tasks
began and ended, on a Ray with eight slots: they sleep. `price` is that of work that does nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import ray
from corpora import mixed, write_jsonl
from outcome import about, options, progress, say
from process import run

from excise.adapters.ray import on_ray
from excise.data.threads import Mapped
from excise.journal import digest_of, fingerprint_of

FINDERS = "exact,normalised,quality,near,lines,substrings"
_MARK = "EXCISE_SCALE_OUT"


def corpus(megabytes: float, seed: int, folder: Path, files: int = 8) -> int:
    """Written in so many files; how many records."""
    texts = mixed(megabytes, seed).texts
    folder.mkdir()
    for number in range(files):
        write_jsonl(texts[number::files], folder / f"{number}.jsonl")
    return len(texts)


def cleaned(data: Path, out: Path, engine: str, mark: str = "") -> dict[str, Any]:
    """What a run cost, and the fingerprint of what it wrote."""
    command = [sys.executable, "-m", "excise", "clean", data, "-o", out, "--engine", engine, "--finders", FINDERS]
    ran = run([*command, "--allow-large"], environment={"OMP_NUM_THREADS": "1", _MARK: mark})
    parts = [out / "data", *sorted((out / "ledger").glob("*.parquet")), out / "ledger" / "sources.json"]
    progress(f"{engine}: {ran.seconds:.1f} s")
    return {**ran.as_dict(), "fingerprint": digest_of([fingerprint_of(part) for part in parts])}


class Killer(threading.Thread):
    """Kills the first worker seen at work, once.

    Args:
        mark: In the environment of the run's processes.
    """

    def __init__(self, mark: str) -> None:
        super().__init__(daemon=True)
        self._mark, self.killed, self.done = f"{_MARK}={mark}".encode(), "", threading.Event()

    def run(self) -> None:
        """Until one was killed, or `done`."""
        while not self.killed and not self.done.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    title = (process / "cmdline").read_bytes().rstrip(b"\0").decode()
                    if title.startswith("ray::Map") and self._mark in (process / "environ").read_bytes():
                        os.kill(int(process.name), signal.SIGKILL)
                        self.killed = title
                        break
                except (OSError, UnicodeDecodeError):
                    continue


def killed(data: Path, out: Path) -> dict[str, Any]:
    """As `cleaned`, with a worker killed on the way."""
    killer = Killer("killed")
    killer.start()
    try:
        cost = cleaned(data, out, "ray", "killed")
    finally:
        killer.done.set()
        killer.join()
    return {**cost, "killed": killer.killed}


def asleep(item: int) -> tuple[float, float]:
    """When it began and ended."""
    began = time.time()
    time.sleep(0.3)
    return began, time.time()


def in_flight(engine: Mapped) -> dict[str, int]:
    """Most tasks at work at one time, and most items handed to Ray and not yet back."""
    drawn = most = 0

    def items() -> Any:
        nonlocal drawn
        while drawn < 96:
            drawn += 1
            yield drawn

    times = []
    for back, span in enumerate(engine(asleep, items())):
        most = max(most, drawn - back)
        times.append(span)
    events = sorted([(began, 1) for began, _ in times] + [(ended, -1) for _, ended in times])
    at_once = peak = 0
    for _, change in events:
        at_once += change
        peak = max(peak, at_once)
    return {"tasks_at_once": peak, "items_handed_over": most}


def price(engine: Mapped) -> dict[str, float]:
    """Seconds of work that does nothing, by the number of items."""
    found = {}
    for count in (1, 8, 64, 576, 2112):
        began = time.perf_counter()
        assert list(engine(abs, range(count))) == list(range(count))
        found[str(count)] = round(time.perf_counter() - began, 3)
    return found


def main() -> None:
    """Print the measurements."""
    chosen = options(__doc__, megabytes=95.0, work="").parse_args()
    if chosen.small:
        chosen.megabytes = 2.0
    envelope = about("ray")
    with tempfile.TemporaryDirectory(dir=chosen.work or None) as name:
        folder = Path(name)
        records = corpus(chosen.megabytes, chosen.seed, folder / "data")
        runs = {
            "local": cleaned(folder / "data", folder / "local", "local"),
            "ray": cleaned(folder / "data", folder / "ray", "ray"),
            "ray_worker_killed": killed(folder / "data", folder / "killed"),
        }
    os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False, configure_logging=False)
    engine = on_ray()
    list(engine(asleep, range(16)))  # workers are started
    result = {
        "megabytes": chosen.megabytes,
        "records": records,
        "finders": FINDERS.split(","),
        "same_output": len({cost["fingerprint"] for cost in runs.values()}) == 1,
        "runs": runs,
        "in_flight": in_flight(engine),
        "price_s_by_items": price(engine),
    }
    ray.shutdown()
    say("scale_out", envelope, result, chosen)
    if not result["same_output"] or not runs["ray_worker_killed"]["killed"]:
        sys.exit("the outputs differ, or no worker was killed")


if __name__ == "__main__":
    main()
