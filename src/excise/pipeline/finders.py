"""finders: from the name of a finder to the function that runs it on a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import (
    contamination,
    exact,
    labels,
    language,
    lines,
    near,
    outliers,
    perplexity,
    pii,
    rules,
    semantic,
    substrings,
    unlike,
    values,
)
from excise.data.decide import PAIRED, pairs
from excise.data.labels import LabelsSettings
from excise.data.outliers import OutliersSettings
from excise.data.perplexity import PerplexitySettings
from excise.data.threads import Mapped
from excise.data.values import ValuesSettings
from excise.errors import SettingError
from excise.journal import Progress
from excise.pipeline.beside import Measured
from excise.pipeline.material import Material


@dataclass(frozen=True)
class Search:
    """What a finder is given.

    Attributes:
        corpus: Where to look.
        settings: Its dataclass of settings, or None.
        earlier: FINDINGS of the finders before.
        actions: What is done about what each finder finds.
        out: bool [records]: those that go already for what they are.
        rank: int64 [records], as of `keep.ranks`.
        per_cluster: Records of each cluster that stay.
        group: int64 [records]: only records of one group are compared; None compares all.
        folder: For what is spilled.
        measured: What is measured, made once.
        material: What several finders need.
        mapped: Engine.
        progress: Told what goes on.
        warn: Told what a person should know.
    """

    corpus: Corpus
    settings: Any
    earlier: pa.Table
    actions: Mapping[str, str]
    out: NDArray[np.bool_]
    rank: NDArray[np.int64]
    per_cluster: int
    group: NDArray[np.int64] | None
    folder: Path
    measured: Measured
    material: Material
    mapped: Mapped
    progress: Progress
    warn: Callable[[str], None]

    def gone(self) -> NDArray[np.bool_]:
        """Bool [records]: those that go for what the finders before have found; a dear finder leaves them out."""
        gone = self.out.copy()
        going = [name for name, action in self.actions.items() if action == "drop" and name in PAIRED]
        earlier = self.earlier.filter(pc.is_in(self.earlier["finder"], pa.array(going, pa.string())))
        gone[pairs(earlier, self.corpus, self.rank, self.out, self.per_cluster).position] = True
        return gone


def _equal(search: Search, normalised: bool) -> Iterator[pa.Table]:
    kept = {} if search.measured.sketch is None else {"sketch": search.measured.sketch}
    return exact.find(
        search.corpus,
        normalised=normalised,
        group=search.group,
        mapped=search.mapped,
        progress=search.progress,
        **kept,
    )


def _exact(search: Search) -> Iterator[pa.Table]:
    return _equal(search, normalised=False)


def _normalised(search: Search) -> Iterator[pa.Table]:
    return _equal(search, normalised=True)


def _near(search: Search) -> Iterator[pa.Table]:
    return near.find(
        search.corpus,
        search.settings,
        skip=search.gone(),
        rank=search.rank,
        group=search.group,
        folder=search.folder,
        sketch=search.measured.sketch,
        mapped=search.mapped,
        progress=search.progress,
        warn=search.warn,
    )


def _contaminated(search: Search) -> Iterator[pa.Table]:
    return contamination.find(search.corpus, search.settings, mapped=search.mapped, progress=search.progress)


def _semantic(search: Search) -> Iterator[pa.Table]:
    return semantic.find(
        search.corpus,
        search.settings,
        search.material.vectors(),
        rank=search.rank,
        skip=search.gone(),
        group=search.group,
        progress=search.progress,
    )


def _lines(search: Search) -> Iterator[pa.Table]:
    return lines.find(search.corpus, search.settings, **_in_parts(search))


def _substrings(search: Search) -> Iterator[pa.Table]:
    return substrings.find(search.corpus, search.settings, **_in_parts(search))


def _in_parts(search: Search) -> dict[str, Any]:
    """A part may be cut only if the record that keeps it stays."""
    shared = {"folder": search.folder, "mapped": search.mapped, "progress": search.progress}
    return {"skip": search.gone(), **shared}


def _pii(search: Search) -> Iterator[pa.Table]:
    return pii.find(search.corpus, search.settings, mapped=search.mapped, progress=search.progress)


def _measured(search: Search, name: str, measure: Callable[..., pa.Table], **more: Any) -> pa.Table:
    """What a finder measures of each record, whatever its thresholds."""
    depends = {field: getattr(search.settings, field) for field in search.settings.MEASURED}
    return search.measured.table(
        name, {**depends, **more}, lambda: measure(search.corpus, search.settings, progress=search.progress)
    )


def _quality(search: Search) -> Iterator[pa.Table]:
    found = _measured(search, "quality", partial(rules.measure, mapped=search.mapped))
    return rules.judge(found, search.corpus, search.settings)


def _language(search: Search) -> Iterator[pa.Table]:
    found = _measured(search, "language", partial(language.measure, mapped=search.mapped))
    return language.judge(found, search.corpus, search.settings)


def _perplexity(search: Search) -> Iterator[pa.Table]:
    score = search.material.score()

    def measure(corpus: Corpus, settings: PerplexitySettings, progress: Progress) -> pa.Table:
        if score is not None:
            return perplexity.measure_with(corpus, score, progress=progress)
        like = search.material.target()
        return perplexity.measure(corpus, settings, like=like, mapped=search.mapped, progress=progress)

    found = _measured(search, "perplexity", measure, **search.material.target_told())
    return perplexity.judge(found, search.corpus, search.settings)


def _unlike(search: Search) -> Iterator[pa.Table]:
    target = search.material.target()
    if target is None:
        raise SettingError("finders has 'unlike', which compares with texts of the wanted kind. Name them with --like.")
    measure = partial(unlike.measure, like=target, mapped=search.mapped)
    found = _measured(search, "unlike", measure, **search.material.target_told())
    return unlike.judge(found, search.corpus, search.settings)


def _outliers(search: Search) -> Iterator[pa.Table]:
    def measure(corpus: Corpus, settings: OutliersSettings, progress: Progress) -> pa.Table:
        values, names = search.material.rows()
        return outliers.measure(corpus, settings, values, names=names, progress=progress)

    found = _measured(search, "outliers", measure, **search.material.told())
    return outliers.judge(found, search.corpus, search.settings)


def _labels(search: Search) -> Iterator[pa.Table]:
    given, skip = search.material.probabilities(), search.gone()[search.corpus.first_own :]
    numbers = search.material.numbers()

    def measure(corpus: Corpus, settings: LabelsSettings, progress: Progress) -> pa.Table:
        features = None if numbers is None else numbers[0]
        return labels.measure(
            corpus,
            settings,
            features=features,
            probabilities=given,
            skip=skip,
            mapped=search.mapped,
            progress=progress,
        )

    found = _measured(search, "labels", measure, **search.material.told(), **_without(skip))
    return labels.judge(found, search.corpus, search.settings)


def _values(search: Search) -> Iterator[pa.Table]:
    skip = search.gone()[search.corpus.first_own :]

    def measure(corpus: Corpus, settings: ValuesSettings, progress: Progress) -> pa.Table:
        features = search.material.rows()[0]
        return values.measure(corpus, settings, features=features, skip=skip, progress=progress)

    found = _measured(search, "values", measure, **search.material.told(), **_without(skip))
    return values.judge(found, search.corpus, search.settings)


def _without(skip: NDArray[np.bool_]) -> dict[str, str]:
    """What is measured of some records only depends on which those are."""
    return {"without": xxhash.xxh3_128_hexdigest(np.packbits(skip).tobytes())}


#: The finders by name; data.catalogue says in which order they run.
FINDERS: dict[str, Callable[[Search], Iterator[pa.Table]]] = {
    "exact": _exact,
    "normalised": _normalised,
    "contaminated": _contaminated,
    "quality": _quality,
    "language": _language,
    "perplexity": _perplexity,
    "unlike": _unlike,
    "outliers": _outliers,
    "labels": _labels,
    "values": _values,
    "near": _near,
    "semantic": _semantic,
    "lines": _lines,
    "substrings": _substrings,
    "pii": _pii,
}
