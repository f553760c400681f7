"""The compiled loops of the byte n-gram model: count n-grams in a table of fixed size, score texts by the counts."""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201
import numpy as np
from numba import boolean, float64, int64, types, uint8, uint32, uint64

from excise.data.compiled import kernel

_bytes = types.Array(uint8, 1, "C", readonly=True)
_offsets = types.Array(int64, 1, "C", readonly=True)
_counts = types.Array(uint32, 1, "C", readonly=True)
_chosen = types.Array(boolean, 1, "C", readonly=True)
_points = types.Array(uint32, 1, "C", readonly=True)

#: A slot is a check of 10 bits above a count of 22. Short n-grams have a place each, in front of the slots.
_COUNT_BITS = np.uint32(22)
_COUNT = np.uint32((1 << 22) - 1)
EXACT = 256 + 65536
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64
_ONE = np.uint64(1)


@kernel(uint64(uint64, int64))
def gram_key(window, order):
    """A hash of the last `order` bytes of a window of eight, splitmix64's finaliser of them and the order."""
    x = (window & ((_ONE << np.uint64(8 * order)) - _ONE)) | np.uint64(order) << np.uint64(56)
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@kernel(uint32(_counts, uint64, int64))
def count_of(table, window, order):
    """How often the last `order` bytes of the window were counted; 0 where they lost their slot to others."""
    if order == 1:
        return table[np.int64(window & np.uint64(0xFF))]
    if order == 2:
        return table[256 + np.int64(window & np.uint64(0xFFFF))]
    key = gram_key(window, order)
    slot = EXACT + np.int64(key & np.uint64(table.size - EXACT - 1))
    check = np.uint32(key >> np.uint64(54))
    for _ in range(2):
        if table[slot] >> _COUNT_BITS == check:
            return table[slot] & _COUNT
        slot = EXACT + ((slot - EXACT) ^ 1)
    return np.uint32(0)


@kernel(types.void(uint32[::1], uint64, int64))
def increase(table, window, order):
    """One more of the last `order` bytes of the window.

    An n-gram that finds neither its own slot nor a free one wears down the rarer of the two there by one, and takes
    its slot when that has nothing left: the frequent stay (Misra, Gries 1982).
    """
    if order <= 2:
        place = 256 * (order - 1) + np.int64(window & np.uint64(0xFF if order == 1 else 0xFFFF))
        table[place] += np.uint32(table[place] < np.uint32(0xFFFFFFFF))
        return
    key = gram_key(window, order)
    slot = EXACT + np.int64(key & np.uint64(table.size - EXACT - 1))
    other = EXACT + ((slot - EXACT) ^ 1)
    check = np.uint32(key >> np.uint64(54))
    if table[other] & _COUNT and table[other] >> _COUNT_BITS == check:
        slot = other
    elif not (table[slot] & _COUNT and table[slot] >> _COUNT_BITS == check):
        if table[other] & _COUNT < table[slot] & _COUNT:
            slot = other
        if table[slot] & _COUNT > 1:
            table[slot] -= np.uint32(1)
            return
        table[slot] = check << _COUNT_BITS
    if table[slot] & _COUNT < _COUNT:
        table[slot] += np.uint32(1)


@kernel(int64(_bytes, _offsets, _chosen, int64, uint32[::1]))
def learn(data, offsets, chosen, order, table):
    """Counts the n-grams of 1 to `order` bytes of the chosen texts; returns the bytes counted, boundaries included."""
    total = 0
    for text in range(offsets.size - 1):
        if not chosen[text]:
            continue
        window = ~np.uint64(0)  # bytes that UTF-8 never has stand before every text
        for n in range(1, order + 1):
            increase(table, window, n)
        for i in range(offsets[text], offsets[text + 1]):
            window = window << np.uint64(8) | np.uint64(data[i])
            for n in range(1, order + 1):
                increase(table, window, n)
        total += offsets[text + 1] - offsets[text] + 1
    return total


@kernel(types.void(_bytes, _offsets, int64, _counts, int64, float64, float64[::1]))
def surprise(data, offsets, order, table, total, strength, bits):
    """Bits that the model needs for each text.

    p_n(b | c) = (count(c b) + s p_{n-1}(b | c')) / (count(c) + s), c' the context without its first byte, and
    p_0 = 1/256.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        order: Longest n-gram, in bytes.
        table: From `learn`.
        total: Bytes counted.
        strength: s, how many counts the shorter context is worth.
        bits: [n], written: minus the binary logarithm of each text's probability.

    Source: MacKay, Bauman Peto 1995, A hierarchical Dirichlet language model.
    """
    context = np.zeros(order + 1, np.float64)  # count of the last n bytes, by n
    for text in range(offsets.size - 1):
        window = ~np.uint64(0)
        context[0] = total
        for n in range(1, order):
            context[n] = count_of(table, window, n)
        sum_of_bits = 0.0
        product = 1.0
        for i in range(offsets[text], offsets[text + 1]):
            window = window << np.uint64(8) | np.uint64(data[i])
            p = 1.0 / 256.0
            below = context[0]
            for n in range(1, order + 1):
                if below == 0.0 and n > 2:
                    for rest in range(n, order):
                        context[rest] = 0.0
                    break  # a context never seen says nothing, nor does a longer one
                count = min(np.float64(count_of(table, window, n)), below)
                p = (count + strength * p) / (below + strength)
                below = context[n]
                context[n] = count
            product *= p
            if product < 1e-280:
                sum_of_bits -= np.log2(product)
                product = 1.0
        bits[text] = sum_of_bits - np.log2(product)
