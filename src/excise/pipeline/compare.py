"""compare: two models on the same machine and the same unseen text — sizes, speed, quality, verdict, report."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from excise import __version__
from excise.corpus import Corpus
from excise.errors import InputError, OutputError, SettingError
from excise.evidence import goals as goals_
from excise.evidence import report, size
from excise.evidence.compare import Evidence, doubts_of, measures_of, verdict_of
from excise.journal import Journal, Progress, fingerprint_of, silent, write_json
from excise.pipeline import measuring

if TYPE_CHECKING:
    from torch import nn

    from excise.model import Model


def compare(
    before: str | Path | nn.Module | Model,
    after: str | Path | nn.Module | Model,
    data: str | Path | Sequence[str | Path] | Corpus,
    *,
    text: str | None = None,
    goal: str | Sequence[str] = (),
    out: str | Path | None = None,
    windows: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Evidence:
    """Measure what AFTER gained over BEFORE and what it cost.

    Args:
        before: The original: a checkpoint's directory, a network, or a Model.
        after: The smaller one.
        data: Held-out text that neither was tuned on.
        text: Field or template of the text; detected if None.
        goal: E.g. 'bpb<=1.02x'; the grammar is in evidence/goals.py.
        out: Folder for report.html and evidence.json. If None, AFTER/excise/compare.html and compare.json where
            AFTER is a folder, else nothing is written; such a comparison, interrupted, starts anew.
        windows: Windows of 256 tokens to use, spread over the text; all if None.
        seed: Of the bootstrap.
        overwrite: Replace an earlier comparison.
        progress: Told what goes on.

    Returns:
        The evidence; its `status` is 'goal_missed' where a goal was missed.

    Raises:
        SettingError: A goal that cannot be read, or models that cannot be compared token by token.
        InputError: Data or a model cannot be read.
        OutputError: The output exists or cannot be written.
        NumericsError: A model predicts NaN.
    """
    began = time.perf_counter()
    goals = [goals_.parse(g) for g in ([goal] if isinstance(goal, str) else goal)]
    folders = _folder(before), _folder(after)
    _refuse_unmeasured(goals, folders)
    beside = None if out is not None or folders[1] is None else folders[1] / "excise"
    if beside is not None:
        _preflight(beside, after, overwrite)
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="excise-"))
        corpus = _open_data(data, Path(scratch), text, progress)
        texts, ids = _texts(corpus)
        models = _open_model(before), _open_model(after)
        pieces = measuring.cut(models, texts, windows)
        settings = {"goal": [str(g) for g in goals], "windows": windows, "seed": seed, "text": text}
        journal = None
        if out is not None:
            inputs = {
                "command": "compare",
                "version": __version__,
                "before": _fingerprint(before, folders[0]),
                "after": _fingerprint(after, folders[1]),
                "data": [s.fingerprint or s.name for s in corpus.sources],
                **{name: value for name, value in settings.items() if name != "goal"},  # judged after measuring
            }
            journal = stack.enter_context(Journal(Path(out), inputs, "", overwrite=overwrite, progress=progress))
        found = measuring.measured(
            models,
            folders,
            pieces,
            (texts, ids),
            seed=seed,
            progress=progress,
            step=measuring.at_once if journal is None else journal.step,
        )
        names = _name(before), _name(after)
        seconds = time.perf_counter() - began
        evidence = _put_together(found, goals, corpus, names, folders, settings, seconds)
        if journal is not None:
            _write(journal.folder, "evidence.json", "report.html", evidence)
            journal.finish()
        elif beside is not None:
            _write(beside, "compare.json", "compare.html", evidence)
    return evidence


def _put_together(
    found: Mapping[str, Any],
    goals: Sequence[goals_.Goal],
    corpus: Corpus,
    names: tuple[str, str],
    folders: tuple[Path | None, Path | None],
    settings: dict[str, Any],
    seconds: float,
) -> Evidence:
    sizes = found["size"]["before"], found["size"]["after"]
    told, timing = found["quality"], found["speed"]["speed"]
    measures = measures_of(sizes, timing, told["measures"])
    outcomes = goals_.judge(goals, measures)
    sources = [
        {k: v for k, v in s.as_dict().items() if k in {"name", "fingerprint", "records", "size_bytes", "view"}}
        for s in corpus.sources
    ]
    overlap = _overlap(folders[1], [s.fingerprint for s in corpus.sources])
    return Evidence(
        before={"name": names[0], "files": sizes[0].get("files", {})},
        after={"name": names[1], "files": sizes[1].get("files", {})},
        measures=measures,
        speed=timing,
        machine=found["speed"]["machine"],
        text={**told["text"], "sources": sources},
        slices=told["slices"],
        worst=told["worst"],
        overlap=overlap,
        goals=outcomes,
        verdict=verdict_of(measures, told["text"]["unigram_nats"], outcomes),
        warnings=[*doubts_of(measures, told["text"]), *_warnings(found["speed"]["machine"], overlap)],
        versions=_versions(),
        settings=settings,
        seconds=round(seconds, 3),
    )


def _warnings(machine: Mapping[str, Any], overlap: Mapping[str, Any]) -> list[str]:
    found = []
    load, cores = machine["load_1min"], machine["cores"] or 1
    if load is not None and load > max(cores, machine["threads"]) + 0.5:
        found.append(
            f"The machine was busy (load {load} on {cores} cores): ratios of speed hold better than milliseconds."
        )
    if overlap["calibration"] == "same text":
        found.append("The held-out text is the calibration text: quality is flattered. Give text that was not used.")
    return found


def _overlap(after: Path | None, heldout: Sequence[str]) -> dict[str, Any]:
    """Whether AFTER was calibrated on the very files it is now judged by."""
    listing = None if after is None else after / "excise" / "evidence.json"
    if listing is None or not listing.is_file():
        return {"calibration": "not known", "reason": "AFTER does not say what it was calibrated on"}
    try:
        sources = json.loads(listing.read_text(encoding="utf-8")).get("calibration", {}).get("sources", [])
        used = {s["fingerprint"] for s in sources}
    except (ValueError, AttributeError, TypeError, KeyError):
        used = set()
    if not used:
        return {"calibration": "not known", "reason": "AFTER names no calibration text"}
    same = used & {h for h in heldout if h}
    if same:
        return {"calibration": "same text", "reason": f"{len(same)} file(s) with the same fingerprint"}
    return {"calibration": "other files", "reason": "fingerprints differ; single records may still occur in both"}


def _versions() -> dict[str, str]:
    found = {"excise": __version__, "python": platform.python_version()}
    for name in ("torch", "transformers", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _open_data(
    data: str | Path | Sequence[str | Path] | Corpus, scratch: Path, text: str | None, progress: Progress
) -> Corpus:
    if isinstance(data, Corpus):
        return data
    from excise.adapters.files import open_corpus

    corpus, _ = open_corpus(data, scratch, text=text, progress=progress)
    return corpus


def _texts(corpus: Corpus) -> tuple[list[str], list[str]]:
    texts: list[str] = []
    ids: list[str] = []
    for batch in corpus.batches():
        texts += batch.column("text").to_pylist()
        ids += batch.column("id").to_pylist()
    kept = [(t, i) for t, i in zip(texts, ids, strict=True) if t.strip()]
    if not kept:
        raise InputError("the held-out data holds no text; give records with text in them")
    return [t for t, _ in kept], [i for _, i in kept]


def _open_model(model: Any) -> Model:
    if hasattr(model, "logits") and hasattr(model, "encode"):
        return model  # type: ignore[no-any-return]  # a Model already
    from excise.adapters.hf import open_model

    return open_model(model)


def _folder(model: Any) -> Path | None:
    return Path(model) if isinstance(model, str | Path) and Path(model).is_dir() else None


def _name(model: Any) -> str:
    if isinstance(model, str | Path):
        return Path(os.path.abspath(model)).name if Path(model).is_dir() else str(model)  # noqa: PTH100
    return type(model).__name__


def _fingerprint(model: Any, folder: Path | None) -> str:
    return _name(model) if folder is None else fingerprint_of(folder)


def _refuse_unmeasured(goals: Sequence[goals_.Goal], folders: tuple[Path | None, Path | None]) -> None:
    """A goal on files needs models that lie in files."""
    for goal in goals:
        if goal.name in size.OF_FILES and None in folders:
            raise SettingError(
                f"goal is {str(goal)!r}; {goal.name} was not measured here, because a model is not a folder. "
                "Save it first, or state the goal on memory or parameters."
            )


def _preflight(folder: Path, after: Any, overwrite: bool) -> None:
    """Before any work: may the report be written beside the model?"""
    if (folder / "compare.json").exists() and not overwrite:
        raise OutputError(
            f"{folder / 'compare.json'} exists already. "
            "Name another output with -o, or give --overwrite to measure anew."
        )
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{after} cannot be written into ({error.strerror}), and the report goes there by default. "
            "Name another output with -o."
        ) from error


def _write(folder: Path, data: str, page: str, evidence: Evidence) -> None:
    plain = evidence.as_dict()
    write_json(folder / data, plain)
    report.write(folder / page, plain)
