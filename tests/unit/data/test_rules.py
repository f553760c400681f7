"""Finder 'quality': settings, thresholds, findings."""

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import rules
from excise.errors import SettingError
from excise.finding import FINDINGS

PROSE = "The cat and the dog sat with the bird by the window, and they watched the rain fall on the garden. " * 4
OTHER = (
    "It was late when the train came in. The people who had waited for an hour were tired, and most of them did not "
    "look up from what they read. A man with a dog asked the guard about the next one to the north. Nobody knew. "
    "There was snow on the line, he was told, and they would have to be patient until the morning."
)


def found(texts, **settings):
    corpus, chosen = Corpus.from_texts(texts), rules.RulesSettings(**settings)
    return pa.concat_tables(rules.judge(rules.measure(corpus, chosen), corpus, chosen)).to_pylist()


def test_prose_stays_and_garbage_goes():
    garbage = "x1 #2 77 #3 88 " * 30
    rows = found([OTHER, garbage, "too short"], rules=("gopher", "c4", "fineweb"))
    assert [row["locus"] for row in rows] == ["memory#1", "memory#2"]
    assert all(row["finder"] == "quality" and 0 < row["redundancy"] <= 1 for row in rows)


def test_the_reason_names_recipe_value_and_threshold():
    text = OTHER + " #" * 10
    (row,) = found([text], thresholds=("gopher.max_symbol_ratio=0.125",))
    words = len(text.split())
    assert row["reason"] == f"gopher: it has {10 / words:.2g} hash signs or ellipses a word; at most 0.125"
    (row,) = found(["few words"])
    assert row["reason"].endswith("gopher: it has 2 words; at least 50")
    assert row["reason"].startswith("gopher: it has 0 of the commonest grammatical words; at least 2")


def test_zero_is_a_threshold_and_none_is_not():
    text = "{} " + OTHER
    assert found([text], rules=("c4",))[0]["redundancy"] == 1
    assert found([text], rules=("c4",), thresholds=("c4.max_curly_brackets=2",)) == []
    assert found([text], rules=("c4",), thresholds=("c4.max_curly_brackets=none",)) == []
    assert len(found([OTHER + " the..."], thresholds=("gopher.max_symbol_ratio=0",))) == 1


def test_a_record_at_the_threshold_stays():
    fifty = " ".join(["the", "and"] + [f"wordy{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(48)])
    assert found([fifty]) == []
    assert len(found([fifty.rsplit(" ", 1)[0]])) == 1


def test_other_thresholds_need_no_new_measurement():
    corpus = Corpus.from_texts([PROSE, OTHER])
    measured = rules.measure(corpus, rules.RulesSettings())
    for top in (0.0, 0.5, 1.0):
        settings = rules.RulesSettings(thresholds=(f"gopher.max_repeated_5={top}",))
        once = pa.concat_tables(rules.judge(measured, corpus, settings)).to_pylist()
        assert once == found([PROSE, OTHER], thresholds=settings.thresholds)
    assert set(rules.RulesSettings.MEASURED) == {"stop_words", "line_words", "short_line"}


def test_runs_of_short_texts_are_not_judged():
    short = "Name the colour of the sky. The colour of the sky is blue. Name the colour of the sky."
    assert found([short], thresholds=("gopher.min_words=none",)) == []


def test_stop_words_of_another_language():
    german = "der Hund und die Katze schlafen nicht im Haus neben dem alten Baum am Fluss " + " ".join(
        f"wort{chr(97 + i)}{chr(122 - i)}" for i in range(26)
    )
    assert "grammatical" in found([german], thresholds=("gopher.min_words=none",))[0]["reason"]
    assert found([german], thresholds=("gopher.min_words=none",), stop_words=("der", "die", "und")) == []


def test_references_are_left_out_and_positions_are_those_of_the_corpus():
    corpus = Corpus.from_texts(["a", OTHER, "b"]).beside(Corpus.from_texts(["c", "d"], name="other"))
    settings = rules.RulesSettings()
    measured = rules.measure(corpus, settings)
    assert measured.num_rows == 3
    (table,) = rules.judge(measured, corpus, settings)
    assert table["position"].to_pylist() == [2, 4]
    assert table["locus"].to_pylist() == ["memory#0", "memory#2"]


def test_empty_texts_and_an_empty_corpus():
    assert len(found(["", "\n \u3000", "。。！"], rules=("gopher", "c4", "fineweb"))) == 3
    (table,) = rules.judge(
        rules.measure(Corpus.from_texts([]), rules.RulesSettings()), Corpus.from_texts([]), rules.RulesSettings()
    )
    assert table.schema == FINDINGS and table.num_rows == 0


def test_what_comes_after_the_millionth_word_is_not_looked_at_for_repetition(monkeypatch):
    monkeypatch.setattr(rules, "_MOST", 100)
    fresh = " ".join(f"w{i}" for i in range(100))
    twice = rules.measure(Corpus.from_texts([fresh + " " + fresh]), rules.RulesSettings()).to_pylist()[0]
    assert twice["words"] == 200 and twice["repeated_5"] == 0
    within = rules.measure(Corpus.from_texts(["a b c d e f " * 30]), rules.RulesSettings()).to_pylist()[0]
    assert within["unit_characters"] == 100 and within["repeated_5"] == 94


def test_a_text_of_one_letter():
    measured = rules.measure(Corpus.from_texts(["a" * 3_000_000, "中" * 100_000]), rules.RulesSettings())
    assert measured["words"].to_pylist() == [1, 0]
    assert measured["top_2"].to_pylist() == [0, 100_000]


def test_the_same_on_any_number_of_pieces(monkeypatch):
    texts = [OTHER[i:] for i in range(50)]
    whole = rules.measure(Corpus.from_texts(texts), rules.RulesSettings())
    monkeypatch.setattr(rules, "_PIECE_BYTES", 500)
    assert rules.measure(Corpus.from_texts(texts, batch=7), rules.RulesSettings(), mapped=map).equals(whole)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rules": ("gofer",)}, "must be one of gopher, c4, fineweb"),
        ({"rules": ()}, "names none"),
        ({"thresholds": ("gopher.min_words",)}, "write rule=number"),
        ({"thresholds": ("gopher.min_word=3",)}, "there is no rule 'gopher.min_word'. Nearest: gopher.min_words"),
        ({"thresholds": ("x=3",)}, "there is no rule"),
        ({"thresholds": ("c4.min_sentences=3",)}, "Add c4 to the rules"),
        ({"thresholds": ("gopher.min_words=-1",)}, "from 0 up"),
        ({"thresholds": ("gopher.min_words=nan",)}, "from 0 up"),
        ({"thresholds": ("gopher.min_words=inf",)}, "from 0 up"),
        ({"thresholds": ("gopher.min_words=many",)}, "from 0 up"),
        ({"thresholds": ("gopher.max_top_2=20",)}, "Ten percent is 0.1"),
        ({"line_words": -1}, "must not be below 0"),
        ({"short_line": -1}, "must not be below 0"),
        ({"stop_words": ("in to ",)}, "without blanks"),
        ({"stop_words": ("因为",)}, "Give '因'"),
    ],
)
def test_settings_out_of_range_say_so(settings, says):
    with pytest.raises(SettingError, match=says):
        rules.RulesSettings(**settings)


def test_values_are_judged_only_where_they_mean_something():
    value = rules.values(rules.measure(Corpus.from_texts(["", "中文很好", "two words"]), rules.RulesSettings()))
    assert np.isnan(value["gopher.min_word_length"]).tolist() == [True, True, False]
    assert np.isnan(value["gopher.max_top_2"]).all()
