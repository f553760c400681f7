"""A user's own probabilities, read from a file: what `labels` judges by instead of the built-in classifier.

They must be out-of-sample (cross-validated, or of a model trained on other data). Three formats:

- `.npz` with `probabilities` [n, k], `classes` [k] (names, text or whole numbers), and `ids` [n] where the rows are not
  in the order of the corpus;
- `.parquet` with one column a class, named after it, and a column `id` where the rows are not in the order of the
  corpus;
- `.npy` [n, k], rows in the order of the corpus; columns are the corpus's labels in their sorted order (whole numbers
  by value).

By id, records without a row are left unjudged. Ids of no record are an error, for then the file belongs to other data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data.classify import Probabilities
from excise.data.labels import fitting, labels_of
from excise.errors import InputError

SUFFIXES = (".npz", ".npy", ".parquet")
ID = "id"


def read(path: Path, corpus: Corpus) -> Probabilities:
    """Probabilities of a corpus's own records.

    Args:
        path: Their file.
        corpus: The records, with labels.

    Returns:
        A row a record, NaN where the file has none; whether rows sum to 1 is checked by `labels.measure`.

    Raises:
        InputError: Another format, or what it holds does not fit the corpus.
    """
    readers = {".npz": _npz, ".npy": _npy, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise InputError(f"probabilities are read from {', '.join(SUFFIXES)} files. Write one of those.", path)
    try:
        classes, values, ids = readers[path.suffix.lower()](path, corpus)
    except (OSError, ValueError, EOFError, pa.ArrowInvalid) as error:
        raise InputError(f"this is no {path.suffix} file of probabilities ({error}).", path) from error
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise InputError("probabilities must be a matrix of numbers: one row a record, one column a class.", path)
    if values.shape[1] != len(classes):
        raise InputError(
            f"there are {values.shape[1]} columns and {len(classes)} classes; they must be as many. {_HOW}", path
        )
    return fitting(Probabilities(classes, _placed(values, ids, corpus, path)), len(corpus) - corpus.first_own)


_HOW = "A .npz or .parquet file names its columns."
_Read = tuple[tuple[str, ...], NDArray[Any], "pa.Array | None"]


def _npz(path: Path, corpus: Corpus) -> _Read:
    with np.load(path, allow_pickle=False) as file:
        for name in ("probabilities", "classes"):
            if name not in file:
                raise InputError(f"it has no array {name!r}; it has {', '.join(file.files) or 'none'}.", path)
        ids = pa.array(file["ids"].astype(str).tolist(), pa.string()) if "ids" in file else None
        return tuple(file["classes"].astype(str).tolist()), file["probabilities"], ids


def _npy(path: Path, corpus: Corpus) -> _Read:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    return in_their_order(pc.unique(labels_of(corpus)).drop_null().to_pylist()), values, None


def _parquet(path: Path, corpus: Corpus) -> _Read:
    table = pq.read_table(path)
    classes = tuple(name for name in table.column_names if name != ID)
    columns = [table[name].to_numpy() for name in classes]
    values = np.stack(columns, 1) if columns else np.zeros((len(table), 0))
    ids = table[ID].combine_chunks().cast(pa.string()) if ID in table.column_names else None
    return classes, values, ids


def in_their_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels sorted: by value where all are whole numbers, else as text."""
    if all(label.lstrip("-").isdecimal() for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))


def _placed(values: NDArray[Any], ids: pa.Array | None, corpus: Corpus, path: Path) -> NDArray[np.float32]:
    """Rows in the order of the corpus's own records."""
    if ids is None:
        return np.asarray(values, np.float32)
    if len(ids) != len(values):
        raise InputError(f"there are {len(ids):,} ids for {len(values):,} rows; they must be as many.", path)
    if len(pc.unique(ids)) != len(ids):
        raise InputError("an id occurs twice; each record has one row.", path)
    own = pa.chunked_array([batch["id"] for batch in corpus.own.batches()], pa.string()).combine_chunks()
    strange = pc.fill_null(pc.invert(pc.is_in(ids, own)), True)
    if pc.any(strange).as_py():
        first = ids.filter(strange)[0].as_py()
        raise InputError(
            f"{pc.sum(strange).as_py():,} of {len(ids):,} ids are of no record, {first!r} first. "
            "Use the corpus's ids (FILE#ROW, or its own id column: --id).",
            path,
        )
    where = pc.index_in(own, ids).to_numpy(zero_copy_only=False)
    found = ~np.isnan(where.astype(np.float64))
    placed = np.full((len(own), values.shape[1]), np.nan, np.float32)
    placed[found] = values[where[found].astype(np.int64)]
    return placed
