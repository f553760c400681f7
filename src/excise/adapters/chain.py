"""chain: a decoder as embedding, blocks, head, each callable by itself and loaded only while it is used.

Nothing here knows an architecture. The body of the network is run with stand-ins for its blocks; they record with which
arguments (masks, rotary positions; they may differ by block) each is called, and pass the hidden states through.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from excise.adapters.roles import matrices_of, repeated_blocks
from excise.adapters.skeleton import Weights
from excise.errors import InputError
from excise.model import MatrixView

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class HFBlock:
    """One decoder layer, with the arguments it gets beside the hidden states."""

    def __init__(self, name: str, module: nn.Module, width: int, arguments: Callable[[Tensor], Arguments]) -> None:
        self.name, self.module, self._arguments = name, module, arguments
        self.matrices = matrices_of(module, name, width)

    def __call__(self, hidden: Tensor) -> Tensor:
        """Hidden states [batch, time, width] in and out."""
        args, kwargs = self._arguments(hidden)
        with torch.no_grad():
            out = self.module(hidden, *args, **kwargs)
        return out[0] if isinstance(out, tuple) else out


class Chain:
    """The parts of a decoder in order.

    Args:
        network: Whole, or a skeleton that `weights` fills.
        weights: None for a network in memory.

    Raises:
        InputError: The network's structure is not that of a decoder.
    """

    def __init__(self, network: Any, weights: Weights | None) -> None:
        if getattr(network.config, "is_encoder_decoder", False):
            raise InputError(f"{type(network).__name__} is an encoder-decoder; looked for one list of decoder blocks")
        self.network, self._weights = network, weights
        name, modules = repeated_blocks(network)
        for index, module in enumerate(modules):  # before names are looked up: experts are the likelier reason
            matrices_of(module, f"{name}.{index}")
        if weights is not None and weights.renamed is not None:
            raise InputError(
                f"{weights.renamed} is in the checkpoint under another name, which transformers translates while "
                "loading; reading block by block does not follow it. Models stored so are not handled yet"
            )
        width = int(network.get_input_embeddings().weight.shape[1])
        self._arguments: dict[tuple[int, int], list[Arguments]] = {}
        self.blocks = [
            HFBlock(f"{name}.{index}", module, width, functools.partial(self._arguments_for, index))
            for index, module in enumerate(modules)
        ]
        self._outside_is_loaded = weights is None
        self._as_tuples = False

    @property
    def matrices(self) -> tuple[MatrixView, ...]:
        """The weights of all blocks in order."""
        return tuple(view for block in self.blocks for view in block.matrices)

    def embed(self, tokens: Tensor) -> Tensor:
        """The hidden states [batch, time, width] that the first block is given."""
        return self._run(tokens, None)[0]

    def unembed(self, hidden: Tensor) -> Tensor:
        """Logits from the hidden states that the last block gave."""
        tokens = torch.zeros(hidden.shape[:2], dtype=torch.int64)
        logits: Tensor = self._run(tokens, hidden)[1]
        return logits

    def loaded(self, first: int = 0) -> Iterator[HFBlock]:
        """The blocks from the given one on, each with its weights while it is the current one."""
        for block in self.blocks[first:]:
            if self._weights is None:
                yield block
                continue
            names = [n for n in self._weights.stored if n.startswith(block.name + ".")]
            self._weights.fill(names)
            try:
                yield block
            finally:
                self._weights.empty(names)

    def _arguments_for(self, index: int, hidden: Tensor) -> Arguments:
        """Of one block; they depend on the number of windows and tokens only, as nothing is padded."""
        key = (int(hidden.shape[0]), int(hidden.shape[1]))
        if key not in self._arguments:
            self._run(torch.zeros(key, dtype=torch.int64), None)
        return self._arguments[key][index]

    def _run(self, tokens: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        """The body with stand-ins for the blocks; the last one gives `hidden`, or ends the run where that is None.

        Returns:
            What the first block was given, and the logits (empty if the run was ended).
        """
        self._load_outside()
        entered: list[Tensor] = []
        recorded: list[Arguments] = []

        def stand_in(index: int) -> Callable[..., Any]:
            def forward(*args: Any, **kwargs: Any) -> Any:
                given: Tensor = args[0] if args else kwargs.pop("hidden_states")
                entered.append(given)
                recorded.append((args[1:], kwargs))
                last = index == len(self.blocks) - 1
                if (last and hidden is None) or given.dim() != entered[0].dim():
                    raise _Enough
                given = hidden if last and hidden is not None else given
                return (given,) if self._as_tuples else given

            return forward

        logits = torch.empty(0)
        with contextlib.ExitStack() as undo:
            for index, block in enumerate(self.blocks):
                undo.enter_context(_replaced(block.module, stand_in(index)))
            with torch.no_grad(), contextlib.suppress(_Enough):
                logits = self.network(input_ids=tokens, use_cache=False).logits
        if not self._as_tuples and (entered[-1].dim() != entered[0].dim() or logits.dim() == 2):
            self._as_tuples = True  # the body takes outputs[0] of a block, which of a tensor is its first window
            return self._run(tokens, hidden)
        self._arguments[int(tokens.shape[0]), int(tokens.shape[1])] = recorded
        return entered[0], logits

    def _load_outside(self) -> None:
        """Embedding, last norm and head: they stay."""
        if not self._outside_is_loaded and self._weights is not None:
            inside = tuple(block.name + "." for block in self.blocks)
            self._weights.fill([n for n in self._weights.stored if not n.startswith(inside)])
            self._outside_is_loaded = True


@contextlib.contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """A module with another `forward`; one that was set on it before (by another library's hooks) is put back."""
    own = vars(module)
    before = own.get("forward")
    own["forward"] = forward
    try:
        yield
    finally:
        del own["forward"]
        if before is not None:
            own["forward"] = before


class _Enough(Exception):
    """Ends a run that was made for what comes before and between the blocks."""
