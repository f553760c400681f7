"""Work spread over the machine's cores, results in order: threads suffice, for the kernels hold no interpreter lock."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def workers() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Mapped(Protocol):
    """An engine: `map` over the machine's cores, or over a cluster's; results in order.

    Items are small and hold all that the work needs, for they may travel; so may what the work has captured.
    """

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results in the order of the items, drawn as they are wanted."""


def in_order(work: Callable[[Item], Result], items: Iterable[Item], cores: int | None = None) -> Iterator[Result]:
    """`map(work, items)` on so many cores, or all; at most one item a core waits, so memory stays bounded."""
    cores = cores or workers()
    with ThreadPoolExecutor(cores) as pool:
        running: deque[Future[Result]] = deque()
        try:
            for item in items:
                running.append(pool.submit(work, item))
                if len(running) > cores:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
