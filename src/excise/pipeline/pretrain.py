"""pretrain: a small Llama from scratch on a corpus, resumable at every checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from excise import __version__
from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import read
from excise.corpus import Corpus
from excise.journal import Journal, Progress, silent, write_json

#: What a checkpoint consists of.
CHECKPOINT = ("model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def pretrain(
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    text: str | None = None,
    vocabulary: int = 2048,
    hidden: int = 256,
    layers: int = 4,
    heads: int = 4,
    kv_heads: int = 2,
    ffn: int = 768,
    window: int = 128,
    batch: int = 16,
    steps: int = 300,
    learning_rate: float = 2e-3,
    checkpoint_every: int = 20,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write a transformers checkpoint (bfloat16) to OUT.

    Args:
        data: A file, a directory, a glob, or a list of those.
        out: Folder to make.
        text: Field or template; detected if None.
        vocabulary: Tokens of the byte-level BPE that is trained first.
        hidden: Width of the residual stream.
        layers: Blocks.
        heads: Attention heads.
        kv_heads: Key/value heads.
        ffn: Width of the feed-forward layer.
        window: Tokens a training sequence.
        batch: Sequences a step.
        steps: Optimizer steps.
        learning_rate: Peak of the cosine schedule.
        checkpoint_every: Steps between two resume points.
        seed: Initial weights and order of the batches.
        overwrite: Replace a finished OUT.
        progress: Told how far it is.

    Returns:
        Parameters, tokens seen, first and last loss in nats a token.
    """
    inputs = find(data, progress=progress)
    files = [one.path for one in inputs.files]
    shape = {"hidden": hidden, "layers": layers, "heads": heads, "kv_heads": kv_heads, "ffn": ffn}
    fingerprint = {
        "command": "pretrain",
        "version": __version__,
        "data": [(one.name, one.fingerprint) for one in inputs.files],
        "text": text,
        "vocabulary": vocabulary,
        **shape,
        "window": window,
        "batch": batch,
        "steps": steps,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    began = time.monotonic()
    with Journal(Path(out), fingerprint, "excise", inputs=files, overwrite=overwrite, progress=progress) as journal:
        corpus = read(inputs, journal.work, Fields(text), step=journal.step, progress=progress).corpus
        from transformers import AutoTokenizer

        from excise.adapters.newborn import new_llama, new_tokenizer, next_token_loss, save, windows_of
        from excise.training.loop import fit

        learned = journal.work / "tokenizer"

        def learn() -> None:
            progress("learning a tokenizer", 0, None)
            new_tokenizer(_texts(corpus), vocabulary).save_pretrained(learned)

        journal.step("tokenizer", learn, [learned / "tokenizer.json", learned / "tokenizer_config.json"])
        progress("learning a tokenizer", 1, 1)

        def train() -> dict[str, Any]:
            """Goes on at its own checkpoint where it was killed."""
            tokenizer = AutoTokenizer.from_pretrained(learned)
            windows = windows_of(tokenizer, _texts(corpus), window)
            model = new_llama(len(tokenizer), **shape, positions=max(512, 2 * window), seed=seed)
            losses = fit(
                model,
                windows,
                loss=next_token_loss,
                steps=steps,
                batch=batch,
                folder=journal.work,
                lr=learning_rate,
                seed=seed,
                every=checkpoint_every,
                progress=progress,
            )
            save(model, tokenizer, journal.folder)
            return {
                "parameters": sum(p.numel() for p in model.parameters()),
                "tokens": steps * batch * window,
                "corpus_tokens": windows.numel(),
                "first_loss_nats": losses[0],
                "last_loss_nats": losses[-1],
            }

        trained = journal.step("train", train, [journal.folder / name for name in CHECKPOINT])
        evidence = {
            "schema_version": 1,
            "kind": "pretrain",
            "status": "done",
            "seconds": round(time.monotonic() - began, 2),
            **trained,
            "warnings": [],
        }
        write_json(journal.folder / "excise/evidence.json", evidence)
        journal.finish()
        return evidence


def _texts(corpus: Corpus) -> Iterator[str]:
    for batch in corpus.batches():
        yield from batch["text"].to_pylist()
