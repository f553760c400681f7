"""The finder of wrong labels: what it measures, tells and counts."""

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import confident, folds, labels
from excise.data.classify import Probabilities
from excise.data.labels import LabelsSettings
from excise.errors import InputError, SettingError
from excise.finding import FINDINGS

NAMES = ("sci.med", "sci.space")
GIVEN = ["sci.med"] * 3 + ["sci.space"] * 3
SURE = np.array([[0.9, 0.1], [0.8, 0.2], [0.07, 0.93], [0.2, 0.8], [0.1, 0.9], [0.995, 0.005]], np.float32)


def found(corpus, settings=None, **asked):
    settings = settings or LabelsSettings()
    measured = labels.measure(corpus, settings, **asked)
    return pa.concat_tables(labels.judge(measured, corpus, settings)), measured


@pytest.fixture
def corpus():
    return Corpus.from_texts([f"text {i}" for i in range(6)], labels=GIVEN)


def test_findings_tell_what_is_wrong_and_suggest_a_label(corpus):
    findings, measured = found(corpus, probabilities=Probabilities(NAMES, SURE))
    assert findings.schema == FINDINGS
    assert measured.schema == labels.MEASURED
    assert findings["position"].to_pylist() == [2, 5]
    assert findings["value"].to_pylist() == ["sci.space", "sci.med"]
    wrong = confident.wrong(np.array([0, 0, 0, 1, 1, 1]), SURE, np.array([[2.0, 1], [1, 2]]))
    np.testing.assert_allclose(findings["redundancy"].to_numpy(), wrong[[2, 5]])
    assert 0.95 < wrong[2] < wrong[5] < 1
    assert findings["reason"].to_pylist() == [
        "labelled 'sci.med', but a model that has not seen it says 'sci.space' with 93 % (its own label: 7 %)",
        "labelled 'sci.space', but a model that has not seen it says 'sci.med' with over 99 % (its own label: under 1 %)",
    ]


def test_a_percentage_is_never_told_rounded_up_to_certainty():
    assert "with 99 %" in labels.reason("a", 0.01, "b", 0.99)
    assert "with over 99 %" in labels.reason("a", 0.0, "b", 0.9996)


def test_thresholds_and_methods_ask_for_no_other_measurement(corpus):
    measured = labels.measure(corpus, LabelsSettings(), probabilities=Probabilities(NAMES, SURE))
    assert set(LabelsSettings.MEASURED) == {"folds", "seed"}

    def positions(**settings):
        return next(labels.judge(measured, corpus, LabelsSettings(**settings)))["position"].to_pylist()

    assert positions(threshold=0.9985) == [5]
    assert positions(threshold=1.0) == []
    assert positions(threshold=0.0) == [2, 5]
    assert positions(method="joint") == positions(method="noise_rate") == positions(method="class_count") == [2, 5]
    assert positions(method="both") == positions(method="posterior") == [2, 5]


def test_wrong_labels_of_texts_are_found_by_the_built_in_classifier():
    rng = np.random.default_rng(0)
    topics = {"sea": ["wave", "ship", "salt", "tide"], "war": ["army", "tank", "siege", "sword"]}
    true = ["sea", "war"] * 100
    texts = [" ".join([*rng.choice(topics[t], 3), *(f"w{n}" for n in rng.integers(0, 30, 5))]) for t in true]
    given = [{"sea": "war", "war": "sea"}[t] if i < 10 else t for i, t in enumerate(true)]
    corpus = Corpus.from_texts(texts, labels=given)
    findings, measured = found(corpus, LabelsSettings(method="both"))
    assert findings["position"].to_pylist() == list(range(10))
    assert findings["value"].to_pylist() == true[:10]
    assert 8 <= labels.summary(measured)["wrong"] <= 14
    again, _ = found(corpus, LabelsSettings(method="both"))
    assert again.equals(findings)
    surest, _ = found(corpus)
    assert set(surest["position"].to_pylist()) < set(range(10))
    assert surest.num_rows >= 8


def test_references_are_no_locus():
    own = Corpus.from_texts([f"text {i}" for i in range(6)], labels=GIVEN)
    reference = Corpus.from_texts(["elsewhere"] * 4, name="other", labels=["sci.med"] * 4)
    findings, measured = found(own.beside(reference), probabilities=Probabilities(NAMES, SURE))
    assert measured.num_rows == 6
    assert findings["position"].to_pylist() == [6, 9]
    assert findings["locus"].to_pylist() == ["memory#2", "memory#5"]


def test_features_are_judged_instead_of_words():
    rng = np.random.default_rng(0)
    true = np.arange(120) % 2
    features = rng.standard_normal((120, 3)) + 5 * true[:, None]
    given = true.copy()
    given[:4] = 1 - given[:4]
    corpus = Corpus.from_texts([""] * 120, labels=[str(v) for v in given])
    findings, _ = found(corpus, LabelsSettings(method="both"), features=features)
    assert findings["position"].to_pylist() == [0, 1, 2, 3]
    assert findings["value"].to_pylist() == ["0", "1", "0", "1"]


def test_records_that_cannot_be_judged_say_why():
    corpus = Corpus.from_texts([f"text {i}" for i in range(6)], labels=[None, *GIVEN[1:]])
    rows = SURE.copy()
    rows[1] = np.nan
    skip = np.array([False, False, True, False, False, False])
    _, measured = found(corpus, probabilities=Probabilities(NAMES, rows), skip=skip)
    assert measured["unjudged"].to_pylist() == ["no label", "no probabilities", "gone already", None, None, None]
    assert measured["own"].to_pylist()[:3] == [None, None, None]
    assert measured["noise_rate"].null_count == 0
    told = labels.summary(measured)
    assert told["unjudged"] == {"gone already": 1, "no label": 1, "no probabilities": 1}
    assert [one["records"] for one in told["classes"]] == [2, 3]
    assert [one["judged"] for one in told["classes"]] == [0, 3]


def test_the_summary_by_hand(corpus):
    _, measured = found(corpus, probabilities=Probabilities(NAMES, SURE))
    assert labels.summary(measured) == {
        "classes": [
            {
                "label": "sci.med",
                "records": 3,
                "judged": 3,
                "wrong": 1,
                "wrong_fraction": pytest.approx(1 / 3, abs=1e-6),
            },
            {
                "label": "sci.space",
                "records": 3,
                "judged": 3,
                "wrong": 1,
                "wrong_fraction": pytest.approx(1 / 3, abs=1e-6),
            },
        ],
        "confusion": [
            {"given": "sci.med", "true": "sci.space", "records": 1, "fraction": pytest.approx(1 / 3, abs=1e-6)},
            {"given": "sci.space", "true": "sci.med", "records": 1, "fraction": pytest.approx(1 / 3, abs=1e-6)},
        ],
        "wrong": 2,
        "unjudged": {},
        "agreement": pytest.approx(4 / 6, abs=1e-6),
    }


def test_the_summary_puts_the_most_frequent_confusion_first():
    given = ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    rows = np.tile([[0.8, 0.1, 0.1]], (60, 1))
    rows[20:40] = [0.1, 0.8, 0.1]
    rows[40:] = [0.1, 0.1, 0.8]
    rows[:2] = [0.0, 1.0, 0.0]
    rows[20:25] = [0.0, 0.0, 1.0]
    corpus = Corpus.from_texts([""] * 60, labels=given)
    told = labels.summary(labels.measure(corpus, LabelsSettings(), probabilities=Probabilities(("a", "b", "c"), rows)))
    assert [(one["given"], one["true"], one["records"]) for one in told["confusion"]] == [("b", "c", 5), ("a", "b", 2)]


def test_one_class_finds_nothing():
    corpus = Corpus.from_texts(["a b", "b c", "c a"] * 5, labels=["x"] * 15)
    findings, measured = found(corpus)
    assert findings.num_rows == 0
    assert labels.summary(measured)["wrong"] == 0


def test_a_label_with_one_example_finds_nothing():
    corpus = Corpus.from_texts([f"a{i % 4} b{i % 3}" for i in range(40)] + ["a0 b0"], labels=["x", "y"] * 20 + ["z"])
    findings, measured = found(corpus)
    assert measured["unjudged"].to_pylist()[-1] == folds.SMALL_CLASS
    assert 40 not in findings["position"].to_pylist()


def test_labels_that_are_all_different_are_not_judged_and_cost_nothing():
    corpus = Corpus.from_texts(["one text"] * 3000, labels=[f"id {i}" for i in range(3000)])
    findings, measured = found(corpus)
    assert findings.num_rows == 0
    told = labels.summary(measured)
    assert told["unjudged"] == {folds.SMALL_CLASS: 3000}
    assert len(told["classes"]) == 3000
    assert told["agreement"] is None


def test_more_probabilities_than_fit_in_memory_are_refused(monkeypatch):
    monkeypatch.setattr(labels, "_NUMBERS", 100)
    corpus = Corpus.from_texts([f"text {i}" for i in range(60)], labels=[str(i % 2) for i in range(60)])
    with pytest.raises(InputError, match="60 records with 2 labels are"):
        labels.measure(corpus, LabelsSettings())


def test_an_empty_corpus_finds_nothing():
    findings, measured = found(Corpus.from_texts([], labels=[]))
    assert findings.num_rows == measured.num_rows == 0
    assert labels.summary(measured)["classes"] == []


def test_a_corpus_without_labels_is_refused():
    with pytest.raises(InputError, match="no record has a label"):
        labels.measure(Corpus.from_texts(["a", "b"]), LabelsSettings())


@pytest.mark.parametrize(
    ("classes", "values", "says"),
    [
        (("sci.med",), SURE[:, :1], "label of record 3 is 'sci.space'; the probabilities have the classes 'sci.med'"),
        (NAMES, SURE[:5], r"shape \[5, 2\]; with 6 records and 2 classes it must be \[6, 2\]"),
        (NAMES, np.hstack([SURE, SURE]), r"shape \[6, 4\]"),
        (("sci.med", "sci.space", "sci.med"), np.zeros((6, 3)), "'sci.med' is named twice"),
        (NAMES, SURE * 2, "row 0 hold 1.79"),
        (NAMES, SURE / 2, "row 0 sum to 0.5"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused(corpus, classes, values, says):
    with pytest.raises(InputError, match=says):
        labels.measure(corpus, LabelsSettings(), probabilities=Probabilities(classes, values))


@pytest.mark.parametrize(
    "settings", [{"threshold": 1.5}, {"threshold": -0.1}, {"folds": 1}, {"folds": 51}, {"method": "best"}, {"seed": -1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SettingError, match=f"labels.{next(iter(settings))} is"):
        LabelsSettings(**settings)
