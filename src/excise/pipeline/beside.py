"""beside: what `clean` is given beside its data: what to compare with, and where measurements are kept."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from excise import __version__
from excise.adapters.files.find import Inputs
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import Step, read
from excise.corpus import Corpus
from excise.data.sketches import Sketch, kept
from excise.data.threads import Mapped, in_order
from excise.errors import SettingError
from excise.journal import Progress, digest_of, fingerprint_of, written_aside
from excise.pipeline.index import Index

#: Of what finders measure: raised when one of them measures otherwise, so that nothing older is taken from a cache.
_MEASURES = 1


@dataclass(frozen=True)
class Beside:
    """What is brought to a run.

    Attributes:
        against: Files whose records are only compared with.
        against_text: Field or template of those; detected if None.
        index: Records that earlier runs kept.
        like: Files with texts of the wanted kind.
        encoder: Folder of a model that makes vectors of texts; None makes them from words.
        vectors: A .npy file with the user's own vectors.
        probabilities: File with the user's own probabilities of the labels.
        scorer: Folder of a language model whose perplexity counts; None makes one of n-grams.
        review: File to write proposals to, for a person to decide on.
        apply: Such a file with decisions.
        cache: Folder for what is measured, kept after the run; None keeps it for the run only.
        mapped: Engine.
        memory_bytes: Limit on heap and anonymous maps, kept by working on fewer cores; None works on all.
        cluster: Whether the engine is more than this machine, and reads the files too.
    """

    against: Inputs | None = None
    against_text: str | None = None
    index: Index | None = None
    like: Inputs | None = None
    encoder: Path | None = None
    vectors: Path | None = None
    probabilities: Path | None = None
    scorer: Path | None = None
    review: Path | None = None
    apply: Path | None = None
    cache: Path | None = None
    mapped: Mapped = in_order
    memory_bytes: int | None = None
    cluster: bool = False

    def check(self, inputs: Inputs) -> None:
        """Refuse to compare data with themselves.

        Raises:
            SettingError: A file of `against` is among the data.
        """
        data = {one.path.resolve() for one in inputs.files}
        for one in self.against.files if self.against is not None else ():
            if one.path.resolve() in data:
                raise SettingError(
                    f"against names {one.shown}, which is among the data: all of it would go. Leave it out of the "
                    "data, for instance by a glob that does not take it in."
                )

    @functools.cached_property
    def told(self) -> dict[str, Any]:
        """What the result depends on, in plain values: models and files by what is in them, read once."""
        return {
            "against": _named(self.against),
            "against_text": self.against_text,
            "index": [] if self.index is None else [segment["run"] for segment in self.index.segments],
            "like": _named(self.like),
            "encoder": None if self.encoder is None else fingerprint_of(self.encoder),
            "vectors": None if self.vectors is None else fingerprint_of(self.vectors),
            "probabilities": None if self.probabilities is None else fingerprint_of(self.probabilities),
            "scorer": None if self.scorer is None else fingerprint_of(self.scorer),
            "apply": None if self.apply is None else fingerprint_of(self.apply),
        }


def _named(inputs: Inputs | None) -> dict[str, str]:
    return {} if inputs is None else {one.name: one.fingerprint for one in inputs.files}


def under(name: str, inputs: Inputs) -> Inputs:
    """The same files with names that no file of the data has."""
    return replace(inputs, files=tuple(replace(one, name=f"{name}/{one.name}") for one in inputs.files))


def with_references(own: Corpus, beside: Beside, folder: Path, step: Step, progress: Progress) -> Corpus:
    """The corpus with everything before it that it is compared with.

    Args:
        own: The records to clean.
        beside: What is brought.
        folder: Where views are laid.
        step: `Journal.step`.
        progress: Told what goes on.
    """
    corpus = own
    if beside.against is not None:
        fields = Fields(beside.against_text)
        cluster = beside.mapped if beside.cluster else None
        other = read(beside.against, folder / "against", fields, step=step, mapped=cluster, progress=progress)
        corpus = corpus.beside(other.corpus)
    if beside.index is not None and beside.index.segments:
        corpus = corpus.beside(beside.index.corpus())
    return corpus


class Measured:
    """What is measured, kept by what it depends on, so that another threshold measures nothing again."""

    def __init__(self, corpus: Corpus, beside: Beside, fields: Fields, folder: Path) -> None:
        self._home = folder / "measured" if beside.cache is None else beside.cache
        self._keep_sketches = beside.cache is not None or beside.index is not None
        segments = [] if beside.index is None else [beside.index.sketches(i) for i in range(len(beside.index.segments))]
        self._keys = [
            digest_of(
                [source.fingerprint, source.format, source.compression, source.view, source.records, repr(fields)]
            )
            for source in corpus.sources
        ]
        self.folders = [
            *segments,
            *(self._home / "sources" / key for key in self._keys[len(segments) :]),
        ]
        self.sketch: Sketch | None = kept(self.folders) if self._keep_sketches else None
        self.tables: dict[str, pa.Table] = {}

    def path(self, name: str, depends: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """A file that is made once.

        Args:
            name: What it is; with its suffix.
            depends: What it depends on beside the corpus, in plain values.
            make: Writes it, aside first.
        """
        stem, dot, suffix = name.partition(".")
        key = digest_of([__version__, _MEASURES, self._keys, dict(depends)])[:16]
        path = self._home / f"{stem}-{key}{dot}{suffix}"
        if not path.is_file():
            make(path)
        return path

    def table(self, name: str, depends: Mapping[str, Any], make: Callable[[], pa.Table]) -> pa.Table:
        """A table that is made once; it is also in `tables` from then on."""

        def write(path: Path) -> None:
            table = make()
            with written_aside(path) as file, pa.ipc.new_file(file, table.schema) as sink:
                sink.write_table(table)

        with pa.memory_map(str(self.path(f"{name}.arrow", depends, write))) as mapped:
            self.tables[name] = pa.ipc.open_file(mapped).read_all()
        return self.tables[name]
