"""The engine on Ray: the same work, item by item, as a Ray Data set over a cluster.

The cluster is the one that the variable RAY_ADDRESS names; without it a Ray is started on this machine. The files of
the run must lie where all of its machines see them under the same path. A worker that dies costs its block, which Ray
does again elsewhere; results come in the order of the items, so that the outcome is the local engine's byte for byte.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from excise.data.threads import Mapped
from excise.errors import MissingExtraError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Blocks of items given to Ray at once, and the least number of them in flight.
_ROUND, IN_FLIGHT = 64, 8


def on_ray() -> Mapped:
    """The engine, with Ray started or joined.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "Ray Data") from error
    if not ray.is_initialized():
        ray.init(
            address=os.environ.get("RAY_ADDRESS"),
            log_to_driver=False,
            include_dashboard=False,
            configure_logging=False,
        )
    return _mapped


def _mapped(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map(work, items)` as Ray Data: one item a block, results in order."""
    import ray
    from ray import cloudpickle

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    packed = cloudpickle.dumps(work)

    def done(row: dict[str, Any]) -> dict[str, Any]:
        return {"result": cloudpickle.dumps(cloudpickle.loads(packed)(cloudpickle.loads(row["item"])))}

    stream = iter(items)
    while some := [{"item": cloudpickle.dumps(item)} for item in itertools.islice(stream, _ROUND)]:
        blocks = ray.data.from_items(some, override_num_blocks=len(some))
        for row in blocks.map(done).iter_rows():
            yield cloudpickle.loads(row["result"])
