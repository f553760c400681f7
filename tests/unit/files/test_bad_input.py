"""Files that are not what they seem: each is refused with what is wrong, where, and what to do."""

import bz2
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise.adapters.files.changes import EDITS, Changes
from excise.adapters.files.cuts import collect
from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import read
from excise.adapters.files.write import write_source
from excise.errors import InputError


def reading(path, folder, corrupt="stop", **fields):
    return read(find(path), folder / "views", Fields(**fields), corrupt=corrupt)


def texts_of(found):
    return [text for batch in found.corpus.batches() for text in batch["text"].to_pylist()]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        (
            "a.jsonl",
            b'{"foo": 1}\n',
            r"a\.jsonl: cannot tell which field is the text; there are: foo\. Name it with --text",
        ),
        ("a.json", b'[{"foo": [1]}]', "cannot tell which field is the text; there are: foo"),
        ("a.csv", b"n\n1\n2\n", "cannot tell which field is the text; there are: n"),
        ("a.jsonl", bz2.compress(b'{"text": "a"}\n'), "this is compressed with bzip2; unpack it first"),
        ("a.txt", "text".encode("utf-32"), "this is UTF-32 text; convert it with: iconv -f UTF-32"),
        ("a.txt", b"\x00\x00\xfe\xff" + "text".encode("utf-32-be"), "this is UTF-32 text"),
        ("a.txt", "text".encode("utf-16"), "this is UTF-16 text"),
        ("a.arrow", b"no table", r"its name says arrow, but its first bytes do not"),
        ("a.parquet", b"PAR1 and no more", "damaged, or cannot be read|not readable as parquet"),
        ("a.arrow", b"ARROW1\0\0 and no more", "damaged, or cannot be read|not readable as arrow"),
        (
            "a.csv",
            b"Good film.,1\nBad film.,0\n",
            r"a\.csv:1: the first row \(Good film\., 1\) looks like a record; it must name",
        ),
        ("a.csv", b"This one has no header.\nNor does it.\n", "looks like a record; it must name the columns"),
        ("a.tsv", b"1\tspam\tcall now\n", "looks like a record"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, data, told):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=told):
        reading(tmp_path / name, tmp_path)


def test_a_header_that_looks_odd_can_be_insisted_on(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"What did they say?,2020\nthis,1\n")
    assert texts_of(reading(tmp_path / "a.csv", tmp_path, text="What did they say?")) == ["this"]
    pq.write_table(pa.table({"foo": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="cannot tell which field is the text; there are: foo"):
        reading(tmp_path / "a.parquet", tmp_path)
    assert texts_of(reading(tmp_path / "a.parquet", tmp_path, text="foo")) == ["1"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "txt"])
def test_encodings_mixed_in_one_file(tmp_path, suffix):
    lines = ["été".encode(), "été".encode("latin-1"), "中文".encode(), "中文".encode("gb18030"), b"plain"]
    form = {"jsonl": b'{"text": "%s"}\n', "csv": b'1,"%s"\n', "txt": b"%s\n"}[suffix]
    head = b"n,text\n" if suffix == "csv" else b""
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(head + b"".join(form % line for line in lines))
    first = 3 if suffix == "csv" else 2
    with pytest.raises(InputError, match=rf"a\.{suffix}:{first}: byte .* is not UTF-8; convert the file with iconv"):
        reading(path, tmp_path)
    found = reading(path, tmp_path, corrupt="reject")
    assert texts_of(found) == ["été", "中文", "plain"]
    assert found.rejects_of(0)["line"].to_pylist() == [first, first + 2]


def test_control_characters(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a\x01b"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:1: not JSON: Invalid control character"):
        reading(path, tmp_path)
    path.write_bytes(b'{"text": "a\\u0001\\u0000b\\u007f"}\n')
    assert texts_of(reading(path, tmp_path)) == ["a\x01\x00b\x7f"]
    (tmp_path / "a.txt").write_bytes(b"a\x01b\x1b[0m\n")
    assert texts_of(reading(tmp_path / "a.txt", tmp_path)) == ["a\x01b\x1b[0m"]


def changed(folder, name, data, edits, **fields):
    """The cleaned bytes after edits of (row, start, stop, value)."""
    (folder / name).write_bytes(data)
    found = reading(folder / name, folder, **fields)
    columns = {"row": [], "action": [], "start": [], "stop": [], "value": [], "finder": []}
    for row, start, stop, value in edits:
        for key, item in zip(columns, (row, "mask", start, stop, value, "pii"), strict=True):
            columns[key].append(item)
    (folder / "ledger").mkdir(exist_ok=True)
    changes = Changes(Changes.none().gone, Changes.none().finders, pa.table(columns, schema=EDITS))
    collect(found, {name: changes}, folder / "ledger" / "removed.parquet")
    source = found.corpus.sources[0]
    write_source(source, found.contents[0], changes, folder / "data", folder / "ledger", "bytes", lambda n: None)
    return (folder / "data" / name).read_bytes()


@pytest.mark.parametrize(
    ("raw", "spans", "cleaned"),
    [
        (r"a\ud800b", [(0, 1, "")], r"\ud800b"),  # a lone surrogate is six characters of the view
        (r"a\ud800b", [(7, 8, "x")], r"a\ud800x"),
        (r"a\ud800b", [(2, 3, "")], r"ab"),  # half an escape is none: all of it goes
        (r"a\ud800b", [(0, 3, ""), (4, 8, "")], r""),
        (r"\ud83d.\ude00", [(6, 7, "")], r"\ud83d"),  # the halves must not become one character
        (r"\ud83d\ude00.", [(0, 1, "")], r"."),
        (r"\\ud83d.", [(0, 1, "")], r"ud83d."),
        (r"a\nb\u0041\"", [(1, 2, " "), (3, 4, "")], r"a b\""),
    ],
)
def test_escapes_are_cut_whole(tmp_path, raw, spans, cleaned):
    data = b'{"n": 1, "text": "%s"}\n'
    new = changed(tmp_path, "a.jsonl", data % raw.encode(), [(0, *span) for span in spans])
    assert new == data % cleaned.encode()


def test_a_field_within_an_object_is_cut_there_alone(tmp_path):
    data = b'{"text": "no", "doc": {"text": "abc", "text2": {"text": "no"}}, "k\\u0065y": "v"}\n'
    assert changed(tmp_path, "a.jsonl", data, [(0, 1, 2, "")], text="doc.text") == data.replace(b"abc", b"ac")
    assert changed(tmp_path, "b.jsonl", data, [(0, 0, 1, "w")], text="key") == data.replace(b'"v"', b'"w"')


def test_numbers_stay_numbers_where_they_can(tmp_path):
    data = b'{"text": 1234, "n": 0}\n{"text": true}\n{"text": 1.5e3}\n{"text": "x"}\n'
    new = changed(tmp_path, "a.jsonl", data, [(0, 0, 1, ""), (1, 0, 1, ""), (2, 3, 5, "k"), (3, 0, 1, "7")])
    assert new == b'{"text": 234, "n": 0}\n{"text": "rue"}\n{"text": "1.5k"}\n{"text": "7"}\n'


def test_of_a_name_given_twice_the_last_counts(tmp_path):
    data = b'{"text": "abc", "text": "def"}\n'
    assert changed(tmp_path, "a.jsonl", data, [(0, 0, 1, "")]) == b'{"text": "abc", "text": "ef"}\n'


def test_lists_cannot_be_cut_and_say_so_beforehand(tmp_path):
    data = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode() + b"\n"
    with pytest.raises(InputError, match="record 0: the field 'messages' holds a list, whose text cannot be changed"):
        changed(tmp_path, "a.jsonl", data, [(0, 0, 2, "")])
    assert "'messages' of a.jsonl holds lists" in reading(tmp_path / "a.jsonl", tmp_path).editable(0)


def test_a_cell_gets_quotes_where_it_needs_them(tmp_path):
    data = b'n,text\n1,plain\n2,ab"c"\n3,"q""uote"\n'
    new = changed(tmp_path, "a.csv", data, [(0, 0, 2, "a,"), (1, 0, 2, ""), (2, 1, 2, '""')])
    assert new == b'n,text\n1,"a,ain"\n2,"""c"""\n3,"q""""uote"\n'
    alone = changed(tmp_path, "b.csv", b"text\nabc\nd\n", [(0, 0, 3, "")])
    assert alone == b'text\n""\nd\n'


def test_a_long_record_is_read_and_changed(tmp_path):
    text = "中" * 3_000_000 + "x" * 11_000_000 + '\\"é'
    data = b'{"text": "a"}\n' + json.dumps({"text": text}, ensure_ascii=False).encode() + b'\n{"text": "b"}\n'
    new = changed(tmp_path, "a.jsonl", data, [(1, 3_000_000, 14_000_000, "")])
    assert [json.loads(line)["text"] for line in new.splitlines()] == ["a", "中" * 3_000_000 + '\\"é', "b"]
