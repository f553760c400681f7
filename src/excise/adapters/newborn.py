"""A small Llama and its tokenizer from nothing, for the demo and for experiments without a download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from excise.adapters.checkpoint import quiet
from excise.errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    import torch

#: Stands between documents; its id is 0.
SEPARATOR = "<|endoftext|>"


def new_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE: any text goes in and comes back out unchanged, Chinese as well.

    Args:
        texts: What it learns from.
        vocabulary: Number of tokens, at least 257 (the bytes and the separator).

    Returns:
        A transformers tokenizer.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingExtraError("model", "tokenizers and transformers") from error

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[SEPARATOR],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SEPARATOR,
        eos_token=SEPARATOR,
        clean_up_tokenization_spaces=False,
    )


def new_llama(
    vocabulary: int,
    *,
    hidden: int,
    layers: int,
    heads: int,
    kv_heads: int,
    ffn: int,
    positions: int,
    seed: int,
) -> Any:
    """A randomly initialised Llama in fp32 with a tied embedding.

    Raises:
        SettingError: The widths do not go together.
    """
    if heads % kv_heads or hidden % heads:
        raise SettingError(
            f"hidden is {hidden}, heads {heads}, kv_heads {kv_heads}; "
            "kv_heads must divide heads and heads must divide hidden."
        )
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def next_token_loss(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Mean nats a predicted token; tokens [batch, time]."""
    from torch.nn import functional

    logits = model(tokens).logits[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())


def windows_of(tokenizer: Any, texts: Iterator[str], time: int) -> torch.Tensor:
    """Texts joined with the separator before each, cut into windows: LongTensor [n, time]; the rest is dropped.

    Raises:
        SettingError: Not one whole window.
    """
    import numpy as np
    import torch

    pieces = [np.array([0, *tokenizer(text, add_special_tokens=False)["input_ids"]]) for text in texts]
    stream = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
    count = len(stream) // time
    if count == 0:
        raise SettingError(
            f"the text has {len(stream)} tokens; one window needs {time}. Give more text or a shorter window."
        )
    return torch.from_numpy(stream[: count * time].reshape(count, time).astype(np.int64))


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a transformers checkpoint in bfloat16, the precision models are shipped in."""
    import torch

    with quiet():
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
