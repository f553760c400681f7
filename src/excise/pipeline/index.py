"""index: the records that earlier runs kept; tomorrow's shard is checked against them without reading them again.

A folder with one segment a run: the views of the records that stayed, and their sketches. A segment is only ever added,
under its final name when it is complete. `index.json` names the segments and the settings that all of them were made
with; a run with other settings is refused, for its result would not be that of one run over everything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import BATCH, Corpus, Source
from excise.data import minhash
from excise.data.text import buffers
from excise.errors import InputError, OutputError, SettingError
from excise.journal import digest_of, write_json, written_aside
from excise.pipeline.choices import Choices

if os.name == "posix":
    import fcntl

#: Finders whose verdict on a record depends only on it and on the records before it.
INDEXABLE = ("exact", "normalised", "near", "quality", "language", "pii")
#: Text in one batch of a segment: what is read to look at one record.
_BATCH_BYTES = 1 << 20


class Index:
    """An index folder, open for one run.

    Args:
        folder: Made if it is not there.
        choices: Of the run.
        fields: text, on and label, as the user gave them.
        dry: Whether nothing is to be written.

    Raises:
        SettingError: The choices do not go with an index.
        InputError: The folder holds something else, is damaged, or was made with other settings.
        OutputError: Another run is using it.
    """

    def __init__(self, folder: Path, choices: Choices, fields: Mapping[str, str | None], *, dry: bool = False) -> None:
        self.folder = folder
        self._settings = _settings(choices, fields)
        self._path = folder / "index.json"
        if folder.exists() and not self._path.is_file() and any(e.name != ".lock" for e in folder.iterdir()):
            raise InputError("this folder is no index of Excise; name another one, or one that does not exist", folder)
        self._lock: IO[str] | None = None
        if not dry:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / ".lock").open("a")
        try:
            self._take_lock()
            self.segments: list[dict[str, Any]] = self._read()
        except BaseException:
            self._let_go()
            raise

    def _take_lock(self) -> None:
        if self._lock is None or os.name != "posix":
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"{self.folder} is in use by another run. Wait for it, or name another index.") from error

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.is_file():
            return []
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
            made, segments = told["settings"], told["segments"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError("the index is damaged; bring back the folder as it was", self._path) from error
        for name in [*self._settings, *sorted(made.keys() - self._settings.keys())]:
            if made.get(name) != self._settings.get(name):
                raise InputError(
                    f"the index was made with {name} {made.get(name)!r}, this run has {self._settings.get(name)!r}. "
                    "Give the same settings, or name another index",
                    self.folder,
                )
        return list(segments)

    def without(self, run: str) -> None:
        """Leave out what this same run added, before it was interrupted or when it is done again.

        Args:
            run: Digest of the run's fingerprint, the index left aside.

        Raises:
            InputError: Other runs have been checked against it since.
        """
        for place, segment in enumerate(self.segments):
            if segment["run"] == self._run(run, self.segments[:place]):
                if place < len(self.segments) - 1:
                    raise InputError(
                        f"these data are in it already, as segment {segment['name']}, and later runs were compared "
                        "with them. To do them again begin a new index",
                        self.folder,
                    )
                self.segments = self.segments[:place]
                return

    @staticmethod
    def _run(run: str, before: Sequence[Mapping[str, Any]]) -> str:
        return digest_of([run, *(segment["run"] for segment in before)])

    def corpus(self) -> Corpus:
        """The records of all segments."""
        sources = []
        for segment in self.segments:
            view = self.folder / segment["name"] / "view.arrow"
            name = f"index/{segment['name']}"
            sources.append(
                Source(name, str(view), "arrow", "", segment["bytes"], segment["run"], segment["records"], "")
            )
        return Corpus(tuple(sources), tuple(self.sketches(i) / "view.arrow" for i in range(len(sources))))

    def sketches(self, index: int) -> Path:
        """Folder with the sketches of a segment."""
        return self.folder / str(self.segments[index]["name"])

    def add(self, run: str, corpus: Corpus, gone: NDArray[np.bool_], sketches: Sequence[Path]) -> None:
        """Add the records of a run that stayed.

        Args:
            run: As of `without`.
            corpus: The run's own records.
            gone: bool [records], True for those that went.
            sketches: One folder a source.
        """
        name = f"{len(self.segments) + 1:06d}"
        segment = self.folder / name
        segment.mkdir(exist_ok=True)
        size = 0
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with (
            written_aside(segment / "view.arrow") as file,
            pa.ipc.new_file(file, BATCH, options=options) as sink,
        ):
            for batch in _kept(corpus, gone, f"index/{name}/"):
                sink.write_batch(batch)
                size += int(np.diff(buffers(batch["text"])[1]).sum())
        for kind in sorted(path.name for path in sketches[0].glob("*.npy")):
            parts = [
                np.load(folder / kind, mmap_mode="r", allow_pickle=False)[
                    ~gone[corpus.first_position(i) : corpus.first_position(i) + corpus.sources[i].records]
                ]
                for i, folder in enumerate(sketches)
            ]
            with written_aside(segment / kind) as file:
                np.save(file, np.concatenate(parts), allow_pickle=False)
        told = {
            "name": name,
            "run": self._run(run, self.segments),
            "records": int((~gone).sum()),
            "bytes": size,
            "sources": [source.name for source in corpus.sources],
        }
        whole = {"schema_version": 1, "kind": "index", "settings": self._settings, "segments": [*self.segments, told]}
        write_json(self._path, whole)
        self.segments.append(told)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exception: object) -> None:
        """Let another run in."""
        self._let_go()


def _kept(corpus: Corpus, gone: NDArray[np.bool_], before: str) -> Iterator[pa.RecordBatch]:
    """The records that stay, in small batches, with something before their ids: other shards have the same."""
    at = 0
    for batch in corpus.batches():
        stay = batch.filter(pa.array(~gone[at : at + len(batch)]))
        at += len(batch)
        ids = pc.binary_join_element_wise(before, stay["id"], "")
        stay = stay.set_column(0, BATCH.field("id"), ids)
        _, offsets = buffers(stay["text"])
        first = 0
        while first < len(stay):
            last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _BATCH_BYTES, "right")) - 1)
            yield pa.RecordBatch.from_struct_array(stay.slice(first, last - first).to_struct_array())
            first = last


def _settings(choices: Choices, fields: Mapping[str, str | None]) -> dict[str, Any]:
    """What must be the same for all runs of an index."""
    for finder in choices.finders:
        if finder not in INDEXABLE:
            raise SettingError(
                f"finders has {finder!r}, whose verdict depends on all records at once; with --index use only "
                f"{', '.join(INDEXABLE)}."
            )
    if choices.keep != "first" or choices.per_cluster != 1:
        raise SettingError(
            f"keep is {choices.keep!r} and per_cluster is {choices.per_cluster}; with --index the first of a cluster "
            "stays, for what an earlier run kept cannot be taken back."
        )
    told = choices.as_dict()
    return {
        **{name: told[name] for name in ("finders", "within")},
        **{f"action of {name}": action for name, action in told["actions"].items()},
        **_plain(told["settings"]),
        **fields,
        "signatures": minhash.VERSION,
    }


def _plain(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings by finder as one mapping, as JSON gives it back."""
    return {
        f"{finder}.{name}": list(value) if isinstance(value, tuple) else value
        for finder, chosen in settings.items()
        for name, value in chosen.items()
    }
