"""How much each weight matters to the output: high = keep."""

from __future__ import annotations

from torch import Tensor

from excise.errors import SettingError
from excise.weights.numerics import compute_dtype


def magnitude(weight: Tensor) -> Tensor:
    """Zeroth-order importance |w|.

    Args:
        weight: [out, in], any float dtype.

    Returns:
        [out, in], at least fp32, >= 0, high = keep; comparable within one tensor, roughly within one model.

    Cost: O(out*in), one temporary.
    Source: Han et al., Learning both weights and connections, 2015.
    """
    return weight.to(compute_dtype(weight)).abs()


def taylor(weight: Tensor, gradient: Tensor, *, signed: bool = False) -> Tensor:
    """First-order importance |w * dL/dw|: what removing the weight changes in the loss, to first order.

    Args:
        weight: [out, in], any float dtype.
        gradient: dL/dw, [out, in], mean over calibration tokens (`calibrate.gradients`); nats per unit of weight.
        signed: The article's formula to the letter, |w| * dL/dw, whose sign is the gradient's.

    Returns:
        [out, in], at least fp32, nats, high = keep, >= 0 unless signed; comparable within one model only.

    Raises:
        SettingError: The shapes differ.

    Cost: O(out*in), one temporary.
    Source: the article, importance formula (section 4.1); Molchanov et al., 2017.
    Differs: absolute value by default. By the article's sign every weight with a negative gradient goes first,
        however much the loss hangs on it.
    """
    if weight.shape != gradient.shape:
        raise SettingError(
            f"gradient is a tensor of shape {list(gradient.shape)}; it must have its weight's shape "
            f"{list(weight.shape)}."
        )
    wide = compute_dtype(weight)
    weight, gradient = weight.to(wide), gradient.to(wide)
    return weight.abs() * gradient if signed else (weight * gradient).abs()
