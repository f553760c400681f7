"""run: a recipe's stages one after the other, journalled; demo: the shipped recipe that needs no downloads."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from excise import __version__
from excise.adapters.files.find import find, shown
from excise.errors import InputError, OutputError, RunError
from excise.evidence import report
from excise.journal import Journal, Progress, fingerprint_of, silent, write_json, written_aside
from excise.recipe import PATHS, Recipe, Stage, load, references

#: From a stage's kind to the module whose function of the same name does it.
_KINDS = ("gather", "clean", "augment", "split", "pretrain", "compress", "compare")
STAGES = {kind: f"excise.pipeline.{kind}" for kind in _KINDS}

#: A model that may lie on the hub.
_HUB = re.compile(r"\w[\w.-]*/[\w.-]+")


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
        InputError: The recipe or an input cannot be read; before any work is done.
        OutputError: OUT exists, holds another unfinished run, or is, holds or lies inside an input.
    """
    checked, home = (recipe, Path()) if isinstance(recipe, Recipe) else load(recipe)
    home, out = home.resolve(), Path(out or checked.name)
    inputs, files = _inputs(checked, home, out, progress)
    fingerprint = {
        "command": "run",
        "version": __version__,
        "recipe": checked.model_dump(mode="json"),
        "inputs": inputs,
    }
    began = time.monotonic()
    with Journal(out, fingerprint, "", inputs=files, overwrite=overwrite, progress=progress) as journal:
        fresh = False  # whether a stage was really run, which makes folders of later stages stale
        for name, stage in checked.named():
            folder = journal.folder / name
            known = _evidence_path(folder, stage.kind)

            def work(stage: Stage = stage, folder: Path = folder, known: Path = known, stale: bool = fresh) -> None:
                if not known.is_file() or stale:
                    _perform(stage, folder, home, checked.seed, journal)

            before = len(journal.skipped)
            journal.step(name, work, [known])
            fresh = fresh or len(journal.skipped) == before
        found = [_stage_evidence(journal.folder / name, name, stage) for name, stage in checked.named()]
        missed = any(entry.get("status") == "goal_missed" for entry in found)
        evidence = {
            "schema_version": 1,
            "kind": "run",
            "status": "goal_missed" if missed else "done",
            "name": checked.name,
            "about": checked.about,
            "stages": found,
            "warnings": [f"{entry['name']}: {told}" for entry in found for told in entry.get("warnings", ())],
            "seconds": round(time.monotonic() - began, 1),
            "versions": {"excise": __version__},
        }
        with written_aside(journal.folder / "recipe.yaml") as file:
            file.write(_as_yaml(checked, home, out))
        write_json(journal.folder / "evidence.json", evidence)
        report.write(journal.folder / "report.html", evidence)
        skipped = tuple(journal.skipped)
        return RunResult(journal.finish(), evidence, skipped)


def _perform(stage: Stage, folder: Path, home: Path, seed: int, journal: Journal) -> None:
    """Call the stage's function with its settings; its own journal resumes what a kill left half done."""
    function = getattr(import_module(STAGES[stage.kind]), stage.kind)
    settings = _with_paths(
        stage.model_dump(exclude={"kind", "name"}), lambda path: _resolved(path, home, journal.folder)
    )
    if stage.kind not in {"gather", "clean"}:
        settings["seed"] = seed
    function(**settings, out=folder, overwrite=True, progress=journal.progress)


def _with_paths(settings: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A stage's settings, every path in them changed."""
    for key in PATHS:
        value = settings.get(key)
        if value is not None:
            settings[key] = change(value) if isinstance(value, str) else [change(path) for path in value]
    return settings


def _resolved(path: str, home: Path, out: Path) -> str:
    """Where a recipe's path is while it runs."""
    if references(path):
        return str(out / re.sub(r"^\{(.*?)\}", r"\1", path))
    return path if _on_hub(path, home) else str(home / path)


def _as_yaml(recipe: Recipe, home: Path, out: Path) -> bytes:
    """The recipe as it can be run again from OUT: paths outside become relative to there."""
    there = out.parent.resolve() / out.name
    settings = recipe.model_dump(mode="json", exclude_defaults=True)
    for stage in settings["stages"]:
        _with_paths(
            stage,
            lambda path: path if references(path) or _on_hub(path, home) else os.path.relpath(home / path, there),
        )
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).encode()


def _on_hub(path: str, home: Path) -> bool:
    return _HUB.fullmatch(path) is not None and not (home / path).exists()


def _inputs(recipe: Recipe, home: Path, out: Path, progress: Progress) -> tuple[dict[str, Any], list[Path]]:
    """What lies outside the run: fingerprints by stage and setting, and the files and folders themselves.

    Raises:
        InputError: Nothing is there.
        OutputError: OUT lies inside, and would be read as input when the run goes on.
    """
    fingerprints: dict[str, Any] = {}
    places: list[Path] = []
    once = functools.cache(fingerprint_of)  # a model is compressed, and compared with
    for name, stage in recipe.named():
        for key in PATHS:
            value = getattr(stage, key, None)
            listed = [p for p in ([value] if isinstance(value, str) else value or ()) if not references(p)]
            outside = [home / path for path in listed if key == "data" or not _on_hub(path, home)]
            for path in outside:
                reach = Path(str(path).partition("**")[0]).resolve()
                if reach.is_dir() and out.resolve().is_relative_to(reach):
                    raise OutputError(f"{out} lies inside {path}, the {key} of stage {name}. Name an output elsewhere.")
            if not outside:
                continue
            try:
                if key == "data":
                    files = find(outside, progress=progress).files
                    fingerprints[f"{name}.{key}"] = [(one.name, one.fingerprint) for one in files]
                    places += [one.path for one in files]
                else:
                    fingerprints[f"{name}.{key}"] = once(_model_folder(outside[0]))
                    places += outside
            except InputError as error:
                raise InputError(f"stage {name}, {key}: {error}") from error
    return fingerprints, places


def _model_folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError("no such directory. Give one with a checkpoint, or owner/name on the hub", shown(path))
    return path


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
