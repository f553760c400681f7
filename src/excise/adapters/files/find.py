"""Find: the files behind a path, directory, glob or list, with their names, formats and fingerprints."""

from __future__ import annotations

import glob
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import xxhash

from excise.adapters.files import containers, saved
from excise.errors import InputError
from excise.journal import Progress, silent

_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "txt",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".tar": "tar",
}
_COMPRESSIONS = {".gz": "gz", ".zst": "zst", ".xz": "xz"}
_BOM = b"\xef\xbb\xbf"

#: Beginnings of table files.
_TABLES = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}

#: Beginnings of files that hold no text, whatever their name says; longer ones first.
_FOREIGN = {
    b"\xff\xfe\x00\x00": "UTF-32 text; convert it with: iconv -f UTF-32 -t UTF-8",
    b"\x00\x00\xfe\xff": "UTF-32 text; convert it with: iconv -f UTF-32 -t UTF-8",
    b"\xff\xfe": "UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first, or pack it with gzip, zstd or xz",
    b"FEA1": "a Feather file of the first version; write it as parquet or as Arrow IPC",
}


@dataclass(frozen=True)
class Input:
    """One file to read.

    Attributes:
        name: Path relative to the root of what was asked for, '/' as separator.
        path: Where it is.
        format: jsonl, json, csv, tsv, txt, parquet, arrow or tar; 'beside' for one without records that goes along.
        compression: '', gz, zst or xz.
        size_bytes: Size on disk.
        fingerprint: XXH3-128 of its bytes, hex.
    """

    name: str
    path: Path
    format: str
    compression: str
    size_bytes: int
    fingerprint: str

    @property
    def shown(self) -> str:
        """The file as errors name it."""
        return shown(self.path)


@dataclass(frozen=True)
class Inputs:
    """What a corpus is read from.

    Attributes:
        root: The folder that names are relative to.
        files: In reading order: by name, or as listed.
        folder: False where a single file was named: then the original is restored as a file, not as a folder.
        skipped: Names of files in directories and globs that no reader takes.
    """

    root: Path
    files: tuple[Input, ...]
    folder: bool
    skipped: tuple[str, ...]


def find(
    data: str | Path | Sequence[str | Path], *, without: Sequence[Path] = (), progress: Progress = silent
) -> Inputs:
    """The files behind `data`.

    Args:
        data: A file, a directory (read with all below it), a glob, or a list of those.
        without: Folders to leave out, such as the output where it lies inside the input.
        progress: Told how many bytes were fingerprinted.

    Raises:
        InputError: Nothing is there, or a file is not what its name says.
    """
    listed = [data] if isinstance(data, str | Path) else list(data)
    if not listed:
        raise InputError("no data was named; give a file, a directory or a glob")
    hidden = [Path(os.path.abspath(p)) for p in without]  # noqa: PTH100 - links stay as they are named
    found: dict[Path, bool] = {}  # path -> named by the user, and so not to be skipped
    roots: list[Path] = []
    for entry in listed:
        root, paths, named = _expanded(entry, hidden)
        roots.append(root)
        for path in paths:
            found[path] = found.get(path, False) or named
    root = Path(os.path.commonpath(roots))
    single = len(found) == 1 and len(listed) == 1 and Path(os.path.abspath(listed[0])) in found  # noqa: PTH100
    total = sum(path.stat().st_size for path in found)
    files, skipped, done = [], [], 0
    for path, named in found.items():
        name = _name(path, root)
        kind = _kind(path, named)
        if kind is None:
            skipped.append(name)
            continue
        digest, size = xxhash.xxh3_128(), 0
        for chunk in containers.decoded(path, "", shown(path)):
            digest.update(chunk)
            size += len(chunk)
            done += len(chunk)
            progress("looking at the files", done, total)
        files.append(Input(name, path, *kind, size, digest.hexdigest()))
    if not files:
        told = f"; it has {', '.join(skipped[:5])}" if skipped else ""
        raise InputError(f"no data files here{told}. Readable are {_known()}.", listed[0])
    return Inputs(root, tuple(files), not single, tuple(skipped))


def shown(path: Path) -> str:
    """A path as a person would type it: relative to the current folder where it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _known() -> str:
    return ", ".join(_FORMATS) + ", the texts also with " + ", ".join(_COMPRESSIONS)


def _expanded(entry: str | Path, hidden: Sequence[Path]) -> tuple[Path, list[Path], bool]:
    """Root, files, and whether the user named each of them."""
    path = Path(os.path.abspath(entry))  # noqa: PTH100
    if path.is_dir():
        return path, sorted(_below(path, hidden)), False
    if path.exists():
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError("not a regular file; write the stream to a file first", entry)
        return path.parent, [path], True
    if glob.has_magic(str(entry)):
        fixed = [part for part in path.parts if not glob.has_magic(part)]
        root = Path(*path.parts[: next(i for i, p in enumerate(path.parts) if glob.has_magic(p))])
        matches = sorted(Path(p) for p in glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute pattern
        files = [p for p in matches if p.is_file() and not _inside(p, hidden)]
        if files and fixed:
            return root, files, False
        raise InputError("the pattern matches no file", entry)
    raise InputError("no such file or directory", entry)


def _below(folder: Path, hidden: Sequence[Path]) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"cannot be read ({error.strerror})", error.filename) from error

    for at, folders, names in os.walk(folder, onerror=refuse):  # does not follow linked folders
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and not _inside(Path(at, f), hidden) and not _ours(Path(at, f))
        )
        for name in names:
            path = Path(at, name)
            if not name.startswith(".") and path.is_file():
                yield path


#: How each journal begins; data of the user's may be called journal.jsonl as well.
_BEGINS = b'{"event": "start", "fingerprint": '


def _ours(folder: Path) -> bool:
    """Whether a folder is an output of Excise, unfinished ones included: that is no data of the user's."""
    for home in ("ledger", "excise", ""):
        path = folder / home / "journal.jsonl"
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(_BEGINS)) == _BEGINS:
                    return True
    return False


def _inside(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _name(path: Path, root: Path) -> str:
    name = PurePosixPath(path.relative_to(root)).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError("the file's name is not UTF-8; rename it", ascii(name)) from error
    return name


def _kind(path: Path, named: bool) -> tuple[str, str] | None:
    """Format and compression by name, checked against the content; None for a file to be skipped."""
    name = shown(path)
    suffixes = [s.lower() for s in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    inner = suffixes[:-1] if compression else suffixes
    format_ = _FORMATS.get(inner[-1]) if inner else None
    saved_as = saved.role(path)
    if saved_as is not None and not named:
        return (saved_as, "") if saved_as else None
    if format_ is None and not named:
        return None
    sign = next(containers.decoded(path, "", name, size=16), b"")
    if sign:
        actual = containers.magic(sign)
        if compression and actual != compression:
            raise InputError(f"its name ends in {suffixes[-1]}, but it is no {compression} file", name)
        compression = actual
    head = _head(path, compression, name)
    for start, what in _FOREIGN.items():
        if head.startswith(start):
            raise InputError(f"this is {what}", name)
    if not named and format_ == "json" and _is_one_object(head):
        return None  # a config beside the data, such as dataset_info.json
    return _format(format_, head, name), compression


def _head(path: Path, compression: str, name: str) -> bytes:
    return containers.with_head(containers.decoded(path, compression, name, size=containers.HEAD))[0]


def _format(by_name: str | None, head: bytes, name: str) -> str:
    table = next((format_ for sign, format_ in _TABLES.items() if head.startswith(sign)), None)
    if table is not None:
        return table
    if by_name in _TABLES.values():
        raise InputError(f"its name says {by_name}, but its first bytes do not", name)
    text = head.removeprefix(_BOM).lstrip()
    if by_name == "json" and _is_one_object(head):
        raise InputError(
            "expected a list of records or one record a line, found a JSON object over several lines. "
            "Write the list inside it to a file of its own.",
            name,
            1,
        )
    if by_name in {"jsonl", "json"}:
        return "json" if text.startswith(b"[") else "jsonl" if text.startswith(b"{") else by_name
    if by_name is not None:
        return by_name
    return "json" if text.startswith((b"[{", b"[\n", b"[\r", b"[ ")) else "jsonl" if text.startswith(b"{") else "txt"


def _is_one_object(head: bytes) -> bool:
    """Whether a file begins with an object that goes on over several lines."""
    text = head.removeprefix(_BOM).lstrip()
    return text.startswith(b"{") and not _is_object(text.partition(b"\n")[0])


def _is_object(line: bytes) -> bool:
    """Whether this first line is a record by itself (or too long to tell from the head)."""
    if len(line) >= containers.HEAD:
        return True
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
