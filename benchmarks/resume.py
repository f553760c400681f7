"""Kill the demo at random moments, start it again, and compare: same bytes, and how much work was done twice.

    python benchmarks/resume.py [KILLS] [SEED] [RECIPE]

Prints JSON. Work is processor time (user + system), that of a killed process included; `ratio` is the work before
and after the kill over the work of an undisturbed run.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run(recipe: str, out: Path, kill_after_seconds: float | None = None) -> tuple[int, float, float]:
    """Exit code, processor seconds and wall seconds of one `excise run`."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "excise", "run", recipe, "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(kill_after_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return process.returncode, work, time.monotonic() - began


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of what must be the same bytes: data files, ledger tables, safetensors."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.suffix in {".jsonl", ".parquet", ".safetensors"} and path.name != "journal.jsonl"
    }


def main() -> None:
    """Run the benchmark."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    recipe = sys.argv[3] if len(sys.argv) > 3 else "demo"
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        code, work, wall = run(recipe, Path(folder, "whole"))
        assert code == 0, code
        expected = digests(Path(folder, "whole"))
        result = {
            "recipe": recipe,
            "seed": seed,
            "files": len(expected),
            "work_s": round(work, 1),
            "wall_s": round(wall, 1),
        }
        result["kills"] = []
        for number in range(kills):
            out = Path(folder, f"killed{number}")
            moment = draw.uniform(0.02, 0.98) * wall
            killed, first, _ = run(recipe, out, moment)
            resumed, second, _ = run(recipe, out)
            lines = (out / "journal.jsonl").read_text().splitlines() if resumed == 0 else []
            result["kills"].append(
                {
                    "at": round(moment / wall, 3),
                    "exit": [killed, resumed],
                    "same_bytes": resumed == 0 and digests(out) == expected,
                    "ratio": round((first + second) / work, 3),
                    "skipped": json.loads(lines[-1])["skipped"] if lines else None,
                }
            )
            print(json.dumps(result["kills"][-1]), file=sys.stderr, flush=True)
    print(json.dumps(result, indent=1))
    sys.exit(0 if all(k["same_bytes"] for k in result["kills"]) else 1)


if __name__ == "__main__":
    main()
