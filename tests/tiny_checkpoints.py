"""Checkpoints of two tiny blocks with a tokenizer of characters, for the tests of models and of compressing."""

import json
from pathlib import Path

import torch

from packing import tiny

CHARACTERS = "\n abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-"

#: The families that must work: biases, q/k norms, sliding windows, tied and untied heads, a transposed weight.
KINDS = {
    "Llama": {},
    "Qwen2": {"tie_word_embeddings": False, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "Qwen3": {"head_dim": 32},
    "Mistral": {"sliding_window": 8, "tie_word_embeddings": False},
    "Phi3": {"pad_token_id": 0},  # q, k, v and gate, up fused
    "GPT2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "Bloom": {"n_layer": 2, "n_head": 4},  # its body takes outputs[0] of a block
}


def save(folder: Path, kind: str = "Llama", *, dtype=torch.bfloat16, tokenizer: bool = True, shard=None, **settings):
    """Write a checkpoint and return its network."""
    network = tiny(kind, **{**KINDS[kind], **settings}).to(dtype)
    network.config.dtype = dtype
    network.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    if tokenizer:
        save_tokenizer(folder)
    return network


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<end>": 0, "<unknown>": 1} | {c: i + 2 for i, c in enumerate(CHARACTERS)}
    characters = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    PreTrainedTokenizerFast(tokenizer_object=characters, eos_token="<end>", unk_token="<unknown>").save_pretrained(
        folder
    )


def text(path: Path, records: int = 40) -> Path:
    """A jsonl of made-up text, different in each record."""
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    lines = [" ".join(words[(i * j + j) % 10] for j in range(1, 30 + i)) for i in range(records)]
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    return path


def weight_bytes(folder: Path) -> dict[str, bytes]:
    """What must be the same when the same is done twice: weights, config and ledger."""
    found = [*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("excise/ledger/*")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}
