"""Journal: the run folder, its fingerprint, resume markers, and writing aside, verifying, renaming.

Work happens in OUT.partial, which becomes OUT at the end. Every finished step is one line of `journal.jsonl`; the same
command, started again, skips the steps whose files are still whole. Steps are in a line: once one is done anew, all
that came after it is done anew too.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import xxhash

from excise.errors import OutputError

if os.name == "posix":
    import fcntl


class Progress(Protocol):
    """How a long job says what it is doing; `total` is None where it is not known."""

    def __call__(self, label: str, done: float, total: float | None) -> None:
        """Called often: must be cheap."""


def silent(label: str, done: float, total: float | None) -> None:
    """A Progress that says nothing."""


class Journal:
    """The living state of one run.

    Args:
        out: The output folder the user named.
        fingerprint: Everything the result depends on, as plain JSON values by name; two runs are the same when all are.
        home: Folder inside OUT where the journal stays, e.g. 'ledger' or 'excise'.
        inputs: Paths that are read; OUT may be none of them and hold none of them.
        overwrite: Replace a finished OUT, and drop an unfinished run that does not match.
        progress: Told what goes on.

    Raises:
        OutputError: OUT is finished, belongs to another run, is or holds an input, is in use, or cannot be written.
    """

    def __init__(
        self,
        out: Path,
        fingerprint: Mapping[str, Any],
        home: str,
        *,
        inputs: Iterable[str | Path] = (),
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> None:
        self.out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a symlinked OUT
        self.folder = self.out.with_name(self.out.name + ".partial")
        self.progress = progress
        self.skipped: list[str] = []
        self._overwrite = overwrite
        self._fingerprint: dict[str, Any] = json.loads(json.dumps(dict(fingerprint), ensure_ascii=False))
        self._refuse_inputs(inputs)
        if self.out.exists() and not overwrite:
            raise OutputError(f"{out} exists already. Name another output, or give --overwrite to replace it.")
        if self.out.exists() and not self._made_here(home):
            raise OutputError(
                f"{out} was not made by this command, so --overwrite does not replace it. "
                "Name another output, or remove it yourself."
            )
        self._home = self.folder / home
        self._path = self._home / "journal.jsonl"
        self._refuse_foreign(home)
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / ".lock").open("a")
        except OSError as error:
            if error.errno in {13, 30}:  # EACCES, EROFS
                raise OutputError(
                    f"{self.folder} cannot be written ({error.strerror}). Name an output elsewhere."
                ) from error
            raise
        try:
            self._take_lock()
            for killed in self.folder.rglob(".*.aside"):
                killed.unlink()
            self._done = self._recorded()
            self._append({"event": "resume" if self._done else "start", "fingerprint": self._fingerprint})
        except BaseException:
            self.close()
            raise

    def _refuse_inputs(self, inputs: Iterable[str | Path]) -> None:
        for path in map(Path, inputs):
            source = path.resolve()
            for target in (self.out.resolve(), self.folder.resolve()):
                if path.exists() and source.is_relative_to(target):
                    raise OutputError(
                        f"{self.out} is or holds the input {path}, which would be lost. Name another output."
                    )

    def _refuse_foreign(self, home: str) -> None:
        """OUT.partial is ours if it has our journal, or nothing at all: a run may be killed before it has one."""
        if self._path.is_file() or not os.path.lexists(self.folder):
            return
        beginning = {".lock", *([home] if home and not any((self.folder / home).glob("*")) else [])}
        if not self.folder.is_dir() or any(entry.name not in beginning for entry in self.folder.iterdir()):
            raise OutputError(
                f"{self.folder}, where the work would be done, holds something else. "
                "Move it away, or name another output."
            )

    def _made_here(self, home: str) -> bool:
        """Whether OUT is an earlier output of the same command, or empty: only that may be replaced."""
        try:
            with (self.out / home / "journal.jsonl").open(encoding="utf-8") as file:
                earlier = json.loads(file.readline())["fingerprint"]
        except (OSError, ValueError, KeyError):
            return self.out.is_dir() and not any(self.out.iterdir())
        return bool(earlier.get("command") == self._fingerprint.get("command"))

    def _take_lock(self) -> None:
        if os.name != "posix":
            return  # two runs into one OUT are then not told apart
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(
                f"{self.folder} is in use by another run. Wait for it, or name another output."
            ) from error

    def _recorded(self) -> dict[str, dict[str, Any]]:
        """Finished steps of an earlier, matching run; an unfinished last line (killed while writing) is cut off."""
        if not self._path.is_file():
            return {}
        lines: list[dict[str, Any]] = []
        whole = 0
        for raw in self._path.read_bytes().splitlines(keepends=True):
            try:
                if not raw.endswith(b"\n"):
                    break
                lines.append(json.loads(raw))
            except ValueError:
                break
            whole += len(raw)
        os.truncate(self._path, whole)
        earlier = next((line["fingerprint"] for line in lines if "fingerprint" in line), self._fingerprint)
        if earlier != self._fingerprint:
            self._refuse_or_clear(earlier)
            return {}
        done: dict[str, dict[str, Any]] = {}
        for line in lines:
            if line["event"] == "again":
                after = list(done)
                for name in after[after.index(line["step"]) :] if line["step"] in done else []:
                    del done[name]
            if line["event"] == "done":
                done[line["step"]] = line
        return done

    def _refuse_or_clear(self, earlier: Mapping[str, Any]) -> None:
        names = sorted(
            k for k in earlier.keys() | self._fingerprint.keys() if earlier.get(k) != self._fingerprint.get(k)
        )
        if not self._overwrite:
            told = "; ".join(
                f"{k} was {_short(earlier.get(k))}, is {_short(self._fingerprint.get(k))}" for k in names[:4]
            )
            raise OutputError(
                f"{self.folder} holds an unfinished run with other inputs ({told}). "
                "Run the command it was started with, name another output, or give --overwrite to start anew."
            )
        for entry in self.folder.iterdir():
            if entry.name != ".lock":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        self._home.mkdir(parents=True, exist_ok=True)

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, "time": round(time.time(), 3)}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    @property
    def work(self) -> Path:
        """A folder for intermediate files; gone when the run is finished."""
        folder = self.folder / ".work"  # with a dot: a stage or a source may be called work
        folder.mkdir(exist_ok=True)
        return folder

    def step(
        self, name: str, work: Callable[[], Mapping[str, Any] | None], files: Sequence[Path] = ()
    ) -> dict[str, Any]:
        """Do a step once.

        Args:
            name: Unique in the run, the same each time the command is run.
            work: Does it and returns plain JSON values; must write each file with `written_aside`.
            files: What it leaves; it is done again if one is missing or has another size.

        Returns:
            What `work` returned, now or when it was done.
        """
        line = self._done.get(name)
        if line is not None and all(_size(self.folder / f) == size for f, size in line["files"].items()):
            self.skipped.append(name)
            self._append({"event": "skipped", "step": name})
            result: dict[str, Any] = line["result"]
            return result
        if line is not None:
            self._append({"event": "again", "step": name})
        self._done = {}
        began = time.perf_counter()
        result = dict(work() or {})
        sizes = {str(f.relative_to(self.folder)): f.stat().st_size for f in files}
        seconds = round(time.perf_counter() - began, 3)
        self._append({"event": "done", "step": name, "result": result, "files": sizes, "seconds": seconds})
        return json.loads(json.dumps(result, ensure_ascii=False))  # type: ignore[no-any-return]

    def finish(self) -> Path:
        """Rename OUT.partial to OUT and return OUT."""
        self._append({"event": "finished", "skipped": self.skipped})
        if self.out.exists() or self.out.is_symlink():
            self.out.rename(self.folder / ".replaced")
        self.folder.rename(self.out)  # only then is anything removed, so that a kill here costs nothing
        self.close()
        (self.out / ".lock").unlink(missing_ok=True)
        shutil.rmtree(self.out / ".work", ignore_errors=True)
        replaced = self.out / ".replaced"
        if replaced.is_symlink():
            replaced.unlink()
        elif replaced.exists():
            shutil.rmtree(replaced)
        return self.out

    def discard(self) -> None:
        """Remove OUT.partial, where nothing in it could be used again."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Let another run in; the work stays for the next one."""
        self._lock.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


@contextlib.contextmanager
def written_aside(
    path: Path, verify: Callable[[Path], None] | None = None, *, durable: bool = True
) -> Iterator[IO[bytes]]:
    """A binary file that appears under its name only when it is complete and verified.

    Args:
        path: Its name; runs that share a folder may write the same one, each aside by itself.
        verify: Raises where the file is not what it should be.
        durable: Whether it is flushed to disk first, and so is whole after a power cut as well. Files of `Journal.work`
            need not be: a killed process loses nothing that it wrote, and a run that goes on looks at their sizes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.{secrets.token_hex(4)}.aside")  # its own name would make it too long
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if verify is not None:
            verify(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, plain: Mapping[str, Any]) -> Path:
    """Write JSON that any reader takes (no NaN), UTF-8, aside first; returns the path."""
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=1)
    with written_aside(path) as file:
        file.write(text.encode() + b"\n")
    return path


def digest_of(plain: Any) -> str:
    """XXH3-128 of plain JSON values, hex: the same for the same values."""
    return xxhash.xxh3_128_hexdigest(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode())


def fingerprint_of(path: Path) -> str:
    """XXH3-128 of a file's bytes, or of the names and bytes of all files below a folder; hex."""
    digest = xxhash.xxh3_128()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
