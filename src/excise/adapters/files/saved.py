"""Saved: folders that `Dataset.save_to_disk` of the datasets library makes, read and written without that library.

A folder holds Arrow stream files, `state.json` that lists them, and `dataset_info.json`; a DatasetDict is a folder of
such folders with `dataset_dict.json`. The JSON files go along with the data: cleaned data must not keep the fingerprint
of the original, under which the library finds what it computed from that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from excise.adapters.files.table_files import opened
from excise.errors import InputError
from excise.journal import fingerprint_of

#: Format of a file that holds no records and goes along with those that do.
BESIDE = "beside"

_STATE, _INFO, _DICT = "state.json", "dataset_info.json", "dataset_dict.json"


def role(path: Path) -> str | None:
    """What a file is to a saved dataset: 'arrow', BESIDE, '' for one that belongs to no data, None outside of one.

    Raises:
        InputError: The dataset was saved with an index over its rows.
    """
    if path.name == _DICT:
        return BESIDE
    state = state_of(path.parent)
    if state is None:
        return None
    if state.get("_indices_data_files"):
        raise InputError(
            "the dataset was saved with an index over its rows; save it again after flatten_indices()", path
        )
    if path.name in {_STATE, _INFO}:
        return BESIDE
    return "arrow" if path.name in names_of(state) else ""


def state_of(folder: Path) -> dict[str, Any] | None:
    """What state.json holds; None where the folder is no saved dataset."""
    try:
        state = json.loads((folder / _STATE).read_bytes())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) and isinstance(state.get("_data_files"), list) else None


def names_of(state: Mapping[str, Any]) -> list[str]:
    """The dataset's files with rows."""
    return [str(entry["filename"]) for entry in state["_data_files"]]


def adjusted(path: Path, data: Path) -> bytes:
    """A BESIDE file as it belongs to other rows.

    Args:
        path: The file beside the original rows.
        data: Folder where the new ones are written already, under the same names.

    Returns:
        Its bytes, unchanged where the rows are the same.
    """
    raw, state = path.read_bytes(), state_of(path.parent)
    if path.name == _DICT or state is None:
        return raw
    new = [fingerprint_of(data / name) for name in names_of(state)]
    if new == [fingerprint_of(path.parent / name) for name in names_of(state)]:
        return raw
    if path.name == _STATE:
        fingerprint = xxhash.xxh3_64_hexdigest("".join(new).encode())
        return json.dumps({**state, "_fingerprint": fingerprint}, indent=2).encode()
    info, split = json.loads(raw), state.get("_split")
    if split not in (info.get("splits") or {}):
        return raw
    rows = size_bytes = 0
    for name in names_of(state):
        with opened(data / name, "arrow", name) as file:
            for batch in file.batches():
                rows, size_bytes = rows + batch.num_rows, size_bytes + batch.nbytes
    info["splits"][split] |= {"num_examples": rows, "num_bytes": size_bytes}
    return json.dumps(info, indent=2).encode()
