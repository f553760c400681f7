"""pretrain: a small Llama from scratch on a corpus, resumable at every checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from excise.adapters.files import open_corpus
from excise.corpus import Corpus
from excise.journal import Journal, Progress, fingerprint_of, silent, written_aside


def pretrain(
    data: str | Path,
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
        data: Files, a directory or a glob.
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
    settings = {
        k: v for k, v in locals().items() if k not in {"data", "out", "overwrite", "progress", "checkpoint_every"}
    }
    fingerprint = {"command": "pretrain", "data": fingerprint_of(Path(data)), **settings}
    began = time.monotonic()
    with Journal(Path(out), fingerprint, "excise", overwrite=overwrite, progress=progress) as journal:
        corpus, _ = open_corpus(
            data, journal.work, text=text, on=None, id=None, label=None, corrupt="stop", journal=journal
        )
        from transformers import AutoTokenizer

        from excise.adapters.newborn import new_llama, new_tokenizer, next_token_loss, save, windows_of
        from excise.training.loop import fit

        learned = journal.work / "tokenizer"

        def learn() -> None:
            progress("learning a tokenizer", 0, None)
            new_tokenizer(_texts(corpus), vocabulary).save_pretrained(learned)

        journal.step("tokenizer", learn, [learned / "tokenizer.json", learned / "tokenizer_config.json"])
        progress("learning a tokenizer", 1, 1)
        tokenizer = AutoTokenizer.from_pretrained(learned)
        windows = windows_of(tokenizer, _texts(corpus), window)
        model = new_llama(
            len(tokenizer),
            hidden=hidden,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            ffn=ffn,
            positions=max(512, 2 * window),
            seed=seed,
        )
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
        parameters = sum(p.numel() for p in model.parameters())
        save(model, tokenizer, journal.folder)
        evidence = {
            "schema_version": 1,
            "kind": "pretrain",
            "status": "done",
            "seconds": round(time.monotonic() - began, 2),
            "parameters": parameters,
            "tokens": steps * batch * window,
            "corpus_tokens": windows.numel(),
            "first_loss_nats": losses[0],
            "last_loss_nats": losses[-1],
        }
        with written_aside(journal.folder / "excise/evidence.json") as file:
            file.write(json.dumps(evidence, indent=1).encode() + b"\n")
        journal.finish()
        return evidence


def _texts(corpus: Corpus) -> Iterator[str]:
    for batch in corpus.batches():
        yield from batch["text"].to_pylist()
