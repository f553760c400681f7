"""What every benchmark says of itself: versions, machine, command. One JSON object to stdout, on request kept."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SHARED = Path(os.environ.get("EXCISE_SHARED", HERE.parents[1] / "shared"))
VERSIONS = ("excise", "numpy", "pyarrow", "numba")


def options(about: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """A parser with what all benchmarks take."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a smoke run of seconds; its figures mean nothing")
    parser.add_argument("--write", action="store_true", help="keep the JSON in benchmarks/results/")
    parser.add_argument("--seed", type=int, default=0)
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    return parser


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory; no names."""
    model = platform.machine()
    cpuinfo, memory_bytes = Path("/proc/cpuinfo"), None
    if cpuinfo.is_file():
        named = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = named[0].split(":")[1].strip() if named else model
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": None if memory_bytes is None else round(memory_bytes / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def about(*packages: str) -> dict[str, Any]:
    """Envelope of a result."""
    return {
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(_without_folder, sys.argv[1:])]),
        "machine": machine(),
        "load_before": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in (*VERSIONS, *packages)},
        },
    }


def _without_folder(argument: str) -> str:
    return Path(argument).name if Path(argument).is_absolute() else argument


def say(name: str, envelope: dict[str, Any], result: dict[str, Any], chosen: argparse.Namespace) -> None:
    """Print the result, and keep it where `--write` was given. A smoke run is never kept."""
    whole = {"benchmark": name, **envelope, "seed": chosen.seed, **result}
    text = json.dumps(whole, indent=1, ensure_ascii=False)
    print(text)
    if chosen.write and not chosen.small:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def progress(text: str) -> None:
    """To stderr, for the long ones."""
    print(text, file=sys.stderr, flush=True)
