"""The finder of wrong values: residuals of held-out records."""

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import values
from excise.data.values import ValuesSettings
from excise.errors import InputError, SettingError


def found(given, features, settings=None, **asked):
    settings = settings or ValuesSettings()
    corpus = Corpus.from_texts(
        [""] * len(given), labels=[v if v is None or isinstance(v, str) else repr(float(v)) for v in given]
    )
    measured = values.measure(corpus, settings, features=features, **asked)
    return pa.concat_tables(values.judge(measured, corpus, settings)), measured


@pytest.fixture
def line():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((300, 5))
    return features, 100 + features @ [5.0, -3, 2, 0, 0] + 0.5 * rng.standard_normal(300)


def test_wrong_values_are_found_and_the_right_ones_suggested(line):
    features, target = line
    given = target.copy()
    given[7] *= 10
    given[20] -= 30
    findings, measured = found(given, features)
    assert findings["position"].to_pylist() == [7, 20]
    suggested = [float(v) for v in findings["value"].to_pylist()]
    np.testing.assert_allclose(suggested, target[[7, 20]], atol=2)
    assert findings["reason"].to_pylist()[1].startswith(f"its value is {given[20]:.6g}, but a model that has not seen")
    z = measured["z"].to_numpy()[20]
    np.testing.assert_allclose(findings["redundancy"].to_numpy()[1], 1 - 1 / z**2)
    assert -65 < z < -45  # 30 off, the noise is 0.5


def test_a_twentieth_of_wild_values_does_not_bend_the_model(line):
    features, target = line
    given = target.copy()
    given[:15] *= 1e6
    findings, measured = found(given, features)
    assert findings["position"].to_pylist() == list(range(15))
    predicted = measured["predicted"].to_numpy()
    assert np.abs(predicted - target).max() < 3


def test_clean_values_are_left_alone(line):
    features, target = line
    findings, measured = found(target, features)
    assert findings.num_rows == 0
    z = measured["z"].to_numpy()
    assert 0.8 < np.sqrt((z**2).mean()) < 1.3  # in usual deviations


def test_a_copy_does_not_explain_its_own_value(line):
    features, target = line
    given = np.append(target, [200.0] * 5)
    findings, _ = found(given, np.vstack([features, *[features[:1]] * 5]))
    assert findings["position"].to_pylist() == [300, 301, 302, 303, 304]


@pytest.mark.parametrize("constant", [3.3, 0.0, -1e12])
def test_a_constant_target_finds_nothing(line, constant):
    features, _ = line
    findings, measured = found(np.full(300, constant), features)
    assert findings.num_rows == 0
    assert np.abs(measured["z"].to_numpy()).max() < 1


def test_one_odd_value_among_equal_ones_is_found(line):
    features, _ = line
    given = np.full(300, 3.0)
    given[9] = 4.0
    findings, _ = found(given, features)
    assert findings["position"].to_pylist() == [9]
    assert findings["value"].to_pylist() == ["3"]


def test_constant_features_predict_the_middle():
    given = np.append(np.random.default_rng(0).standard_normal(99), 50.0)
    findings, _ = found(given, np.ones((100, 3)), groups=None)
    assert findings.num_rows == 0  # all rows are equal: one group, which no fold can be judged by
    findings, _ = found(given, np.arange(100.0)[:, None] * [0, 0, 1])
    assert findings["position"].to_pylist() == [99]


def test_what_is_no_number_is_not_judged(line):
    features, target = line
    given = list(target)
    given[0], given[1], given[2], given[3] = "n/a", None, "nan", "inf"
    features[5] = np.nan
    skip = np.zeros(300, np.bool_)
    skip[6] = True
    _, measured = found(given, features, skip=skip)
    assert measured["unjudged"].to_pylist()[:8] == ["no number"] * 4 + [
        None,
        "nothing to judge by",
        "gone already",
        None,
    ]
    assert measured["z"].to_pylist()[5] is None


def test_too_few_records_are_not_judged():
    _, measured = found([1.0, 2.0, 3.0], np.eye(3))
    assert measured["unjudged"].to_pylist() == ["too few records"] * 3


def test_references_are_no_locus(line):
    features, target = line
    given = target.copy()
    given[4] += 100
    own = Corpus.from_texts([""] * 300, labels=[repr(float(v)) for v in given])
    corpus = own.beside(Corpus.from_texts(["x"] * 3, name="other", labels=["1", "2", "3"]))
    measured = values.measure(corpus, ValuesSettings(), features=features)
    findings = next(values.judge(measured, corpus, ValuesSettings()))
    assert findings["locus"].to_pylist() == ["memory#4"]
    assert findings["position"].to_pylist() == [7]


def test_the_same_input_gives_the_same_table(line):
    features, target = line
    assert found(target, features)[1].equals(found(target, features)[1])


def test_deviations_by_hand():
    given, predicted = np.array([1.0, 2, 3, 4, 14]), np.zeros(5)
    # Residuals 1 2 3 4 14: median 3, absolute deviations 2 1 0 1 11, their median 1.
    np.testing.assert_allclose(values.deviations(given, predicted), (given - 3) / 1.4826)
    np.testing.assert_allclose(values.redundancy(np.array([0.0, 1, -2, 10])), [0, 0, 0.75, 0.99])


def test_thresholds_ask_for_no_other_measurement(line):
    features, target = line
    given = target.copy()
    given[3] += 4
    _, measured = found(given, features)
    corpus = Corpus.from_texts([""] * 300)
    counts = [
        next(values.judge(measured, corpus, ValuesSettings(threshold=limit))).num_rows for limit in (2.0, 5.0, 100.0)
    ]
    assert counts[0] > counts[1] == 1 > counts[2]


def test_what_does_not_fit_is_refused(line):
    features, target = line
    with pytest.raises(InputError, match=r"shape \[299, 5\] for 300 records"):
        found(target, features[:-1])
    with pytest.raises(InputError, match="no record's label is a number"):
        found(["a"] * 300, features)
    features[8, 1] = np.inf
    with pytest.raises(InputError, match="row 8 hold infinity"):
        found(target, features)


@pytest.mark.parametrize("settings", [{"threshold": 1.0}, {"threshold": float("nan")}, {"folds": 1}, {"seed": -1}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SettingError, match=f"values.{next(iter(settings))} is"):
        ValuesSettings(**settings)
