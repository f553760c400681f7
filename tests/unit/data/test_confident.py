"""Confident learning: against the reference implementation, by hand, and at the edges."""

import warnings

import numpy as np
import pytest

from excise.data import confident
from excise.errors import InputError, SettingError

THEIRS = {
    "joint": "confident_learning",
    "noise_rate": "prune_by_noise_rate",
    "class_count": "prune_by_class",
    "both": "both",
}


def published(shared, name):
    folder = shared / "data" / "label-errors"
    labels = np.load(folder / f"{name}_test_set_original_labels.npy").astype(np.int64)
    return labels, np.load(folder / f"{name}_test_set_pyx.npy")


def reference(labels, probabilities, method):
    pytest.importorskip("cleanlab")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cleanlab.filter import find_label_issues

        return find_label_issues(labels, probabilities, filter_by=THEIRS[method], n_jobs=1)


@pytest.mark.parametrize("name", ["mnist", "20news"])
@pytest.mark.parametrize("method", ["joint", "noise_rate"])
def test_flags_are_those_of_the_reference_on_published_test_sets(shared, name, method):
    labels, probabilities = published(shared, name)
    ours = confident.issues(labels, probabilities, method)
    assert ours.sum() == {"mnist": 15, "20news": 55 if method == "joint" else 95}[name]
    np.testing.assert_array_equal(ours, reference(labels, probabilities, method))


def test_class_count_differs_from_the_reference_only_among_equal_probabilities(shared):
    labels, probabilities = published(shared, "20news")
    ours, theirs = (
        confident.issues(labels, probabilities, "class_count"),
        reference(labels, probabilities, "class_count"),
    )
    own = confident.self_confidence(labels, probabilities)
    assert ours.sum() == theirs.sum()
    assert (own[ours != theirs] == 0).all()  # more records of a class have probability 0 than are to go


def test_the_joint_is_that_of_the_reference(shared):
    pytest.importorskip("cleanlab")
    from cleanlab.count import compute_confident_joint

    labels, probabilities = published(shared, "20news")
    counts_as = confident.counted(probabilities, confident.thresholds(labels, probabilities))
    table = confident.rounded(confident.joint(labels, counts_as, 20))
    np.testing.assert_array_equal(table, compute_confident_joint(labels, probabilities))


#: Three records labelled 0, three labelled 1; the last of each looks like the other class.
LABELS = np.array([0, 0, 0, 1, 1, 1])
SURE = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]])


def test_thresholds_by_hand():
    np.testing.assert_allclose(confident.thresholds(LABELS, SURE), [0.6, 0.6])


def test_joint_by_hand():
    counts_as = confident.counted(SURE, confident.thresholds(LABELS, SURE))
    np.testing.assert_array_equal(counts_as, [0, 0, 1, 1, 1, 0])
    table = confident.joint(LABELS, counts_as, 2)
    np.testing.assert_array_equal(table, [[2, 1], [1, 2]])
    np.testing.assert_allclose(confident.noise_matrix(table), [[2 / 3, 1 / 3], [1 / 3, 2 / 3]])


@pytest.mark.parametrize("method", confident.METHODS)
def test_issues_by_hand(method):
    np.testing.assert_array_equal(confident.issues(LABELS, SURE, method), [False, False, True, False, False, True])


def test_the_noise_matrix_is_by_true_class():
    np.testing.assert_allclose(confident.noise_matrix(np.array([[3, 1], [0, 2]])), [[1, 1 / 3], [0, 2 / 3]])


def test_the_joint_is_calibrated_to_the_labels():
    # One of four records labelled 0 is unsure: its place is shared out as the sure ones are.
    table = confident.joint(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, -1, 1]), 2)
    np.testing.assert_allclose(table, [[8 / 3, 4 / 3], [0, 1]])
    np.testing.assert_array_equal(confident.rounded(table), [[3, 1], [0, 1]])


def test_a_record_counts_as_the_most_probable_of_the_classes_it_reaches():
    limits = np.array([0.9, 0.2, 0.1])
    rows = np.array([[0.6, 0.22, 0.18], [0.8, 0.1, 0.1], [0.89, 0.06, 0.05]])
    # The first is most probably 0, but does not reach 0's threshold; the last reaches none.
    np.testing.assert_array_equal(confident.counted(rows, limits), [1, 2, -1])


def test_equal_probabilities_reach_their_mean():
    rows = np.full((7, 3), 1 / 3)
    labels = np.array([0, 0, 0, 0, 0, 0, 1])
    assert (confident.counted(rows, confident.thresholds(labels, rows)) >= 0).all()
    assert not confident.issues(labels, rows, "joint").any()


def test_no_record_is_an_issue_whose_label_is_the_most_probable():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(4), 300)
    for method in confident.METHODS:
        assert not confident.issues(rows.argmax(1), rows, method).any()


def test_one_class_has_no_issues():
    labels, rows = np.zeros(5, np.int64), np.ones((5, 1))
    for method in confident.METHODS:
        assert not confident.issues(labels, rows, method).any()
    assert (confident.suggested(labels, rows) == -1).all()
    np.testing.assert_array_equal(confident.normalised_margin(labels, rows), 1)


def test_nothing_has_no_issues():
    assert len(confident.issues(np.zeros(0, np.int64), np.zeros((0, 3)), "both")) == 0


def test_the_only_record_of_a_class_stays_for_the_counting_methods():
    labels = np.array([0] * 10 + [1])
    rows = np.array([[0.9, 0.1]] * 11)
    assert not confident.issues(labels, rows, "both").any()


def test_absent_classes_count_for_nothing():
    labels = np.array([0, 0, 2, 2])
    rows = np.array([[0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.0, 0.5, 0.5]])
    limits = confident.thresholds(labels, rows)
    assert limits[1] == np.inf
    counts_as = confident.counted(rows, limits)
    assert 1 not in counts_as
    assert np.isnan(confident.noise_matrix(confident.joint(labels, counts_as, 3))[:, 1]).all()


def test_the_probability_of_being_wrong_undoes_the_noise():
    # One label in ten is wrong. Of a record that is truly 0 with 0.7, the model learns 0.9 * 0.7 + 0.1 * 0.3 = 0.66.
    table = np.array([[90.0, 10], [10, 90]])
    rows = np.array([[0.66, 0.34], [0.66, 0.34]])
    wrong = confident.wrong(np.array([0, 1]), rows, table)
    np.testing.assert_allclose(wrong, [1 - 0.9 * 0.7 / 0.66, 1 - 0.9 * 0.3 / 0.34], atol=0.01)


def test_a_confusion_that_is_frequent_makes_a_label_more_doubtful():
    # Class 1 is often labelled 0, never 2: the same doubt means more about a label 0.
    table = np.array([[80.0, 20, 0], [0, 80, 0], [0, 0, 100]])
    rows = np.array([[0.2, 0.8, 0.0], [0.0, 0.8, 0.2]])
    wrong = confident.wrong(np.array([0, 2]), rows, table)
    assert wrong[0] > 0.8
    assert wrong[1] == pytest.approx(0, abs=1e-6)


def test_as_many_are_picked_as_the_probabilities_of_being_wrong_sum_up_to():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 2000)
    labels = np.where(rng.random(2000) < 0.2, rng.integers(0, 3, 2000), true)
    rows = 0.15 / 3 + 0.85 * rng.dirichlet(np.ones(3) / 2, 2000)
    rows[np.arange(2000), true] += 2
    rows /= rows.sum(1, keepdims=True)
    table = confident.joint(labels, confident.counted(rows, confident.thresholds(labels, rows)), 3)
    wrong, found = confident.wrong(labels, rows, table), confident.issues(labels, rows, "posterior")
    assert found.sum() == round(wrong.sum())  # in all of them another class is more probable than the given one
    assert wrong[found].min() >= wrong[~found].max()


def test_ranking_by_hand():
    np.testing.assert_allclose(confident.self_confidence(LABELS, SURE), [0.9, 0.8, 0.1, 0.8, 0.9, 0.1])
    np.testing.assert_allclose(confident.normalised_margin(LABELS, SURE), [0.9, 0.8, 0.1, 0.8, 0.9, 0.1])
    rows = np.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(confident.normalised_margin(np.array([1]), rows), [(1 + 0.3 - 0.5) / 2])
    np.testing.assert_array_equal(confident.suggested(np.array([1]), rows), [0])


def test_rows_of_nan_and_records_without_a_label_are_not_judged():
    rows = np.array([[0.5, 0.5], [np.nan, np.nan], [0.5, 0.5]])
    np.testing.assert_array_equal(confident.judged(np.array([0, 1, -1]), rows), [True, False, False])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[0.5, 0.6]], "row 0 sum to 1.1"),
        ([[0.5, 0.5], [2.0, -1.0]], "row 1 hold 2.0"),
        ([[0.5, np.nan]], "row 0 hold nan"),
        ([[np.nan, 0.5]], "row 0 hold nan"),
        ([[np.inf, 0.5]], "row 0 hold inf"),
        ([0.5, 0.5], r"the shape \[2\]"),
    ],
)
def test_what_is_no_probability_is_refused(rows, says):
    rows = np.array(rows)
    with pytest.raises(InputError, match=says):
        confident.judged(np.zeros(len(rows), np.int64), rows)


def test_half_precision_sums_to_one_closely_enough():
    rows = np.random.default_rng(0).dirichlet(np.ones(200), 50).astype(np.float16)
    assert confident.judged(np.zeros(50, np.int64), rows).all()


def test_labels_outside_the_columns_are_refused():
    with pytest.raises(InputError, match="labels run from 0 to 2; with 2 columns"):
        confident.judged(np.array([0, 2]), np.full((2, 2), 0.5))


def test_an_unknown_method_is_refused():
    with pytest.raises(SettingError, match="method is 'best'; it must be one of posterior, joint"):
        confident.issues(LABELS, SURE, "best")
