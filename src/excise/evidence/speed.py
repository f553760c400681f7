"""Speed: reading a prompt (prefill) and writing token by token with the cache (decode), both models in turn.

Each round times both models, in alternating order, so that a busy moment of the machine hits both; after one round of
warm-up that is not counted. Medians and quartiles of the rounds; the ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from excise.evidence.intervals import paired_medians
from excise.journal import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from excise.model import Model

PREFILL_TOKENS = 256
#: Tokens written in a round: long enough that one interrupted token does not move it.
DECODE_TOKENS = 32
#: A slow model writes fewer tokens a round, so that timing it takes about this long.
DECODE_SECONDS = 40.0
#: Tokens of the warm-up round, from which that is reckoned.
WARM_UP_TOKENS = 4
PROMPT_TOKENS = 32
#: The 95 % interval of a median of nine leaves out one value on each side: one hiccup does not widen it.
ROUNDS = 9


def machine() -> dict[str, Any]:
    """What the times were measured on."""
    import torch

    cpu = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        names = [line.partition(":")[2].strip() for line in listing.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        # More than the threads in use means that other work ran beside the measurement.
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def prefill_ms(model: Model, tokens: torch.Tensor) -> float:
    """Milliseconds to take in a prompt [1, time]."""
    began = time.perf_counter()
    model.logits(tokens)
    return 1e3 * (time.perf_counter() - began)


def decode_ms(model: Model, prompt: torch.Tensor, steps: int) -> float:
    """Milliseconds per token written after a prompt [1, time]; the first, which pays for the prompt, not counted."""
    stamps = [time.perf_counter() for _ in model.decode(prompt, steps + 1)]
    return 1e3 * (stamps[-1] - stamps[0]) / (len(stamps) - 1)


def measure(
    before: Model,
    after: Model,
    tokens: torch.Tensor,
    *,
    longest: int | None = None,
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Time both models in turn.

    Args:
        before: The model before.
        after: The model after.
        tokens: [1, time] of real text; the first PREFILL_TOKENS and PROMPT_TOKENS of it are used.
        longest: Most tokens both models take; None where nothing limits them.
        rounds: Counted rounds.
        progress: Told after each round.

    Returns:
        `latency` (ms per token) and `prefill` (tokens/s), each {before, after: {median, low, high, rounds}, ratio,
        interval}; low and high are quartiles. `settings` says how it was measured.
    """
    import torch

    limit = tokens.shape[1] if longest is None else longest
    prompt, short = tokens[:, : min(PREFILL_TOKENS, limit)], tokens[:, : min(PROMPT_TOKENS, limit // 2)]
    decode_tokens = DECODE_TOKENS if longest is None else max(1, min(DECODE_TOKENS, longest - short.shape[1] - 1))
    width = prompt.shape[1]
    with torch.inference_mode():
        for model in (before, after):
            prefill_ms(model, prompt)
        pair_ms = sum(decode_ms(model, short, min(WARM_UP_TOKENS, decode_tokens)) for model in (before, after))
    affordable = int(1e3 * DECODE_SECONDS / (rounds * pair_ms))
    decode_tokens = min(decode_tokens, max(WARM_UP_TOKENS, affordable))
    progress("speed, both models in turn", 0, rounds)
    probes: dict[str, Callable[[Model], float]] = {
        "latency": lambda model: decode_ms(model, short, decode_tokens),
        "prefill": lambda model: 1e3 * width / prefill_ms(model, prompt),
    }
    taken: dict[str, list[list[float]]] = {name: [[], []] for name in probes}
    with torch.inference_mode():
        for count in range(rounds):
            for name, probe in probes.items():
                for side in (1, 0) if count % 2 else (0, 1):
                    taken[name][side].append(probe((before, after)[side]))
            progress("speed, both models in turn", count + 1, rounds)
    found: dict[str, Any] = {name: _summary(*sides) for name, sides in taken.items()}
    found["settings"] = {
        "prefill_tokens": width,
        "prompt_tokens": short.shape[1],
        "decode_tokens": decode_tokens,
        "rounds": rounds,
        "warm_up_rounds": 1,
        "batch": 1,
    }
    return found


def _summary(before: list[float], after: list[float]) -> dict[str, Any]:
    ratios = [b / a for a, b in zip(before, after, strict=True)]
    intervals = paired_medians(np.array(before), np.array(after))
    return {
        "before": _spread(before),
        "after": _spread(after),
        "ratio": statistics.median(ratios),
        "interval": {name: list(ends) for name, ends in intervals.items()},
    }


def _spread(values: list[float]) -> dict[str, Any]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {
        "median": float(middle),
        "low": float(low),
        "high": float(high),
        "rounds": [round(v, 4) for v in values],
    }
