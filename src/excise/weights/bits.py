"""Bits: small unsigned integers laid end to end.

The stream of bits is little-endian throughout: code i of width b takes bits i·b … i·b+b−1 of the stream, lowest bit
first, and bit k of the stream is bit k mod 8 (value 2^(k mod 8)) of byte k // 8. A 4-bit pair puts the first code in
the low half of the byte; a mask is a stream of 1-bit codes. The last byte is filled with zeros.

Eight codes of b bits are exactly b bytes, and fit into one 64-bit word (whose bytes are taken in the machine's order:
little-endian, as everywhere torch runs).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad

#: Codes handled at once, a multiple of 8. Words take 8 bytes a code, twice: this bounds them to 16 MiB.
_CHUNK = 1 << 20


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take: ceil(count * bits / 8)."""
    return (count * bits + 7) // 8


def pack(codes: Tensor, bits: int) -> Tensor:
    """Codes laid end to end.

    Args:
        codes: Integers in [0, 2^bits), or bool for one bit; any shape, read in row-major order.
        bits: Width of a code, 1 to 8.

    Returns:
        uint8 [ceil(n * bits / 8)].

    Cost: O(n) time; temporaries of about 16 MiB beside the result.
    """
    flat = codes.reshape(-1)
    packed = torch.empty(packed_bytes(flat.numel(), bits), dtype=torch.uint8, device=codes.device)
    places = torch.arange(0, 8 * bits, bits, device=codes.device)
    for start in range(0, flat.numel(), _CHUNK):
        chunk = flat[start : start + _CHUNK]
        eights = pad(chunk.to(torch.int64), (0, -chunk.numel() % 8)).reshape(-1, 8)
        words = (eights << places).sum(dim=1)  # no two share a bit: the sum is their union
        octets = words.view(torch.uint8).reshape(-1, 8)[:, :bits].reshape(-1)
        target = packed[start * bits // 8 : (start + _CHUNK) * bits // 8]
        target.copy_(octets[: target.numel()])
    return packed


def unpack(packed: Tensor, bits: int, count: int, start: int = 0) -> Tensor:
    """The inverse of `pack`, for all codes or for a run of them.

    Args:
        packed: uint8 stream.
        bits: Width of a code, 1 to 8.
        count: How many codes to read.
        start: Index of the first of them.

    Returns:
        uint8 [count].

    Cost: O(count) time; temporaries of about 16 MiB beside the result.
    """
    before = start % 8  # codes read only because eight of them begin at a whole byte
    first = (start - before) // 8 * bits
    stream = packed[first : first + packed_bytes(before + count, bits)]
    if bits == 8:
        codes = stream
    elif 8 % bits == 0:  # no code crosses a byte
        codes = _table(bits, packed.device).index_select(0, stream.int()).view(torch.uint8)
    else:
        step = _CHUNK // 8 * bits
        codes = torch.cat(
            [_by_words(stream[at : at + step], bits) for at in range(0, stream.numel(), step)] or [stream]
        )
    return codes[before : before + count]


@cache
def _table(bits: int, device: torch.device) -> Tensor:
    """For each byte the codes in it, side by side as one integer: a look-up is ten times as fast as shifting."""
    places = torch.arange(0, 8, bits)
    codes = ((torch.arange(256).unsqueeze(1) >> places) & ((1 << bits) - 1)).to(torch.uint8)
    whole = {1: torch.int64, 2: torch.int32, 4: torch.int16}[bits]
    return codes.view(whole).reshape(256).to(device)


def _by_words(stream: Tensor, bits: int) -> Tensor:
    rows = pad(stream, (0, -stream.numel() % bits)).reshape(-1, bits)
    words = pad(rows, (0, 8 - bits)).view(torch.int64)
    places = torch.arange(0, 8 * bits, bits, device=stream.device)
    return ((words >> places) & ((1 << bits) - 1)).to(torch.uint8).reshape(-1)
