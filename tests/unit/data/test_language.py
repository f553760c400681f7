"""Finder 'language'."""

import sys

import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import language
from excise.errors import MissingExtraError, SettingError
from excise.finding import FINDINGS

pytest.importorskip("py3langid")
ENGLISH = "The weather was fine that day, and the whole family went down to the river to fish and to swim."
CHINESE = "那天天气很好，全家人都到河边去钓鱼和游泳，孩子们一直玩到太阳下山才回家。"
FRENCH = "Il faisait beau ce jour-là, et toute la famille est descendue à la rivière pour pêcher et nager."
CODE = "def add(a, b):\n    return a + b\n\n\nclass Box:\n    def __init__(self, x):\n        self.x = x\n"


def found(texts, **settings):
    corpus, chosen = Corpus.from_texts(texts), language.LanguageSettings(**settings)
    (table,) = language.judge(language.measure(corpus, chosen), corpus, chosen)
    assert table.schema == FINDINGS
    return table.to_pylist()


def test_other_languages_go():
    (row,) = found([ENGLISH, CHINESE, FRENCH])
    assert row["locus"] == "memory#2" and 0.5 < row["redundancy"] <= 1
    assert row["reason"].startswith("it is fr rather than en or zh, with probability ")
    assert [row["position"] for row in found([ENGLISH, CHINESE, FRENCH], keep=("fr",))] == [0, 1]


def test_it_is_the_model_of_py3langid():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    texts = [
        ENGLISH,
        CHINESE,
        FRENCH,
        CODE,
        "SHOUTED WORDS, ALL OF THEM",
        "cafe\u0301 cre\u0300me",
        "a",
        "你好",
        "12 34",
        ENGLISH * 30,
    ]
    theirs = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    ours = language.measure(Corpus.from_texts(texts), language.LanguageSettings()).to_pylist()
    for text, row in zip(texts, ours, strict=True):
        name, probability = theirs.classify(text[:1000])
        if row["language"] is None:  # theirs is a guess: all languages are equally likely
            assert probability < 0.02
        else:
            assert row["language"] == name
            assert row["probability"] == pytest.approx(probability, abs=2e-4)


def test_short_texts_are_not_judged():
    assert found(["Bonjour tout le monde"]) == []
    assert len(found(["Bonjour tout le monde"], min_length=20)) == 1
    assert found(["", "123 456 789 000 " * 9]) == []  # no letters, no language


def test_an_unsure_judgement_is_none():
    (row,) = found([FRENCH])
    assert found([FRENCH], min_probability=row["redundancy"] + 1e-9) == []
    assert len(found([FRENCH], min_probability=row["redundancy"])) == 1


def test_mixed_texts_are_given_one_language():
    mixed = ENGLISH + "\n" + CHINESE
    (row,) = language.measure(Corpus.from_texts([mixed]), language.LanguageSettings()).to_pylist()
    assert row["language"] in {"en", "zh"}
    assert found([mixed]) == [] and found([CODE]) == []


def test_only_the_beginning_is_looked_at():
    text = FRENCH * 20 + ENGLISH * 200
    assert len(found([text])) == 1
    assert found([text], beginning=100_000) == []


def test_dialects_stay_with_their_language():
    table = language.measure(Corpus.from_texts([CHINESE]), language.LanguageSettings())
    wu = table.set_column(0, "language", pa.array(["wuu"]).dictionary_encode()).replace_schema_metadata(
        table.schema.metadata
    )
    corpus = Corpus.from_texts([CHINESE])
    assert next(language.judge(wu, corpus, language.LanguageSettings(keep=("zh",)))).num_rows == 0
    assert next(language.judge(wu, corpus, language.LanguageSettings(keep=("en",), min_probability=0))).num_rows == 1


def test_references_are_left_out():
    corpus = Corpus.from_texts([FRENCH]).beside(Corpus.from_texts([FRENCH, ENGLISH, ENGLISH], name="other"))
    measured = language.measure(corpus, language.LanguageSettings(), mapped=map)
    (table,) = language.judge(measured, corpus, language.LanguageSettings())
    assert table["position"].to_pylist() == [3]


def test_an_empty_corpus():
    assert found([]) == []


def test_a_missing_extra_is_named(monkeypatch):
    language._model.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(MissingExtraError, match=r"excise\[noise\]"):
        language.measure(Corpus.from_texts([ENGLISH]), language.LanguageSettings())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"keep": ()}, "names none"),
        ({"min_probability": 1.5}, "from 0 to 1"),
        ({"min_length": -1}, "not be below 0"),
        ({"beginning": 0}, "1 or more"),
    ],
)
def test_settings_out_of_range_say_so(settings, says):
    with pytest.raises(SettingError, match=says):
        language.LanguageSettings(**settings)


def test_an_unknown_language_is_refused():
    with pytest.raises(SettingError, match="keep has 'english', which is not known"):
        found([ENGLISH], keep=("english",))
