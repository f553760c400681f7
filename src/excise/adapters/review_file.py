"""The review as a CSV file that a spreadsheet opens well, and saves without harm.

UTF-8 with a byte order mark, so that Excel reads it as such. A cell that a spreadsheet would take for a formula, a
number or a date is written with an apostrophe before it; one apostrophe before a cell is taken off again when it is
read, so that every cell comes back as it was.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from excise.data.review_form import REVIEW
from excise.errors import InputError
from excise.evidence.visible import visible
from excise.journal import written_aside

#: What a formula begins with, in both widths; and the apostrophe itself, so that it can be told from ours.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'", "＝", "＋", "－", "＠")
#: What a spreadsheet would rewrite as a number or a date; whole numbers of up to 15 digits stay what they are.
_NUMBER = re.compile(r"[\d.,:/eE+\- ]*\d[\d.,:/eE+\- ]*")
_WHOLE = re.compile(r"0|[1-9]\d{0,14}")
#: Cells that are only for reading; characters that act are shown as signs.
_FOR_READING = ("reason", "text", "partner_text")


def write(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write a review; the file appears only when it is complete.

    Args:
        path: The file.
        tables: REVIEW, as of `review_form.proposals`.

    Returns:
        The number of rows, without the header.
    """
    count = 0
    with written_aside(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        rows = csv.writer(text)
        rows.writerow(REVIEW.names)
        for table in tables:
            count += len(table)
            rows.writerows([_cell(name, row[name]) for name in REVIEW.names] for row in table.to_pylist())
        text.detach()  # written out; whoever opened the file closes it
    return count


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = visible(value) if name in _FOR_READING else str(value)
    return guarded(text)


def guarded(text: str) -> str:
    """A cell as a spreadsheet leaves it alone."""
    rewritten = _NUMBER.fullmatch(text) and not _WHOLE.fullmatch(text)
    return "'" + text if rewritten or text.startswith(_FORMULA) else text


def _decoded(data: bytes, encodings: list[str]) -> str:
    """As the first of these that fits; a Chinese spreadsheet saves GB 18030."""
    first, *others = encodings
    try:
        return data.decode(first)
    except UnicodeDecodeError:
        if not others:
            raise
        return _decoded(data, others)


def read(path: Path) -> pa.Table:
    """Read a review as a person saved it.

    Args:
        path: Comma, semicolon or tab between the cells; UTF-8, GB 18030, or UTF-16 with its mark.

    Returns:
        Columns of strings by the names in the first row, in lower case, and `line`, int64: the row in the file.

    Raises:
        InputError: It is no such file; a row has more cells than the header.
    """
    data = path.read_bytes()
    encodings = ["utf-16"] if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else ["utf-8-sig", "gb18030"]
    try:
        text = _decoded(data, encodings)
    except UnicodeDecodeError as error:
        raise InputError("the review is not UTF-8; save it as 'CSV UTF-8' and apply it again", path) from error
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        read = [(line, row) for line, row in enumerate(rows, start=2) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"the review is not readable as CSV ({error})", path) from error
    for line, row in read:
        if any(row[len(names) :]):
            raise InputError(
                f"the row has {len(row)} cells, the header {len(names)}; there is a cell too many", path, line
            )
    columns: dict[str, Any] = {
        name: pa.array([row[i].removeprefix("'") if i < len(row) else "" for _, row in read], pa.string())
        for i, name in enumerate(names)
        if name
    }
    return pa.table({**columns, "line": pa.array([line for line, _ in read], pa.int64())})
