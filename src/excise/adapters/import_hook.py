"""Leaves word, without importing anything, that transformers should learn Excise's format when it is imported.

`import excise` must load neither torch nor transformers, yet `from_pretrained` must read packed checkpoints in either
order of imports. A finder on `sys.meta_path` waits for `transformers.quantizers.auto`, lets the ordinary finders load
it, and then registers the quantizer; where transformers is loaded already, it is registered at once.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

_TARGET = "transformers.quantizers.auto"


def _register() -> None:
    try:
        importlib.import_module("excise.adapters.quantizer").register()
    except (ImportError, AttributeError) as error:  # a transformers that lacks what we register with must still import
        warnings.warn(f"excise: this transformers cannot be taught Excise's packed format ({error})", stacklevel=2)


class _Waiter(importlib.abc.MetaPathFinder):
    """Wraps the loader of one module so that registering follows its execution."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _TARGET:
            return None
        sys.meta_path.remove(self)  # first, so that find_spec below asks only the others
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Register now if transformers' quantizers are loaded, else when they are."""
    if _TARGET in sys.modules:
        _register()
    elif not any(isinstance(finder, _Waiter) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiter())
