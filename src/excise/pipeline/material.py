"""material: what several finders need of a corpus, made when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from excise.adapters import probabilities
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import Reading, read
from excise.corpus import Corpus
from excise.data import embed
from excise.data.classify import Probabilities
from excise.data.threads import Mapped
from excise.journal import Progress
from excise.pipeline.beside import Beside, Measured


class Material:
    """Vectors and numbers of a corpus.

    Args:
        reading: The records to clean, as they were read.
        corpus: They, with their references.
        beside: What was brought.
        measured: Where it is kept.
        mapped: Engine.
        folder: For the target's views.
        progress: Told what goes on.
    """

    def __init__(
        self,
        reading: Reading,
        corpus: Corpus,
        beside: Beside,
        measured: Measured,
        mapped: Mapped,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._reading, self._corpus, self._beside, self._measured = reading, corpus, beside, measured
        self._mapped, self._folder, self._progress = mapped, folder, progress
        self._target: Corpus | None = None

    def target(self) -> Corpus | None:
        """Texts of the wanted kind, if any were brought."""
        if self._target is None and self._beside.like is not None:
            fields = Fields(self._beside.against_text)
            self._target = read(self._beside.like, self._folder / "like", fields, progress=self._progress).corpus
        return self._target

    def score(self) -> Callable[[list[str]], Sequence[float]] | None:
        """Bits per byte of texts under the user's model, if one was brought."""
        if self._beside.scorer is None:
            return None
        from excise.adapters.scorer import scorer

        return scorer(self._beside.scorer)

    def target_told(self) -> dict[str, Any]:
        """What `target` and `score` are, in plain values."""
        told = self._beside.told
        return {"like": told["like"], "text": self._beside.against_text, "scorer": told["scorer"]}

    def vectors(self) -> NDArray[np.float32]:
        """Vectors of the texts, float32 [records, d], of length 1.

        Raises:
            MissingExtraError: What makes them is not installed.
            InputError: A model or file of vectors that cannot be used.
        """
        corpus, progress = self._corpus, self._progress
        given, model = self._beside.vectors, self._beside.encoder
        settings = embed.EmbedSettings()

        def make(path: Path) -> None:
            if given is not None:
                embed.loaded(given, path, len(corpus))
            elif model is not None:
                from excise.adapters.encoder import encoder

                embed.vectors(corpus, path, settings, encoder=encoder(model), progress=progress)
            else:
                embed.vectors(corpus, path, settings, mapped=self._mapped, progress=progress)

        source = given or model
        depends = asdict(settings) if source is None else {"from": self._source()}
        path = self._measured.path("vectors.npy", depends, make)
        found: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        return found

    def numbers(self) -> tuple[NDArray[np.float32], Sequence[str]] | None:
        """Numeric fields, float32 [own records, d], and their names; None where none were asked for."""
        return self._reading.features() if self._reading.fields.features else None

    def probabilities(self) -> Probabilities | None:
        """The user's own probabilities of the labels, if any were brought."""
        path = self._beside.probabilities
        return None if path is None else probabilities.read(path, self._corpus)

    def rows(self) -> tuple[NDArray[np.float32], Sequence[str] | None]:
        """Numeric fields and their names where they were asked for, else vectors of the own texts."""
        found = self.numbers()
        return found if found is not None else (self.vectors()[self._corpus.first_own :], None)

    def _source(self) -> str | None:
        """The digest of whatever makes the vectors, where that is the user's."""
        digest: str | None = self._beside.told["vectors"] or self._beside.told["encoder"]
        return digest

    def told(self) -> dict[str, Any]:
        """What `rows` depends on beside the corpus, in plain values."""
        return {
            "features": list(self._reading.fields.features),
            "vectors": self._source(),
            "probabilities": self._beside.told["probabilities"],
        }
