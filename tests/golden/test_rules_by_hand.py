"""Quality rules on texts small enough to count by hand."""

import pytest

from excise.corpus import Corpus
from excise.data import rules


def measured(text, **settings):
    return rules.measure(Corpus.from_texts([text]), rules.RulesSettings(**settings)).to_pylist()[0]


def value(text, name):
    return rules.values(rules.measure(Corpus.from_texts([text]), rules.RulesSettings()), (name,))[name][0]


def test_words_and_lines_of_english():
    # 4 + 3 + 2 words; 'The', 'cat', 'sat.', '#1' | '-', 'the', 'end…' | 'the', 'end…'
    c = measured("The cat sat. #1\n- the end…\n\nthe end…\n")
    assert (c["characters"], c["newlines"], c["lines"], c["paragraphs"]) == (15 + 1 + 10 + 1 + 1 + 8 + 1, 4, 3, 2)
    assert (c["words"], c["lone"], c["word_characters"], c["letter_words"]) == (9, 0, 12 + 8 + 7, 7)
    assert (c["hashes"], c["ellipses"], c["stop_words"]) == (1, 2, 1)  # 'the' alone
    assert (c["bullet_lines"], c["ellipsis_lines"], c["end_lines"]) == (1, 2, 2)
    assert (c["short_lines"], c["line_characters"]) == (3, 15 + 10 + 8)


def test_words_of_chinese():
    # 今 天 天 气 很 好 are lone letters, a sign between them and a blank belongs to them; '2024' and 'GDP' are words
    c = measured("“今天天气很好！”2024 GDP。")
    assert (c["lone"], c["lone_letters"], c["words"], c["letter_words"]) == (6, 6, 2, 1)
    assert (c["word_characters"], c["unit_characters"]) == (6 + 4, 6 + 6 + 4)  # the words '！”2024' and 'GDP。'
    assert c["end_lines"] == 1
    assert value("“今天天气很好！”2024 GDP。", "gopher.min_words") == 2 + 6 / 1.5
    assert value("“今天天气很好！”2024 GDP。", "gopher.min_letter_words") == (1 + 4) / (2 + 4)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One two three four five. Six, seven! Eight?", 3),
        ("Pi is 3.14 or about so. He said so.", 2),
        ("Only four words here.", 0),  # C4 keeps no line of fewer than five
        ("This line has no stop at its end", 0),
        ("This line trails off into nothing at all...", 0),
        ("Please switch on JavaScript to see this page.", 0),
        ("Read our (Privacy Policy) before you go on.", 0),
        ("今天天气很好。我们去公园！好吗？", 3),
        ("“他说了很多很多话。”", 1),
    ],
)
def test_sentences_on_the_lines_that_c4_keeps(text, sentences):
    assert value(text, "c4.min_sentences") == sentences


def test_repeated_lines_and_paragraphs():
    # a b c d, a twice more: 2 of 6 lines; 'a' has 3 of 3+4+5+6+3+3 characters
    c = measured("aaa\nbbbb\n\nccccc\ndddddd\naaa\naaa")
    assert (c["repeated_lines"], c["lines"], c["repeated_line_characters"], c["line_characters"]) == (2, 6, 6, 24)
    c = measured("aaa\nbb\n\n aaa \nbb\n\n\naaa bb")
    assert (c["repeated_paragraphs"], c["paragraphs"], c["repeated_paragraph_characters"]) == (1, 3, 5)


def test_most_frequent_runs():
    # 'a bb' three times = 9 of 3+3+3+5 characters; of the 3-grams 'a bb a' twice, sharing an 'a': a bb a bb a
    c = measured("a bb a bb a bb ccccc")
    assert c["unit_characters"] == 14
    assert (c["top_2"], c["top_3"]) == (9, 8)  # 'bb a bb', twice and longer: bb a bb a bb
    assert c["top_4"] == 9  # a bb a bb a bb
    assert measured("one two three")["top_2"] == 0


def test_runs_that_were_there_before():
    # the second 'a b c d e f' repeats both 5-grams of the first, the 6-gram once
    c = measured("a b c d e f xx a b c d e f")
    assert (c["repeated_5"], c["repeated_6"], c["repeated_7"]) == (6, 6, 0)
    c = measured("a b c d e xx a b c d e f")
    assert (c["repeated_5"], c["repeated_6"]) == (5, 0)


def test_runs_of_chinese_are_longer():
    # five words are ceil(7.5) = 8 letters
    c = measured("甲乙丙丁戊己庚辛一二甲乙丙丁戊己庚辛")
    assert (c["repeated_5"], c["repeated_6"]) == (8, 0)
    c = measured("甲乙丙丁戊己庚一二三甲乙丙丁戊己庚四")
    assert c["repeated_5"] == 0


def test_symbols_are_of_one_kind_at_a_time():
    # 2 hash signs, 1 ellipsis, 10 words
    text = "# a # b c d e f g... h"
    assert value(text, "gopher.max_symbol_ratio") == pytest.approx(0.2)


def test_published_thresholds():
    published = {name: rule.threshold for name, rule in rules.RULES.items()}
    assert published == {
        "gopher.min_words": 50,
        "gopher.max_words": 100_000,
        "gopher.min_word_length": 3,
        "gopher.max_word_length": 10,
        "gopher.max_symbol_ratio": 0.1,
        "gopher.max_bullet_lines": 0.9,
        "gopher.max_ellipsis_lines": 0.3,
        "gopher.min_letter_words": 0.8,
        "gopher.min_stop_words": 2,
        "gopher.max_repeated_lines": 0.3,
        "gopher.max_repeated_paragraphs": 0.3,
        "gopher.max_repeated_line_characters": 0.2,
        "gopher.max_repeated_paragraph_characters": 0.2,
        "gopher.max_top_2": 0.2,
        "gopher.max_top_3": 0.18,
        "gopher.max_top_4": 0.16,
        "gopher.max_repeated_5": 0.15,
        "gopher.max_repeated_6": 0.14,
        "gopher.max_repeated_7": 0.13,
        "gopher.max_repeated_8": 0.12,
        "gopher.max_repeated_9": 0.11,
        "gopher.max_repeated_10": 0.1,
        "c4.min_sentences": 3,
        "c4.max_curly_brackets": 0,
        "c4.max_lorem_ipsum": 0,
        "fineweb.min_end_lines": 0.12,
        "fineweb.max_short_lines": 0.67,
        "fineweb.max_repeated_line_characters": 0.1,
        "fineweb.max_newline_ratio": 0.3,
    }
