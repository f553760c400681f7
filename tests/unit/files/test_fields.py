"""Fields beside the text: nested names, a field to rank by, numbers; and the shapes of chat and preference data."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import read
from excise.errors import InputError, SettingError

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
OTHER = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "no"}]


def made(folder, name, records):
    path = folder / name
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    elif path.suffix == ".json":
        path.write_text(json.dumps(records))
    elif path.suffix == ".csv":
        names = list(records[0])
        rows = [[("" if r[n] is None else str(r[n])) for n in names] for r in records]
        path.write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    else:
        table = pa.Table.from_pylist(records)
        with pa.ipc.new_file(path, table.schema) as sink:
            sink.write_table(table)
    return path


def reading(path, folder, **fields):
    return read(find(path), folder / "views", Fields(**fields))


def rows_of(found):
    return [row for batch in found.corpus.batches() for row in batch.to_pylist()]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet", "a.arrow"])
@pytest.mark.parametrize(
    ("record", "view", "text"),
    [
        ({"prompt": "p", "chosen": "c", "rejected": "r"}, r"{prompt}\n{chosen}\n{rejected}", "p\nc\nr"),
        (
            {"prompt": TURNS[:1], "chosen": TURNS[1:], "rejected": OTHER[1:]},
            r"{prompt}\n{chosen}\n{rejected}",
            "user: hi\nassistant: ho\nassistant: no",
        ),
        (
            {"chosen": TURNS, "rejected": OTHER},
            r"{chosen}\n{rejected}",
            "user: hi\nassistant: ho\nuser: hi\nassistant: no",
        ),
        ({"prompt": "p", "completion": "c"}, r"{prompt}\n{completion}", "p\nc"),
        ({"question": "q", "answer": "a", "id": 4}, r"{question}\n{answer}", "q\na"),
        ({"id": "x", "conversations": [{"from": "human", "value": "hi"}]}, "conversations", "human: hi"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}, "messages", "user: hi"),
    ],
)
def test_chat_and_preference_data(tmp_path, record, view, text, name):
    found = reading(made(tmp_path, name, [record]), tmp_path)
    assert (found.corpus.sources[0].view, rows_of(found)[0]["text"]) == (view, text)
    nested = any(isinstance(value, list) for value in record.values())
    told = found.editable(0)
    assert (told is not None) is nested
    assert told is None or "cannot be changed in place" in told


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet", "a.arrow"])
def test_names_with_dots_lead_into_objects(tmp_path, name):
    records = [
        {"meta": {"id": f"i{i}", "lang": {"code": "en"}}, "body": {"text": f"t{i}"}, "a.b": "plain"} for i in range(3)
    ]
    found = reading(
        made(tmp_path, name, records), tmp_path, text="{body.text}|{a.b}", id="meta.id", label="meta.lang.code"
    )
    assert [(r["id"], r["text"], r["label"]) for r in rows_of(found)] == [
        (f"i{i}", f"t{i}|plain", "en") for i in range(3)
    ]
    with pytest.raises(InputError, match=r"meta\.lnag"):
        reading(tmp_path / name, tmp_path, text="a.b", label="meta.lnag")


def test_names_with_dots_lead_into_lists(tmp_path):
    path = made(tmp_path, "a.jsonl", [{"messages": TURNS}, {"messages": OTHER}])
    found = reading(path, tmp_path, text="messages.1.content")
    assert [r["text"] for r in rows_of(found)] == ["ho", "no"]
    assert found.editable(0) is not None


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_field_to_rank_by(tmp_path, name):
    records = [{"text": "a", "date": "2020-01-01", "n": 3}, {"text": "b", "date": None, "n": 4}]
    path = made(tmp_path, name, records)
    missing = "" if name == "a.csv" else None
    assert [r["order"] for r in rows_of(reading(path, tmp_path, order="date"))] == ["2020-01-01", missing]
    assert [r["order"] for r in rows_of(reading(path, tmp_path, order="n"))] == ["3", "4"]
    assert [r["order"] for r in rows_of(reading(path, tmp_path))] == [None, None]
    with pytest.raises(InputError, match="'day'"):
        reading(path, tmp_path, order="day")


TABLE = [
    {"text": "a", "x": 1, "y": 0.5, "label": 1},
    {"text": "b", "x": None, "y": -2.5, "label": 0},
    {"text": "c", "x": 3, "y": 1e3, "label": 1},
]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.parquet", "a.arrow"])
@pytest.mark.parametrize("asked", [("auto",), ("x", "y")])
def test_numeric_fields(tmp_path, name, asked):
    found = reading(made(tmp_path, name, TABLE), tmp_path, features=asked, label="label")
    numbers, names = found.features()
    assert names == ("x", "y")
    assert numbers.dtype == np.float32
    assert isinstance(numbers, np.memmap)
    assert np.array_equal(numbers, [[1, 0.5], [math.nan, -2.5], [3, 1000]], equal_nan=True)
    assert [r["label"] for r in rows_of(found)] == ["1", "0", "1"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_list_of_numbers(tmp_path, name):
    records = [{"text": str(i), "pixels": None if i == 1 else [i, i + 1, i + 2.5], "n": i} for i in range(4)]
    found = reading(made(tmp_path, name, records), tmp_path, features=("pixels", "n"))
    numbers, names = found.features()
    assert names == ("pixels[0]", "pixels[1]", "pixels[2]", "n")
    want = [[i, i + 1, i + 2.5, i] if i != 1 else [math.nan] * 3 + [1] for i in range(4)]
    assert np.array_equal(numbers, want, equal_nan=True)


def test_the_slow_way_reads_the_same_numbers(tmp_path):
    records = [{"text": "a", "x": i / 7, "v": [i, 2]} for i in range(9)]
    fast = reading(made(tmp_path, "a.jsonl", records), tmp_path, features=("x", "v")).features()[0]
    odd = [*records, {"text": 5, "x": 1, "v": [1, 2]}]  # a number for a text: pyarrow refuses the block
    slow = reading(made(tmp_path, "b.jsonl", odd), tmp_path, features=("x", "v")).features()[0]
    assert np.array_equal(fast, slow[:9])


def test_numbers_alone_are_compared_as_rows(tmp_path):
    path = made(tmp_path, "a.csv", [{"x": 1, "y": 2}, {"x": 1, "y": 3}])
    with pytest.raises(InputError, match="cannot tell which field is the text"):
        reading(path, tmp_path)
    found = reading(path, tmp_path, features=("auto",))
    assert [r["text"] for r in rows_of(found)] == ["1, 2", "1, 3"]
    assert found.features()[0].tolist() == [[1, 2], [1, 3]]
    pixels = made(tmp_path, "b.jsonl", [{"pixels": [0, 1, 2], "y": 1}, {"pixels": [3, 4, 5], "y": 0}])
    found = reading(pixels, tmp_path, features=("pixels",))
    assert [r["text"] for r in rows_of(found)] == ["0\n1\n2, 1", "3\n4\n5, 0"]


def test_the_features_of_several_files_are_one_table(tmp_path):
    (tmp_path / "in").mkdir()
    made(tmp_path / "in", "a.jsonl", TABLE)
    made(tmp_path / "in", "b.csv", TABLE)
    (tmp_path / "in" / "c.jsonl").write_text("")
    numbers, names = reading(tmp_path / "in", tmp_path, features=("x", "y")).features()
    assert (numbers.shape, names) == ((6, 2), ("x", "y"))
    assert np.array_equal(numbers[:3], numbers[3:], equal_nan=True)
    made(tmp_path / "in", "d.jsonl", [{"text": "t", "x": 1, "y": 2, "z": 3}])
    with pytest.raises(InputError, match=r"d\.jsonl: its features are x, y, z.* those of a\.jsonl are x, y, label"):
        reading(tmp_path / "in", tmp_path, features=("auto",))


@pytest.mark.parametrize(
    ("name", "records", "asked", "told"),
    [
        ("a.jsonl", TABLE, ("z",), "'z' holds nothing, neither a number"),
        ("a.csv", TABLE, ("text",), "'text' holds '', neither a number"),
        ("a.parquet", TABLE, ("text",), "'text' holds '', neither a number"),
        ("a.jsonl", [{"text": "a"}], ("auto",), "no numeric fields for the features; there are: text"),
        (
            "a.jsonl",
            [{"text": "a", "x": 1}, {"text": "b", "x": "one"}],
            ("x",),
            "2: the field 'x' holds 'one', no number",
        ),
        (
            "a.jsonl",
            [{"text": "a", "x": 1}, {"text": "b", "x": True}],
            ("x",),
            "2: the field 'x' holds True, no number",
        ),
        ("a.jsonl", [{"text": "a", "v": [1, 2]}, {"text": "b", "v": [1]}], ("v",), "holds 1 values, not a list of 2"),
        ("a.parquet", [{"text": "a", "v": [1, 2]}, {"text": "b", "v": [1]}], ("v",), "'v' does not hold 2 numbers"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path, name, records, asked, told):
    with pytest.raises(InputError, match=told):
        reading(made(tmp_path, name, records), tmp_path, features=asked)


def test_a_late_word_in_a_csv_column_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,x\n" + "a,1\n" * 60 + "b,one\n")
    with pytest.raises(InputError, match=r"a\.csv:62: the field 'x' holds 'one', no number"):
        reading(path, tmp_path, features=("x",))
    path.write_text("text,x\n" + "a,1\n" * 60 + "b, \n")
    assert np.isnan(reading(path, tmp_path, features=("x",)).features()[0][60, 0])


def test_a_text_file_has_no_numbers(tmp_path):
    (tmp_path / "a.txt").write_text("a\n")
    with pytest.raises(InputError, match="no numeric ones"):
        reading(tmp_path / "a.txt", tmp_path, features=("auto",))
    with pytest.raises(SettingError, match="features is not given"):
        reading(tmp_path / "a.txt", tmp_path).features()
