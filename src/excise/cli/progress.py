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
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Display(*columns, console=Console(stderr=True)) as display:
        tasks: dict[str, TaskID] = {}

        def report(label: str, done: float, total: float | None) -> None:
            job = label.partition(",")[0]  # "training, loss 3.2": one bar, its text changes
            if job not in tasks:
                tasks[job] = display.add_task(label, total=total)
            display.update(tasks[job], description=label, completed=done, total=total)

        yield report


def _lines() -> Progress:
    """Says each label when it begins and, at most every ten seconds, how far it is."""
    last: dict[str, float] = {}

    def report(label: str, done: float, total: float | None) -> None:
        now, job = time.monotonic(), label.partition(",")[0]
        if job not in last:
            last[job] = now
            print(f"{label} ...", file=sys.stderr, flush=True)  # noqa: T201 - this is what the file is for
        elif total and now - last[job] >= 10:
            last[job] = now
            print(f"{label} {done / total:.0%}", file=sys.stderr, flush=True)  # noqa: T201

    return report
