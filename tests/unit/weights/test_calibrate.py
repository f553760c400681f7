"""Gram matrices and gradients do not depend on how the text is cut into batches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from excise.errors import NumericsError, SettingError
from excise.weights.calibrate import Gram, gradients


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_gram_is_the_mean_outer_product() -> None:
    gram = Gram(2)
    gram.add_(torch.tensor([[1.0, 2.0]]))
    gram.add_(torch.tensor([[[3.0, -1.0], [0.0, 4.0]]]))
    assert gram.count == 3
    assert torch.equal(gram.mean(), torch.tensor([[10.0, -1.0], [-1.0, 21.0]]) / 3)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_gram_does_not_depend_on_the_batches(sizes: list[int]) -> None:
    inputs = random(sum(sizes), 6)
    gram = Gram(6)
    for piece in inputs.split(sizes):
        gram.add_(piece)
    torch.testing.assert_close(gram.mean(), inputs.T @ inputs / len(inputs), rtol=1e-5, atol=1e-6)


def test_gram_of_16_bit_inputs_is_summed_in_fp32() -> None:
    inputs = random(4096, 8).bfloat16()
    gram = Gram(8)
    gram.add_(inputs)
    exact = inputs.double().T @ inputs.double() / len(inputs)
    assert gram.mean().dtype == torch.float32
    torch.testing.assert_close(gram.mean().double(), exact, rtol=1e-5, atol=1e-6)


def test_gram_refuses_what_would_spoil_it() -> None:
    gram = Gram(2, name="blocks.0.q")
    with pytest.raises(NumericsError, match=r"blocks\.0\.q has seen no inputs"):
        gram.mean()
    with pytest.raises(SettingError, match=r"inputs of blocks\.0\.q have width 3; the layer takes 2"):
        gram.add_(torch.ones(1, 3))
    with pytest.raises(NumericsError, match=r"blocks\.0\.q \(inputs\) is inf"):
        gram.add_(torch.tensor([[1.0, float("inf")]]))
    assert gram.count == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_gradients_are_the_mean_over_all_tokens_however_batched(sizes: list[int]) -> None:
    inputs, target = random(sum(sizes), 4), random(sum(sizes), 3, seed=1)
    weight = random(3, 4, seed=2)

    def loss(rows: Tensor) -> tuple[Tensor, int]:
        return (inputs[rows] @ weight.T - target[rows]).square().sum(), len(rows)

    found = gradients(loss, {"w": weight}, torch.arange(sum(sizes)).split(sizes))
    exact = 2 * (inputs @ weight.T - target).T @ inputs / sum(sizes)
    torch.testing.assert_close(found["w"], exact, rtol=1e-4, atol=1e-5)


def test_gradients_leave_the_weights_as_they_were() -> None:
    frozen, trained, unused = torch.ones(2), torch.ones(2, requires_grad=True), torch.ones(3)
    trained.grad = torch.full((2,), 7.0)
    with torch.no_grad():
        found = gradients(
            lambda x: ((frozen * trained * x).sum(), 2),
            {"frozen": frozen, "trained": trained, "unused": unused},
            [torch.tensor([2.0, 4.0])],
        )
    assert found["frozen"].tolist() == found["trained"].tolist() == [1.0, 2.0]
    assert found["unused"].tolist() == [0.0, 0.0, 0.0]
    assert (frozen.requires_grad, trained.requires_grad, unused.requires_grad) == (False, True, False)
    assert frozen.grad is None and trained.grad.tolist() == [7.0, 7.0]


def test_gradients_of_16_bit_weights_are_summed_in_fp32() -> None:
    weight = torch.ones(2, dtype=torch.bfloat16)
    found = gradients(lambda x: ((weight * x).sum(), 1), {"w": weight}, [torch.tensor([1.0, 0.01]).bfloat16()] * 1000)
    assert found["w"].dtype == torch.float32
    assert found["w"].tolist() == pytest.approx([1.0, torch.tensor(0.01).bfloat16().item()], rel=1e-4)


def test_gradients_refuse_no_tokens_and_nan() -> None:
    weight = torch.ones(2)
    with pytest.raises(NumericsError, match="gradients have no tokens"):
        gradients(lambda x: ((weight * x).sum(), 1), {"w": weight}, [])
    with pytest.raises(NumericsError, match=r"blocks\.0\.q \(gradient\) is nan"):
        gradients(lambda x: ((weight * x).sum(), 1), {"blocks.0.q": weight}, [torch.tensor([1.0, float("nan")])])
    assert not weight.requires_grad
