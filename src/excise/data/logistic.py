"""Multinomial logistic regression: mean cross-entropy + a penalty on squared coefficients, minimised by L-BFGS.

Rows come as a Design: bags of words or dense features. Both are scaled to rows of length 1 (dense ones on average), so
that one strength of the penalty means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from excise.data.vocabulary import Bags

Ints = NDArray[np.int64]
Matrix = NDArray[np.float32]

#: Corrections kept: the product of the inverse Hessian is made from so many steps.
_MEMORY = 5
#: Steps at most, and how far the gradient's norm must fall from where only the frequencies of the classes are known.
#: What more steps change in the probabilities is less than what another draw of the folds does.
_STEPS, _TOLERANCE = 40, 0.05
#: First step. The Hessian of the cross-entropy of rows of length 1 is at most 1/2.
_FIRST_STEP = 8.0
_BLOCK = 4096


class Design(Protocol):
    """Rows of features.

    Attributes:
        width: Coefficients of a class, the intercept among them.
    """

    @property
    def width(self) -> int:
        """Coefficients of a class; the last one is the intercept."""

    def linear(self, rows: Ints, coefficients: Matrix) -> Matrix:
        """Linear functions [rows, k] of coefficients [width, k]."""

    def cross_entropy(self, rows: Ints, labels: Ints, coefficients: Matrix, gradient: Matrix) -> float:
        """Sum of -ln p(labels[row]) over the rows, nats; its gradient is added to `gradient` [width, k]."""


@dataclass(frozen=True)
class Words:
    """Bags of words as rows of TF-IDF with binary frequencies, of length 1."""

    bags: Bags
    rarity: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def of(cls, bags: Bags, rarity: NDArray[np.float32]) -> Words:
        """Rows from bags and the weight of each column."""
        squares = np.append(0.0, np.cumsum(rarity[bags.columns].astype(np.float64) ** 2))
        lengths = np.sqrt(np.maximum(squares[bags.starts[1:]] - squares[bags.starts[:-1]], 1e-12))
        return cls(bags, rarity, (1 / lengths).astype(np.float32))

    @property
    def width(self) -> int:
        """Columns and the intercept."""
        return len(self.rarity) + 1

    def linear(self, rows: Ints, coefficients: Matrix) -> Matrix:
        """As in Design."""
        from excise.data import logistic_kernels  # noqa: PLC0415 - compiles

        out = np.empty((len(rows), coefficients.shape[1]), np.float32)
        bags = self.bags
        logistic_kernels.predict(bags.columns, bags.starts, self.rarity, self.scale, rows, coefficients, out)
        return out

    def cross_entropy(self, rows: Ints, labels: Ints, coefficients: Matrix, gradient: Matrix) -> float:
        """As in Design."""
        from excise.data import logistic_kernels  # noqa: PLC0415 - compiles

        return float(
            logistic_kernels.cross_entropy(
                self.bags.columns, self.bags.starts, self.rarity, self.scale, rows, labels, coefficients, gradient
            )
        )


@dataclass(frozen=True)
class Dense:
    """Features [n, d], float32, centred and scaled (`classify.scaled`)."""

    features: Matrix

    @property
    def width(self) -> int:
        """Features and the intercept."""
        return int(self.features.shape[1]) + 1

    def linear(self, rows: Ints, coefficients: Matrix) -> Matrix:
        """As in Design."""
        out: Matrix = self.features[rows] @ coefficients[:-1] + coefficients[-1]
        return out

    def cross_entropy(self, rows: Ints, labels: Ints, coefficients: Matrix, gradient: Matrix) -> float:
        """As in Design."""
        total = 0.0
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            block, own = self.features[some], labels[some]
            linear = block @ coefficients[:-1] + coefficients[-1]
            linear -= linear.max(1, keepdims=True)
            share = np.exp(linear)
            mass = share.sum(1, keepdims=True)
            index = np.arange(len(some))
            total += float(np.log(mass, dtype=np.float64).sum() - linear[index, own].sum(dtype=np.float64))
            share /= mass
            share[index, own] -= 1
            gradient[:-1] += block.T @ share
            gradient[-1] += share.sum(0)
        return total


def fit(design: Design, rows: Ints, labels: Ints, classes: int, strength: float, start: Matrix | None = None) -> Matrix:
    """Coefficients that minimise the cross-entropy of some rows.

    Args:
        design: Rows.
        rows: int64 [m], which of them.
        labels: int64 [n], of all rows of the design, in [0, classes) for those named.
        classes: k.
        strength: C > 0: the penalty is |coefficients|² / (2 C m), without the intercepts.
        start: Where to begin; at the frequencies of the classes if None.

    Returns:
        float32 [width, k].

    Cost: at most 40 steps; memory for 16 times the coefficients.
    Source: Nocedal 1980 (L-BFGS).
    """
    penalty = np.float32(1 / (strength * len(rows)))

    def loss(coefficients: Matrix) -> tuple[float, Matrix]:
        gradient = np.zeros_like(coefficients)
        total = design.cross_entropy(rows, labels, coefficients, gradient) / len(rows)
        gradient /= np.float32(len(rows))
        gradient[:-1] += penalty * coefficients[:-1]
        return total + float(penalty) / 2 * _dot(coefficients[:-1], coefficients[:-1]), gradient

    ignorant = np.zeros((design.width, classes), np.float32)
    ignorant[-1] = np.log(np.maximum(np.bincount(labels[rows], minlength=classes), 0.5) / len(rows))
    steepest = float(np.linalg.norm(loss(ignorant)[1]))
    return minimised(loss, ignorant if start is None else start, _TOLERANCE * steepest)


def _dot(one: Matrix, other: Matrix) -> float:
    return float(np.vdot(one, other))


def minimised(loss: Callable[[Matrix], tuple[float, Matrix]], start: Matrix, tolerance: float) -> Matrix:
    """The least point of a convex function.

    Args:
        loss: Value and gradient.
        start: Where to begin.
        tolerance: Norm of the gradient at which to stop.
    """
    point = start
    value, gradient = loss(point)
    steps: list[tuple[Matrix, Matrix, float]] = []
    for _ in range(_STEPS):
        if np.linalg.norm(gradient) <= tolerance:
            break
        direction = -_inverse_hessian(gradient, steps)
        slope = _dot(direction, gradient)
        size = 1.0 if steps else _FIRST_STEP
        while True:
            there = point + np.float32(size) * direction
            lower, steeper = loss(there)
            if lower <= value + 1e-4 * size * slope or size < 1e-6:
                break
            size /= 2
        if lower >= value:
            break  # as low as single precision sees
        moved, bent = there - point, steeper - gradient
        curvature = _dot(moved, bent)
        if curvature > 0:
            steps = [*steps, (moved, bent, curvature)][-_MEMORY:]
        point, value, gradient = there, lower, steeper
    return point


def _inverse_hessian(gradient: Matrix, steps: list[tuple[Matrix, Matrix, float]]) -> Matrix:
    """The two loops of L-BFGS: an estimate of the inverse Hessian times the gradient."""
    out = gradient.copy()
    shares = []
    for moved, bent, curvature in reversed(steps):
        share = _dot(moved, out) / curvature
        out -= np.float32(share) * bent
        shares.append(share)
    if steps:
        _, bent, curvature = steps[-1]
        out *= np.float32(curvature / _dot(bent, bent))
    for (moved, bent, curvature), share in zip(steps, reversed(shares), strict=True):
        out += np.float32(share - _dot(bent, out) / curvature) * moved
    return out
