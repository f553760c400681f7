"""Compiles a loop with numba: once and kept on disk where that is possible, once a process where it is not."""

from collections.abc import Callable
from typing import Any

import numba


def kernel(signature: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: compile now, for this one signature, without the interpreter lock and without fast maths.

    numba keeps compiled code beside the source or in the user's cache folder. Where neither can be written (a
    read-only installation, a full disk) it raises; the loop is then compiled for this process only.

    Args:
        signature: A numba signature, so that the first call compiles nothing.
    """

    def compile_(loop: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(signature, cache=True, nogil=True, error_model="numpy")(loop)  # type: ignore[no-any-return]
        except (RuntimeError, OSError):
            return numba.njit(signature, nogil=True, error_model="numpy")(loop)  # type: ignore[no-any-return]

    return compile_
