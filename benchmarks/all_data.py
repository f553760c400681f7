"""Every benchmark of the data side, one after another; the JSON of each is kept in benchmarks/results/.

    python benchmarks/all_data.py [--only duplicates,planted] [--small]

`make bench-data` on a quiet machine: about an hour, most of it the ten gigabytes, the training and datatrove. A
benchmark that fails leaves its earlier result alone and is named at the end (exit 1). With --small those that have a
smoke run make it, the others are left out, and nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from outcome import HERE, RESULTS, about, progress

#: Name of the result, and the command that makes it. Those that are not there are passed over, and said so.
BENCHMARKS: dict[str, tuple[str, ...]] = {
    "duplicates": ("duplicates.py",),
    "growth": ("growth.py",),
    "ten_gigabytes": ("growth.py", "--ten-gigabytes"),
    "substrings": ("substrings.py",),
    "planted": ("planted.py",),
    "semantic": ("semantic.py",),
    "rules": ("rules.py",),
    "unlike": ("unlike.py",),
    "outliers": ("outliers.py",),
    "labels": ("labels.py",),
    "cleaning_helps": ("cleaning_helps.py",),
    "cleaning_helps_classifier": ("cleaning_helps_classifier.py",),
    "augmentation": ("augmentation.py",),
    "unit_costs": ("unit_costs.py",),
    "scale_out": ("scale_out.py",),
}


def made_by(name: str, command: tuple[str, ...], small: bool) -> dict[str, object]:
    """The JSON object a benchmark prints, with machine and versions where it does not tell them itself."""
    asked = [*command, *(["--small"] if small else [])]
    whole = [sys.executable, HERE / asked[0], *asked[1:]]
    ran = subprocess.run(whole, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parent)
    told = json.loads(ran.stdout[ran.stdout.index("{") :])
    envelope = {**about(), "command": " ".join(["python", f"benchmarks/{asked[0]}", *asked[1:]])}
    return {"benchmark": name, **{key: value for key, value in envelope.items() if key not in told}, **told}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"names with commas between them: {', '.join(BENCHMARKS)}")
    parser.add_argument("--small", action="store_true")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"--only has {', '.join(unknown)}; there is {', '.join(BENCHMARKS)}")
    failed = []
    for name in names:
        script = HERE / BENCHMARKS[name][0]
        if not script.is_file() or (chosen.small and "--small" not in _source(script)):
            progress(f"{name}: {'no smoke run' if script.is_file() else 'not there'}, passed over")
            continue
        began = time.monotonic()
        try:
            result = made_by(name, BENCHMARKS[name], chosen.small)
        except (subprocess.CalledProcessError, ValueError) as error:
            failed.append(name)
            progress(f"{name}: failed, {error}")
            continue
        progress(f"{name}: {time.monotonic() - began:.0f} s")
        if not chosen.small:
            RESULTS.mkdir(exist_ok=True)
            text = json.dumps(result, indent=1, ensure_ascii=False)
            (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _source(script: Path) -> str:
    """Its text; benchmarks that use `outcome.options` have a smoke run."""
    text = script.read_text(encoding="utf-8")
    return text + ("--small" if "chosen.small" in text else "")


if __name__ == "__main__":
    main()
