"""Whatever the records and the spans: an edit changes its field as Python would, and nothing else; undo takes it back."""

import csv
import io
import json
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.adapters.files.changes import Changes, changes_by_source
from excise.adapters.files.cuts import collect
from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.put_back import put_back, put_back_only
from excise.adapters.files.read import read
from excise.adapters.files.write import write_source
from excise.ledger import DECISIONS, Ledger, write_decisions, write_sources

ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r\t")
ODD = st.sampled_from('""\\,;\' ab中é😀👩‍💻\u2028')  # where formats escape, and characters of several bytes


def texts_of(size: int, least: int = 0, more: str = "") -> st.SearchStrategy[str]:
    return st.one_of(
        *(
            st.text(st.one_of(some, st.sampled_from(more)) if more else some, min_size=least, max_size=size)
            for some in (ANY, ODD)
        )
    )


TEXT = texts_of(14, 1)


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def edited(text: str, spans: list[tuple[int, int, str]]) -> str:
    """The slow, plain way: from the end, so that places stay what they are."""
    for start, stop, value in sorted(spans, reverse=True):
        text = text[:start] + value + text[stop:]
    return text


@st.composite
def spans(draw, length: int, values: st.SearchStrategy[str]) -> list[tuple[int, int, str]]:
    """Some spans that do not overlap, of a text of this length."""
    ends = sorted(draw(st.sets(st.integers(0, length), max_size=6)))
    pairs = zip(ends[::2], ends[1::2], strict=False)
    return [(a, b, draw(st.one_of(st.just(""), values))) for a, b in pairs if a < b]


def decided(
    name: str, edits: dict[int, list[tuple[int, int, str]]], labels: dict[int, str], gone: list[int]
) -> pa.Table:
    common = {"source": name, "partner": None, "redundancy": 1.0, "reason": "", "by": ""}
    rows = [
        {**common, "id": f"{name}#{row}", "row": row, "action": "mask" if value else "cut", "finder": f"f{number}"}
        | {"start": start, "stop": stop, "value": value}
        for row, found in edits.items()
        for number, (start, stop, value) in enumerate(found)
    ]
    rows += [
        {**common, "id": f"{name}#{row}", "row": row, "action": "relabel", "finder": "labels", "value": label}
        for row, label in labels.items()
    ]
    rows += [{**common, "id": f"{name}#{row}", "row": row, "action": "drop", "finder": "near"} for row in gone]
    return pa.Table.from_pylist(rows, schema=DECISIONS)


def cleaned(folder: Path, name: str, data: bytes, decisions: pa.Table, fields: Fields) -> tuple[Path, Ledger]:
    """An output folder as clean makes it, of one source and these decisions."""
    (folder / name).write_bytes(data)
    inputs = find(folder / name)
    reading = read(inputs, folder / "views", fields)
    out = folder / "out"
    ledger = out / "ledger"
    ledger.mkdir(parents=True)
    changes = reading.changes(decisions)
    with (ledger / "decisions.parquet").open("wb") as file:
        write_decisions(decisions, file)
    collect(reading, changes, ledger / "removed.parquet")
    source, content = reading.corpus.sources[0], reading.contents[0]
    change = changes.get(name, Changes.none())
    told = write_source(source, content, change, out / "data", ledger, "content", lambda n: None)
    with (ledger / "sources.json").open("wb") as file:
        write_sources([(source, {**told, "content": content.fingerprint, "folder": False, "id_field": None})], file)
    return out, Ledger(ledger)


def back(out: Path, ledger: Ledger) -> bytes:
    put_back(out, ledger, ledger.sources[0], out / "back")
    return (out / "back").read_bytes()


def edits_of(draw, texts: list[str], values: st.SearchStrategy[str] = TEXT) -> dict[int, list[tuple[int, int, str]]]:
    rows = draw(st.sets(st.integers(0, len(texts) - 1)))
    found = {row: draw(spans(len(texts[row]), values)) for row in sorted(rows)}
    return {row: some for row, some in found.items() if some}


@settings(max_examples=60)
@given(data=st.data(), array=st.booleans(), ascii_=st.booleans(), gap=st.sampled_from(["", " "]))
def test_json_fields(data, array: bool, ascii_: bool, gap: str) -> None:
    draw = data.draw
    texts = draw(st.lists(TEXT, min_size=1, max_size=5))
    edits = edits_of(draw, texts)
    labels = {row: draw(TEXT) for row in draw(st.sets(st.integers(0, len(texts) - 1)))}
    gone = sorted(draw(st.sets(st.integers(0, len(texts) - 1)))) if len(texts) > 1 else []
    old = [{"n": [row, {"text": "no"}], "text": text, "label": "o", "z": 1.50} for row, text in enumerate(texts)]
    raw = [json.dumps(r, ensure_ascii=ascii_, separators=("," + gap, ":" + gap)).encode() for r in old]
    name = "a.json" if array else "a.jsonl"
    whole = (b"[" + b", ".join(raw) + b"]\n") if array else b"".join(r + b"\r\n" for r in raw)
    with tempfile.TemporaryDirectory() as folder:
        decisions = decided(name, edits, labels, gone)
        out, ledger = cleaned(Path(folder), name, whole, decisions, Fields(label="label"))
        new = (out / "data" / name).read_bytes()
        records = json.loads(new) if array else [json.loads(line) for line in new.splitlines()]
        want = [
            {**r, "text": edited(texts[row], edits.get(row, [])), "label": labels.get(row, "o")}
            for row, r in enumerate(old)
            if row not in gone
        ]
        assert records == want
        for row, record in enumerate(raw):
            if row not in gone:  # the bytes around the values stay
                before, after = record.split(b'"text":' + gap.encode() + b'"')[0], record[-len(b'"z":1.5}') :]
                assert before in new
                assert after in new
        assert back(out, ledger) == whole


@settings(max_examples=60)
@given(data=st.data(), delimiter=st.sampled_from([",", "\t"]), always=st.booleans(), alone=st.booleans())
def test_csv_cells(data, delimiter: str, always: bool, alone: bool) -> None:
    draw = data.draw
    texts = draw(st.lists(texts_of(10, more="\n"), min_size=1, max_size=5))
    texts = [text if text.strip(" \t\n\x0b\x0c") else text + "x" for text in texts]
    edits = edits_of(draw, texts)
    labels = {} if alone else {row: draw(TEXT) for row in draw(st.sets(st.integers(0, len(texts) - 1)))}

    def row_of(cells: list[str]) -> bytes:
        file = io.StringIO(newline="")
        quoting = csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL
        csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerow(cells)
        return file.getvalue().encode()

    head = ["text"] if alone else ["n", "text", "label"]
    rows = [[t] if alone else [str(i), t, "o"] for i, t in enumerate(texts)]
    whole = row_of(head) + b"".join(map(row_of, rows))
    name = "a.csv" if delimiter == "," else "a.tsv"
    with tempfile.TemporaryDirectory() as folder:
        decisions = decided(name, edits, labels, [])
        out, ledger = cleaned(Path(folder), name, whole, decisions, Fields("text", label=None if alone else "label"))
        new = (out / "data" / name).read_bytes().decode()
        want = [
            [edited(t, edits.get(i, []))] if alone else [str(i), edited(t, edits.get(i, [])), labels.get(i, "o")]
            for i, t in enumerate(texts)
        ]
        assert list(csv.reader(io.StringIO(new, newline=""), delimiter=delimiter))[1:] == want
        untouched = [row_of(r) for i, r in enumerate(rows) if i not in edits and i not in labels]
        assert all(record.decode() in new for record in untouched)
        assert back(out, ledger) == whole


@settings(max_examples=50)
@given(data=st.data(), end=st.sampled_from(["\n", "\r\n"]))
def test_text_lines(data, end: str) -> None:
    draw = data.draw
    texts = [t for t in draw(st.lists(TEXT, min_size=1, max_size=5)) if t.strip(" \t")] or ["x"]
    edits = edits_of(draw, texts, st.sampled_from(["a", "中", "a\nb"]))
    whole = "".join(t + end for t in texts).encode()
    with tempfile.TemporaryDirectory() as folder:
        out, ledger = cleaned(Path(folder), "a.txt", whole, decided("a.txt", edits, {}, []), Fields())
        new = (out / "data" / "a.txt").read_bytes().decode()
        want = "".join(edited(t, edits.get(i, [])).replace("\n", " ") + end for i, t in enumerate(texts))
        assert new == want
        assert back(out, ledger) == whole


@settings(max_examples=30)
@given(data=st.data(), kind=st.sampled_from([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]))
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_columns(suffix: str, data, kind: pa.DataType) -> None:
    draw = data.draw
    texts = draw(st.lists(st.one_of(st.none(), TEXT), min_size=1, max_size=8))
    edits = {} if all(t is None for t in texts) else edits_of(draw, [t or "" for t in texts])
    labels = {row: draw(st.integers(0, 99)) for row in draw(st.sets(st.integers(0, len(texts) - 1)))}
    gone = sorted(draw(st.sets(st.integers(0, len(texts) - 1))))
    plain = pa.array(texts, pa.string())
    if pa.types.is_dictionary(kind):
        column = plain.dictionary_encode().cast(kind)
        if suffix == "arrow":  # a file of record batches has one dictionary for all
            edits = {}
    else:
        column = plain.cast(kind)
    schema = pa.schema([("n", pa.int64()), ("text", kind), ("label", pa.int16())], metadata={"made": "here"})
    table = pa.table([pa.array(range(len(texts))), column, pa.array([7] * len(texts), pa.int16())], schema=schema)
    with tempfile.TemporaryDirectory() as folder:
        name = f"a.{suffix}" if suffix != "arrows" else "a.arrow"
        path = Path(folder, name)
        _write(path, table, suffix)
        decisions = decided(name, edits, {row: str(label) for row, label in labels.items()}, gone)
        out, ledger = cleaned(Path(folder), name, path.read_bytes(), decisions, Fields("text", label="label"))
        new = _read(out / "data" / name, suffix)
        assert new.schema.equals(schema, check_metadata=True)
        want = [
            {"n": i, "text": t if t is None else edited(t, edits.get(i, [])), "label": labels.get(i, 7)}
            for i, t in enumerate(texts)
            if i not in gone
        ]
        assert new.to_pylist() == want
        back(out, ledger)
        again = _read(out / "back", suffix)
        assert again.schema.equals(schema, check_metadata=True)
        assert again.to_pylist() == table.to_pylist()


def _write(path: Path, table: pa.Table, suffix: str) -> None:
    if suffix == "parquet":
        pq.write_table(table, path, row_group_size=3)
        return
    with (
        path.open("wb") as file,
        (pa.ipc.new_file if suffix == "arrow" else pa.ipc.new_stream)(file, table.schema) as sink,
    ):
        sink.write_table(table, max_chunksize=3)


def _read(path: Path, suffix: str) -> pa.Table:
    if suffix == "parquet":
        return pq.read_table(path)
    data = path.read_bytes()
    return (pa.ipc.open_file if suffix == "arrow" else pa.ipc.open_stream)(data).read_all()


@settings(max_examples=60)
@given(data=st.data())
def test_a_template_over_several_fields(data) -> None:
    draw = data.draw
    some = [(draw(texts_of(6)), draw(texts_of(6))) for _ in range(3)]
    view = [f"Q: {q}\nA: {a}." for q, a in some]
    found = edits_of(draw, view, st.just(""))
    raw = "".join(json.dumps({"a": a, "q": q, "n": 1}) + "\n" for q, a in some).encode()
    with tempfile.TemporaryDirectory() as folder:
        fields = Fields("Q: {q}\\nA: {a}.")
        out, ledger = cleaned(Path(folder), "a.jsonl", raw, decided("a.jsonl", found, {}, []), fields)
        records = [json.loads(line) for line in (out / "data" / "a.jsonl").read_bytes().splitlines()]
        for row, (q, a) in enumerate(some):
            cut = {i for start, stop, _ in found.get(row, []) for i in range(start, stop)}
            at = len("Q: ")
            assert records[row]["q"] == "".join(c for i, c in enumerate(q) if at + i not in cut)
            at += len(q) + len("\nA: ")
            assert records[row]["a"] == "".join(c for i, c in enumerate(a) if at + i not in cut)
        assert back(out, ledger) == raw


def test_a_mask_over_several_fields_is_written_once(tmp_path) -> None:
    raw = b'{"q": "abc", "a": "def", "b": "ghi"}\n'
    table = decided("a.jsonl", {0: [(1, 9, "[x]")]}, {}, [])
    out, ledger = cleaned(tmp_path, "a.jsonl", raw, table, Fields("{q}|{a}|{b}"))
    assert (out / "data" / "a.jsonl").read_bytes() == b'{"q": "a[x]", "a": "", "b": "hi"}\n'
    assert back(out, ledger) == raw


def test_the_same_decisions_in_any_order_are_the_same_changes() -> None:
    table = decided("a", {3: [(4, 6, "x"), (1, 2, "")], 1: [(0, 9, "")]}, {2: "l"}, [7, 5])
    one = changes_by_source(table)["a"]
    other = changes_by_source(table.take(pa.array(range(len(table) - 1, -1, -1))))["a"]
    assert one.gone.tolist() == [5, 7]
    assert one.edits.equals(other.edits)
    assert [(i.row, [e[:3] for e in i.text], i.label) for i in one.inside()] == [
        (1, [(0, 9, "")], None),
        (2, [], ("l", "labels")),
        (3, [(1, 2, ""), (4, 6, "x")], None),
    ]


def _source(draw, form: str, texts: list[str]) -> tuple[str, bytes]:
    records = [{"n": i, "text": t, "label": "o"} for i, t in enumerate(texts)]
    if form == "json":
        gaps = [draw(st.sampled_from(["", " ", "\n"])) for _ in range(2)]
        return "a.json", ("[" + f"{gaps[0]},{gaps[1]}".join(json.dumps(r) for r in records) + "]").encode()
    if form == "jsonl":
        return "a.jsonl", "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()
    if form == "csv":
        file = io.StringIO(newline="")
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["n", "text", "label"], *(r.values() for r in records)])
        return "a.csv", file.getvalue().encode()
    with io.BytesIO() as buffer:
        pq.write_table(pa.Table.from_pylist(records), buffer)
        return "a.parquet", buffer.getvalue()


def _parsed(form: str, data: bytes) -> object:
    if form == "json":
        return json.loads(data)
    return pq.read_table(io.BytesIO(data)).to_pylist() if form == "parquet" else data


@st.composite
def overlapping(draw, texts: list[str], number: int, values: st.SearchStrategy[str]) -> list[tuple]:
    """(row, start, stop, value, finder) of what some finders each want of the same texts."""
    return [
        (row, start, stop, value, f"f{finder}")
        for finder in range(number)
        for row, found in edits_of(draw, texts, values).items()
        for start, stop, value in found
    ]


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
@settings(max_examples=40)
@given(data=st.data(), only=st.sets(st.sampled_from(["f0", "f1", "near", "exact", "labels"]), min_size=1))
def test_undoing_some_finders_is_as_if_they_had_not_acted(form: str, data, only: set[str]) -> None:
    draw = data.draw
    texts = draw(st.lists(TEXT, min_size=1, max_size=6))
    every = draw(st.booleans())  # of an array nothing may be left, which has no commas then
    rows = range(len(texts))
    gone = [
        (row, finder)
        for finder in ("exact", "near")
        for row in (rows if every else sorted(draw(st.sets(st.integers(0, len(texts) - 1)))))
    ]
    labels = {row: draw(TEXT) for row in draw(st.sets(st.integers(0, len(texts) - 1)))}
    name, whole = _source(draw, form, texts)
    table = decided(name, {}, labels, [row for row, _ in gone])
    named = ["labels"] * len(labels) + [finder for _, finder in gone]
    table = table.set_column(4, table.schema.field("finder"), pa.array(named, pa.string()))
    inside = draw(overlapping(texts, 2, TEXT))
    edits = [
        decided(name, {row: [(a, b, v)]}, {}, []).set_column(4, table.schema.field("finder"), [[f]])
        for row, a, b, v, f in inside
    ]
    table = pa.concat_tables([*edits, table]).combine_chunks()
    left = table.filter(pa.array([finder not in only for finder in table["finder"].to_pylist()], pa.bool_()))
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        fields = Fields("text", label="label")
        out, ledger = cleaned(Path(one), name, whole, table, fields)
        put_back_only(out, ledger, ledger.sources[0], out / "back", only)
        want, _ = cleaned(Path(other), name, whole, left, fields)
        assert _parsed(form, (out / "back").read_bytes()) == _parsed(form, (want / "data" / name).read_bytes())
        if form != "parquet":
            assert (out / "back").read_bytes() == (want / "data" / name).read_bytes()
            (out / "back").unlink()
            assert back(out, ledger) == whole


def test_a_mask_that_a_cut_covered_is_there_once_the_cut_is_undone(tmp_path) -> None:
    data = b'{"text": "at jane@x.org, as ever"}\n'
    table = decided("a.jsonl", {0: [(0, 21, ""), (3, 13, "<EMAIL>")]}, {}, [])
    out, ledger = cleaned(tmp_path, "a.jsonl", data, table, Fields("text"))
    assert (out / "data" / "a.jsonl").read_bytes() == b'{"text": "r"}\n'
    put_back_only(out, ledger, ledger.sources[0], out / "back", {"f0"})
    assert (out / "back").read_bytes() == b'{"text": "at <EMAIL>, as ever"}\n'
    assert sorted(entry.name for entry in out.iterdir()) == ["back", "data", "ledger"]


def test_of_what_two_finders_changed_in_one_piece_one_is_undone(tmp_path) -> None:
    data = b'{"text": 12345, "n": 1}\n'
    table = decided("a.jsonl", {0: [(0, 1, ""), (3, 4, "")]}, {}, [])
    out, ledger = cleaned(tmp_path, "a.jsonl", data, table, Fields("text"))
    assert (out / "data" / "a.jsonl").read_bytes() == b'{"text": 235, "n": 1}\n'
    put_back_only(out, ledger, ledger.sources[0], out / "back", {"f0"})
    assert (out / "back").read_bytes() == b'{"text": 1235, "n": 1}\n'
    put_back_only(out, ledger, ledger.sources[0], out / "back", {"f0", "f1"})
    assert (out / "back").read_bytes() == data


def test_what_one_edit_has_taken_another_leaves() -> None:
    table = decided("a", {0: [(0, 4, ""), (2, 6, "x"), (3, 4, "y")]}, {}, [])
    (inside,) = changes_by_source(table)["a"].inside()
    assert inside.text == [(0, 4, "", "f0"), (4, 6, "x", "f1")]
