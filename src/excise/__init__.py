"""Excise finds the redundancy in a language model and in its training data, removes it, and proves what that cost.

Public names are lazy: importing excise loads neither torch nor transformers. It only leaves word that, should
transformers be imported in this process, packed checkpoints can then be loaded with `from_pretrained`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from excise.adapters.import_hook import install as _install

if TYPE_CHECKING:
    from excise.corpus import Corpus as Corpus
    from excise.ledger import Ledger as Ledger

__version__ = "0.1.0"

_HOMES = {
    "Corpus": "excise.corpus",
    "Ledger": "excise.ledger",
    "augment": "excise.pipeline.augment",
    "clean": "excise.pipeline.clean",
    "compare": "excise.pipeline.compare",
    "compress": "excise.pipeline.compress",
    "demo": "excise.pipeline.run",
    "explain": "excise.pipeline.explain",
    "load": "excise.pipeline.load",
    "restore": "excise.pipeline.restore",
    "run": "excise.pipeline.run",
}

__all__ = ["Corpus", "Ledger", "augment", "clean", "compare", "compress", "demo", "explain", "load", "restore", "run"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'excise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


_install()
