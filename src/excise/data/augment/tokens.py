"""Tokens: some dropped, swapped or masked, or a span cut out, with attention mask and labels kept in step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from excise.errors import SettingError

#: A label that no loss counts.
IGNORED = -100


@dataclass(frozen=True)
class Tokens:
    """A batch of sequences.

    Attributes:
        ids: Integers [n, length].
        attention: Integers or bools [n, length]: 1 for tokens, 0 for padding; None where all are tokens.
        labels: Integers [n, length], one a token and moved along with it, or of another shape, and left alone; or None.
        pad: Id of padding, which fills what becomes free.
        mask: Id of the mask token; needed for `mask` only.
        special: Ids that stay where they are in the order: beginning, end, separators.
    """

    ids: NDArray[Any]
    attention: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    pad: int = 0
    mask: int | None = None
    special: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or not np.issubdtype(self.ids.dtype, np.integer):
            raise SettingError(
                f"ids is an array of {self.ids.dtype} with shape {list(self.ids.shape)}; give integers [n, length]."
            )
        if self.attention is not None and self.attention.shape != self.ids.shape:
            raise SettingError(
                f"attention has the shape {list(self.attention.shape)}; it must be that of ids, {list(self.ids.shape)}."
            )

    @property
    def real(self) -> NDArray[np.bool_]:
        """Where there is no padding: bool [n, length]."""
        return np.ones(self.ids.shape, np.bool_) if self.attention is None else self.attention.astype(np.bool_)

    @property
    def movable(self) -> NDArray[np.bool_]:
        """Where there is neither padding nor a special token: bool [n, length]."""
        return self.real & ~np.isin(self.ids, self.special)


TokenOperation = Callable[[Tokens, np.random.Generator, float], Tokens]


def drop(tokens: Tokens, rng: np.random.Generator, rate: float) -> Tokens:
    """Each token dropped with probability `rate`; one at least stays in each row, the others close up."""
    draws = np.where(tokens.movable, rng.random(tokens.ids.shape), -1.0)
    gone = tokens.movable & (draws < rate)
    emptied = np.flatnonzero((gone == tokens.movable).all(1) & gone.any(1))
    gone[emptied, draws[emptied].argmax(1)] = False
    return _without(tokens, gone)


def swap(tokens: Tokens, rng: np.random.Generator, rate: float) -> Tokens:
    """Each token put behind the next one with probability `rate`; its label goes with it."""
    movable = tokens.movable
    chosen = movable & (rng.random(tokens.ids.shape) < rate)
    order = np.tile(np.arange(tokens.ids.shape[1]), (len(tokens.ids), 1))
    taken = np.zeros(len(order), np.bool_)
    for place in range(order.shape[1] - 1):
        pair = chosen[:, place] & movable[:, place + 1] & ~taken
        order[pair, place], order[pair, place + 1] = place + 1, place
        taken = pair
    return _reordered(tokens, order)


def mask(tokens: Tokens, rng: np.random.Generator, rate: float) -> Tokens:
    """Each token replaced by the mask token with probability `rate`; labels say what was there, if they did."""
    if tokens.mask is None:
        raise SettingError("mask is not given; masking tokens needs the id of the mask token.")
    chosen = tokens.movable & (rng.random(tokens.ids.shape) < rate)
    return replace(tokens, ids=np.where(chosen, tokens.ids.dtype.type(tokens.mask), tokens.ids))


def crop(tokens: Tokens, rng: np.random.Generator, rate: float) -> Tokens:
    """A contiguous share of 1 - rate of each row's tokens; special tokens stay, one other token at least."""
    movable = tokens.movable
    count = movable.sum(1)
    keep = np.maximum(1, np.rint((1 - rate) * count)).astype(np.int64)
    first = (rng.random(len(count)) * (count - keep + 1)).astype(np.int64)
    rank = movable.cumsum(1) - 1
    outside = (rank < first[:, None]) | (rank >= (first + keep)[:, None])
    return _without(tokens, movable & outside)


#: The operations on tokens by name.
TOKENS: dict[str, TokenOperation] = {"drop": drop, "swap": swap, "mask": mask, "crop": crop}


def _without(tokens: Tokens, gone: NDArray[np.bool_]) -> Tokens:
    """What stays, closed up to the side on which the tokens were; padding takes the rest."""
    if not gone.any():
        return tokens
    stays = tokens.real & ~gone
    left_padded = tokens.real[:, -1] & ~tokens.real[:, 0]
    order = np.argsort(np.where(left_padded[:, None], stays, ~stays), axis=1, kind="stable")
    moved = _reordered(tokens, order)
    padding = ~np.take_along_axis(stays, order, 1)
    attention = (~padding).astype(np.int64 if tokens.attention is None else tokens.attention.dtype)
    labels = moved.labels
    if labels is not None and labels.shape == tokens.ids.shape:
        labels = np.where(padding, labels.dtype.type(IGNORED), labels)
    ids = np.where(padding, tokens.ids.dtype.type(tokens.pad), moved.ids)
    return replace(moved, ids=ids, attention=attention, labels=labels)


def _reordered(tokens: Tokens, order: NDArray[np.int64]) -> Tokens:
    def along(array: NDArray[Any] | None) -> NDArray[Any] | None:
        whole = array is not None and array.shape == tokens.ids.shape
        return np.take_along_axis(array, order, 1) if array is not None and whole else array

    return replace(
        tokens,
        ids=np.take_along_axis(tokens.ids, order, 1),
        attention=along(tokens.attention),
        labels=along(tokens.labels),
    )
