"""removed.parquet: row groups span small sources, and each source gets its own cuts back."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from excise.adapters.files import cuts
from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import read
from excise.ledger import Cut, cuts_in

FILES = 12


@pytest.fixture
def reading(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(FILES):
        lines = [f"{number} {row} {'x' * (row % 3)}\n" for row in range(1 + 5 * (number % 4))]
        (folder / f"{(number * 7) % FILES:02d}.txt").write_text("".join(lines))
    return read(find(folder), tmp_path / "views", Fields())


def collected(reading, path):
    gone = {
        source.name: np.arange(index % 2, source.records, 2)
        for index, source in enumerate(reading.corpus.sources)
        if index != 3
    }
    sizes = cuts.collect(reading, gone, path)
    for index, source in enumerate(reading.corpus.sources):
        spans = cuts.spans_of(reading, index, cuts.Changes.of(gone.get(source.name, np.zeros(0, np.int64))))
        data = (path.parent / "in" / source.name).read_bytes()
        want = [Cut(start, data[start:stop]) for _, start, stop in spans]
        for _ in range(2):
            assert list(cuts_in(path, source.name)) == want
        assert sizes.get(source.name, 0) == sum(len(cut.original) for cut in want)
    return pq.ParquetFile(path).num_row_groups


@pytest.mark.parametrize(("size", "groups"), [(1, 51), (3, 17), (4, 13), (1000, 1)])
def test_row_groups_span_sources(reading, tmp_path, monkeypatch, size, groups):
    monkeypatch.setattr(cuts, "_GROUP_CUTS", size)
    assert collected(reading, tmp_path / "removed.parquet") == groups


def test_row_groups_end_with_so_many_bytes(reading, tmp_path, monkeypatch):
    monkeypatch.setattr(cuts, "_GROUP_BYTES", 40)
    assert collected(reading, tmp_path / "removed.parquet") > 3


def test_a_file_of_many_sources_is_read_once(reading, tmp_path, monkeypatch):
    path = tmp_path / "removed.parquet"
    collected(reading, path)
    path.touch()  # as if it were another
    opened = []

    class Counted(pq.ParquetFile):
        def __init__(self, *given, **named):
            opened.append(given)
            super().__init__(*given, **named)

    monkeypatch.setattr(pq, "ParquetFile", Counted)
    for source in reading.corpus.sources:
        list(cuts_in(path, source.name))
    assert len(opened) <= 2  # once for its footer, once for its rows


def test_a_file_written_anew_is_read_anew(reading, tmp_path):
    path = tmp_path / "removed.parquet"
    collected(reading, path)
    name = reading.corpus.sources[0].name
    assert list(cuts_in(path, name))
    cuts.collect(reading, {}, path)
    assert list(cuts_in(path, name)) == []
