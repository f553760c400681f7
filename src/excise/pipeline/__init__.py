"""The verbs, one file each; what the command line and `import excise` offer under the same names.

Names are looked up when asked for, so that the data verbs never import torch.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "clean": "excise.pipeline.clean",
    "compare": "excise.pipeline.compare",
    "compress": "excise.pipeline.compress",
    "demo": "excise.pipeline.run",
    "explain": "excise.pipeline.explain",
    "load": "excise.pipeline.load",
    "restore": "excise.pipeline.restore",
    "run": "excise.pipeline.run",
}

__all__ = ["clean", "compare", "compress", "demo", "explain", "load", "restore", "run"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'excise.pipeline' has no attribute {name!r}")
