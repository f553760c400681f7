import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from excise.adapters.files import containers, open_corpus
from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import read
from excise.errors import InputError, SettingError
from excise.journal import Journal


def opened(path, folder, **settings):
    corpus, rejects = open_corpus(path, folder / "views", **settings)
    rows = [row for batch in corpus.batches() for row in batch.to_pylist()]
    return corpus, rows, rejects.to_pylist()


def written(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else "".join(json.dumps(r) + "\n" for r in data).encode())
    return path


def test_ids_rows_spans_and_texts(tmp_path):
    path = written(tmp_path, "a.jsonl", b'{"text": "x"}\n\n{"text": "yz"}')
    corpus, rows, rejects = opened(path, tmp_path)
    assert [(r["id"], r["row"], r["start"], r["stop"], r["text"], r["label"]) for r in rows] == [
        ("a.jsonl#0", 0, 0, 14, "x", None),
        ("a.jsonl#1", 1, 15, 29, "yz", None),
    ]
    assert rejects == []
    assert corpus.sources[0].view == "text"


@pytest.mark.parametrize(
    ("record", "view", "text"),
    [
        ({"text": "a", "content": "b"}, "text", "a"),
        ({"content": "b", "n": 1}, "content", "b"),
        ({"output": "c", "input": "", "instruction": "a"}, r"{instruction}\n{input}\n{output}", "a\n\nc"),
        ({"instruction": "a", "response": "c"}, r"{instruction}\n{response}", "a\nc"),
        ({"prompt": "p", "completion": "c"}, r"{prompt}\n{completion}", "p\nc"),
        ({"question": "q", "answer": 5}, r"{question}\n{answer}", "q\n5"),
        ({"body": "only one"}, "body", "only one"),
        (
            {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]},
            "messages",
            "user: hi\nassistant: ho",
        ),
        ({"conversations": [{"from": "human", "value": "hi"}]}, "conversations", "human: hi"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
            "messages",
            "user: hi",
        ),
    ],
)
@pytest.mark.parametrize("container", ["jsonl", "json", "parquet"])
def test_usual_shapes_are_detected(tmp_path, record, view, text, container):
    path = tmp_path / f"a.{container}"
    if container == "parquet":
        if isinstance(record.get("messages", [{}])[0].get("content"), list):
            pytest.skip("parts of a turn are for JSON")
        pq.write_table(pa.Table.from_pylist([record]), path)
    else:
        path.write_text(json.dumps(record if container == "jsonl" else [record]))
    corpus, rows, _ = opened(path, tmp_path)
    assert (corpus.sources[0].view, rows[0]["text"]) == (view, text)


def test_a_template_and_an_only_field(tmp_path):
    path = written(tmp_path, "a.jsonl", [{"q": "x", "a": "y"}])
    assert opened(path, tmp_path, text="Q: {q}\\nA: {a}.")[1][0]["text"] == "Q: x\nA: y."
    assert opened(path, tmp_path, on="a")[1][0]["text"] == "y"
    with pytest.raises(SettingError, match="Give one of them"):
        opened(path, tmp_path, on="a", text="q")
    with pytest.raises(SettingError, match="names fields in braces"):
        opened(path, tmp_path, text="{}")


def test_texts_stay_what_they_are(tmp_path):
    texts = ["2020-01-01", "12", "1e5", "NaN", "null", "", " ", "true", "2020-01-01T00:00:00Z", "\u0000", "\U0001f600"]
    for name, data in [
        ("a.jsonl", "".join(json.dumps({"text": t}) + "\n" for t in texts).encode()),
        ("a.csv", ("text,n\n" + "".join(f'"{t}",1\n' for t in texts if t != "\0")).encode()),
    ]:
        _, rows, _ = opened(written(tmp_path, name, data), tmp_path)
        assert [r["text"] for r in rows] == [t for t in texts if name == "a.jsonl" or t != "\0"]


def test_values_that_are_no_text_are_spelled_as_they_stand(tmp_path):
    path = written(
        tmp_path,
        "a.jsonl",
        b'{"text": 5}\n{"text": 5.0}\n{"text": 1e400}\n{"text": true}\n{"text": null}\n{"text": ["a", "b"]}\n'
        b'{"text": 123456789012345678901234567890}\n{"text": "\\ud800"}\n',
    )
    texts = [r["text"] for r in opened(path, tmp_path)[1]]
    assert texts == ["5", "5.0", "1e400", "true", "", "a\nb", "123456789012345678901234567890", "\\ud800"]


def test_the_slow_and_the_fast_way_agree(tmp_path):
    fast = [
        {"id": i, "label": i % 3, "instruction": f"é{i}", "input": None if i % 2 else "x", "output": "2020-01-01"}
        for i in range(50)
    ]
    slow = [*fast, {"id": 50, "label": None, "instruction": 7.5, "output": ""}]  # a number: pyarrow refuses the block
    settings = {"id": "id", "label": "label"}
    quick = opened(written(tmp_path, "a.jsonl", fast), tmp_path, **settings)[1]
    careful = opened(written(tmp_path, "b.jsonl", slow), tmp_path, **settings)[1]
    assert careful[:50] == quick
    assert (careful[50]["text"], careful[50]["label"], careful[50]["id"]) == ("7.5\n\n", None, "50")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"text": "a"}\n{"text": "b\n', r"a\.jsonl:2: not JSON"),
        (b'{"text": "a"}\n\n{"txt": "b"}\n', r"a\.jsonl:3: the record has no field 'text'; it has txt"),
        (b'{"text": "a"}\n{"text": "\xff"}\n', r"a\.jsonl:2: byte 11 of the record \(0xff\) is not UTF-8"),
        (b'{"text": "a"}\n{"text": "b\0"}\n', r"a\.jsonl:2: .*NUL"),
        (b'{"text": "a"}\n{"text": {"x": 1}}\n', r"a\.jsonl:2: the field 'text' holds an object"),
        (b'{"text": "a"}\n["b"]\n', r"a\.jsonl:2: expected a JSON object, found a list"),
        (b'{"text": "a"}{"text": "b"}\n', r"a\.jsonl:1: not JSON: Extra data"),
        (b'{"text":\n"a"}\n', r"a\.jsonl:1: not JSON"),
        (b'{"text": "a"}\n{"x": ' + b"[" * 10**6 + b'], "text": 1.5}\n', r"a\.jsonl:2: not "),
        (b"", r"a\.jsonl: there are no records"),
        (b'{"a": 1, "b": 2}', "cannot tell which field is the text; there are: a, b"),
    ],
)
def test_a_bad_record_is_named_with_its_line(tmp_path, data, told):
    path = written(tmp_path, "a.jsonl", data)
    with pytest.raises(InputError, match=told):
        opened(path, tmp_path)


def test_bad_records_are_set_aside_when_asked(tmp_path):
    data = b'{"text": "a"}\nbad\n{"text": "b"}\n{"text": 1, "x": \xff}\n{"text": "c"}'
    corpus, rows, rejects = opened(written(tmp_path, "a.jsonl", data), tmp_path, corrupt="reject")
    assert [(r["row"], r["text"]) for r in rows] == [(0, "a"), (2, "b"), (4, "c")]
    assert [(r["row"], r["line"], data[r["start"] : r["stop"]]) for r in rejects] == [
        (1, 2, b"bad\n"),
        (3, 4, b'{"text": 1, "x": \xff}\n'),
    ]
    assert len(corpus) == 3
    with pytest.raises(InputError, match=r"b\.jsonl:1: no record can be read; the first says: not JSON"):
        opened(written(tmp_path, "b.jsonl", b"bad\nworse\n"), tmp_path, corrupt="reject")


def test_a_field_no_record_has_is_a_slip_of_the_pen(tmp_path):
    path = written(tmp_path, "a.jsonl", [{"q": "x", "a": "y"}])
    with pytest.raises(InputError, match="no record has a field 'aa'"):
        opened(path, tmp_path, text="{q} {aa}")
    with pytest.raises(InputError, match="no record has a field 'lab'"):
        opened(path, tmp_path, text="q", label="lab")
    with pytest.raises(InputError, match=r":1: the field 'b' is not in the header \(q, a\)"):
        opened(written(tmp_path, "a.csv", b"q,a\n1,2\n"), tmp_path, text="b")


@pytest.mark.parametrize("fields", [{"text": "x", "k": 1}, {"text": 1.5, "k": 1}])
def test_ids_are_the_users_and_must_be_unique(tmp_path, fields):
    one = written(tmp_path, "a.jsonl", [{**fields, "k": 7}, {**fields, "k": 8}])
    assert [r["id"] for r in opened(one, tmp_path, id="k")[1]] == ["7", "8"]
    two = written(tmp_path, "b.jsonl", b'{"text": "x", "k": 1}\n\n{"text": "y", "k": "7"}\n')
    with pytest.raises(InputError, match=r"the id '7' in 'k' is given twice, at a\.jsonl:1 and at b\.jsonl:3"):
        opened([one, two], tmp_path, id="k")
    with pytest.raises(InputError, match="no id in 'k'"):
        opened(written(tmp_path, "c.jsonl", [{**fields, "k": None}]), tmp_path, id="k")
    with pytest.raises(InputError, match="has no field 'k' for the ids"):
        opened(written(tmp_path, "d.txt", b"x\n"), tmp_path, id="k")


def test_csv_dialects(tmp_path):
    for name, data in [
        ("a.csv", b'n,text\n1,"x\ny"\n'),
        ("b.csv", b'n;text\n1;"x\ny"\n'),
        ("c.csv", b'n\ttext\n1\t"x\ny"\n'),
        ("d.tsv", b'n\ttext\n1\t"x\ny"\n'),
    ]:
        assert opened(written(tmp_path, name, data), tmp_path)[1][0]["text"] == "x\ny"
    loose = written(tmp_path, "e.tsv", b'n\ttext\n1\t"So," he said\n2\tplain "x\n')
    assert [r["text"] for r in opened(loose, tmp_path)[1]] == ['"So," he said', 'plain "x']
    with pytest.raises(InputError, match=r"f\.csv:3: the row has 3 fields, the header 2"):
        opened(written(tmp_path, "f.csv", b"n,text\n1,x\n1,x,y\n"), tmp_path)
    with pytest.raises(InputError, match="carriage return"):
        opened(written(tmp_path, "g.csv", b"text\rx\ry\r"), tmp_path)


def test_parquet_columns(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table(
        {"text": pa.array(["a", None]).dictionary_encode(), "n": [1.5, 2.0], "o": [{"x": 1}, None], "b": [b"\xff", b""]}
    )
    pq.write_table(table, path)
    assert [(r["text"], r["start"], r["label"]) for r in opened(path, tmp_path, label="n")[1]] == [
        ("a", -1, "1.5"),
        ("", -1, "2"),
    ]
    for field, told in [("o", "holds an object"), ("b", "holds no text"), ("zz", "is not among its columns")]:
        with pytest.raises(InputError, match=told):
            opened(path, tmp_path, text=field)
    with pytest.raises(InputError, match=r"row 1 has no id in 'text'"):
        opened(path, tmp_path, id="text")


def test_a_journal_goes_on_where_it_stopped(tmp_path):
    path = written(tmp_path, "a.jsonl", [{"text": "x"}])
    for expected in ([], ["read a.jsonl"]):
        with Journal(tmp_path / "out", {}, "ledger") as journal:
            open_corpus(path, journal.work, journal=journal)
            assert journal.skipped == expected


def test_reading_flushes_nothing_to_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: pytest.fail("a view is made again where it is lost"))
    path = written(tmp_path, "a.jsonl", b'{"text": "a", "n": 1}\nbad\n{"text": "b", "n": 2}\n')
    found = read(find(path), tmp_path / "views", Fields(features=("n",)), corrupt="reject")
    assert found.rejects_of(0)["line"].to_pylist() == [2]


def test_bad_records_of_many_blocks_are_told_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "CHUNK", 20)
    data = b"".join(b'{"text": "%d"}\n%s' % (i, b"bad\n" * (i % 3)) for i in range(30))
    found = read(find(written(tmp_path, "a.jsonl", data)), tmp_path / "views", Fields(), corrupt="reject")
    bad = [i for i, line in enumerate(data.splitlines()) if line == b"bad"]
    assert found.rejects_of(0)["row"].to_pylist() == bad
    assert found.rejects_of(0)["line"].to_pylist() == [i + 1 for i in bad]
    assert found.corpus.sources[0].records == 30
