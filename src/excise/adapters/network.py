"""network: a decoder of transformers as a Model — whole where text goes in, block by block where it is compressed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from excise.adapters.chain import Chain
from excise.adapters.checkpoint import Checkpoint, quiet
from excise.adapters.roles import role_map
from excise.adapters.skeleton import Weights
from excise.errors import InputError
from excise.model import Block, MatrixView, Role, check_tokens
from excise.weights.layout import AGAIN, check_stored, read_layouts


def whole(checkpoint: Checkpoint, kind: Any) -> Any:
    """A checkpoint's network with all its weights in memory, packed ones packed, in the checkpoint's own dtype.

    Args:
        checkpoint: Where it is.
        kind: The class of transformers that reads it, or its AutoModel.

    Raises:
        InputError: A tensor is missing, for which transformers only warns and makes one up, or has another size.
    """
    folder = checkpoint.folder
    if "quantization_config" in checkpoint.config:
        stored = {name: (entry.dtype, entry.shape) for name, entry in checkpoint.entries.items()}
        check_stored(read_layouts(checkpoint.config["quantization_config"]), stored, folder)
    with quiet():
        network, report = kind.from_pretrained(
            folder, dtype="auto", local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    if missing := sorted(report["missing_keys"]):
        raise InputError(
            f"{len(missing)} tensors are missing, the first is {missing[0]}. Copy the checkpoint again", folder
        )
    for name, held, expected in sorted(report["mismatched_keys"]):
        raise InputError(f"{name} is {list(held)}, but config.json makes it {list(expected)}. {AGAIN}", folder)
    return network.eval()


class HFModel:
    """A decoder of transformers.

    Args:
        network: In memory, or a skeleton that `weights` fills; None for a packed checkpoint, which is only read whole.
        tokenizer: For text; None where there is none.
        checkpoint: Where it came from; None for a network in memory.
        weights: Fills the skeleton.
    """

    def __init__(
        self, network: Any, tokenizer: Any, checkpoint: Checkpoint | None = None, weights: Weights | None = None
    ) -> None:
        self._network, self.tokenizer = network, tokenizer
        self.checkpoint, self._weights = checkpoint, weights

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        if self.checkpoint is not None:
            return self.checkpoint.config
        found: dict[str, Any] = self._network.config.to_dict()
        return found

    @cached_property
    def whole(self) -> Any:
        """The network with all its weights in memory."""
        if self.checkpoint is None:
            return self._network
        from transformers import AutoModelForCausalLM

        return whole(self.checkpoint, AutoModelForCausalLM)

    @property
    def stored(self) -> dict[str, str]:
        """Name of each parameter in the checkpoint's files."""
        return {} if self._weights is None else self._weights.stored

    @property
    def _shape(self) -> Any:
        """A network whose structure can be asked, whether or not it has its weights."""
        return self.whole if self._network is None else self._network

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""
        return int(self._shape.get_input_embeddings().weight.shape[0])

    @property
    def longest(self) -> int | None:
        """Most tokens at once, by the config (which maps older names, such as n_positions, to this one)."""
        found = getattr(self._shape.config, "max_position_embeddings", None)
        return int(found) if found else None

    @property
    def separator(self) -> int:
        """The token that ends a text, else the one that begins it, else 0."""
        settings = self.tokenizer, self._shape.config
        for name in ("eos_token_id", "bos_token_id"):
            for holder in settings:
                found = getattr(holder, name, None)
                if found is not None:
                    return int(found[0] if isinstance(found, list | tuple) else found)
        return 0

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens.

        Raises:
            InputError: The model has no tokenizer.
        """
        if self.tokenizer is None:
            raise InputError(
                "the model has no tokenizer, so text cannot go in; put its tokenizer files beside its weights"
            )
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def logits(self, tokens: Tensor) -> Tensor:
        """Logits [batch, time, vocabulary]."""
        check_tokens(tokens, self.vocabulary)
        with torch.no_grad():
            logits: Tensor = self.whole(input_ids=tokens, use_cache=False).logits
        return logits

    def decode(self, tokens: Tensor, steps: int) -> Iterator[int]:
        """Greedy continuation of tokens [1, time] with a cache; the first id comes after the prefill."""
        cache: Any = None
        for _ in range(steps):
            tokens, cache = self._next(tokens, cache)
            yield int(tokens)

    def _next(self, tokens: Tensor, cache: Any) -> tuple[Tensor, Any]:
        with torch.no_grad():
            out = self.whole(input_ids=tokens, past_key_values=cache, use_cache=True)
        return out.logits[:, -1:].argmax(-1), out.past_key_values

    def memory_bytes(self) -> int:
        """Parameters and buffers, shared ones once."""
        held = {t.data_ptr(): t.nbytes for t in [*self.whole.parameters(), *self.whole.buffers()]}
        return sum(held.values())

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All weights, dense, by name; packed ones are unpacked one at a time."""
        if self._weights is not None and self.checkpoint is not None:
            yield from self.checkpoint.read(self.checkpoint.entries)
            return
        from excise.weights.linear import PackedWeight

        for name, module in self.whole.named_modules():
            if isinstance(module, PackedWeight):
                yield name, module.dense()
        for name, parameter in self.whole.named_parameters():
            yield name, parameter.detach()

    @cached_property
    def chain(self) -> Chain:
        """Its parts in order.

        Raises:
            InputError: The checkpoint is packed, or no decoder's structure was found.
        """
        if self._network is None:
            raise InputError("the model is compressed already; compress the original it was made from")
        return Chain(self._network, self._weights)

    def roles(self) -> dict[str, Role]:
        """What each tensor does."""
        return role_map(self.chain.network, self.chain.matrices)

    def matrices(self) -> tuple[MatrixView, ...]:
        """The weights of all blocks in order."""
        return self.chain.matrices

    def block_names(self) -> list[str]:
        """Of the blocks, in order."""
        return [block.name for block in self.chain.blocks]

    def embed(self, tokens: Tensor) -> Tensor:
        """The hidden states that the first block is given."""
        check_tokens(tokens, self.vocabulary)
        return self.chain.embed(tokens)

    def blocks(self, first: int = 0) -> Iterator[Block]:
        """The blocks from the given one on, one in memory at a time."""
        yield from self.chain.loaded(first)

    def unembed(self, hidden: Tensor) -> Tensor:
        """Logits from what the last block gave."""
        return self.chain.unembed(hidden)

    def loss(self, tokens: Tensor) -> tuple[Tensor, int]:
        """Sum of -ln p over the predicted tokens, in nats, and their number."""
        logits = self.whole(input_ids=tokens, use_cache=False).logits[:, :-1]
        targets = tokens[:, 1:]
        total = functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")
        return total, targets.numel()

    def leaves(self) -> dict[str, Tensor]:
        """The whole network's parameters by name."""
        return dict(self.whole.named_parameters())
