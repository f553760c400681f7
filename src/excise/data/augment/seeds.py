"""Seeds: a generator for each record, operation and copy, so that a result does not depend on the order of the work."""

from __future__ import annotations

import numpy as np
import xxhash


def generator(seed: int, *parts: str | int) -> np.random.Generator:
    """A generator that depends on these values and on nothing else.

    Args:
        seed: Of the run.
        parts: What the draw belongs to: id of the record, operation, number of the copy.

    Cost: about 15 microseconds.
    """
    return np.random.Generator(np.random.PCG64(_digest(seed, parts)))


def fraction(seed: int, *parts: str | int) -> float:
    """One number in [0, 1) that depends on these values alone: for shares of a corpus."""
    return (_digest(seed, parts) >> 75) / (1 << 53)


def _digest(seed: int, parts: tuple[str | int, ...]) -> int:
    """XXH3-128 of the values, each with its length in front, so that no two lists are alike."""
    words = [str(part).encode("utf-8", "surrogatepass") for part in (seed, *parts)]
    return xxhash.xxh3_128_intdigest(b"".join(b"%d:%s" % (len(word), word) for word in words))
