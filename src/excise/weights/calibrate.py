"""What calibration text says about a layer: the Gram matrix of its inputs and the gradient of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from excise.errors import NumericsError, SettingError
from excise.weights.numerics import compute_dtype, require_finite


class Gram:
    """H = X'X / n, gathered batch by batch; only [in, in] numbers are held, however many inputs go by.

    Args:
        width: in.
        name: The layer's, for errors.
        device: Where the sum lies; inputs must lie there too.
    """

    def __init__(self, width: int, name: str = "inputs", device: torch.device | str = "cpu") -> None:
        self.name = name
        self.count = 0
        self._sum = torch.zeros(width, width, dtype=torch.float32, device=device)

    def add_(self, inputs: Tensor) -> None:
        """Count these inputs in.

        Args:
            inputs: [..., in], any float dtype; each vector along the last dimension is one.

        Raises:
            SettingError: The last dimension is not in.
            NumericsError: An input is NaN or Inf.

        Cost: n * in^2 multiplications in fp32; 16-bit products were 2x faster but wrong by 2e-3 instead of 1.5e-7.
        """
        width = self._sum.shape[0]
        if inputs.shape[-1] != width:
            raise SettingError(f"inputs of {self.name} have width {inputs.shape[-1]}; the layer takes {width}.")
        rows = inputs.detach().reshape(-1, width).to(torch.float32)
        require_finite(rows, f"{self.name} (inputs)")
        self._sum.addmm_(rows.T, rows)
        self.count += len(rows)

    def mean(self) -> Tensor:
        """H, fp32 [in, in], symmetric up to rounding, in squared units of the inputs.

        Raises:
            NumericsError: Nothing was counted in.
        """
        if self.count == 0:
            raise NumericsError(f"{self.name} has seen no inputs; at least one is needed. Give calibration text.")
        return self._sum / self.count


def gradients(
    loss: Callable[[Tensor], tuple[Tensor, int]],
    weights: Mapping[str, Tensor],
    batches: Iterable[Tensor],
) -> dict[str, Tensor]:
    """dL/dw of each weight, mean over all predicted tokens of all batches.

    Args:
        loss: batch -> (scalar sum of nats over its predicted tokens, their number); the mean is then right for
            batches of any size.
        weights: By name, leaves of the loss's graph; their `.grad` and `requires_grad` are as before afterwards.
        batches: Given to `loss` one after the other, in this order.

    Returns:
        By the same names and shapes, at least fp32; nats per unit of weight. 0 for a weight the loss does not use.

    Raises:
        NumericsError: There were no tokens, or a gradient is NaN or Inf; names the tensor.

    Cost: a forward and a backward pass a batch; one fp32 copy of the weights.
    """
    wanted = {name: weight.requires_grad for name, weight in weights.items()}
    sums = {name: torch.zeros_like(weight, dtype=compute_dtype(weight)) for name, weight in weights.items()}
    count = 0
    try:
        for weight in weights.values():
            weight.requires_grad_(True)
        with torch.enable_grad():
            for batch in batches:
                total, tokens = loss(batch)
                found = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
                for name, gradient in zip(weights, found, strict=True):
                    if gradient is not None:
                        sums[name] += gradient
                count += tokens
    finally:
        for name, weight in weights.items():
            weight.requires_grad_(wanted[name])
    if count == 0:
        raise NumericsError("gradients have no tokens to be a mean of; at least one is needed. Give calibration text.")
    for name, summed in sums.items():
        require_finite(summed, f"{name} (gradient)")
    return {name: summed / count for name, summed in sums.items()}
