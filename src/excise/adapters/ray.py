"""The engine on Ray: the same work, item by item, as Ray Data sets over a cluster.

The cluster is the one that the variable RAY_ADDRESS names; without it a Ray is started on this machine, which ends with
this process. The files of the run must lie where all of its machines see them under the same path. A worker that dies
costs its block, which Ray does again elsewhere; results come in the order of the items, so that the outcome is the
local engine's byte for byte.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import logging
import os
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from excise import __version__
from excise.data.threads import Mapped
from excise.errors import ExciseError, InputError, MissingExtraError, RunError, SettingError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Blocks that are given to Ray at once: at least so many, and so many a core, for all must be done before more are
#: drawn. At least 8 are to be in flight.
_BLOCKS, _BLOCKS_A_CORE = 64, 4
#: Most items of a block, once there were more than a first round of blocks with one each: a block costs Ray 10
#: to 20 ms on two cores, whatever is in it.
_ITEMS = 8
#: Times that a block is done again whose worker died; Ray Data would go on forever.
_RETRIES = 3
#: Of work that travels: what is larger is not left to the next garbage collection.
_LARGE_BYTES = 1 << 20


def on_ray() -> Mapped:
    """The engine, with Ray started or joined.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingError: No cluster answers at RAY_ADDRESS.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone unless it is asked for
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # a worker that dies is told of on stdout else
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "Ray Data") from error
    for name in ("ray", "ray.data"):  # several lines a job on the terminal else; errors are raised
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False, configure_logging=False)
        except (ConnectionError, ValueError) as error:
            raise SettingError(
                f"RAY_ADDRESS is {address!r}, where no Ray cluster answers ({error}). Start one with `ray start "
                "--head`, or unset the variable for a Ray on this machine."
            ) from error
    return _OnRay()


class _OnRay:
    """The engine; it keeps the last work, which the workers have unpacked already when it comes again."""

    def __init__(self) -> None:
        self._work: Any = None
        self._packed: Any = None

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """`map(work, items)` as Ray Data: a round of blocks after the other, results in order."""
        stream, size = iter(items), 1
        while some := list(itertools.islice(stream, size * _blocks())):
            yield from _round(self._travelling(work), some)
            size = _ITEMS

    def _travelling(self, work: Any) -> Any:
        """The work, where all workers can fetch it."""
        import ray
        from ray import cloudpickle

        if work is not self._work:
            dumped = cloudpickle.dumps(work)
            self._work, self._packed = work, ray.put(dumped)
            if len(dumped) > _LARGE_BYTES:
                gc.collect()  # the one before is held in cycles by Ray's executors
        return self._packed


def _round(packed: Any, items: list[Any]) -> Iterator[Any]:
    """Results of some items, in as many blocks as are given to Ray at once."""
    import ray
    from ray import cloudpickle

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    rows = [{"item": cloudpickle.dumps(item)} for item in items]
    blocks = ray.data.from_items(rows, override_num_blocks=min(len(rows), _blocks()))
    try:
        for row in _worked(blocks, functools.partial(_done, packed, str(Path.cwd()), __version__)).iter_rows():
            yield _result(cloudpickle.loads(row["result"]))
    except (ray.exceptions.RayError, ray.data.exceptions.SystemException) as error:
        raise RunError(
            f"Ray could not do the work: {str(error).strip().splitlines()[-1]} The same command goes on where this "
            "one stopped."
        ) from error


def _worked(blocks: Any, done: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The blocks with `done` done to their rows, when they are drawn."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return blocks.map(done, max_retries=_RETRIES)
        except TypeError:  # deprecated in Ray 2.60, gone in 2.64, and nothing else bounds them
            return blocks.map(done)


def _blocks() -> int:
    import ray

    return max(_BLOCKS, _BLOCKS_A_CORE * int(ray.cluster_resources().get("CPU", 1)))


def _done(packed: Any, folder: str, version: str, row: dict[str, Any]) -> dict[str, Any]:
    """What a worker does: an item's result, or the error it raised."""
    from ray import cloudpickle

    try:
        if version != __version__:
            raise RunError(
                f"a machine of the cluster has Excise {__version__}, the run has {version}; they must agree."
            )
        with contextlib.suppress(OSError):
            os.chdir(folder)  # relative paths are meant from where the run was started
        result: tuple[Any, ...] = (_unpacked(packed)(cloudpickle.loads(row["item"])),)
    except FileNotFoundError as error:
        result = _told(
            InputError(
                f"a machine of the Ray cluster does not see a file of the run ({error}). The data, the output, --cache "
                "and --index must lie where all of its machines see them under the same paths as this one"
            )
        )
    except Exception as error:  # noqa: BLE001 - raised again where the run is
        if not isinstance(error, ExciseError):
            error.add_note(f"On a worker of the Ray cluster: {traceback.format_exc()}")
        result = _told(error)
    return {"result": cloudpickle.dumps(result)}


def _told(error: Exception) -> tuple[Any, ...]:
    """What `_result` makes the error of again."""
    kind, arguments, *state = cast("tuple[Any, ...]", error.__reduce__())
    return kind, arguments, state[0] if state else None


@functools.lru_cache(maxsize=1)
def _unpacked(packed: Any) -> Callable[[Any], Any]:
    """The work, unpacked once a worker: it may hold a model, or open files."""
    import ray
    from ray import cloudpickle

    work: Callable[[Any], Any] = cloudpickle.loads(ray.get(packed))
    return work


def _result(told: tuple[Any, ...]) -> Any:
    """What a worker found; raises the error that it raised, as the local engine would."""
    if len(told) == 1:
        return told[0]
    kind, arguments, state = told
    error = kind.__new__(kind, *arguments)  # not kind(...), which may want other arguments than its message
    error.__setstate__(state)
    raise error
