"""Parquet and Arrow files: read a little at a time, written alike."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise.adapters.files import table_files
from excise.adapters.files.table_files import opened

ROWS = 1000
TABLE = pa.table(
    {
        "n": range(ROWS),
        "text": [f"text {i} " + "x" * 90 for i in range(ROWS)],
        "tags": [[str(i)] for i in range(ROWS)],
        "day": pa.array(range(ROWS), pa.date32()),
    }
).replace_schema_metadata({"pandas": "kept"})


def arrow(stream: bool, codec: str | None) -> bytes:
    buffer = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(buffer, TABLE.schema, options=options) as sink:
        sink.write_table(TABLE, max_chunksize=300)
    return buffer.getvalue()


def rewritten(path, format_):
    """All rows through a file like this one."""
    out = path.with_name("out")
    with opened(path, format_, "in") as file, out.open("wb") as raw, file.like(raw) as sink:
        for batch in file.batches():
            sink(pa.Table.from_batches([batch]))
    return out


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files_stay_what_they_are(tmp_path, stream, codec):
    path = tmp_path / "a.arrow"
    path.write_bytes(arrow(stream, codec))
    assert rewritten(path, "arrow").read_bytes() == path.read_bytes()
    with opened(path, "arrow", "a") as file:
        assert (file.rows, file.schema) == (ROWS, TABLE.schema)


def test_parquet_stays_what_it_is(tmp_path):
    path = tmp_path / "a.parquet"
    codecs = {"n": "zstd", "text": "gzip", "tags.list.element": "snappy", "day": "none"}
    pq.write_table(TABLE, path, row_group_size=300, compression=codecs)
    out = rewritten(path, "parquet")
    before, after = pq.read_metadata(path), pq.read_metadata(out)
    for one in (before, after):
        assert [one.row_group(i).num_rows for i in range(one.num_row_groups)] == [300, 300, 300, 100]
        columns = [one.row_group(0).column(i) for i in range(4)]
        assert [c.compression for c in columns] == ["ZSTD", "GZIP", "SNAPPY", "UNCOMPRESSED"]
    assert pq.read_table(out).equals(TABLE)
    assert pq.read_table(out).schema.equals(pq.read_table(path).schema, check_metadata=True)


def test_a_large_row_group_is_neither_read_nor_written_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "_BATCH_BYTES", 10_000)
    monkeypatch.setattr(table_files, "_GROUP_BYTES", 30_000)
    for format_ in ("parquet", "arrow"):
        path = tmp_path / "a"
        if format_ == "parquet":
            pq.write_table(TABLE, path, row_group_size=ROWS)
        else:
            with pa.ipc.new_file(path, TABLE.schema) as sink:
                sink.write_table(TABLE)
        with opened(path, format_, "a") as file:
            assert 20 < file.batch_rows < 120
            assert max(batch.num_rows for batch in file.batches()) == file.batch_rows
        out = rewritten(path, format_)
        if format_ == "parquet":
            assert 3 <= pq.read_metadata(out).num_row_groups <= 10
            assert pq.read_table(out).equals(TABLE)
        else:
            reader = pa.ipc.open_file(out.read_bytes())
            assert 3 <= reader.num_record_batches <= 10
            assert reader.read_all().equals(TABLE)


def test_an_empty_file_stays_one(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE.slice(0, 0), path)
    assert pq.read_table(rewritten(path, "parquet")).equals(TABLE.slice(0, 0))
