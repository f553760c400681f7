"""Finder 'pii': what is found, what is not, and that no text makes it slow."""

import re
import time
from itertools import pairwise

import pytest

from excise.corpus import Corpus
from excise.data import pii
from excise.errors import SettingError
from excise.finding import FINDINGS


def rows(texts, *kinds):
    corpus = Corpus.from_texts(texts)
    settings = pii.PiiSettings(kinds) if kinds else pii.PiiSettings()
    tables = list(pii.find(corpus, settings))
    assert all(table.schema == FINDINGS for table in tables)
    return [row for table in tables for row in table.to_pylist()]


def masked(text, *kinds):
    for row in reversed(rows([text], *kinds)):
        text = text[: row["start"]] + row["value"] + text[row["stop"] :]
    return text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to jane.doe+news@mail.dept-7.uni.edu, please.", "Write to <EMAIL>, please."),
        ("联系邮箱：li_wei@163.com。", "联系邮箱：<EMAIL>。"),
        ("<bob@site.co.uk>;mailto:al@x9.io", "<<EMAIL>>;mailto:<EMAIL>"),
        ("Call +1 (732) 830-9763 or (732) 830-9763.", "Call <PHONE> or <PHONE>."),
        ("Call 1-800-362-0101, 617.253.1000 now", "Call <PHONE>, <PHONE> now"),
        ("+86 138 1234 5678, +44 20 7946 0958, +4930123456", "<PHONE>, <PHONE>, <PHONE>"),
        ("手机13812345678，座机010-62781234。", "手机<PHONE>，座机<PHONE>。"),
        ("phone: 13812345678", "phone: <PHONE>"),
        ("138-1234-5678", "<PHONE>"),
        ("from 123.126.25.5 and 8.128.178.54:8080", "from <IP> and <IP>:8080"),
        ("地址是123.126.25.5。", "地址是<IP>。"),
        ("card 4111 1111 1111 1234? no: 4539 1488 0343 6467", "card 4111 1111 1111 1234? no: <CARD>"),
        ("378282246310005 5555-5555-5555-4444? 6011000990139424", "<CARD> 5555-5555-5555-4444? <CARD>"),
        ("my card (4539148803436467)", "my card (<CARD>)"),
        ("卡号6222021234567890128吗", "卡号<CARD>吗"),
        ("身份证11010519491231002X。", "身份证<ID>。"),
        ("DE89 3704 0044 0532 0130 00 and GB82WEST12345698765432", "<IBAN> and <IBAN>"),
    ],
)
def test_what_is_found(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com and git@github.com:me/it.git, @handle, a@b, c@d.e",
        "y = x @ w.t; z = a@b.shape + c@d.T",
        "see https://host.example/a/jo@n00 and https://u@x/y",
        "In 1999-2004, from 2004-11-30 12:00:00 to 20041130, 3.14159265358979",
        "ISBN 978-0-13-110362-7, ISBN 0-13-110362-8, ISSN 1234-5679, ISBN 9787111213826",
        "version 10.11.12.13, v21.22.23.24, 版本 10.20.30.40, section 1.2.3.4, 1.2.3.4, 0.12.13.14",
        "10.11.12.13 192.168.10.20 127.0.0.1 255.255.255.0 169.254.10.20 300.20.30.40 1.22.33.44.55",
        "assertEqual(13577625587, f(9)); t = 1699999999; ms = 1699999999123; d = +35236450.6",
        "4111111111111112 1234567812345670 0000000000000000 0.4539148803436467 4539148803436467e3",
        "110105194912310021 11010519491331002X 99010519491231002X 110105194902300028",
        "DE89370400440532013001 DE8937040044053201300 XX89370400440532013000 GB82 WEST 1234 5698 7654 33",
        "f(4539148803436467), 4539148803436467*t, 2 + +4294967296, c = +281474976710656, +1.4142135623731*I",
        "at 12.34.56.78+0800",
        "0x4539148803436467 4539148803436467abc id=4539148803436467 sha 5555555555554444f",
        "+1 +2 +3 +4 +5 +6 +7 +8 +9, (123) 456-7890, 123-456-7890, 555-1234, 2024-2025",
    ],
)
def test_what_is_not(text):
    assert masked(text) == text


def test_the_known_checks():
    assert pii.luhn("4539148803436467") and not pii.luhn("4539148803436468")
    assert pii.resident("11010519491231002X") and not pii.resident("110105194912310021")
    assert pii.iban("GB82 WEST 1234 5698 7654 32") and not pii.iban("GB82WEST12345698765433")


def test_spans_are_code_points_and_say_no_secret():
    (row,) = rows(["𠀀é " + "jo@site.com"])
    assert (row["start"], row["stop"]) == (3, 14)
    assert row["reason"] == "code points 3 to 14 are an e-mail address"
    assert row["redundancy"] == 1 and row["finder"] == "pii"


def test_kinds_are_chosen_and_spans_do_not_overlap():
    text = "jo@site.com 11010519491231002X"
    assert masked(text, "email") == "<EMAIL> 11010519491231002X"
    found = rows(["11010519491231002X 4539148803436467 " * 50 + "jo@site.com"])
    spans = [(row["start"], row["stop"]) for row in found]
    assert len(spans) == 101 and all(a[1] <= b[0] for a, b in pairwise(spans))


def test_references_are_left_out_and_nothing_is_a_table_too():
    corpus = Corpus.from_texts(["none", "b@site.com"]).beside(Corpus.from_texts(["a@site.com"], name="other"))
    (table,) = pii.find(corpus, pii.PiiSettings(), mapped=map)
    assert table["position"].to_pylist() == [2]
    assert rows([]) == [] and rows(["", "plain"]) == []


def test_no_text_makes_it_slow():
    """Each run is a known trap: time must grow with the text, not with its square."""
    traps = [
        "a",
        "a.",
        "a-",
        "1",
        "1-",
        "1 ",
        "+1",
        "+1 ",
        "a@",
        "a@a.",
        "a@a-",
        "1.",
        "(1",
        "A1",
        "AB12 ",
        "AB12",
        "4111 ",
        "1@1.",
        "010-2",
    ]
    for trap in traps:
        for kind in pii.KINDS.values():
            seconds = []
            for size in (20_000, 160_000):
                one = (trap * size)[:size] + "!"
                seconds.append(min(_timed(kind.expression, one) for _ in range(2)))
            assert seconds[1] < max(8 * 5 * seconds[0], 0.5), (trap, kind.mask, seconds)


def _timed(expression: re.Pattern, one: str) -> float:
    began = time.thread_time()
    for match in expression.finditer(one):
        assert match.end() - match.start() < 700
    return time.thread_time() - began


def test_every_sieve_lets_its_kind_through():
    import pyarrow as pa

    samples = {
        "email": "a@site.com", "ip": "123.126.25.5", "phone": "+86 138 1234 5678", "card": "4539-1488-0343-6467",
        "id": "11010519491231002X", "iban": "DE89 3704 0044 0532 0130 00",
    }  # fmt: skip
    for kind, sample in samples.items():
        assert pii.KINDS[kind].expression.fullmatch(sample)
        assert kind in pii.candidates(pa.array([sample], pa.large_string()), tuple(pii.KINDS))[0]


@pytest.mark.parametrize(("kinds", "says"), [((), "names none"), (("mail",), "must be one of id, iban")])
def test_settings_out_of_range_say_so(kinds, says):
    with pytest.raises(SettingError, match=says):
        pii.PiiSettings(kinds)
