"""Containers: the decoded bytes of a plain, gzip, zstandard or xz file as a stream, and the way back.

Reading refuses what is cut short or damaged; writing puts no time, name or thread count into the file, so that the
same bytes give the same file.
"""

from __future__ import annotations

import functools
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Protocol

import xxhash
import zstandard

from excise.data.threads import in_order
from excise.errors import InputError

#: Bytes of a decoded chunk: large enough for the vectorised parsers, small enough to hold several.
CHUNK = 1 << 24

#: Bytes at the beginning of a file that tell what it is.
HEAD = 1 << 16

#: Compressed bytes fed to zstandard and xz at a time; bounds what one call can blow up to.
_FEED = 1 << 16

#: What xz, gzip and zstd themselves do by default: a cleaned file should not be larger for want of effort.
_XZ_PRESET, _GZ_LEVEL, _ZST_LEVEL = 6, 6, 3

#: Decoded bytes of one xz stream: the window of its preset, so that little is lost at the seams. Not to be derived
#: from the number of cores: the same bytes must give the same file on any machine.
_XZ_STREAM = 1 << 23

_MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zXZ\x00": "xz"}
_NAMES = {"gz": "gzip", "zst": "zstandard", "xz": "xz"}


class Digest(Protocol):
    """What hashlib and xxhash offer."""

    def update(self, data: bytes, /) -> None:
        """Take these bytes in."""

    def hexdigest(self) -> str:
        """The digest so far, hex."""


class _Tee:
    """A file that tells a digest of every byte it hands out."""

    def __init__(self, file: IO[bytes], digest: Digest) -> None:
        self._file, self._digest = file, digest

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def seekable(self) -> bool:
        return False

    def readable(self) -> bool:
        return True


def magic(head: bytes) -> str:
    """The compression that a file's first bytes speak of: '', gz, zst or xz."""
    return next((name for sign, name in _MAGIC.items() if head.startswith(sign)), "")


def decoded(
    path: Path, compression: str, shown: str, digest: Digest | None = None, *, size: int | None = None
) -> Iterator[bytes]:
    """The decoded bytes of a file in chunks.

    Args:
        path: The file.
        compression: '', gz, zst or xz.
        shown: The file's name in errors.
        digest: Told all bytes of the file as it is on disk.
        size: About how large a chunk is; CHUNK if None.

    Raises:
        InputError: The file is cut short or damaged, or cannot be read.
    """
    try:
        with path.open("rb") as raw:
            file = _Tee(raw, digest if digest is not None else xxhash.xxh3_128())
            yield from _OPENERS[compression](file, CHUNK if size is None else size)
            while file.read(CHUNK):  # what may follow the last member belongs to the fingerprint
                pass
    except EOFError as error:
        raise InputError(
            f"the {_NAMES[compression]} stream ends in the middle: the file is cut short. Fetch or write it again.",
            shown,
        ) from error
    except (zlib.error, gzip.BadGzipFile, lzma.LZMAError, zstandard.ZstdError) as error:
        raise InputError(
            f"the {_NAMES[compression]} stream is damaged ({error}). Fetch or write it again.", shown
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", shown) from error


def with_head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first HEAD bytes of a stream (all of it, if it is shorter), and the whole stream again."""
    taken: list[bytes] = []
    for chunk in chunks:
        taken.append(chunk)
        if sum(map(len, taken)) >= HEAD:
            break
    head = b"".join(taken)
    return head[:HEAD], chain([head] if head else [], chunks)


def _plain(file: _Tee, size: int) -> Iterator[bytes]:
    while chunk := file.read(size):
        yield chunk


def _gz(file: _Tee, size: int) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as stream:  # type: ignore[call-overload]  # reads only
        while chunk := stream.read(size):
            yield chunk


def _xz(file: _Tee, size: int) -> Iterator[bytes]:
    # LZMAFile takes what follows a stream and is none for the end, so the streams are followed by hand.
    decoder, begun = lzma.LZMADecompressor(lzma.FORMAT_XZ), False
    parts: list[bytes] = []
    ready = 0
    block = file.read(_FEED)
    while block:
        if not begun:
            block = block.lstrip(b"\0")  # padding between streams
        begun = begun or bool(block)
        while begun and (block or not (decoder.eof or decoder.needs_input)):
            parts.append(decoder.decompress(block, size))
            ready, block = ready + len(parts[-1]), b""
            if ready >= size:
                yield b"".join(parts)
                parts, ready = [], 0
        if decoder.eof:
            block, begun = decoder.unused_data, False
            decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        block = block or file.read(_FEED)
    if ready:
        yield b"".join(parts)
    if begun:
        raise EOFError


def _zst(file: _Tee, size: int) -> Iterator[bytes]:
    # stream_reader() ends silently where a frame is cut short, so the frames are followed by hand.
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    frame, parts, ready = None, [], 0
    while block := file.read(_FEED):
        while block:
            frame = frame or decoder.decompressobj()
            parts.append(frame.decompress(block))
            ready += len(parts[-1])
            block = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame = None
        if ready >= size:
            yield b"".join(parts)
            parts, ready = [], 0
    if ready:
        yield b"".join(parts)
    if frame is not None:
        raise EOFError


_OPENERS = {"": _plain, "gz": _gz, "zst": _zst, "xz": _xz}


def encoded(chunks: Iterable[bytes | memoryview], compression: str) -> Iterator[bytes | memoryview]:
    """The bytes of a file in chunks, of the decoded ones; the same decoded bytes give the same file.

    Args:
        chunks: The decoded bytes.
        compression: '', gz, zst or xz.

    Cost: xz, by far the slowest, is packed on all cores as a file of several streams, which readers take for one;
        that takes about 100 MB of memory a core and makes the file some 5 % larger.
    """
    return _PACKERS[compression](chunks)


def _pack_gz(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    packer = zlib.compressobj(_GZ_LEVEL, wbits=31)  # 31: with gzip's header, without time and name
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _pack_zst(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor(level=_ZST_LEVEL, write_checksum=True).compressobj()
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _pack_xz(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    return in_order(functools.partial(lzma.compress, preset=_XZ_PRESET), _pieces(chunks, _XZ_STREAM))


def _pieces(chunks: Iterable[bytes | memoryview], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of one size; the last one is shorter, and there is at least one."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) > size:
            yield bytes(held[:size])
            del held[:size]
    yield bytes(held)


_PACKERS: dict[str, Callable[[Iterable[bytes | memoryview]], Iterator[bytes | memoryview]]] = {
    "": iter,
    "gz": _pack_gz,
    "zst": _pack_zst,
    "xz": _pack_xz,
}
