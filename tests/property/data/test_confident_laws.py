"""Laws of confident learning, and a slow plain twin of it."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from excise.data import confident


@st.composite
def cases(draw):
    """Labels and probabilities of coarse steps, so that there are ties; some classes may be absent."""
    classes = draw(st.integers(2, 4))
    count = draw(st.integers(1, 25))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    parts = draw(
        st.lists(st.lists(st.integers(0, 5), min_size=classes, max_size=classes), min_size=count, max_size=count)
    )
    rows = np.array(parts, float) + 1 / 8
    return np.array(labels, np.int64), rows / rows.sum(1, keepdims=True)


def plain_joint(labels, rows, classes):
    limits = {}
    for j in range(classes):
        own = [row[j] for label, row in zip(labels, rows, strict=True) if label == j]
        limits[j] = sum(own) / len(own) if own else float("inf")
    table = Counter()
    for label, row in zip(labels, rows, strict=True):
        reached = [j for j in range(classes) if row[j] >= limits[j] - 1e-6]
        if reached:
            best = max(row[j] for j in reached)
            table[int(label), min(j for j in reached if row[j] == best)] += 1
    return table


@given(cases())
def test_counts_are_those_of_the_plain_twin(case):
    labels, rows = case
    classes = rows.shape[1]
    counts_as = confident.counted(rows, confident.thresholds(labels, rows))
    ours = Counter((int(a), int(b)) for a, b in zip(labels, counts_as, strict=True) if b >= 0)
    assert ours == plain_joint(labels.tolist(), rows.tolist(), classes)


@given(cases())
def test_the_joint_sums_up_to_the_labels_and_rounds_by_less_than_one(case):
    labels, rows = case
    classes = rows.shape[1]
    counts_as = confident.counted(rows, confident.thresholds(labels, rows))
    table = confident.joint(labels, counts_as, classes)
    whole = confident.rounded(table)
    np.testing.assert_array_equal(whole.sum(1), np.bincount(labels, minlength=classes))
    assert (whole >= 0).all()
    assert (np.abs(whole - table) < 1).all()
    counts = np.zeros((classes, classes))
    for (given_label, true), number in plain_joint(labels.tolist(), rows.tolist(), classes).items():
        counts[given_label, true] = number
    np.fill_diagonal(counts, np.maximum(counts.diagonal(), 1))
    exact = counts / counts.sum(1, keepdims=True) * np.bincount(labels, minlength=classes)[:, None]
    np.testing.assert_allclose(table, exact)


@given(cases())
def test_methods_agree_as_they_say(case):
    labels, rows = case
    flags = {method: confident.issues(labels, rows, method) for method in confident.METHODS}
    np.testing.assert_array_equal(flags["both"], flags["noise_rate"] & flags["class_count"])
    table = confident.joint(labels, confident.counted(rows, confident.thresholds(labels, rows)), rows.shape[1])
    chances = confident.wrong(labels, rows, table)
    assert ((chances >= 0) & (chances <= 1)).all()
    assert flags["posterior"].sum() <= round(chances.sum())
    table = confident.rounded(table)
    wrong = table.sum() - table.trace()
    assert flags["noise_rate"].sum() <= wrong
    assert flags["class_count"].sum() <= wrong
    other = confident.suggested(labels, rows)
    for found in flags.values():
        assert (rows[found, other[found]] > rows[found, labels[found]]).all()


@given(cases(), st.randoms(use_true_random=False))
def test_names_of_classes_do_not_matter_to_the_joint(case, random):
    labels, rows = case
    order = list(range(rows.shape[1]))
    random.shuffle(order)
    renamed = np.argsort(order)[labels]
    rows = rows + np.arange(rows.shape[1]) * 1e-4  # no ties between classes
    first = confident.counted(rows, confident.thresholds(labels, rows))
    again = confident.counted(rows[:, order], confident.thresholds(renamed, rows[:, order]))
    np.testing.assert_array_equal(np.where(again >= 0, np.array(order)[again], -1), first)
