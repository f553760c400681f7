"""Scale: features of any unit as columns of mean 0 and one variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from excise.errors import InputError

Ints = NDArray[np.int64]

_BLOCK = 4096


@dataclass(frozen=True)
class Scale:
    """How features are centred and scaled: columns of mean 0 and one variance, rows of length 1 on average.

    Attributes:
        mean: float64 [d].
        factor: float64 [d]; 0 where a column is constant.
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[Any], rows: Ints) -> Scale:
        """From some rows, a block at a time.

        Raises:
            InputError: A value is infinite.
        """
        width = features.shape[1]
        count, total, square = np.zeros(width), np.zeros(width), np.zeros(width)
        middle = None
        for start in range(0, len(rows), _BLOCK):
            block = np.asarray(features[rows[start : start + _BLOCK]], np.float64)
            if np.isinf(block).any():
                raise InputError(
                    f"features of row {rows[start + int(np.argmax(np.isinf(block).any(1)))]} hold infinity; every "
                    "value must be finite, or NaN where it is not known."
                )
            known = ~np.isnan(block)
            if middle is None:  # squares are taken from near the mean, so that large offsets cost no digits
                middle = np.where(known, block, 0).sum(0) / np.maximum(known.sum(0), 1)
            off = np.where(known, block - middle, 0)
            count, total, square = count + known.sum(0), total + off.sum(0), square + (off**2).sum(0)
        middle = np.zeros(width) if middle is None else middle
        mean = total / np.maximum(count, 1)
        spread = np.sqrt(np.maximum(square / np.maximum(count, 1) - mean**2, 0))
        varies = spread > 1e-9 * np.maximum(np.abs(middle + mean), 1e-30)
        used = max(int(varies.sum()), 1)
        factor = np.divide(1 / np.sqrt(used), spread, out=np.zeros(width), where=varies)
        return cls(middle + mean, factor)

    def scaled(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """float32 rows; NaN becomes 0, the mean."""
        out = (np.asarray(block, np.float64) - self.mean) * self.factor
        return np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
