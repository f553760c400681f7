"""A small language model: interpolated byte n-grams, counted in a table whose size does not grow with the text.

Bytes need no vocabulary and no tokeniser, so one model serves English, Chinese and code. Measured on held-out text
(order 6, 16 MB): 2.12 bits a byte for 24 MB of the English Wikipedia, 2.60 for 9 MB of the Chinese one, 1.87 for 12 MB
of Python; 64 MB give 2.04, 2.48 and 1.84.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.data import text

#: Bytes of the longest n-gram; table slots; counts that a shorter context is worth. Found by measuring: orders 5 to 7,
#: 2^22 and 2^24 slots, strengths 1 to 64 constant and by order, on three kinds of text; one constant is within 1 %.
ORDER, SLOTS, STRENGTH = 6, 1 << 22, 32.0
_PIECE_BYTES = 1 << 22
_GOLDEN, _MIX_1, _MIX_2 = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class NgramModel:
    """Counts of n-grams.

    Attributes:
        table: uint32, of ngram_kernels.
        total: Bytes counted.
    """

    table: NDArray[np.uint32]
    total: int

    def bits(self, texts: pa.Array) -> NDArray[np.float64]:
        """Minus the binary logarithm of each text's probability, float64 [n]; 0 for the empty text.

        Cost: 10 to 25 MB/s a core.
        """
        from excise.data import ngram_kernels  # noqa: PLC0415 - compiles

        data, offsets = text.buffers(texts)
        found = np.empty(len(texts))
        ngram_kernels.surprise(data, offsets, ORDER, self.table, self.total, STRENGTH, found)
        return found


def train(pieces: Iterable[text.Piece], chosen: Callable[[text.Piece], NDArray[np.bool_]]) -> NgramModel:
    """A model of some of the texts of pieces, in their order.

    Args:
        pieces: Where the texts are.
        chosen: Which records of a piece are learnt, bool [records].

    Cost: 7 to 15 MB/s; 16 MB of memory whatever the text.
    """
    from excise.data import ngram_kernels  # noqa: PLC0415 - compiles

    table = np.zeros(ngram_kernels.EXACT + SLOTS, np.uint32)
    total = 0
    for piece in pieces:
        data, offsets = text.buffers(piece.texts())
        total += ngram_kernels.learn(data, offsets, chosen(piece), ORDER, table)
    return NgramModel(table, total)


def lots(piece: text.Piece, salt: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each record, drawn by its position (splitmix64): the same in every run and any pieces."""
    x = (np.arange(piece.position, piece.position + piece.count, dtype=np.uint64) + np.uint64(salt << 40)) * _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    drawn: NDArray[np.float64] = ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53
    return drawn


def dealt(piece: text.Piece, folds: int) -> NDArray[np.int64]:
    """The fold of each record, 0 to folds - 1, by lot."""
    return (lots(piece, 1) * folds).astype(np.int64)
