"""A command, and what it cost: time by the clock, processor time, memory of it and all its children."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_EVERY_S = 0.02


@dataclass(frozen=True)
class Ran:
    """Cost of a command.

    Attributes:
        code: Exit code.
        seconds: By the clock, from start to end of the process: imports included.
        processor_seconds: User and system, of all its processes: as the kernel adds up those that were waited for, or
            as sampled, where that is more (a fork server's children are waited for by nobody here).
        peak_mb: Largest resident memory of all its processes together, sampled; mapped files count.
        peak_anonymous_mb: As that, without mapped files and page cache: what a limit on memory would have to allow.
        peak_one_mb: Largest high-water mark of any one of them (VmHWM), which the kernel keeps: no sample misses it.
        peak_data_mb: Largest VmData of any one of them, sampled: private memory asked for, used or not, which is what
            RLIMIT_DATA limits.
        output: Standard output.
        errors: Standard error.
    """

    code: int
    seconds: float
    processor_seconds: float
    peak_mb: float
    peak_anonymous_mb: float
    peak_one_mb: float
    peak_data_mb: float
    output: str
    errors: str

    def as_dict(self) -> dict[str, Any]:
        """Rounded, without what it printed."""
        told = {name: value for name, value in asdict(self).items() if name not in ("output", "errors")}
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in told.items()}


class CommandError(RuntimeError):
    """A command of a benchmark failed."""


def run(
    command: Sequence[str | Path],
    *,
    cores: Sequence[int] | None = None,
    data_limit_bytes: int | None = None,
    environment: dict[str, str] | None = None,
    timeout_s: float | None = None,
    fails: bool = False,
) -> Ran:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        cores: Those it may use; None is all.
        data_limit_bytes: RLIMIT_DATA: heap and anonymous maps; mapped files are free.
        environment: Added to this process's.
        timeout_s: Killed after that.
        fails: A failure is a result too; else it raises.

    Raises:
        CommandError: It failed.
    """

    def prepare() -> None:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        if data_limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (data_limit_bytes, data_limit_bytes))

    began = time.perf_counter()
    child = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        preexec_fn=prepare,  # noqa: PLW1509 - no other thread runs yet
        start_new_session=True,
    )
    watch = Watch(child.pid)
    watch.start()
    said: list[str] = ["", ""]
    readers = [
        threading.Thread(target=_drain, args=(stream, said, number), daemon=True)
        for number, stream in enumerate((child.stdout, child.stderr))
    ]
    for reader in readers:
        reader.start()
    killer = threading.Timer(timeout_s or 1e9, lambda: os.killpg(child.pid, signal.SIGKILL)) if timeout_s else None
    if killer:
        killer.start()
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if killer:
        killer.cancel()
    watch.done.set()
    watch.join()
    for reader in readers:
        reader.join(5)
    result = Ran(
        code=child.returncode,
        seconds=seconds,
        processor_seconds=max(used.ru_utime + used.ru_stime, sum(watch.ticks.values()) / os.sysconf("SC_CLK_TCK")),
        peak_mb=watch.peak / 2**20,
        peak_anonymous_mb=watch.peak_anonymous / 2**20,
        peak_one_mb=watch.peak_one / 2**10,
        peak_data_mb=watch.peak_data / 2**10,
        output=said[0],
        errors=said[1],
    )
    if result.code and not fails:
        raise CommandError(f"{' '.join(map(str, command))} ended with {result.code}:\n{result.errors[-3000:]}")
    return result


def _drain(stream: Any, said: list[str], number: int) -> None:
    said[number] = stream.read()


class Watch(threading.Thread):
    """Samples the resident memory of a process and its descendants.

    Not ru_maxrss: it starts at what this process held when it forked.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.done = pid, threading.Event()
        self.peak = self.peak_anonymous = self.peak_one = self.peak_data = 0
        self.ticks: dict[int, int] = {}
        self._page = os.sysconf("SC_PAGE_SIZE")

    def run(self) -> None:
        """Until `done`."""
        tree, count = [self.pid], 0
        while not self.done.is_set():
            if count % 10 == 0:
                tree = _tree(self.pid)
            count += 1
            whole = anonymous = 0
            for pid in tree:
                try:
                    fields = Path(f"/proc/{pid}/statm").read_text().split()
                    status = Path(f"/proc/{pid}/status").read_text()
                    times = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                self.ticks[pid] = int(times[11]) + int(times[12])
                if "VmHWM:" in status:
                    self.peak_one = max(self.peak_one, int(status.split("VmHWM:")[1].split()[0]))
                    self.peak_data = max(self.peak_data, int(status.split("VmData:")[1].split()[0]))
                whole += int(fields[1]) * self._page
                anonymous += (int(fields[1]) - int(fields[2])) * self._page
            self.peak, self.peak_anonymous = max(self.peak, whole), max(self.peak_anonymous, anonymous)
            self.done.wait(_EVERY_S)


def _tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        for task in Path("/proc").glob(f"{one}/task/*/children"):
            try:
                queue += map(int, task.read_text().split())
            except OSError:
                continue
    return found
