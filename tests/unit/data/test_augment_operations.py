"""The operations on text by example, their settings, and how copies are handed out."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.data.augment import han, protect, units
from excise.data.augment.copies import Spread, missing
from excise.data.augment.draw import Balancing, Drawing
from excise.data.augment.homoglyphs import homoglyph, look_alikes
from excise.data.augment.keyboard import slips
from excise.data.augment.mask import mask
from excise.data.augment.ocr import misread, ocr
from excise.data.augment.operations import TEXT, TextSettings, parse
from excise.data.augment.seeds import generator
from excise.data.augment.words import drop
from excise.errors import SettingError


def test_words_are_runs_of_letters_and_single_characters_of_scripts_without_blanks() -> None:
    text = "Don't e-mail v1.2, she said: 我喜欢猫！🇨🇳 (ok)"
    of = units.units(text)
    found = [text[of.borders[a] : of.borders[b]] for a, b in units.words(of)]
    assert found == ["Don't", "e-mail", "v1.2", "she", "said", "我", "喜", "欢", "猫", "🇨🇳", "ok"]


def test_sentences_and_clauses_end_at_the_signs_of_both_scripts() -> None:
    text = "One, two. Three!  四，五。六\nseven"
    of = units.units(text)
    for borders, wanted in (
        (units.sentences(of), ["One, two. ", "Three!  ", "四，五。", "六\n", "seven"]),
        (units.clauses(of), ["One, ", "two. ", "Three!  ", "四，", "五。", "六\n", "seven"]),
    ):
        assert [text[a:b] for a, b in itertools.pairwise(borders)] == wanted


def test_the_neighbours_of_a_key() -> None:
    assert set(slips()["g"]) == set("ftyhvb")
    assert set(slips()["G"]) == set("FTYHVB")
    assert set("q2w") - {"q"} <= set(slips()["q"])
    assert "p" not in slips()["q"]


def test_common_characters_stand_in_the_order_of_their_sounds() -> None:
    order = han.common()
    assert len(order) == len(set(order)) == 3755
    assert order[0] == "啊"
    assert order[-1] == "座"
    assert set("茅锚") <= set(han.sounding_alike()["猫"])


def test_look_alikes_go_both_ways() -> None:
    for table in (han.looking_alike(), misread(), look_alikes()):
        for place, others in table.items():
            for other in others:
                assert place in table[other]
                assert place != other


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        ("rn", {"m", "rri", "ru", "rh", "ni"}),
        ("己", {"已", "巳"}),
        ("0", {"O", "o", "D"}),
        ("未", {"末"}),
        ("e\u0301", {"e\u0301"}),  # the mark would sit on another letter
        ("rn\u0301", {"rn\u0301", "ın\u0301"}),
    ],
)
def test_ocr_reads_what_looks_alike(text: str, possible: set[str]) -> None:
    assert {ocr(text, generator(0, i), 1.0) for i in range(40)} <= possible


def test_homoglyphs_look_the_same_and_are_others() -> None:
    new = homoglyph("expo", generator(0), 1.0)
    assert new != "expo"
    assert all(a != b for a, b in zip(new, "expo", strict=True))
    assert homoglyph("Ａ，", generator(0), 1.0) == "A,"


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("The dog, the cat", "dog", "The, the cat"),
        ("The dog", "The", "dog"),
        ("one two", "two", "one"),
        ("a\nb c", "b", "a\nc"),
        ("我喜欢猫。", "喜", "我欢猫。"),
        ("(one) two", "one", "() two"),
    ],
)
def test_a_dropped_word_takes_the_blank_before_it(text: str, gone: str, left: str) -> None:
    kept = [
        (text.index(word), text.index(word) + len(word))
        for word in ("The", "dog", "the", "cat", "one", "two", "a", "b", "c", "我", "喜", "欢", "猫")
        if word != gone and word in text
    ]
    kept = [(a, b) for a, b in kept if not (a <= text.index(gone) < b)]
    assert drop(text, generator(0), 1.0, kept) == left


def test_a_span_of_words_becomes_one_mask_and_punctuation_stays() -> None:
    assert mask("one two three", generator(0), 1.0) == "<mask>"
    assert mask("one two, three", generator(0), 1.0) == "<mask>, <mask>"
    assert mask("我喜欢猫", generator(0), 1.0, token="[MASK]") == "[MASK]"
    assert mask("one two three", generator(0), 1.0, [(4, 7)]) == "<mask> two <mask>"


def test_protected_parts_are_found_once_each() -> None:
    text = "见https://a.b/c?d=1 or mail a.b@c.de, 3,000.5 and `x 1` <mask>"
    assert [text[a:b] for a, b in protect.spans(text)] == [
        "https://a.b/c?d=1",
        "a.b@c.de",
        "3,000.5",
        "`x 1`",
        "<mask>",
    ]
    assert protect.spans(text, ["code"]) == [(text.index("`"), text.rindex("`") + 1)]


@pytest.mark.parametrize("unit", ["a", "1", "!", '."', "`", "```", "<", "a.", "@", "，", "\u0301", "我", "क्"])
def test_a_long_run_of_one_thing_costs_no_more_than_its_length(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        began = time.process_time()
        spans = protect.spans(text)
        for operation in TEXT.values():
            operation(text, generator(0), 0.01, spans)
        return time.process_time() - began

    seconds(1000)
    assert seconds(64_000) < 40 * max(seconds(4_000), 0.02)  # 16 times the work, not 256


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("keybord=0.1", "keybord"),
        ("keyboard", "in [0, 1]"),
        ("keyboard=", "in [0, 1]"),
        ("keyboard=x", "in [0, 1]"),
        ("keyboard=1.5", "in [0, 1]"),
        ("keyboard=nan", "in [0, 1]"),
        ("drop=0.1+", "''"),
        ("", "''"),
    ],
)
def test_an_operation_that_cannot_be_is_refused(written: str, told: str) -> None:
    with pytest.raises(SettingError) as error:
        parse(written)
    assert told in str(error.value)


def test_an_operation_is_told_as_it_was_written() -> None:
    operation = parse(" keyboard = 0.05 +drop=.1")
    assert operation.written == "keyboard=0.05+drop=0.1"
    assert operation.name == "keyboard+drop"
    assert parse(operation.written) == operation


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"operations": ()}, "op is not given"),
        ({"operations": (parse("drop=0.1"), parse("drop=0.2"))}, "twice"),
        ({"operations": (parse("drop=0.1"),), "protect": ("url",)}, "'url'"),
        ({"operations": (parse("drop=0.1"),), "mask_token": " "}, "mask_token"),
        ({"operations": (parse("drop=0.1"),), "mask_token": "a\tb"}, "mask_token"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        TextSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"copies": 0}, {"share": 0}, {"share": 1.1}, {"seed": -1}])
def test_drawings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Drawing(TextSettings((parse("drop=0.1"),)), **wrong)  # type: ignore[arg-type]


def test_what_a_class_lacks() -> None:
    counts = {"a": 10, "b": 3, "c": 9}
    assert missing(counts, 1.0) == {"a": 0, "b": 7, "c": 1}
    assert missing(counts, 0.55) == {"a": 0, "b": 3, "c": 0}  # 5.5 records: 6
    with pytest.raises(SettingError, match="balance"):
        missing(counts, 0)


@given(copies=st.integers(0, 500), records=st.integers(1, 60), border=st.integers(0, 60))
def test_copies_are_spread_evenly_also_over_two_sources(copies: int, records: int, border: int) -> None:
    spread = Spread(copies, records)
    taken = [spread.take() for _ in range(records)]
    assert sum(taken) == copies
    assert max(taken) - min(taken) <= 1
    border = min(border, records)
    later = Spread(copies, records, border)
    assert taken[border:] == [later.take() for _ in range(records - border)]


def test_balancing_takes_turns_and_numbers_copies() -> None:
    operations = (parse("drop=0.1"), parse("swap=0.1"))
    balancing = Balancing(operations, {"a": 0, "b": 6}, {"a": 8, "b": 2}, {})
    assert list(balancing.chosen("a")) == []
    assert list(balancing.chosen(None)) == []
    first = [(operation.name, number) for operation, number in balancing.chosen("b")]
    second = [(operation.name, number) for operation, number in balancing.chosen("b")]
    assert first == [("drop", 1), ("swap", 1), ("drop", 2)]
    assert second == [("swap", 1), ("drop", 1), ("swap", 2)]
