"""Progress on stderr: bars on a terminal, one line a stage elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from excise.journal import Progress


@contextlib.contextmanager
def bars() -> Iterator[Progress]:
    """A Progress to hand to a verb; everything it shows goes to stderr."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Display

    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rate]:>9}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Display(*columns, console=Console(stderr=True)) as display:
        tasks: dict[str, TaskID] = {}

        def report(label: str, done: float, total: float | None) -> None:
            job = label.partition(",")[0]  # "training, loss 3.2": one bar, its text changes
            if job not in tasks:
                tasks[job] = display.add_task(label, total=total, rate="")
            task = display.tasks[display.task_ids.index(tasks[job])]
            speed = task.finished_speed or task.speed
            rate = _rate(speed) if speed else ""
            display.update(tasks[job], description=label, completed=done, total=total, rate=rate)

        yield report


def _lines() -> Progress:
    """Says each label when it begins and, at most every ten seconds, how far it is, how fast, and how long it takes."""
    began: dict[str, tuple[float, float]] = {}
    last: dict[str, float] = {}

    def report(label: str, done: float, total: float | None) -> None:
        now, job = time.monotonic(), label.partition(",")[0]
        if job not in last:
            last[job], began[job] = now, (now, done)
            print(f"{label} ...", file=sys.stderr, flush=True)  # noqa: T201 - this is what the file is for
        elif total and done < total and now - last[job] >= 10:
            last[job] = now
            first, before = began[job]
            speed = (done - before) / (now - first)
            left = f", {_duration((total - done) / speed)} left" if speed > 0 else ""
            told = f"{label}: {100 * done / total:.0f} %, {_rate(speed)}{left}"
            print(told, file=sys.stderr, flush=True)  # noqa: T201

    return report


def _rate(speed: float) -> str:
    """Units of the job, bytes or records or others, a second."""
    for factor, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if speed >= factor:
            return f"{speed / factor:.1f}{prefix}/s"
    return f"{speed:.1f}/s"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
