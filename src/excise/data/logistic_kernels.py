"""The compiled loops of the built-in classifier over bags of hashed tokens. Importing this module compiles them.

A bag is the set of columns of one record: `columns[offsets[i]:offsets[i + 1]]`. Its entry in column c weighs
`weight[c] * scale[i]` (TF-IDF with binary frequencies: the inverse document frequency, and what makes the row 1 long).
"""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201
import numpy as np
from numba import float32, float64, int32, int64, types

from excise.data.compiled import kernel

_columns = types.Array(int32, 1, "C", readonly=True)
_offsets = types.Array(int64, 1, "C", readonly=True)
_floats = types.Array(float32, 1, "C", readonly=True)
_coefficients = types.Array(float32, 2, "C", readonly=True)


@kernel(types.void(_columns, _offsets, _floats, _floats, int64, _coefficients, float32[::1]))
def linear(columns, offsets, weight, scale, row, coefficients, out):
    """Coefficients' linear functions of one bag; the last row of `coefficients` [d + 1, k] is the intercept."""
    classes = out.size
    for j in range(classes):
        out[j] = float32(0)
    for at in range(offsets[row], offsets[row + 1]):
        column = columns[at]
        value = weight[column]
        for j in range(classes):
            out[j] += value * coefficients[column, j]
    last = coefficients.shape[0] - 1
    for j in range(classes):
        out[j] = out[j] * scale[row] + coefficients[last, j]


@kernel(types.void(_columns, _offsets, _floats, _floats, _offsets, _coefficients, float32[:, ::1]))
def predict(columns, offsets, weight, scale, rows, coefficients, out):
    """Linear functions [rows, k] of the bags named by `rows`, written to `out`."""
    for i in range(rows.size):
        linear(columns, offsets, weight, scale, rows[i], coefficients, out[i])


@kernel(float64(_columns, _offsets, _floats, _floats, _offsets, _offsets, _coefficients, float32[:, ::1]))
def cross_entropy(columns, offsets, weight, scale, rows, labels, coefficients, gradient):
    """Sum of -ln p(label) over the bags named by `rows`, nats; its gradient [d + 1, k] is added to `gradient`.

    Args:
        columns: int32, of all bags.
        offsets: int64 [n + 1].
        weight: float32 [d].
        scale: float32 [n].
        rows: int64 [m], which bags.
        labels: int64 [n], in [0, k).
        coefficients: float32 [d + 1, k].
        gradient: float32 [d + 1, k].
    """
    classes = coefficients.shape[1]
    last = coefficients.shape[0] - 1
    share = np.empty(classes, np.float32)
    total = 0.0
    for i in range(rows.size):
        row = rows[i]
        linear(columns, offsets, weight, scale, row, coefficients, share)
        most = share[0]
        for j in range(1, classes):
            most = max(most, share[j])
        label = labels[row]
        total += np.float64(most - share[label])
        mass = float32(0)
        for j in range(classes):
            share[j] = np.exp(share[j] - most)
            mass += share[j]
        total += np.log(np.float64(mass))
        for j in range(classes):
            share[j] /= mass
        share[label] -= float32(1)
        for j in range(classes):
            gradient[last, j] += share[j]
            share[j] *= scale[row]
        for at in range(offsets[row], offsets[row + 1]):
            column = columns[at]
            value = weight[column]
            for j in range(classes):
                gradient[column, j] += value * share[j]
    return total
