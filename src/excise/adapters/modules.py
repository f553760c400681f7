"""modules: any nn.Module in memory as a chain of blocks that can be compressed; text is none of its business."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from excise.adapters.roles import layout_of, matrices_of
from excise.errors import InputError
from excise.model import Block, MatrixView, Role


class ModuleBlock:
    """A run of modules, called one after the other; its weights are those of the first."""

    def __init__(self, name: str, parts: list[nn.Module]) -> None:
        self.name, self.parts = name, parts
        self.matrices = matrices_of(parts[0], name)

    def __call__(self, hidden: Tensor) -> Tensor:
        """What comes out of the last module when `hidden` goes into the first."""
        with torch.no_grad():
            for part in self.parts:
                hidden = part(hidden)
        return hidden


class ModuleModel:
    """A module in memory. An nn.Sequential is one block a member with weights; any other module is one block.

    Args:
        module: Changed in place when its blocks' matrices are set.

    Raises:
        InputError: It holds no Linear or Conv2d weight.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()
        self._before: list[nn.Module] = []
        self._blocks: list[ModuleBlock] = []
        members = list(module.named_children()) if isinstance(module, nn.Sequential) else [("", module)]
        for name, member in members:
            if any(layout_of(m) is not None for m in member.modules()):
                self._blocks.append(ModuleBlock(name, [member]))
            elif self._blocks:
                self._blocks[-1].parts.append(member)
            else:
                self._before.append(member)
        if not self._blocks:
            raise InputError(f"{type(module).__name__} has nothing to compress: looked for Linear and Conv2d weights")

    def matrices(self) -> tuple[MatrixView, ...]:
        """The weights of all blocks in order."""
        return tuple(view for block in self._blocks for view in block.matrices)

    def roles(self) -> dict[str, Role]:
        """Matrices are `other`, the rest norms and biases: a plain module says no more."""
        norms = {id(p) for m in self.module.modules() if "norm" in type(m).__name__.lower() for p in m.parameters()}
        return {
            name: "norm" if id(p) in norms else "bias" if name.endswith("bias") else "other"
            for name, p in self.module.named_parameters()
        }

    def block_names(self) -> list[str]:
        """Of the blocks, in order."""
        return [block.name for block in self._blocks]

    def embed(self, tokens: Tensor) -> Tensor:
        """Inputs of any kind as the first block gets them."""
        with torch.no_grad():
            for part in self._before:
                tokens = part(tokens)
        return tokens

    def blocks(self, first: int = 0) -> Iterator[Block]:
        """The blocks from the given one on."""
        yield from self._blocks[first:]

    def unembed(self, hidden: Tensor) -> Tensor:
        """What the last block gave is the result."""
        return hidden

    def logits(self, tokens: Tensor) -> Tensor:
        """The module's output."""
        with torch.no_grad():
            out: Tensor = self.module(tokens)
        return out

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All weights by name; tied ones once."""
        for name, parameter in self.module.named_parameters():
            yield name, parameter.detach()

    def memory_bytes(self) -> int:
        """Parameters and buffers, shared ones once."""
        held = {t.data_ptr(): t.nbytes for t in [*self.module.parameters(), *self.module.buffers()]}
        return sum(held.values())

    def loss(self, tokens: Tensor) -> tuple[Tensor, int]:
        """Raises: a plain module predicts no tokens."""
        self._no_text()

    def leaves(self) -> dict[str, Tensor]:
        """All parameters by name."""
        return dict(self.module.named_parameters())

    @property
    def config(self) -> dict[str, Any]:
        """A plain module has none."""
        return {}

    @property
    def longest(self) -> int | None:
        """A plain module does not say."""
        return None

    @property
    def vocabulary(self) -> int:
        """Raises: a plain module has no tokens."""
        self._no_text()

    @property
    def separator(self) -> int:
        """Raises: a plain module has no tokens."""
        self._no_text()

    def encode(self, text: str) -> list[int]:
        """Raises: a plain module has no tokenizer."""
        self._no_text()

    def decode(self, tokens: Tensor, steps: int) -> Iterator[int]:
        """Raises: a plain module does not generate."""
        self._no_text()

    def _no_text(self) -> NoReturn:
        raise InputError(
            f"{type(self.module).__name__} is a plain module without tokenizer or generation; what needs text takes a "
            "transformers checkpoint or model"
        )
