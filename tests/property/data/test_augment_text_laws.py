"""Laws of the operations on text: what they keep, whatever the text."""

import random
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.data.augment import draw, graphemes, protect, units
from excise.data.augment.operations import TEXT, Operation, TextSettings, changed, parse
from excise.data.augment.seeds import fraction, generator

regex = pytest.importorskip("regex")  # comes with transformers

#: Characters of several code points, letters of many scripts, and what can go wrong between them.
PIECES = [
    *"abcXYZ 0157.,!?'-\n\t",
    "rn",
    "é",
    "ñ",
    "a\u0301\u0328",
    "\u0301",
    "\u200d",
    "👨\u200d👩\u200d👧",
    "👍🏽",
    "❤\ufe0f",
    "🇨🇳",
    "🇫",
    "क्षि",
    "नमस्ते",
    "กำ",
    "각",
    "ᄀ",
    "값",
    "مرحبا",
    "שלום",
    "привет",
    "\r\n",
    "1\ufe0f\u20e3",
    *"我喜欢猫学习自然己已未末，。！",
    "かな",
    "か\u3099",
    "ソン",
    " the ",
    " quick ",
    "don't ",
]
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
rates = st.sampled_from([0.05, 0.3, 0.7, 1.0])
seeds = st.integers(0, 2**32)
names = pytest.mark.parametrize("name", sorted(TEXT))


@given(text=texts | st.text(max_size=20))
def test_a_border_of_graphemes_is_one_of_unicode_extended_clusters(text: str) -> None:
    found = graphemes.borders(text).tolist()
    assert found[0] == 0
    assert found[-1] == len(text)
    assert found == sorted(set(found))
    assert set(found) <= {0, *(match.end() for match in regex.finditer(r"\X", text))}


def test_graphemes_are_those_of_unicode_in_common_text() -> None:
    text = "naïve cafe\u0301 👩🏽\u200d🚀 🇨🇳🇫🇷 한국어 각 나는 ñandú 我喜欢猫 e\u0301\r\n❤\ufe0f กำ"
    theirs = [0, *(match.end() for match in regex.finditer(r"\X", text))]
    assert graphemes.borders(text).tolist() == theirs


@names
@given(text=texts, seed=seeds)
def test_rate_zero_gives_the_text_back(name: str, text: str, seed: int) -> None:
    assert TEXT[name](text, generator(seed), 0.0) == text
    assert TEXT[name](text, generator(seed), 0.0, protect.spans(text)) == text


@names
@given(text=texts, seed=seeds, rate=rates)
def test_the_same_generator_gives_the_same_text_and_it_is_valid(name: str, text: str, seed: int, rate: float) -> None:
    once, twice = (TEXT[name](text, generator(seed, "a"), rate) for _ in range(2))
    assert once == twice
    once.encode()


@names
@given(text=texts, seed=seeds, rate=rates)
def test_no_mark_loses_the_character_it_belongs_to(name: str, text: str, seed: int, rate: float) -> None:
    def marks(of: str) -> set[str]:
        return {
            of[max(0, i - 1) : i + 1]
            for i, sign in enumerate(of)
            if unicodedata.category(sign)[0] == "M" or sign == "\u200d"
        }

    assert marks(TEXT[name](text, generator(seed), rate)) <= marks(text)


@names
@given(
    parts=st.lists(
        st.sampled_from(["http://a.b/c?d=1", "12,345.6", "`x = rn(0)`", "<mask>", "[SEP]", *PIECES]), max_size=20
    ),
    seed=seeds,
)
def test_what_is_protected_stays(name: str, parts: list[str], seed: int) -> None:
    text = " ".join(parts)
    spans = protect.spans(text)
    new = TEXT[name](text, generator(seed), 0.8, spans)
    if name == "crop":  # a part goes as a whole or not at all
        assert new in text
        whole = [text[a:b] for a, b in spans]
        assert Counter(new[a:b] for a, b in protect.spans(new)) <= Counter(whole)
        return
    at = 0
    for start, stop in spans:
        at = new.find(text[start:stop], at)
        assert at >= 0
        at += stop - start


@given(text=texts, seed=seeds, rate=rates)
@pytest.mark.parametrize("name", ["keyboard", "homoglyph"])
def test_slips_and_homoglyphs_keep_the_number_of_code_points(name: str, text: str, seed: int, rate: float) -> None:
    assert len(TEXT[name](text, generator(seed), rate)) == len(text)


def words_of(text: str) -> list[str]:
    of = units.units(text)
    return [text[of.borders[a] : of.borders[b]] for a, b in units.words(of)]


WORDS = st.lists(
    st.sampled_from(["the", "cat", "don't", "3.5", "naïve", "我", "喜", "猫", "👍🏽", "привет"]),
    min_size=1,
    max_size=25,
)


@given(words=WORDS, seed=seeds, rate=rates)
def test_drop_leaves_words_in_their_order_and_one_at_least(words: list[str], seed: int, rate: float) -> None:
    new = words_of(TEXT["drop"](" ".join(words), generator(seed), rate))
    assert new
    rest = iter(words)
    assert all(word in rest for word in new)


@given(words=WORDS, seed=seeds, rate=rates)
def test_swap_keeps_the_words_and_what_is_between_them(words: list[str], seed: int, rate: float) -> None:
    text = "  ".join(words)
    new = TEXT["swap"](text, generator(seed), rate)
    assert Counter(words_of(new)) == Counter(words)
    assert new.count("  ") == len(words) - 1
    moved = [i for i, (a, b) in enumerate(zip(words, words_of(new), strict=True)) if a != b]
    assert all(words_of(new)[i] in (words[i - 1 : i] + words[i + 1 : i + 2]) for i in moved)


@given(words=WORDS, seed=seeds, rate=rates)
def test_crop_keeps_a_contiguous_share_of_words(words: list[str], seed: int, rate: float) -> None:
    new = words_of(TEXT["crop"](" ".join(words), generator(seed), rate))
    assert len(new) == max(1, round((1 - rate) * len(words)))
    assert any(words[i : i + len(new)] == new for i in range(len(words)))


@given(words=WORDS, seed=seeds, rate=rates)
def test_mask_hides_the_share_of_words_rounded_up_or_down(words: list[str], seed: int, rate: float) -> None:
    new = TEXT["mask"](" ".join(words), generator(seed), rate)
    left = words_of(new.replace("<mask>", " "))
    assert len(words) - len(left) in {int(rate * len(words)), int(np.ceil(rate * len(words) - 1e-9))}
    assert "<mask> <mask>" not in new


@given(text=texts, seed=seeds, rate=rates)
def test_noise_leaves_a_letter_where_there_was_one(text: str, seed: int, rate: float) -> None:
    had = bool(words_of(text))
    assert bool(words_of(TEXT["noise"](text, generator(seed), rate))) == had


SCRIPTS = {
    "LATIN": "the quick brown fox Jumps",
    "CYRILLIC": "быстрая лиса Прыгает",
    "GREEK": "γρήγορη αλεπού Πηδά",
    "CJK UNIFIED": "我喜欢学习自然语言处理",
    "HIRAGANA": "これはひらがなです",
    "HANGUL": "나는 고양이를 좋아한다",
    "HEBREW": "שלום עולם",
    "ARABIC": "مرحبا بالعالم",
    "THAI": "สวสดชาวโลก",
}


@pytest.mark.parametrize("script", sorted(SCRIPTS))
@given(seed=seeds)
def test_noise_and_slips_stay_in_the_script(script: str, seed: int) -> None:
    for name in ("noise", "keyboard"):
        new = TEXT[name](SCRIPTS[script], generator(seed), 0.6)
        letters = [sign for sign in new if sign.isalpha()]
        if name == "keyboard" and script == "LATIN":  # keys of digits touch those of letters
            letters = [sign for sign in letters if not sign.isdecimal()]
        assert all(unicodedata.name(sign).startswith(script) for sign in letters)


@given(text=texts, seed=st.integers(0, 2**62), ids=st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=8))
def test_what_becomes_of_a_record_does_not_depend_on_the_order(text: str, seed: int, ids: list[str]) -> None:
    drawing = draw.Drawing(
        TextSettings((parse("noise=0.5+swap=0.5"), parse("drop=0.5"))), copies=2, share=0.5, seed=seed
    )

    def made(order: list[str]) -> dict[str, list[tuple[str, int, str | None]]]:
        return {
            id_: [(op.name, n, draw.variant(text, id_, op, n, drawing, {text})) for op, n in drawing.chosen(id_)]
            for id_ in order
        }

    shuffled = ids[:]
    random.Random(seed).shuffle(shuffled)
    assert made(ids) == made(shuffled)


def test_shares_and_draws_are_spread_evenly() -> None:
    drawn = [fraction(7, "share", f"train.jsonl#{i}") for i in range(4000)]
    assert 0 <= min(drawn) < max(drawn) < 1
    assert np.histogram(drawn, 10, (0, 1))[0].min() > 320
    firsts = [generator(7, f"train.jsonl#{i}").random() for i in range(4000)]
    assert abs(np.corrcoef(firsts[:-1], firsts[1:])[0, 1]) < 0.06
    assert fraction(7, "ab", "c") != fraction(7, "a", "bc")


def test_a_variant_is_new_or_none() -> None:
    drawing = draw.Drawing(TextSettings((parse("swap=1"),)), seed=0)
    swap = drawing.texts.operations[0]
    assert draw.variant("cat dog", "a", swap, 1, drawing, {"cat dog"}) == "dog cat"
    assert draw.variant("cat dog", "a", swap, 1, drawing, {"cat dog", "dog cat"}) is None
    assert draw.variant("cat", "a", swap, 1, drawing, {"cat"}) is None


def test_four_draws_are_tried_for_something_new() -> None:
    drawing = draw.Drawing(TextSettings((parse("swap=0.3"),)), seed=0)
    swap = drawing.texts.operations[0]
    found = [draw.variant("cat dog", str(i), swap, 1, drawing, {"cat dog"}) for i in range(600)]
    assert 0.71 < sum(text is not None for text in found) / 600 < 0.81  # 1 - 0.7^4 = 0.76


@given(text=texts, seed=seeds)
def test_a_chain_is_its_steps_one_after_the_other(text: str, seed: int) -> None:
    chain, settings = parse("swap=0.5 + ocr=0.4"), TextSettings((parse("noise=0.1"),))
    rng = generator(seed)
    first = changed(text, Operation((("swap", 0.5),)), settings, rng)
    assert changed(text, chain, settings, generator(seed)) == changed(first, Operation((("ocr", 0.4),)), settings, rng)
