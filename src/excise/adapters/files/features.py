"""Features: numeric fields as float32 rows, in an .npy file beside the view that is never whole in memory."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.errors import InputError

Floats = NDArray[np.float32]

#: For all numeric fields there are.
AUTO = "auto"

#: Bytes of an .npy header here: with room for any number of rows.
_HEADER_BYTES = 128

#: Bytes copied at a time.
_COPY_BYTES = 1 << 24


class NotNumbersError(Exception):
    """A value that is no number, or a list of another length."""


class Written(str):
    """A number as it stands in a JSON file; a string there is a plain str."""

    __slots__ = ()


def width_of(value: Any) -> int | None:
    """0 for a number, the length of a list of numbers, None for anything else."""
    if isinstance(value, list) and value and all(width_of(item) == 0 for item in value):
        return len(value)
    return 0 if isinstance(value, int | float | Written) and not isinstance(value, bool) else None


def names_of(widths: Mapping[str, int]) -> tuple[str, ...]:
    """A name for each column: the field's, or the field's with a place."""
    return tuple(
        name if not width else f"{name}[{place}]" for name, width in widths.items() for place in range(width or 1)
    )


def of_record(record: Mapping[str, Any], widths: Mapping[str, int]) -> list[float]:
    """The numbers of one record; NaN where a value is missing.

    Raises:
        NotNumbersError: Says which field holds what.
    """
    row: list[float] = []
    for name, width in widths.items():
        value = record.get(name)
        if value is None:
            row += [float("nan")] * (width or 1)
        elif not width:
            row.append(_number(name, value))
        elif isinstance(value, list) and len(value) == width:
            row += [_number(name, item) for item in value]
        else:
            told = f"{len(value)} values" if isinstance(value, list) else repr(value)[:40]
            raise NotNumbersError(f"the field {name!r} holds {told}, not a list of {width} numbers")
    return row


def _number(name: str, value: Any) -> float:
    if value is None:
        return float("nan")
    if not isinstance(value, bool | list | dict):
        try:
            return float(value) if not isinstance(value, str) or value.strip() else float("nan")
        except ValueError:
            pass
    raise NotNumbersError(f"the field {name!r} holds {repr(value)[:40]}, no number")


def of_arrays(arrays: Mapping[str, pa.Array], widths: Mapping[str, int], rows: int) -> Floats:
    """The numbers of many records, out of Arrow columns of numbers, of lists of them, or of text that spells numbers.

    Raises:
        NotNumbersError: A list has another length.
        pa.ArrowInvalid: A text is no number.
    """
    table = np.full((rows, sum(width or 1 for width in widths.values())), np.nan, np.float32)
    at = 0
    for name, width in widths.items():
        array = arrays[name]
        if width:
            valid = array.is_valid().to_numpy(zero_copy_only=False)
            flat = _floats(array.flatten())
            lengths = pc.list_value_length(array.drop_null()) if pa.types.is_list(array.type) else None
            if len(flat) != width * int(valid.sum()) or (
                lengths is not None and not pc.all(pc.equal(lengths, width)).as_py()
            ):
                raise NotNumbersError(f"the field {name!r} does not hold {width} numbers everywhere")
            table[valid, at : at + width] = flat.reshape(-1, width)
        else:
            table[:, at] = _floats(array)
        at += width or 1
    return table


def _floats(array: pa.Array) -> NDArray[np.float64]:
    if pa.types.is_large_string(array.type) or pa.types.is_string(array.type):
        text = pc.utf8_trim_whitespace(array)
        array = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    return array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


class FeatureFile:
    """An .npy file of float32 rows that is written row by row; the number of rows is put in at the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.rows, self.names = file, 0, tuple[str, ...]()
        file.write(b" " * _HEADER_BYTES)

    def add(self, table: Floats, names: Sequence[str]) -> None:
        """Some more rows."""
        self.names = tuple(names)
        self._file.write(np.ascontiguousarray(table, np.float32).tobytes())
        self.rows += len(table)

    def finish(self) -> None:
        """Write the header."""
        self._file.seek(0)
        self._file.write(header(self.rows, len(self.names)))


def header(rows: int, columns: int) -> bytes:
    """The beginning of an .npy file with a float32 array [rows, columns]. Source: NumPy's NEP 1."""
    told = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    room = _HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", room) + told.ljust(room - 1).encode() + b"\n"


def gather(parts: Sequence[tuple[Path, int, Sequence[str], str]], file: IO[bytes]) -> None:
    """The features of all sources in one .npy file.

    Args:
        parts: Of each source its file, its rows, its names, and how errors call it.
        file: Where to.

    Raises:
        InputError: Two sources have other features.
    """
    first = next((part for part in parts if part[1]), parts[0])
    file.write(header(sum(rows for _, rows, _, _ in parts), len(first[2])))
    for path, rows, names, shown in parts:
        if not rows:
            continue
        if tuple(names) != tuple(first[2]):
            raise InputError(
                f"its features are {_told(names)}, but those of {first[3]} are {_told(first[2])}. "
                "Name those that all have with --features",
                shown,
            )
        with path.open("rb") as part:
            part.seek(_HEADER_BYTES)
            while piece := part.read(_COPY_BYTES):
                file.write(piece)


def _told(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f", ... ({len(names)})" if len(names) > 6 else "")
