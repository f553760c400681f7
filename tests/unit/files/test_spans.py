import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.adapters.files import spans
from excise.adapters.files.scan import element_spans, row_stops
from excise.adapters.files.spans import elements, lines, rows
from excise.errors import InputError


def pieces(data, size):
    return iter([data[i : i + size] for i in range(0, len(data), size)])


def records(blocks):
    """(place, bytes) of each record, out of blocks of any size."""
    return [(block.at + int(block.starts[i]), block.record(i)) for block in blocks for i in range(len(block.starts))]


SIZES = pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])


@SIZES
def test_lines_own_their_end_and_blank_lines_are_nobodys(size):
    data = b"\xef\xbb\xbfone\r\n\n  \ntwo\n \tthree\nlast"
    assert records(lines(pieces(data, size), "x")) == [
        (3, b"one\r\n"),
        (12, b"two\n"),
        (16, b" \tthree\n"),
        (24, b"last"),
    ]


@SIZES
def test_a_line_end_in_quotes_ends_no_row(size):
    data = b'a,b\r\n"1\n""x"",",2\r\n\r\n3,"4"\n5,6'
    assert [r for _, r in records(rows(pieces(data, size), ",", True, "x"))] == [
        b"a,b\r\n",
        b'"1\n""x"",",2\r\n',
        b'3,"4"\n',
        b"5,6",
    ]


def test_a_quote_inside_a_bare_field_is_a_character():
    assert [r for _, r in records(rows(pieces(b'a,b\n5" disk,1\nx,y\n', 4), ",", True, "x"))] == [
        b"a,b\n",
        b'5" disk,1\n',
        b"x,y\n",
    ]


def test_an_open_quote_is_named_with_the_line_of_its_row():
    with pytest.raises(InputError, match=r"^x:3: a quote opened"):
        list(rows(pieces(b'a,b\n1,2\n3,"4\n5,6\n', 5), ",", True, "x"))


@pytest.mark.parametrize(
    ("head", "marks"), [(b'a\tb\n"x y"\t1\n', True), (b'a\tb\n"So," he said\t1\n', False), (b"", True)]
)
def test_quotes_are_marks_where_they_enclose_fields(head, marks):
    assert spans.quotes_are_marks(head, "\t") is marks


@SIZES
def test_elements_own_no_comma(size):
    data = b' [ {"a": "]},\\"[{"} ,\n {"b": [1, {"c": 2}]}\n,3 ] \n'
    found = records(elements(pieces(data, size), "x"))
    assert found == [(3, b'{"a": "]},\\"[{"}'), (23, b'{"b": [1, {"c": 2}]}'), (45, b"3")]
    assert all(data[place : place + len(record)] == record for place, record in found)


@SIZES
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'[{"a": 1},\n\n]', r"x:3: an element is missing"),
        (b"[,1]", "x:1: an element is missing"),
        (b"[1,\n,2]", "x:2: an element is missing"),
        (b'\n"a"', r"x:2: expected '\['"),
        (b"[1]\n[2]", "x:2: there is more behind"),
        (b"[1}\n", "x:1: a bracket is closed"),
        (b"[1,\n2", "x:2: the JSON array is never closed"),
        (b'["a\n', "never closed"),
        (b"  ", "never closed"),
    ],
)
def test_a_broken_array_is_named_with_its_line(size, data, told):
    with pytest.raises(InputError, match=told):
        list(elements(pieces(data, size), "x"))


def test_lines_of_counts_from_the_beginning_of_the_source():
    blocks = list(lines(pieces(b"a\n\nb\nc\n", 4), "x"))
    found = [line for block in blocks for line in block.lines_of(range(len(block.starts)))]
    assert found == [1, 3, 4]


@settings(max_examples=500)
@given(st.binary(max_size=40), st.booleans())
def test_row_scan_agrees_with_a_plain_one(data, quoted):
    data = data.translate(bytes(b'",\n\ra'[i % 5] for i in range(256)))
    stops = np.empty(data.count(b"\n"), np.int64)
    count, inside, _ = row_stops(np.frombuffer(data, np.uint8), 0, ord(","), quoted, stops)
    assert (stops[:count].tolist(), inside) == plain_rows(data, quoted)


def plain_rows(data, quoted):
    """The same by its rule: quotes open at a field's beginning; two of them inside are one character."""
    stops, at, start = [], 0, True
    while at < len(data):
        if data[at : at + 1] == b'"' and start and quoted:
            while True:
                end = data.find(b'"', at + 1)
                if end < 0:
                    return stops, True
                at = end + 1
                if data[at : at + 1] != b'"':
                    break
            start = False
            continue
        char = data[at : at + 1]
        if char == b"\n":
            stops.append(at + 1)
        start = char in b",\n" or (start and char == b"\r")
        at += 1
    return stops, False


def test_element_scan_stops_before_what_it_has_not_seen_whole():
    data, state = np.frombuffer(b'[{"a":1}, {"b"', np.uint8), np.zeros(2, np.int64)
    starts, stops, commas = np.empty((3, 3), np.int64)
    assert element_spans(data, 0, state, starts, stops, commas) == (1, 9, 0, 0)
    assert (starts[0], stops[0], commas[0]) == (1, 8, 8)
