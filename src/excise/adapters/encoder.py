"""encoder: vectors of texts by a local model: a transformers encoder, or a table of token vectors.

A table is a folder with `tokenizer.json` and `model.safetensors` that holds one matrix [tokens, d] (model2vec writes
such); also its `weights` and `mapping` are followed. Everything else is loaded by transformers, without code of its own
and without pickle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from excise.adapters.checkpoint import need_torch
from excise.errors import InputError

Vectors = NDArray[np.float32]

#: Tokens of a text that count; most encoders know no more.
MOST_TOKENS = 512
#: Tokens a batch, padding included: 100 MB of activations at 768 dimensions.
_BATCH_TOKENS = 8192


def encoder(path: Path) -> Callable[[Sequence[str]], Vectors]:
    """A function from texts to vectors float32 [texts, d]; a text without tokens, or all white space, is zeros.

    Args:
        path: The model's folder.

    Raises:
        InputError: It holds no such model.
        MissingExtraError: transformers, torch or safetensors are not installed.
    """
    need_torch("encoders")
    if not path.is_dir():
        raise InputError("this is no folder with a model (config.json, tokenizer.json, model.safetensors).", path)
    try:
        return _table(path) if _matrices(path) == 1 else _network(path)
    except InputError:
        raise
    except Exception as error:  # tokenizers and safetensors raise bare ones
        raise InputError(f"no encoder could be loaded from it: {error}", path) from error


def _matrices(path: Path) -> int:
    """Tensors of two dimensions in model.safetensors."""
    from safetensors import safe_open

    file = path / "model.safetensors"
    if not file.is_file():
        return 0
    with safe_open(file, "numpy") as tensors:
        return sum(len(tensors.get_slice(name).get_shape()) == 2 for name in tensors.keys())  # noqa: SIM118


def _table(path: Path) -> Callable[[Sequence[str]], Vectors]:
    """Mean of the vectors of a text's tokens, unknown ones left out."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tensors = load_file(path / "model.safetensors")
    matrix = next(tensor for tensor in tensors.values() if tensor.ndim == 2).astype(np.float32)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_TOKENS)
    size = tokenizer.get_vocab_size()
    rows = tensors.get("mapping", np.arange(size)).astype(np.int64)
    weights = tensors.get("weights", np.ones(size)).astype(np.float32)
    if len(rows) < size or len(weights) < size or int(rows.max(initial=-1)) >= len(matrix):
        raise InputError(f"its tokenizer has {size:,} tokens, its table {len(matrix):,} vectors.", path)
    unknown = json.loads(tokenizer.to_str())["model"].get("unk_token")
    left_out = tokenizer.token_to_id(unknown) if unknown is not None else None

    def encode(texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), matrix.shape[1]), np.float32)
        for row, coded in enumerate(tokenizer.encode_batch(list(texts), add_special_tokens=False)):
            tokens = np.array([token for token in coded.ids if token != left_out], np.int64)
            if len(tokens):
                found[row] = (matrix[rows[tokens]] * weights[tokens, None]).mean(axis=0)
        return found

    return encode


def _network(path: Path) -> Callable[[Sequence[str]], Vectors]:
    """Mean of the last hidden states of a text's tokens; the first token's, where sentence-transformers noted that."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    model = AutoModel.from_pretrained(path, local_files_only=True, use_safetensors=True, dtype=torch.float32).eval()
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    positions = getattr(model.config, "max_position_embeddings", MOST_TOKENS) or MOST_TOKENS
    most = min(MOST_TOKENS, tokenizer.model_max_length, positions)
    first_only = _first_token_only(path)

    def encode(texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), model.config.hidden_size), np.float32)
        told = [row for row, text in enumerate(texts) if text.strip()]
        coded: list[list[int]] = (
            tokenizer([texts[row] for row in told], truncation=True, max_length=most)["input_ids"] if told else []
        )
        for batch in batches([len(ids) for ids in coded]):
            ids = np.zeros((len(batch), max(len(coded[i]) for i in batch)), np.int64)
            mask = np.zeros(ids.shape, np.float32)
            for row, i in enumerate(batch):
                ids[row, : len(coded[i])], mask[row, : len(coded[i])] = coded[i], 1
            with torch.inference_mode():
                tokens = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask).long()}
                hidden = model(**tokens).last_hidden_state.numpy()
            mask[:, 1:] *= not first_only
            found[[told[i] for i in batch]] = np.einsum("bt,btd->bd", mask / mask.sum(axis=1, keepdims=True), hidden)
        return found

    return encode


def _first_token_only(path: Path) -> bool:
    noted = path / "1_Pooling" / "config.json"
    return noted.is_file() and bool(json.loads(noted.read_text("utf-8")).get("pooling_mode_cls_token", False))


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar lengths, longest first; padded, a batch has at most _BATCH_TOKENS tokens.

    Args:
        lengths: Tokens of each text.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
