"""The article's importance on a two-layer network small enough to differentiate on paper.

y = W2 relu(W1 x), L = (y - 2)^2 / 2, on two inputs:

    x = (1, 2):  W1 x = (2, 1),        y = 1, dL/dy = -1:  dL/dW2 = (-2, -1),  dL/dW1 = ((-2, -4), (3, 6))
    x = (2, -1): W1 x = (1.5, -1.75),  y = 3, dL/dy = +1:  dL/dW2 = (1.5, 0),  dL/dW1 = ((4, -2), (0, 0))

and the means over both are dL/dW2 = (-0.25, -0.5), dL/dW1 = ((1, -3), (1.5, 3)).
"""

import pytest
import torch
from torch import Tensor

from excise.weights.calibrate import gradients
from excise.weights.importance import magnitude, taylor

W1 = torch.tensor([[1.0, 0.5], [-0.5, 0.75]])
W2 = torch.tensor([[2.0, -3.0]])
INPUTS = torch.tensor([[1.0, 2.0], [2.0, -1.0]])
GRADIENTS = {"W1": [[1.0, -3.0], [1.5, 3.0]], "W2": [[-0.25, -0.5]]}

MAGNITUDE = {"W1": [[1.0, 0.5], [0.5, 0.75]], "W2": [[2.0, 3.0]]}
TAYLOR = {"W1": [[1.0, 1.5], [0.75, 2.25]], "W2": [[0.5, 1.5]]}
SIGNED = {"W1": [[1.0, -1.5], [0.75, 2.25]], "W2": [[-0.5, -1.5]]}


def losses(w1: Tensor, w2: Tensor, inputs: Tensor) -> Tensor:
    return ((inputs @ w1.T).relu() @ w2.T - 2).square().sum(-1) / 2


@pytest.mark.parametrize("batches", [[INPUTS], [INPUTS[:1], INPUTS[1:]]], ids=["one batch", "two batches"])
def test_gradients_are_those_on_paper(batches: list[Tensor]) -> None:
    weights = {"W1": W1.clone(), "W2": W2.clone()}
    found = gradients(lambda batch: (losses(weights["W1"], weights["W2"], batch).sum(), len(batch)), weights, batches)
    assert {name: gradient.tolist() for name, gradient in found.items()} == GRADIENTS


def test_autograd_agrees_with_the_paper() -> None:
    w1, w2 = W1.clone().requires_grad_(), W2.clone().requires_grad_()
    losses(w1, w2, INPUTS).mean().backward()
    assert w1.grad.tolist() == GRADIENTS["W1"] and w2.grad.tolist() == GRADIENTS["W2"]
    assert taylor(w1.detach(), w1.grad).tolist() == TAYLOR["W1"]
    assert taylor(w2.detach(), w2.grad).tolist() == TAYLOR["W2"]


@pytest.mark.parametrize(("name", "weight"), [("W1", W1), ("W2", W2)])
def test_magnitude(name: str, weight: Tensor) -> None:
    assert magnitude(weight).tolist() == MAGNITUDE[name]


@pytest.mark.parametrize(("name", "weight"), [("W1", W1), ("W2", W2)])
def test_taylor(name: str, weight: Tensor) -> None:
    assert taylor(weight, torch.tensor(GRADIENTS[name])).tolist() == TAYLOR[name]


@pytest.mark.parametrize(("name", "weight"), [("W1", W1), ("W2", W2)])
def test_taylor_with_the_articles_sign(name: str, weight: Tensor) -> None:
    assert taylor(weight, torch.tensor(GRADIENTS[name]), signed=True).tolist() == SIGNED[name]
