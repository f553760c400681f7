"""Does cleaning help a model? The same model, as many tokens, on raw and on cleaned text. Prints JSON.

    python benchmarks/cleaning_helps.py [--tokens 800000] [--seeds 3] [--finders exact,normalised,near,lines] [--write]

The text is encyclopedia articles with what repeats in them by nature, and more planted as crawls have it: a few short
texts with 400 copies, others with 4 to 64, equal ones and edited ones, and a footer under two texts in five. Then
`excise clean` makes the second corpus. Both models start from the same weights and see the same number of tokens (as
many as the cleaned corpus has: it is read once, of the raw one a part in random order), with a tokeniser learnt on text
that neither is trained on.

* held_out: bits per byte on articles that neither corpus holds, nor copies of them; the difference raw - cleaned with a
  95 % bootstrap interval over the articles, and over seeds;
* gap: bits per byte held out less those on a sample of the model's own training text;
* memorised: 50 tokens of training text as prompt, the share whose next 50 come back word for word, greedily (Lee and
  others 2022): of text drawn from the model's own corpus, and of the texts that were copied.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from corpora import articles, write_jsonl
from numpy.typing import NDArray
from outcome import about, options, progress, say
from process import run

WINDOW, BATCH, PROMPT = 256, 8, 50
VOCABULARY = 2048
SHAPE = {"hidden": 160, "layers": 4, "heads": 4, "kv_heads": 4, "ffn": 448}
ARTICLE_CHARACTERS = 2000
#: Share of the raw text's characters that is planted: equal copies, edited copies. The footers come on top.
EQUAL, EDITED = 0.25, 0.15
#: Half of the equal copies are of a few short texts: one of 61 words is 60,000 times in C4 (Lee and others 2022).
OFTEN = 400
FOOTERS = (
    "This page was last changed on a day when nobody was looking. Text is available under the terms named below; "
    "additional terms may apply. By using this site you agree to the terms of use and to the policy on privacy.",
    "Share this article with your friends. Subscribe to the newsletter to receive the latest stories every morning. "
    "We use cookies to improve your experience and to show you what you might like. Accept all, or choose settings.",
    "All rights reserved. No part of this publication may be reproduced or stored in a retrieval system without the "
    "permission of the publisher in writing. For information about special discounts contact the sales department.",
)


@dataclass
class Texts:
    """What is trained on, tested on, and learnt the tokeniser from.

    Attributes:
        originals: Articles as they are.
        raw: Those, with what was planted.
        most: Originals with OFTEN copies.
        copied: Originals with 4 to 64 copies.
        held_out: Articles of their own.
        other: For the tokeniser.
    """

    originals: list[str]
    raw: list[str]
    most: list[str]
    copied: list[str]
    held_out: list[str]
    other: list[str]


def texts_of(characters: float, held_out: int, seed: int) -> Texts:
    """So many characters of articles, and what is planted besides."""
    draw = random.Random(seed)
    pool = [text[:ARTICLE_CHARACTERS] for text in islice(articles(), 500 + 2 * held_out + int(characters / 400))]
    draw.shuffle(pool)
    own, other = pool[:held_out], pool[held_out : 2 * held_out + 200]
    rest = pool[2 * held_out + 200 :]
    ends = np.cumsum([len(text) for text in rest])
    originals = rest[: int(np.searchsorted(ends, characters)) + 1]
    raw, most, copied = list(originals), [], []
    short = [text for text in originals if 450 <= len(text) <= 800]
    whole = sum(map(len, originals)) / (1 - EQUAL - EDITED)
    for share, often, is_edited in ((EQUAL / 2, True, False), (EQUAL / 2, False, False), (EDITED, False, True)):
        wanted = share * whole
        while wanted > 0:
            text = draw.choice(short if often else originals)
            (most if often else copied).append(text)
            for _ in range(OFTEN if often else min(64, int(4 * draw.paretovariate(0.8)))):
                raw.append(edited(text, draw) if is_edited else text)
                wanted -= len(text)
    raw = [f"{text}\n\n{draw.choice(FOOTERS)}" if draw.random() < 0.4 else text for text in raw]
    draw.shuffle(raw)
    return Texts(originals, raw, most, copied, own, other)


def edited(text: str, draw: random.Random) -> str:
    """One word of a hundred exchanged for other words of the text, so that no foreign word harms the raw corpus."""
    words = text.split(" ")
    for place in draw.sample(range(len(words)), max(1, len(words) // 100)):
        words[place] = draw.choice(words)
    return " ".join(words)


def cleaned(texts: Sequence[str], name: str, folder: Path, finders: str) -> tuple[list[str], dict[str, Any]]:
    """What `excise clean` leaves, and what it says it did."""
    data, out = write_jsonl(texts, folder / f"{name}.jsonl"), folder / f"{name}-out"
    run([sys.executable, "-m", "excise", "clean", data, "-o", out, "--finders", finders, "--allow-large"])
    lines = (out / "data" / data.name).read_text(encoding="utf-8").splitlines()
    evidence = json.loads((out / "evidence.json").read_text(encoding="utf-8"))
    told = {"records": evidence["before"]["records"], "removed": evidence["removed"]}
    told |= {"changed": evidence["changed"]} if evidence.get("changed") else {}
    return [text for line in lines if (text := json.loads(line)["text"].strip())], told


@dataclass
class Task:
    """One training: everything a process of its own needs."""

    name: str
    seed: int
    tokenizer: str
    windows: NDArray[np.int64]
    held_out: list[str]
    prompts: dict[str, NDArray[np.int64]]
    steps: int


def trained(task: Task) -> dict[str, Any]:
    """Train, then measure; on one core."""
    import torch
    from transformers import AutoTokenizer

    from excise.adapters.newborn import new_llama, next_token_loss
    from excise.training.loop import fit

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(task.tokenizer)
    model = new_llama(len(tokenizer), **SHAPE, positions=2 * WINDOW, seed=task.seed)
    windows = torch.from_numpy(task.windows)
    with tempfile.TemporaryDirectory() as folder:
        losses = fit(
            model,
            windows,
            loss=next_token_loss,
            steps=task.steps,
            batch=BATCH,
            folder=Path(folder),
            lr=3e-3,
            seed=task.seed,
            every=10**9,
        )
    model.eval()
    nats, sizes = [], []
    for text in task.held_out:
        own, size = nats_of(model, tokenizer, text)
        nats.append(own)
        sizes.append(size)
    sample = windows[torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))[:200]]
    with torch.no_grad():
        seen = sum(float(next_token_loss(model, part)) * part[:, 1:].numel() for part in sample.split(BATCH))
    spelt = sum(len(tokenizer.decode(row[1:]).encode()) for row in sample.tolist())
    return {
        "name": task.name,
        "seed": task.seed,
        "nats": nats,
        "bytes": sizes,
        "train_bits_per_byte": seen / math.log(2) / spelt,
        "last_loss_nats": float(np.mean(losses[-20:])),
        "memorised": {kind: recited(model, torch.from_numpy(rows)) for kind, rows in task.prompts.items()},
    }


def nats_of(model: Any, tokenizer: Any, text: str) -> tuple[float, int]:
    """Nats to write a text, in windows that each begin with the separator; and its bytes."""
    import torch

    from excise.adapters.newborn import next_token_loss

    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    total = 0.0
    with torch.no_grad():
        for at in range(0, len(tokens), WINDOW - 1):
            part = torch.tensor([[0, *tokens[at : at + WINDOW - 1]]])
            total += float(next_token_loss(model, part)) * (part.shape[1] - 1)
    return total, len(text.encode())


def recited(model: Any, rows: Any) -> dict[str, float]:
    """Of windows [n, 2 * PROMPT]: how often the second half follows from the first, greedily."""
    import torch

    right = []
    with torch.no_grad():
        for part in rows.split(64):
            out = model(part[:, :PROMPT], use_cache=True)
            alive = torch.ones(len(part), dtype=torch.bool)
            told = torch.zeros(len(part))
            for i in range(PROMPT):
                token = out.logits[:, -1].argmax(-1)
                alive &= token == part[:, PROMPT + i]
                told += alive
                out = model(token[:, None], past_key_values=out.past_key_values, use_cache=True)
            right.append(told)
    all_ = torch.cat(right)
    return {
        "prompts": len(all_),
        "regenerated": round(float((all_ == PROMPT).float().mean()), 4),
        "mean_tokens_before_the_first_error": round(float(all_.mean()), 2),
    }


def prompts_of(tokenizer: Any, texts: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """Runs of 2 * PROMPT tokens from inside texts, [n, 2 * PROMPT]."""
    draw = random.Random(seed)
    rows: list[list[int]] = []
    for text in draw.choices(list(texts), k=4 * count):
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(tokens) > 2 * PROMPT:
            start = draw.randrange(len(tokens) - 2 * PROMPT)
            rows.append(tokens[start : start + 2 * PROMPT])
    return np.array(rows[:count], np.int64).reshape(-1, 2 * PROMPT)


def compared(runs: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Both models side by side: means, spread over seeds, the difference with its interval."""
    draw, told = np.random.default_rng(seed), {}
    by = {name: sorted((r for r in runs if r["name"] == name), key=lambda r: r["seed"]) for name in ("raw", "cleaned")}
    sizes = np.array(by["raw"][0]["bytes"], np.float64)
    bits = {name: np.array([r["nats"] for r in rows]) / math.log(2) for name, rows in by.items()}  # [seeds, articles]
    for name, rows in by.items():
        each = bits[name].sum(axis=1) / sizes.sum()
        gaps = [own - row["train_bits_per_byte"] for own, row in zip(each.tolist(), rows, strict=True)]
        told[name] = {
            "held_out_bits_per_byte": round(float(each.mean()), 4),
            "of_each_seed": each.round(4).tolist(),
            "spread_over_seeds": round(float(each.std(ddof=1)), 4) if len(each) > 1 else None,
            "train_bits_per_byte": round(float(np.mean([row["train_bits_per_byte"] for row in rows])), 4),
            "gap": round(float(np.mean(gaps)), 4),
            "memorised": {
                kind: {
                    key: round(float(np.mean([row["memorised"][kind][key] for row in rows])), 4)
                    for key in rows[0]["memorised"][kind]
                }
                for kind in rows[0]["memorised"]
            },
        }
    difference = bits["raw"] - bits["cleaned"]
    drawn = []
    for _ in range(4000):
        seeds = draw.integers(0, len(difference), len(difference))
        places = draw.integers(0, len(sizes), len(sizes))
        drawn.append(difference[seeds][:, places].sum() / (len(seeds) * sizes[places].sum()))
    told["raw_less_cleaned"] = {
        "bits_per_byte": round(float(difference.sum() / (len(difference) * sizes.sum())), 4),
        "interval_95": np.quantile(drawn, [0.025, 0.975]).round(4).tolist(),
        "resampled": "articles and seeds",
    }
    return told


def main() -> None:
    """Print the measurements."""
    chosen = options(__doc__, tokens=800_000, seeds=3, finders="exact,normalised,near,lines").parse_args()
    held_out, prompts = 200, 200
    if chosen.small:
        chosen.tokens, chosen.seeds, held_out, prompts = 20_000, 1, 10, 20
    envelope = about("torch", "transformers", "tokenizers")
    from excise.adapters.newborn import new_tokenizer, windows_of

    texts = texts_of(3.0 * chosen.tokens, held_out, chosen.seed)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _, natural = cleaned(texts.originals, "originals", folder, chosen.finders)
        kept, planted = cleaned(texts.raw, "raw", folder, chosen.finders)
        tokenizer = new_tokenizer(iter(texts.other), VOCABULARY)
        tokenizer.save_pretrained(folder / "tokenizer")
        corpora = {"raw": texts.raw, "cleaned": kept}
        windows = {name: windows_of(tokenizer, iter(own), WINDOW).numpy() for name, own in corpora.items()}
        steps = min(chosen.tokens // WINDOW, len(windows["cleaned"]), len(windows["raw"])) // BATCH
        planted_prompts = {
            "copied texts": prompts_of(tokenizer, texts.copied, prompts, 1),
            "most copied texts": prompts_of(tokenizer, texts.most, prompts, 2),
        }
        progress(f"{ {name: own.size for name, own in windows.items()} } tokens, {steps * BATCH * WINDOW} trained on")
        tasks = [
            Task(
                name,
                seed,
                str(folder / "tokenizer"),
                windows[name],
                texts.held_out,
                {"own text": prompts_of(tokenizer, own, prompts, 0), **planted_prompts},
                steps,
            )
            for seed in range(chosen.seeds)
            for name, own in corpora.items()
        ]
        os.environ["OMP_NUM_THREADS"] = "1"
        cores = len(os.sched_getaffinity(0))
        with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
            runs = []
            for done in pool.map(trained, tasks):
                progress(f"{done['name']}, seed {done['seed']}: loss {done['last_loss_nats']:.3f}")
                runs.append(done)
    result = {
        "text": {
            "megabytes": {name: round(sum(len(t.encode()) for t in own) / 1e6, 2) for name, own in corpora.items()},
            "tokens": {name: int(own.size) for name, own in windows.items()},
            "held_out_articles": len(texts.held_out),
            "copied_texts": len(set(texts.copied)),
            "most_copied_texts": len(set(texts.most)),
            "finders": chosen.finders,
            "originals": natural,
            "with_what_was_planted": planted,
        },
        "training": {
            **SHAPE,
            "vocabulary": VOCABULARY,
            "tokens": steps * BATCH * WINDOW,
            "steps": steps,
            "batch": BATCH,
        },
        "seeds": chosen.seeds,
        **compared(runs, chosen.seed),
    }
    say("cleaning_helps", envelope, result, chosen)


if __name__ == "__main__":
    main()
