"""split: part a corpus into what is trained on and what is held out, by a hash of each record's id.

A record's side depends on its id and the seed alone, so adding data moves no record to the other side.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xxhash

from excise import __version__
from excise.adapters.files.find import find, shown
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import read
from excise.errors import InputError
from excise.journal import Journal, Progress, silent, write_json, written_aside


def split(
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    text: str | None = None,
    holdout: float = 0.1,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write OUT/train.jsonl and OUT/heldout.jsonl, records {"id", "text"}.

    Args:
        data: A file, a directory, a glob, or a list of those; clean it first, or near duplicates end on both sides.
        out: Folder to make.
        text: Field or template; detected if None.
        holdout: Fraction of the records held out, in (0, 1).
        seed: Draws another split.
        overwrite: Replace a finished OUT.
        progress: Told how far it is.

    Returns:
        Records on each side.

    Raises:
        InputError: The data cannot be read, or one side would be empty.
    """
    inputs = find(data, progress=progress)
    files = [one.path for one in inputs.files]
    fingerprint = {
        "command": "split",
        "version": __version__,
        "data": [(one.name, one.fingerprint) for one in inputs.files],
        "text": text,
        "holdout": holdout,
        "seed": seed,
    }
    began = time.monotonic()
    with Journal(Path(out), fingerprint, "", inputs=files, overwrite=overwrite, progress=progress) as journal:
        corpus = read(inputs, journal.work, Fields(text), step=journal.step, progress=progress).corpus
        counts = {"train": 0, "heldout": 0}
        paths = {side: journal.folder / f"{side}.jsonl" for side in counts}
        with written_aside(paths["train"]) as train, written_aside(paths["heldout"]) as heldout:
            for batch in corpus.batches():
                for locus, content in zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True):
                    out_side = xxhash.xxh3_64_intdigest(f"{seed}/{locus}".encode()) < holdout * 2**64
                    line = json.dumps({"id": locus, "text": content}, ensure_ascii=False).encode() + b"\n"
                    (heldout if out_side else train).write(line)
                    counts["heldout" if out_side else "train"] += 1
                progress("splitting", sum(counts.values()), len(corpus))
        if not all(counts.values()):
            raise InputError(
                f"{len(corpus)} records split into {counts}; both sides need some. Give more data or another holdout.",
                shown(inputs.root),
            )
        evidence = {
            "schema_version": 1,
            "kind": "split",
            "status": "done",
            "seconds": round(time.monotonic() - began, 2),
            "records": counts,
            "warnings": [],
        }
        write_json(journal.folder / "evidence.json", evidence)
        journal.finish()
        return evidence
