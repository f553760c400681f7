"""split: part a corpus into what is trained on and what is held out, by a hash of each record's id.

A record's side depends on its id and the seed alone, so adding data moves no record to the other side.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import xxhash

from excise.adapters.files import open_corpus
from excise.errors import InputError
from excise.journal import Journal, Progress, fingerprint_of, silent, written_aside


def split(
    data: str | Path,
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
        data: Files, a directory or a glob; clean it first, or near duplicates end on both sides.
        out: Folder to make.
        text: Field or template; detected if None.
        holdout: Fraction of the records held out, in (0, 1).
        seed: Draws another split.
        overwrite: Replace a finished OUT.
        progress: Told how far it is.

    Returns:
        Records on each side.

    Raises:
        InputError: One side would be empty.
    """
    fingerprint = {
        "command": "split",
        "data": fingerprint_of(Path(data)),
        "text": text,
        "holdout": holdout,
        "seed": seed,
    }
    began = time.monotonic()
    with Journal(Path(out), fingerprint, "", overwrite=overwrite, progress=progress) as journal:
        corpus, _ = open_corpus(
            data, journal.work, text=text, on=None, id=None, label=None, corrupt="stop", journal=journal
        )
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
                data,
            )
        evidence = {
            "schema_version": 1,
            "kind": "split",
            "status": "done",
            "seconds": round(time.monotonic() - began, 2),
            "records": counts,
        }
        with written_aside(journal.folder / "evidence.json") as file:
            file.write(json.dumps(evidence, indent=1).encode() + b"\n")
        journal.finish()
        return evidence
