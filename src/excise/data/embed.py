"""Vectors of a corpus: one row a record, of length 1, so that a dot product is a cosine.

By default they are made from words: TF-IDF over hashed runs of letters, so that slips of the pen, inflections, code and
Chinese work. Half of the dimensions are the main directions of a sample (truncated SVD), the other
half a random projection of what those leave. Truncated SVD alone forgets rare words, names and numbers, which tell
records apart: with both, cosines are those of TF-IDF itself but for the noise of the projection, about 1 / sqrt(d).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.threads import Mapped, in_order
from excise.data.unicode import points
from excise.errors import InputError, MissingExtraError, SettingError
from excise.journal import Progress, silent, written_aside

Vectors = NDArray[np.float32]
#: Texts to vectors [texts, d].
Encoder = Callable[[list[str]], Vectors]

#: Features are hashed into 2^20 buckets; of 100,000 different ones in a corpus 9 % share theirs with another.
BITS = 20
#: Directions are learned over so many of the sample's most frequent features: 32 MiB at 128 directions.
_LEARNED = 1 << 16
#: Code points of a text that count: what it is about shows, and a record of 200 MB costs what one of 64 KiB does.
HEAD = 1 << 16
#: Features of the sample, all texts together; a sample of long texts has fewer of them.
_SAMPLE_FEATURES = 1 << 23
_READ_RECORDS = 256
_PIECE_BYTES = 1 << 21
_ROWS = 1 << 14


@dataclass(frozen=True)
class EmbedSettings:
    """How vectors are made from words.

    Attributes:
        dimensions: Of a vector, at least 2: half are learned, half random.
        sample: Records from which rarities and directions are learned, at least 1.
        seed: Of the sample and of the projections.
    """

    dimensions: int = 256
    sample: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dimensions < 2:
            raise SettingError(f"dimensions is {self.dimensions}; it must be at least 2. 256 is the default.")
        if self.sample < 1:
            raise SettingError(f"sample is {self.sample}; it must be at least 1. 20000 is the default.")
        if self.seed < 0:
            raise SettingError(f"seed is {self.seed}; it must not be negative.")


@dataclass(frozen=True)
class Bags:
    """Hashed features of texts: text i has the features starts[i] to starts[i + 1].

    Attributes:
        buckets: int32, in order of appearance, each once a text.
        counts: int32, how often the text has each.
        starts: int64 [n + 1].
    """

    buckets: NDArray[np.int32]
    counts: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, texts: pa.Array) -> Bags:
        """The bags of a large_string array, of the first HEAD code points of each."""
        from excise.data import gram_kernels  # noqa: PLC0415 - compiles

        if np.diff(text.buffers(texts)[1]).max(initial=0) > HEAD:
            texts = pc.utf8_slice_codeunits(texts, 0, HEAD)
        codes, offsets = _code_points(text.composed(texts))
        longest = int(np.diff(offsets).max(initial=0))
        buckets = np.empty(2 * (len(codes) + len(texts)), np.int32)
        counts, starts = np.empty_like(buckets), np.empty(len(offsets), np.int64)
        scratch, seen = np.empty(2 * longest + 2, np.uint64), np.zeros(1 << BITS, np.int32)
        size = gram_kernels.bags(codes, offsets, points(), BITS, scratch, seen, buckets, counts, starts)
        return cls(buckets[:size].copy(), counts[:size].copy(), starts)

    @classmethod
    def joined(cls, parts: Sequence[Bags]) -> Bags:
        """The bags of all parts, one after another."""
        sizes = [np.diff(part.starts) for part in parts]
        starts = np.append(0, np.cumsum(np.concatenate([np.zeros(0, np.int64), *sizes])))
        buckets = np.concatenate([np.zeros(0, np.int32), *(part.buckets for part in parts)])
        return cls(buckets, np.concatenate([np.zeros(0, np.int32), *(part.counts for part in parts)]), starts)

    def weights(self, rarity: NDArray[np.float64]) -> NDArray[np.float64]:
        """TF-IDF of each feature: (1 + ln count) * rarity, of length 1 over a text."""
        from excise.data import gram_kernels  # noqa: PLC0415 - compiles

        weights = np.empty(len(self.buckets))
        gram_kernels.weigh(self.buckets, self.counts, self.starts, rarity, weights)
        return weights


def _code_points(texts: pa.Array) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The code points of texts one after another, and where each text starts [n + 1]."""
    data, offsets = text.buffers(texts)
    data = data[offsets[0] : offsets[-1]]
    before = np.append(0, np.cumsum(data & 0xC0 != 0x80))
    letters = data.tobytes().decode("utf-8", "surrogatepass").encode("utf-32-le", "surrogatepass")
    return np.frombuffer(letters, np.uint32), before[offsets - offsets[0]]


@dataclass(frozen=True)
class Projection:
    """What was learned from a sample: makes vectors of any texts.

    Attributes:
        rarity: float64 [2^BITS], ln((1 + n) / (1 + texts with the feature)) + 1.
        rows: int32 [2^BITS], row of a feature in `directions`, or -1.
        directions: float32 [features, k], orthonormal columns, zeros where the sample has fewer.
        crossed: float32 [k, m], the random projection of the directions.
        seed: Of the random projection.
    """

    rarity: NDArray[np.float64]
    rows: NDArray[np.int32]
    directions: Vectors
    crossed: Vectors
    seed: int

    def of(self, texts: pa.Array) -> Vectors:
        """Vectors of a large_string array, float32 [n, k + m]; of length 1, or 0 where a text has no token.

        Cost: about 20 µs a text of ten words.
        """
        from excise.data import gram_kernels  # noqa: PLC0415 - compiles

        bags = Bags.of(texts)
        weights = bags.weights(self.rarity)
        main = np.zeros((len(texts), self.crossed.shape[0]), np.float32)
        gram_kernels.gather(bags.buckets, weights, bags.starts, self.rows, self.directions, main)
        rest = _scattered(bags.buckets, weights, bags.starts, self.seed, self.crossed.shape[1])
        return normalised(np.hstack([main, rest - main @ self.crossed]))


def _scattered(
    buckets: NDArray[np.int32], weights: NDArray[np.float64], starts: NDArray[np.int64], seed: int, columns: int
) -> Vectors:
    """The random projection of weighted features, float32 [n, columns]: keeps dot products in the mean."""
    from excise.data import gram_kernels  # noqa: PLC0415 - compiles

    out = np.zeros((len(starts) - 1, columns), np.float32)
    gram_kernels.scatter(buckets, weights, starts, np.uint64(seed), out)
    return out / np.float32(np.sqrt(columns))


def learn(bags: Bags, settings: EmbedSettings) -> Projection:
    """Learn rarities and main directions.

    Args:
        bags: Of the sample.
        settings: Dimensions and seed.

    Raises:
        MissingExtraError: scikit-learn is not installed.

    Cost: 3 s and 250 MB at 20,000 short texts.
    Source: Salton, Buckley 1988 (TF-IDF); Halko, Martinsson, Tropp 2011 (randomised SVD).
    """
    try:
        from scipy import sparse  # noqa: PLC0415
        from sklearn.utils.extmath import randomized_svd  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("semantic", "scikit-learn") from error

    count, having = len(bags.starts) - 1, np.bincount(bags.buckets, minlength=1 << BITS)
    rarity = np.log((1 + count) / (1 + having)) + 1
    frequent = np.argsort(-having, kind="stable")[: min(_LEARNED, np.count_nonzero(having))]
    rows = np.full(1 << BITS, -1, np.int32)
    rows[frequent] = np.arange(len(frequent), dtype=np.int32)
    kept = rows[bags.buckets] >= 0
    starts = np.append(0, np.cumsum(kept))[bags.starts]
    sample = sparse.csr_array((bags.weights(rarity)[kept], rows[bags.buckets[kept]], starts), (count, len(frequent)))

    columns = settings.dimensions // 2
    directions = np.zeros((len(frequent), columns), np.float32)
    if sample.nnz:
        found = randomized_svd(sample, min(columns, *sample.shape), n_iter=4, random_state=settings.seed)[2]
        directions[:, : len(found)] = found.T
    crossed = _crossed(frequent, directions, settings.seed, settings.dimensions - columns)
    return Projection(rarity, rows, directions, crossed, settings.seed)


def _crossed(frequent: NDArray[np.int64], directions: Vectors, seed: int, columns: int) -> Vectors:
    """directionsᵀ @ the random projection of each of their features, [k, columns], a few features at a time."""
    total = np.zeros((directions.shape[1], columns), np.float64)
    for at in range(0, len(frequent), 1 << 14):
        buckets = frequent[at : at + (1 << 14)].astype(np.int32)
        starts = np.arange(len(buckets) + 1)
        total += directions[at : at + (1 << 14)].T @ _scattered(buckets, np.ones(len(buckets)), starts, seed, columns)
    return total.astype(np.float32)


def sampled(corpus: Corpus, settings: EmbedSettings) -> Bags:
    """The bags of a random sample: at most `sample` records, fewer of long ones (_SAMPLE_FEATURES)."""
    chosen = np.random.default_rng(settings.seed).permutation(len(corpus))[: settings.sample]
    parts: list[Bags] = []
    for at in range(0, len(chosen), _READ_RECORDS):
        positions = np.sort(chosen[at : at + _READ_RECORDS])
        parts.append(Bags.of(text.records_at(corpus, positions, ["text"])["text"]))
        if sum(len(part.buckets) for part in parts) > _SAMPLE_FEATURES:
            break
    return Bags.joined(parts)


def vectors(
    corpus: Corpus,
    path: Path,
    settings: EmbedSettings,
    *,
    encoder: Encoder | None = None,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> Vectors:
    """The vectors of a corpus, in a file.

    Args:
        corpus: The records.
        path: The .npy file to write.
        settings: How to make them from words; not looked at where there is an encoder.
        encoder: Makes vectors of texts itself (adapters.encoder).
        mapped: Engine; an encoder has its own threads, and is called here.
        progress: Told the records done.

    Returns:
        float32 [records, d], memory-mapped, rows of length 1; 0 where a text has no token.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        InputError: The encoder returned no vectors of finite numbers, or of other sizes.

    Cost: 20 µs a record of ten words and core; 4 d bytes of disk a record; memory for the sample (see `learn`).
    """
    pieces = text.pieces(corpus, _PIECE_BYTES, progress, "embedding")
    if encoder is not None:
        return stored(path, len(corpus), (encoder(piece.texts().to_pylist()) for piece in pieces))
    projection = learn(sampled(corpus, settings), settings)
    return stored(path, len(corpus), mapped(lambda piece: projection.of(piece.texts()), pieces))


def loaded(source: Path, path: Path, records: int) -> Vectors:
    """A user's own vectors from a .npy file, with rows of length 1.

    Args:
        source: Their file, [records, d], a row a record in the order of the corpus.
        path: The .npy file to write.
        records: Of the corpus.

    Raises:
        InputError: No such array.
    """
    try:
        given = np.load(source, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"this is no .npy file of numbers ({error}). Write it with numpy.save.", source) from error
    if not isinstance(given, np.ndarray) or given.ndim != 2 or given.dtype.kind not in "fiu":
        raise InputError("a matrix of numbers is needed: one row a record, one column a dimension.", source)
    if len(given) != records:
        raise InputError(
            f"it has {len(given):,} rows; the corpus has {records:,} records. One row a record, in its order.", source
        )
    return stored(path, records, (np.asarray(given[at : at + _ROWS]) for at in range(0, records, _ROWS)), source)


def stored(path: Path, records: int, blocks: Iterable[NDArray[Any]], source: Path | str | None = None) -> Vectors:
    """Blocks of rows as one .npy file, each row brought to length 1, and the file mapped into memory.

    Args:
        path: Where to.
        records: Rows of all blocks together.
        blocks: [rows, d] each.
        source: Where they come from, for messages.

    Raises:
        InputError: The blocks do not fit together, are too few or many, or hold NaN or infinity.
    """
    done, width = 0, 0
    with written_aside(path) as file:
        for block in blocks:
            if block.ndim != 2 or (done and block.shape[1] != width):
                raise InputError(f"vectors of shape {block.shape} follow {done:,} of {width} numbers.", source)
            if not np.isfinite(block).all():
                row = done + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                raise InputError(
                    f"the vector of record {row} holds NaN or infinity; all numbers must be finite.", source
                )
            if not done:
                width = block.shape[1]
                _write_header(file, (records, width))
            file.write(np.ascontiguousarray(normalised(block)).data)
            done += len(block)
        if done != records:
            raise InputError(f"there are {done:,} vectors for {records:,} records.", source)
        if not done:
            _write_header(file, (0, width))
    return np.load(path, mmap_mode="r") if records and width else np.zeros((records, width), np.float32)


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def normalised(rows: NDArray[Any]) -> Vectors:
    """Rows of length 1, float32; zeros stay zeros."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
