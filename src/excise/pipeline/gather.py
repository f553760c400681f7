"""gather: the documentation that every Python machine has, as a corpus.

Docstrings and documentation of the standard library, descriptions and licences of the installed packages, licences of
the system: real English, with the duplicates that real collections have (every package brings its own Apache licence).
"""

from __future__ import annotations

import ast
import json
import sys
import sysconfig
import time
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from excise import __version__
from excise.errors import RunError
from excise.journal import Journal, Progress, silent, write_json, written_aside

#: Shorter texts ("See base class.") are no documents.
_LEAST_CHARACTERS = 200


def gather(
    out: str | Path, *, megabytes: float = 8.0, overwrite: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Write OUT/data/{licences,packages,library}.jsonl, records {"id", "text", "origin"}.

    Args:
        out: Folder to make.
        megabytes: Stop after this much text, in 10^6 bytes of UTF-8; licences and packages come first.
        overwrite: Replace a finished OUT.
        progress: Told how much was gathered.

    Returns:
        Records and bytes by file.
    """
    fingerprint = {"command": "gather", "version": __version__, "python": sys.version, "megabytes": megabytes}
    limit = int(megabytes * 1e6)
    began = time.monotonic()
    with Journal(Path(out), fingerprint, "", overwrite=overwrite, progress=progress) as journal:
        counts: dict[str, Any] = {}
        taken = 0
        for name, texts in (("licences", _licences()), ("packages", _packages()), ("library", _library())):
            path = journal.folder / "data" / f"{name}.jsonl"
            records = size = 0
            with written_aside(path) as file:
                for origin, text in texts:
                    if taken + size >= limit:
                        break
                    record = {"id": f"{name}-{records}", "text": text, "origin": origin}
                    file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
                    records, size = records + 1, size + len(text.encode())
                    progress("gathering text", min(taken + size, limit), limit)
            taken += size
            counts[name] = {"records": records, "bytes": size}
        progress("gathering text", limit, limit)
        if not taken:
            raise RunError(
                "found no documentation in this Python; run the demo with a Python that has its library's sources"
            )
        evidence = {
            "schema_version": 1,
            "kind": "gather",
            "status": "done",
            "seconds": round(time.monotonic() - began, 2),
            "files": counts,
            "warnings": [],
        }
        write_json(journal.folder / "evidence.json", evidence)
        journal.finish()
        return evidence


def _licences() -> Iterator[tuple[str, str]]:
    """Licence files of installed packages and of the system."""
    for distribution in _distributions():
        for inside in sorted(distribution.files or [], key=str):
            if inside.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "AUTHORS")):
                yield from _file(Path(str(inside.locate())), f"{distribution.name}/{inside.name}")
    for path in sorted(Path("/usr/share/common-licenses").glob("*")):
        yield from _file(path, f"system/{path.name}")


def _packages() -> Iterator[tuple[str, str]]:
    """Descriptions of installed packages."""
    for distribution in _distributions():
        description = distribution.metadata.get_payload()  # type: ignore[attr-defined]  # an email.message.Message
        if isinstance(description, str) and len(description) >= _LEAST_CHARACTERS:
            yield f"{distribution.name}/description", _whole(description)


def _library() -> Iterator[tuple[str, str]]:
    """The standard library's manual topics and the docstrings of its modules, then those of installed packages."""
    for root in (Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))):
        for path in sorted(root.rglob("*.py")):
            inside = path.relative_to(root)
            if "site-packages" not in inside.parts and "test" not in inside.parts and "tests" not in inside.parts:
                yield from _docstrings(path, inside.as_posix())


def _docstrings(path: Path, origin: str) -> Iterator[tuple[str, str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escapes
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            name = getattr(node, "name", "")
        elif path.name == "topics.py" and isinstance(node, ast.Constant) and isinstance(node.value, str):
            text, name = node.value, "topic"
        else:
            continue
        if text and len(text) >= _LEAST_CHARACTERS:
            yield f"{origin}:{name}".rstrip(":"), _whole(text)


def _distributions() -> list[metadata.Distribution]:
    found = {d.metadata["Name"].lower(): d for d in metadata.distributions() if d.metadata["Name"]}
    return [found[name] for name in sorted(found)]


def _file(path: Path, origin: str) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    if len(text) >= _LEAST_CHARACTERS:
        yield origin, _whole(text)


def _whole(text: str) -> str:
    """Without what UTF-8 cannot hold (lone surrogates in a docstring) and without NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "").strip()
