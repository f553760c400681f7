"""Model: what Excise asks of a language model, and MatrixView: any weight as [out, in].

Solvers see matrices, `weights/stream` sees blocks, `evidence` sees text going in and logits coming out. Who builds a
Model (adapters/hf from a transformers checkpoint, adapters/modules from any nn.Module) is nobody else's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from excise.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

#: What a tensor does. `qkv` and `gate_up` are fused matrices; `other` is a matrix whose place was not recognised.
Role = Literal["embedding", "q", "k", "v", "qkv", "o", "gate", "up", "gate_up", "down", "norm", "head", "bias", "other"]


@dataclass(frozen=True)
class MatrixView:
    """One weight seen as a matrix [out, in], whatever the module keeps it in.

    Attributes:
        name: The tensor's name in the checkpoint, e.g. 'model.layers.0.self_attn.q_proj.weight'.
        role: What it does in its block.
        module: The module that owns it; `get` and `set_` look the parameter up each time, so that its block may be
            loaded and released in between.
        layout: How the module keeps it: 'linear' [out, in], 'conv1d' (transformers') [in, out], 'conv2d'
            [out, in, height, width].
        rows: Rows [first, last) of `out`, for one part of a fused matrix; all if None.
        parameter: Name of the parameter in its module.
    """

    name: str
    role: Role
    module: nn.Module
    layout: Literal["linear", "conv1d", "conv2d"] = "linear"
    rows: tuple[int, int] | None = None
    parameter: str = "weight"

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in); known before the weight is loaded."""
        out, width = self.get().shape
        return int(out), int(width)

    def get(self) -> Tensor:
        """The weight [out, in], detached; may share memory with the parameter."""
        parameter: Tensor = getattr(self.module, self.parameter)
        return self.matrix(parameter.detach())

    def set_(self, weight: Tensor) -> None:
        """Write the weight [out, in] into the parameter, in its dtype."""
        stored: Tensor = getattr(self.module, self.parameter).detach()
        stored = stored.t() if self.layout == "conv1d" else stored
        stored = stored if self.rows is None else stored[self.rows[0] : self.rows[1]]
        stored.copy_(weight.reshape(stored.shape))

    def matrix(self, stored: Tensor) -> Tensor:
        """The view [out, in] of any tensor shaped like the parameter, e.g. its gradient."""
        matrix = stored.t() if self.layout == "conv1d" else stored.flatten(1)
        return matrix if self.rows is None else matrix[self.rows[0] : self.rows[1]]

    def as_rows(self, inputs: Tensor) -> Tensor:
        """What the module was called with, as rows X [n, in] such that X @ W.T is what it computes, bias apart."""
        if self.layout != "conv2d":
            return inputs.reshape(-1, inputs.shape[-1])
        from torch.nn.functional import unfold  # noqa: PLC0415 - torch stays out of `import excise`

        conv: Any = self.module
        batch = inputs if inputs.dim() == 4 else inputs.unsqueeze(0)
        columns = unfold(batch, conv.kernel_size, conv.dilation, conv.padding, conv.stride)
        return columns.transpose(1, 2).reshape(-1, columns.shape[1])


class Block(Protocol):
    """One of the repeated parts of a model, in memory while it is the current one of `Model.blocks()`."""

    @property
    def name(self) -> str:
        """E.g. 'model.layers.0'."""

    @property
    def matrices(self) -> tuple[MatrixView, ...]:
        """Its weights, in the module's order."""

    def __call__(self, hidden: Tensor) -> Tensor:
        """Hidden states in, hidden states out."""


class Model(Protocol):
    """A language model: text in, logits out; and, for compression, a chain of blocks."""

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says; empty for a plain module."""

    @property
    def vocabulary(self) -> int:
        """Number of token ids the model knows."""

    @property
    def separator(self) -> int:
        """Token put before each article."""

    @property
    def longest(self) -> int | None:
        """Most tokens the model takes at once; None where nothing says so."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""

    def logits(self, tokens: Tensor) -> Tensor:
        """Logits [batch, time, vocabulary] of token ids [batch, time]."""

    def decode(self, tokens: Tensor, steps: int) -> Iterator[int]:
        """Greedy continuation of tokens [1, time] with a cache: one id a step, the first after the prefill."""

    def memory_bytes(self) -> int:
        """Parameters and buffers held for inference; shared ones once."""

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All weights, dense, by name; tied ones once."""

    def roles(self) -> dict[str, Role]:
        """What each tensor does."""

    def matrices(self) -> tuple[MatrixView, ...]:
        """The weights of all blocks in order; their shapes are known, their values only inside `blocks`."""

    def block_names(self) -> list[str]:
        """Of the blocks, in order."""

    def embed(self, tokens: Tensor) -> Tensor:
        """The hidden states that the first block is given."""

    def blocks(self, first: int = 0) -> Iterator[Block]:
        """The blocks from the given one on; each is loaded when it is reached and released when left."""

    def unembed(self, hidden: Tensor) -> Tensor:
        """What follows the last block: logits from its hidden states."""

    def loss(self, tokens: Tensor) -> tuple[Tensor, int]:
        """Sum of -ln p over the predicted tokens of windows [batch, time], in nats with its graph, and their number."""

    def leaves(self) -> dict[str, Tensor]:
        """The parameters that `loss` depends on, by tensor name; holds the whole model in memory."""


def check_tokens(tokens: Tensor, vocabulary: int) -> None:
    """Refuse token ids that the model does not know.

    Raises:
        InputError: With the largest id and the vocabulary's size.
    """
    largest = int(tokens.max())
    if largest >= vocabulary:
        raise InputError(
            f"token {largest} is outside the model's vocabulary of {vocabulary}; the tokenizer belongs to another "
            "model. Put the model's own tokenizer files beside its weights."
        )
