"""Whatever the records, the format and the container: what is restored is the original, what stays is as it was."""

import csv
import gzip
import io
import json
import lzma
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.adapters.files import containers
from excise.evidence import report
from excise.pipeline.clean import clean
from excise.pipeline.restore import restore

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, 3),
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
    ".xz": lambda data: lzma.compress(data, preset=0),
}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.decompress,
    ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    ".xz": lzma.decompress,
}


@dataclass(frozen=True)
class Made:
    """A file, and the records it was made from."""

    suffix: str
    data: bytes
    texts: list[str]
    records: list[bytes]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), max_size=12)
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)
SPACE = st.sampled_from(["", " ", "\n", "\r\n", "\t", "\n  "])


def repeated(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """Lists in which some texts come again."""
    return st.lists(texts, min_size=1, max_size=4).flatmap(
        lambda some: st.lists(st.sampled_from(some), min_size=1, max_size=9)
    )


@st.composite
def jsonl(draw) -> Made:
    texts = draw(repeated(TEXT))
    ascii_, gap, end = draw(st.booleans()), draw(st.sampled_from(["", " "])), draw(st.sampled_from(["\n", "\r\n"]))
    lines = [
        json.dumps({"n": i, "text": t, "o": {"a": [1, "}"]}}, ensure_ascii=ascii_, separators=("," + gap, ":" + gap))
        for i, t in enumerate(texts)
    ]
    blanks = [draw(st.sampled_from(["", "", end, "  " + end])) for _ in lines]
    last = draw(st.booleans())
    body = "".join(b + line + end for b, line in zip(blanks, lines, strict=True))
    body = body if last else body.removesuffix(end)
    return Made(".jsonl", (draw(st.sampled_from(["", "\ufeff"])) + body).encode(), texts, [x.encode() for x in lines])


@st.composite
def json_array(draw) -> Made:
    texts = draw(repeated(TEXT))
    records = [
        json.dumps({"n": i, "text": t, "o": [",", "]\\", {}]}, indent=draw(st.sampled_from([None, 1])))
        for i, t in enumerate(texts)
    ]
    body = draw(SPACE) + "[" + draw(SPACE)
    for i, record in enumerate(records):
        body += record + draw(SPACE) + ("," if i < len(records) - 1 else "") + draw(SPACE)
    return Made(".json", (body + "]" + draw(SPACE)).encode(), texts, [x.encode() for x in records])


@st.composite
def separated(draw) -> Made:
    suffix, delimiter = draw(st.sampled_from([(".csv", ","), (".tsv", "\t"), (".csv", ";")]))
    texts = draw(repeated(CELL))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    quoting = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))

    def row(cells: list[str]) -> str:
        file = io.StringIO(newline="")
        csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=end).writerow(cells)
        return file.getvalue()

    rows = [row([str(i), t]) for i, t in enumerate(texts)]
    body = row(["n", "text"]) + "".join(draw(st.sampled_from(["", "", end])) + r for r in rows)
    body = body if draw(st.booleans()) else body.removesuffix(end)
    return Made(suffix, body.encode(), texts, [r.removesuffix(end).encode() for r in rows])


@st.composite
def lines(draw) -> Made:
    texts = [t for t in draw(repeated(LINE)) if t.strip(" \t")] or ["x"]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    body = "".join(draw(st.sampled_from(["", end, " " + end])) + t + end for t in texts)
    body = body if draw(st.booleans()) else body.removesuffix(end)
    return Made(".txt", body.encode(), texts, [t.encode() for t in texts])


def kept_of(made: Made) -> list[int]:
    """Places of the records that must stay: the first of each text."""
    seen: set[str] = set()
    kept = []
    for place, text in enumerate(made.texts):
        if text not in seen:
            kept.append(place)
        seen.add(text)
    return kept


@pytest.fixture(autouse=True)
def _no_page_no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "write", lambda path, evidence: path.write_text("page"))
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.mark.parametrize("form", [jsonl, json_array, separated, lines])
@settings(max_examples=60)
@given(
    data=st.data(),
    container=st.sampled_from(list(COMPRESS)),
    promise=st.sampled_from(["bytes", "content"]),
    chunk=st.sampled_from([3, 40, containers.CHUNK]),
)
def test_restored_is_the_original_and_kept_is_as_it_was(form, data, container: str, promise: str, chunk: int) -> None:
    made = data.draw(form())
    with tempfile.TemporaryDirectory() as folder, mock.patch.multiple(containers, CHUNK=chunk, HEAD=40):
        source = Path(folder, "in" + made.suffix + container)
        source.write_bytes(COMPRESS[container](made.data))
        out = Path(folder, "out")
        result = clean(source, out, finders=("exact",), restore=promise)
        kept = kept_of(made)
        assert result.kept == len(kept)
        assert result.removed == len(made.texts) - len(kept)

        cleaned = DECOMPRESS[container]((out / "data" / source.name).read_bytes())
        _same_records(made, kept, cleaned)

        back = Path(folder, "back")
        told = restore(out, back)
        assert told.bitwise is (promise == "bytes" or not container or len(kept) == len(made.texts))
        if told.bitwise:
            assert back.read_bytes() == source.read_bytes()
        else:
            assert DECOMPRESS[container](back.read_bytes()) == made.data


def _same_records(made: Made, kept: list[int], cleaned: bytes) -> None:
    """The cleaned bytes are the kept records' bytes in order, with nothing of the others between them."""
    at = 0
    for place in kept:
        found = cleaned.find(made.records[place], at)
        assert found >= 0
        at = found + len(made.records[place])
    others = len(made.data) - sum(map(len, made.records))  # header, brackets, commas, blanks
    assert len(cleaned) <= others + sum(len(made.records[place]) for place in kept)
    if made.suffix == ".json":
        assert [r["n"] for r in json.loads(cleaned)] == kept
    elif made.suffix == ".jsonl":
        rows = [json.loads(x) for x in cleaned.removeprefix(b"\xef\xbb\xbf").split(b"\n") if x.strip()]
        assert [r["n"] for r in rows] == kept
    elif made.suffix == ".txt":
        assert [x for x in cleaned.replace(b"\r", b"").split(b"\n") if x.strip(b" ")] == [
            made.records[place] for place in kept
        ]


@settings(max_examples=40)
@given(
    texts=repeated(TEXT),
    group=st.integers(1, 4),
    compression=st.sampled_from(["none", "snappy", "zstd"]),
    promise=st.sampled_from(["bytes", "content"]),
)
def test_parquet_comes_back(texts: list[str], group: int, compression: str, promise: str) -> None:
    table = pa.table(
        {
            "n": range(len(texts)),
            "text": texts,
            "list": [[i, None] for i in range(len(texts))],
            "x": [float("nan")] * len(texts),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        source, out, back = (Path(folder, name) for name in ("in.parquet", "out", "back.parquet"))
        pq.write_table(table, source, row_group_size=group, compression=compression)
        kept = kept_of(Made(".parquet", b"", texts, []))
        result = clean(source, out, finders=("exact",), restore=promise)
        assert result.kept == len(kept)
        assert repr(pq.read_table(out / "data" / "in.parquet").to_pylist()) == repr(table.take(kept).to_pylist())
        if restore(out, back).bitwise:
            assert back.read_bytes() == source.read_bytes()
        else:
            assert promise == "content"
            assert repr(pq.read_table(back).to_pylist()) == repr(table.to_pylist())
