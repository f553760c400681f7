"""run: a recipe's stages one after the other, journalled; demo: the shipped recipe that needs no downloads."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from excise import __version__
from excise.errors import RunError
from excise.evidence import report
from excise.journal import Journal, Progress, fingerprint_of, silent, written_aside
from excise.recipe import Recipe, Stage, load, references

#: From a stage's kind to the module whose function of the same name does it.
STAGES = {kind: f"excise.pipeline.{kind}" for kind in ("gather", "clean", "split", "pretrain", "compress", "compare")}

#: Settings of stages that are paths.
_PATHS = ("data", "model", "before", "after")


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        out: Its folder.
        evidence: What OUT/evidence.json holds: kind "run", one entry a stage.
        skipped: Stages that an earlier, interrupted run had finished.
    """

    out: Path
    evidence: Mapping[str, Any]
    skipped: tuple[str, ...]

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.out / "report.html"

    @property
    def status(self) -> str:
        """'done', or 'goal_missed' where a comparison missed its goal."""
        return str(self.evidence["status"])

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "out": str(self.out),
            "report": str(self.report),
            "skipped": list(self.skipped),
            **self.evidence,
        }


def demo(out: str | Path = "excise-demo", *, overwrite: bool = False, progress: Progress = silent) -> RunResult:
    """The main job on text this machine has: gather, clean, train a small model, compress it, prove it.

    Args:
        out: Folder to make.
        overwrite: Replace a finished OUT.
        progress: Told what goes on.
    """
    return run("demo", out, overwrite=overwrite, progress=progress)


def run(
    recipe: str | Path | Recipe,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> RunResult:
    """Run a recipe; killed and started again it goes on, and ends with the same bytes.

    Args:
        recipe: Path of a recipe, name of a shipped one, or a Recipe.
        out: Folder to make; the recipe's name if None. Each stage gets a folder of its own in it.
        overwrite: Replace a finished OUT.
        progress: Told what goes on.

    Returns:
        The run's folder and evidence.

    Raises:
        InputError: The recipe or an input cannot be read.
        OutputError: OUT exists, or holds another unfinished run.
    """
    checked, home = (recipe, Path()) if isinstance(recipe, Recipe) else load(recipe)
    stages = [(name, stage, _inputs(stage, home)) for name, stage in checked.named()]
    fingerprint = {
        "command": "run",
        "version": __version__,
        "recipe": checked.model_dump(mode="json"),
        "inputs": {
            path: fingerprint_of(Path(path)) for _, _, outside in stages for path in outside if Path(path).exists()
        },
    }
    began = time.monotonic()
    with Journal(Path(out or checked.name), fingerprint, "", overwrite=overwrite, progress=progress) as journal:
        fresh = False  # whether a stage was really run, which makes folders of later stages stale
        for name, stage, _ in stages:
            folder = journal.folder / name
            known = _evidence_path(folder, stage.kind)

            def work(stage: Stage = stage, folder: Path = folder, known: Path = known, stale: bool = fresh) -> None:
                if not known.is_file() or stale:
                    _perform(stage, folder, home, checked.seed, journal)

            before = len(journal.skipped)
            journal.step(name, work, [known])
            fresh = fresh or len(journal.skipped) == before
        found = [_stage_evidence(journal.folder / name, name, stage) for name, stage, _ in stages]
        missed = any(entry.get("status") == "goal_missed" for entry in found)
        evidence = {
            "schema_version": 1,
            "kind": "run",
            "status": "goal_missed" if missed else "done",
            "name": checked.name,
            "about": checked.about,
            "stages": found,
            "seconds": round(time.monotonic() - began, 1),
            "versions": {"excise": __version__},
        }
        with written_aside(journal.folder / "recipe.yaml") as file:
            settings = checked.model_dump(mode="json", exclude_defaults=True)
            file.write(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).encode())
        with written_aside(journal.folder / "evidence.json") as file:
            file.write(json.dumps(evidence, ensure_ascii=False, indent=1).encode() + b"\n")
        report.write(journal.folder / "report.html", evidence)
        skipped = tuple(journal.skipped)
        return RunResult(journal.finish(), evidence, skipped)


def _perform(stage: Stage, folder: Path, home: Path, seed: int, journal: Journal) -> None:
    """Call the stage's function with its settings; its own journal resumes what a kill left half done."""
    function = getattr(import_module(STAGES[stage.kind]), stage.kind)
    settings: dict[str, Any] = stage.model_dump(exclude={"kind", "name"})
    for key in _PATHS:
        value = settings.get(key)
        if isinstance(value, str):
            settings[key] = _resolved(value, home, journal.folder)
        elif isinstance(value, list):
            settings[key] = [_resolved(v, home, journal.folder) for v in value]
    if stage.kind not in {"gather", "clean"}:
        settings["seed"] = seed
    function(**settings, out=folder, overwrite=True, progress=journal.progress)


def _resolved(path: str, home: Path, out: Path) -> str:
    used = references(path)
    return str(out / re.sub(r"[{}]", "", path)) if used else str(home / path)


def _inputs(stage: Stage, home: Path) -> list[str]:
    """The paths of a stage that lie outside the run."""
    values = (getattr(stage, key, None) for key in _PATHS)
    listed = (v for value in values for v in ([value] if isinstance(value, str) else value or []))
    return [str(home / path) for path in listed if not references(path)]


def _evidence_path(folder: Path, kind: str) -> Path:
    """Where a stage leaves its evidence: beside data, or in excise/ beside a checkpoint."""
    return folder / "excise" / "evidence.json" if kind in {"pretrain", "compress"} else folder / "evidence.json"


def _stage_evidence(folder: Path, name: str, stage: Stage) -> dict[str, Any]:
    path = _evidence_path(folder, stage.kind)
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"stage {name} left no evidence at {path}; run the same command again") from error
    return {"name": name, **found}
