"""Containers: what is packed is what other tools unpack, and the same bytes whatever the chunks and the cores."""

import gzip
import lzma

import pytest
import zstandard

from excise.adapters.files import containers
from excise.data import threads
from excise.errors import InputError

UNPACK = {
    "": bytes,
    "gz": gzip.decompress,
    "xz": lzma.decompress,
    "zst": lambda packed: zstandard.ZstdDecompressor().decompressobj().decompress(packed),
}
DATA = b"".join(b"line %d\n" % (i * i) for i in range(500))


@pytest.mark.parametrize("compression", UNPACK)
@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 5000])
def test_packed_bytes_come_back_and_do_not_depend_on_chunks_and_cores(tmp_path, monkeypatch, compression, size):
    monkeypatch.setattr(containers, "_XZ_STREAM", 64)
    data, made = DATA[:size], []
    for step, cores in ((7, 1), (64, 2), (10_000, 3)):
        monkeypatch.setattr(threads, "workers", lambda cores=cores: cores)
        chunks = [memoryview(data)[i : i + step] for i in range(0, size, step)]
        made.append(b"".join(containers.encoded(chunks, compression)))
    assert made[0] == made[1] == made[2]
    assert UNPACK[compression](made[0]) == data
    path = tmp_path / "packed"
    path.write_bytes(made[0])
    assert b"".join(containers.decoded(path, compression, "packed")) == data


def test_xz_is_packed_in_streams(monkeypatch):
    monkeypatch.setattr(containers, "_XZ_STREAM", 1000)
    packed = b"".join(containers.encoded([DATA], "xz"))
    assert packed.count(b"\xfd7zXZ\x00") == -(-len(DATA) // 1000) > 3


def test_a_gzip_file_has_no_time_in_it():
    assert b"".join(containers.encoded([DATA], "gz"))[4:8] == bytes(4)


def test_streams_of_xz_follow_each_other_with_padding_or_without(tmp_path):
    path = tmp_path / "packed"
    one, other = lzma.compress(DATA[:100]), lzma.compress(DATA[100:])
    for packed in (one + other, one + bytes(8) + other + bytes(4)):
        path.write_bytes(packed)
        assert b"".join(containers.decoded(path, "xz", "packed", size=50)) == DATA
        assert {len(chunk) for chunk in list(containers.decoded(path, "xz", "packed", size=1 << 20))} == {len(DATA)}


@pytest.mark.parametrize(
    ("compression", "pack"),
    [("gz", gzip.compress), ("xz", lzma.compress), ("zst", zstandard.compress)],
)
def test_what_follows_and_is_no_stream_is_refused(tmp_path, compression, pack):
    path = tmp_path / "packed"
    packed = pack(DATA)
    path.write_bytes(packed + b"and now something else")
    with pytest.raises(InputError, match=r"packed: the \w+ stream is damaged"):
        list(containers.decoded(path, compression, "packed"))
    path.write_bytes(packed[:-3])
    with pytest.raises(InputError, match="ends in the middle"):
        list(containers.decoded(path, compression, "packed"))
