"""Bits: small unsigned integers laid end to end.

The stream of bits is little-endian throughout: code i of width b takes bits i·b … i·b+b−1 of the stream, lowest bit
first, and bit k of the stream is bit k mod 8 (value 2^(k mod 8)) of byte k // 8. A 4-bit pair puts the first code in
the low half of the byte; a mask is a stream of 1-bit codes. The last byte is filled with zeros.

Eight codes of b bits are exactly b bytes, so both directions work on rows of eight: no width is a special case.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Codes handled at once; the temporaries take about three bytes a code, so this bounds them to 12 MiB.
_CHUNK = 1 << 22


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

    Cost: O(n) time; temporaries of about 12 MiB beside the result.
    """
    flat = codes.reshape(-1)
    packed = torch.empty(packed_bytes(flat.numel(), bits), dtype=torch.uint8, device=codes.device)
    for start in range(0, flat.numel(), _CHUNK):
        rows = _rows_of_eight(flat[start : start + _CHUNK])
        words = torch.zeros(rows.shape[0], dtype=torch.int64, device=codes.device)
        for place in range(8):
            words |= rows[:, place].to(torch.int64) << (place * bits)
        octets = torch.stack([(words >> (8 * k)) & 0xFF for k in range(bits)], dim=1).to(torch.uint8)
        first = start * bits // 8  # whole: _CHUNK is a multiple of 8
        target = packed[first : first + octets.numel()]
        target.copy_(octets.reshape(-1)[: target.numel()])
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

    Cost: O(count) time; temporaries of about 12 MiB beside the result.
    """
    before = start % 8  # codes read only because rows of eight begin at whole bytes
    first = (start - before) * bits // 8
    stream = packed[first : first + packed_bytes(before + count, bits)]
    if bits == 8:
        return stream[before : before + count]
    codes = torch.empty((before + count + 7) // 8, 8, dtype=torch.uint8, device=packed.device)
    per_chunk = _CHUNK // 8
    for row in range(0, codes.shape[0], per_chunk):
        _unpack_rows(stream[row * bits : (row + per_chunk) * bits], bits, codes[row : row + per_chunk])
    return codes.reshape(-1)[before : before + count]


def _rows_of_eight(flat: Tensor) -> Tensor:
    missing = -flat.numel() % 8
    if missing:
        flat = torch.cat([flat, flat.new_zeros(missing)])
    return flat.reshape(-1, 8)


def _unpack_rows(stream: Tensor, bits: int, into: Tensor) -> None:
    """Fill `into` [rows, 8] from rows * bits bytes, the last of which may be missing."""
    missing = into.shape[0] * bits - stream.numel()
    if missing:
        stream = torch.cat([stream, stream.new_zeros(missing)])
    octets = stream.reshape(-1, bits)
    if 8 % bits == 0:  # no code crosses a byte: bytes suffice, an eighth of the memory
        each = 8 // bits
        for place in range(8):
            byte, shift = divmod(place, each)
            into[:, place] = (octets[:, byte] >> (shift * bits)) & ((1 << bits) - 1)
        return
    words = torch.zeros(octets.shape[0], dtype=torch.int64, device=stream.device)
    for k in range(bits):
        words |= octets[:, k].to(torch.int64) << (8 * k)
    for place in range(8):
        into[:, place] = (words >> (place * bits)) & ((1 << bits) - 1)
