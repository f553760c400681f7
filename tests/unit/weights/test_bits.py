import pytest
import torch

from excise.weights import bits


@pytest.mark.parametrize(
    ("width", "codes", "stream"),
    [
        (1, [1, 0, 0, 0, 0, 0, 0, 0, 1], [0b1, 0b1]),
        (2, [1, 2, 3, 0], [0b00111001]),
        (3, [1, 2, 3], [0b11010001, 0b0]),
        (4, [1, 2, 15], [0x21, 0x0F]),
        (5, [31, 1], [0b00111111, 0]),
        (8, [7, 255], [7, 255]),
    ],
)
def test_streams_by_hand(width, codes, stream):
    packed = bits.pack(torch.tensor(codes), width)
    assert packed.tolist() == stream
    assert bits.unpack(packed, width, len(codes)).tolist() == codes


@pytest.mark.parametrize("width", range(1, 9))
def test_chunks_join_without_a_seam(width, monkeypatch):
    codes = torch.randint(0, 2**width, (1000,), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    whole = bits.pack(codes, width)
    monkeypatch.setattr(bits, "_CHUNK", 64)
    assert torch.equal(bits.pack(codes, width), whole)
    assert torch.equal(bits.unpack(whole, width, 1000), codes)


def test_a_mask_is_a_stream_of_single_bits():
    mask = torch.tensor([[True, False, True], [False, True, True]])
    assert bits.pack(mask, 1).tolist() == [0b110101]
