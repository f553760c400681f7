"""The built-in classifier: who judges whom, from what, and how well."""

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import classify, folds, vocabulary
from excise.data.logistic import Dense, Words, fit
from excise.data.scale import Scale
from excise.errors import InputError

TOPICS = {
    "sea": ["wave", "ship", "salt", "harbour", "tide", "sail", "anchor", "fish"],
    "war": ["army", "battle", "shield", "tank", "soldier", "siege", "march", "sword"],
    "art": ["paint", "canvas", "colour", "museum", "brush", "statue", "gallery", "poem"],
}


def texts_of(count, seed=0):
    """Records about one of three topics, with the topic's index."""
    rng = np.random.default_rng(seed)
    topics = list(TOPICS.values())
    labels = np.arange(count) % 3
    common = [f"word{i}" for i in range(30)]
    texts = [" ".join([*rng.choice(topics[label], 3), *rng.choice(common, 6)]) for label in labels]
    return texts, labels.astype(np.int64)


CLASSES = ("art", "sea", "war")


def judged(texts, labels, **settings):
    return classify.by_words(Corpus.from_texts(texts), labels, CLASSES, **settings)


def test_topics_are_told_apart_by_words_and_wrong_labels_stand_out():
    texts, true = texts_of(300)
    labels = true.copy()
    labels[:15] = (labels[:15] + 1) % 3
    told = judged(texts, labels)
    values = told.probabilities.values
    assert values.dtype == np.float32
    np.testing.assert_allclose(values.sum(1), 1, atol=1e-5)
    assert (values.argmax(1) == true).mean() > 0.97
    own = values[np.arange(300), labels]
    assert own[:15].max() < np.quantile(own[15:], 0.05)
    assert all(why is None for why in told.unjudged)


def test_chinese_is_told_apart_without_blanks():
    rng = np.random.default_rng(0)
    words = [["海浪", "港口", "帆船", "鱼群"], ["军队", "战争", "士兵", "围城"]]
    labels = (np.arange(120) % 2).astype(np.int64)
    texts = [
        "我们今天" + "".join(rng.choice(words[label], 2)) + "的事情" + "一二三四五六"[i % 6]
        for i, label in enumerate(labels)
    ]
    told = classify.by_words(Corpus.from_texts(texts), labels, ("sea", "war"))
    assert (told.probabilities.values.argmax(1) == labels).mean() > 0.97


def test_the_same_input_gives_the_same_bytes():
    texts, labels = texts_of(150)
    one, two = judged(texts, labels), judged(texts, labels)
    assert one.probabilities.values.tobytes() == two.probabilities.values.tobytes()
    other = judged(texts, labels, seed=1)
    assert one.probabilities.values.tobytes() != other.probabilities.values.tobytes()


def test_a_copy_does_not_give_its_label_back():
    texts, true = texts_of(240)
    labels = true.copy()
    labels[:20] = (labels[:20] + 1) % 3
    # Twenty wrong records stand here five times each, with their wrong labels.
    held = judged(texts + texts[:20] * 4, np.concatenate([labels, *[labels[:20]] * 4]))
    own = held.probabilities.values[np.arange(20), labels[:20]]
    assert np.median(own) < 0.4  # 0.996 where the copies are dealt apart


def test_words_do_not_matter_to_the_groups_but_as_sets():
    corpus = Corpus.from_texts(["One two, two!", "two ONE two", "one  TWO. two", "one two three"])
    keys = vocabulary.learn(corpus)[1]
    # The pair 'two two' tells the first from the second; the third is the first.
    assert keys[0] == keys[2]
    assert len(set(keys.tolist())) == 3


def test_groups_are_joined_through_what_they_share():
    keys = np.array([1, 1, 2, 3, 4], np.uint64)
    np.testing.assert_array_equal(folds.joined(keys, np.array([0, 5, 5, 7, 7])), [0, 0, 0, 3, 3])
    assert len(set(folds.joined(keys, None).tolist())) == 4


def test_folds_hold_every_class_evenly_and_groups_together():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 500, p=[0.6, 0.3, 0.08, 0.02])
    groups = rng.integers(0, 400, 500)
    fold = folds.deal_out(labels, groups, 5, seed=0)
    assert (fold >= 0).all()
    for group in np.unique(groups):
        assert len(set(fold[groups == group].tolist())) == 1
    single = folds.deal_out(labels, np.arange(500), 5, seed=0)
    for label in range(4):
        counts = np.bincount(single[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_small_classes_and_missing_labels_are_left_out_and_said():
    texts, labels = texts_of(150)
    labels[3] = -1
    labels[labels == 0] = 1
    labels[[0, 6, 9, 12]] = 0  # four examples, five folds
    told = judged(texts, labels)
    assert told.unjudged[3] == folds.NO_LABEL
    assert [told.unjudged[i] for i in (0, 6, 9, 12)] == [folds.SMALL_CLASS] * 4
    assert np.isnan(told.probabilities.values[[0, 3]]).all()
    assert (told.probabilities.values[20, 0]) == 0  # no model knows the class
    assert judged(texts, labels, folds=4).unjudged[0] is None


def test_copies_of_one_record_are_no_class():
    texts, labels = texts_of(90)
    labels[labels == 0] = 1
    told = judged(texts + ["the same text"] * 10, np.append(labels, np.zeros(10, np.int64)))
    assert set(told.unjudged[90:].tolist()) == {folds.SMALL_CLASS}


def test_texts_without_a_known_word_are_not_judged():
    texts, labels = texts_of(90)
    texts[4], texts[7] = "", "zyzzyva"  # nobody else has that word
    told = judged(texts, labels)
    assert told.unjudged[4] == told.unjudged[7] == folds.NOTHING_KNOWN
    assert sum(why is not None for why in told.unjudged) == 2


def test_one_class_is_judged_as_sure():
    texts, _ = texts_of(30)
    told = classify.by_words(Corpus.from_texts(texts), np.zeros(30, np.int64), ("sea",))
    np.testing.assert_array_equal(told.probabilities.values, 1)


def test_nothing_to_judge():
    assert judged([], np.zeros(0, np.int64)).probabilities.values.shape == (0, 3)
    told = judged(["a b", "c d"], np.array([-1, -1]))
    assert set(told.unjudged.tolist()) == {folds.NO_LABEL}


def test_records_that_go_already_teach_nothing():
    texts, labels = texts_of(120)
    skip = np.zeros(120, np.bool_)
    skip[60:] = True
    wrong = labels.copy()
    wrong[60:] = 0
    told = judged(texts, wrong, skip=skip)
    assert told.unjudged[60] == folds.GONE
    assert (told.probabilities.values[:60].argmax(1) == labels[:60]).mean() > 0.9


def test_references_are_neither_learned_from_nor_judged():
    texts, labels = texts_of(120)
    own, reference = Corpus.from_texts(texts), Corpus.from_texts(["wave army"] * 50, name="other")
    alone = classify.by_words(own, labels, CLASSES)
    beside = classify.by_words(own.beside(reference), labels, CLASSES)
    assert alone.probabilities.values.tobytes() == beside.probabilities.values.tobytes()


def test_a_sample_is_learned_from_where_there_is_too_much(monkeypatch):
    texts, labels = texts_of(600)
    monkeypatch.setattr(classify, "_MOST", 200)
    told = judged(texts, labels)
    assert (told.probabilities.values.argmax(1) == labels).mean() > 0.9
    features = np.random.default_rng(0).standard_normal((600, 3)) + 3 * np.eye(3)[labels]
    told = classify.by_features(features, labels, CLASSES)
    assert (told.probabilities.values.argmax(1) == labels).mean() > 0.9


def test_a_sample_keeps_small_classes_whole_and_probabilities_right(monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(4000) % 100 == 0, 1, 0)  # one in a hundred
    features = rng.standard_normal((4000, 2)) + 1.5 * labels[:, None]
    whole = classify.by_features(features, labels, ("a", "b"))
    monkeypatch.setattr(classify, "_MOST", 400)
    deal = folds.Deal.of(labels, 2, np.arange(4000), 5, 0, None, 400)
    np.testing.assert_array_equal(np.bincount(labels[deal.learned]), [360, 40])
    some = classify.by_features(features, labels, ("a", "b"))
    assert some.probabilities.values[:, 1].mean() == pytest.approx(whole.probabilities.values[:, 1].mean(), abs=0.004)
    assert np.abs(some.probabilities.values - whole.probabilities.values).mean() < 0.01


def test_a_class_in_one_fold_only_is_not_judged():
    # Records of 'b' are copies of records labelled 'a' before them, all of one group.
    labels = np.array([0] * 50 + [1] * 5)
    groups = np.append(np.arange(50), [7] * 5)
    deal = folds.Deal.of(labels, 2, groups, 5, 0, None, 1000)
    assert set(deal.unjudged[50:].tolist()) == {folds.SMALL_CLASS}
    np.testing.assert_array_equal(deal.present, [0])
    twice = np.append(np.arange(10), [3] * 10)  # all in one fold, though there are as many groups as folds
    deal = folds.Deal.of(np.array([0] * 10 + [1] * 10), 2, twice, 5, 0, None, 1000)
    assert (deal.fold[10:] == -1).all()


def test_probabilities_are_right_on_average():
    """Of labels that are noise by a third, the held-out probabilities say a third."""
    rng = np.random.default_rng(0)
    true = np.arange(2000) % 2
    features = np.where(true, 1.0, -1.0)[:, None] + 0.01 * rng.standard_normal((2000, 1))
    labels = np.where(rng.random(2000) < 1 / 3, 1 - true, true)
    told = classify.by_features(features, labels, ("a", "b"))
    confidence = told.probabilities.values[np.arange(2000), true]
    assert abs(confidence.mean() - 2 / 3) < 0.03


def test_no_other_temperature_suits_the_held_out_labels_better():
    texts, true = texts_of(300)
    labels = np.where(np.arange(300) % 10 == 0, (true + 1) % 3, true)
    told = judged(texts, labels)
    assert abs(np.log(told.temperature)) > 0.2

    def loss(power):
        rows = told.probabilities.values.astype(np.float64) ** power
        return -np.log((rows / rows.sum(1, keepdims=True))[np.arange(300), labels]).mean()

    assert loss(1) <= min(loss(0.8), loss(1.25))


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    labels = (np.arange(200) % 3).astype(np.int64)
    return rng.standard_normal((200, 4)) * [1, 1, 1e3, 0] + [0, 5, 1e6, 7] + 4 * np.eye(3, 4)[labels], labels


def test_features_of_any_scale_and_constant_ones(blobs):
    features, labels = blobs
    told = classify.by_features(features, labels, CLASSES)
    accuracy = (told.probabilities.values.argmax(1) == labels).mean()
    rescaled = classify.by_features((features * [1e-3, 50, 1, 1]).astype(np.float32), labels, CLASSES)
    np.testing.assert_allclose(rescaled.probabilities.values, told.probabilities.values, atol=0.02)
    assert accuracy > 0.8


def test_scaled_features_have_mean_zero_and_length_one(blobs):
    features, _ = blobs
    scale = Scale.of(features, np.arange(200))
    scaled = scale.scaled(features)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
    assert (scaled[:, 3] == 0).all()  # constant
    np.testing.assert_allclose((scaled**2).sum(1).mean(), 1, rtol=1e-4)
    np.testing.assert_allclose(scaled.std(0)[:3], 1 / np.sqrt(3), rtol=1e-4)


def test_missing_numbers_count_as_the_mean_and_rows_without_any_are_not_judged(blobs):
    features, labels = blobs
    features[5, 0] = np.nan
    features[9] = np.nan
    told = classify.by_features(features, labels, CLASSES)
    assert told.unjudged[9] == folds.NOTHING_KNOWN
    assert told.unjudged[5] is None
    assert np.isfinite(told.probabilities.values[5]).all()


def test_infinity_and_other_shapes_are_refused(blobs):
    features, labels = blobs
    with pytest.raises(InputError, match=r"shape \[200, 4\] for 199 labels"):
        classify.by_features(features, labels[:-1], CLASSES)
    features[17, 2] = np.inf
    with pytest.raises(InputError, match="row 17 hold infinity"):
        classify.by_features(features, labels, CLASSES)


def test_a_copy_of_a_row_does_not_give_its_label_back():
    rng = np.random.default_rng(0)
    labels = (np.arange(240) % 3).astype(np.int64)
    features = rng.standard_normal((240, 50)) + 2 * np.eye(3, 50)[labels]
    wrong = (labels[:15] + 1) % 3
    rows = np.vstack([features, *[features[:15]] * 4])
    told = classify.by_features(rows, np.concatenate([wrong, labels[15:], *[wrong] * 4]), CLASSES)
    own = told.probabilities.values[np.arange(15), wrong]
    assert np.median(own) < 0.4  # 0.70 where the copies are dealt apart


def test_bags_and_dense_rows_give_one_gradient_and_that_is_the_slope():
    texts, labels = texts_of(40)
    words, _ = vocabulary.learn(Corpus.from_texts(texts))
    design = Words.of(words.bags(pa.array(texts, pa.large_string())), words.rarity)
    dense = np.zeros((40, len(words.rarity)), np.float32)
    for i in range(40):
        columns = design.bags.columns[design.bags.starts[i] : design.bags.starts[i + 1]]
        dense[i, columns] = words.rarity[columns] * design.scale[i]
    np.testing.assert_allclose((dense**2).sum(1), 1, rtol=1e-5)
    rng = np.random.default_rng(0)
    coefficients = rng.standard_normal((design.width, 3)).astype(np.float32)
    rows, one, other = np.arange(5, 35), np.zeros_like(coefficients), np.zeros_like(coefficients)
    loss = design.cross_entropy(rows, labels, coefficients, one)
    assert loss == pytest.approx(Dense(dense).cross_entropy(rows, labels, coefficients, other), rel=1e-5)
    np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(design.linear(rows, coefficients), Dense(dense).linear(rows, coefficients), atol=1e-4)
    direction = rng.standard_normal(coefficients.shape).astype(np.float32)
    step = np.float32(1e-2)
    scratch = np.zeros_like(coefficients)
    up = design.cross_entropy(rows, labels, coefficients + step * direction, scratch)
    down = design.cross_entropy(rows, labels, coefficients - step * direction, scratch)
    assert (up - down) / (2 * step) == pytest.approx(float(np.vdot(one, direction)), rel=1e-3)


@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_the_fit_is_that_of_scikit_learn(strength):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    labels = (np.arange(300) % 3).astype(np.int64)
    features = (rng.standard_normal((300, 5)) + np.eye(3, 5)[labels]).astype(np.float32)
    theirs = linear_model.LogisticRegression(C=strength, tol=1e-8, max_iter=1000).fit(features, labels)
    ours = fit(Dense(features), np.arange(300), labels, 3, strength)
    expected = theirs.predict_proba(features)
    np.testing.assert_allclose(classify.softmax(Dense(features).linear(np.arange(300), ours)), expected, atol=0.02)


def test_bags_hold_shared_words_and_pairs_of_short_texts_only():
    corpus = Corpus.from_texts(["red fish", "red fish blue", "blue fish"])
    seen, _ = vocabulary.learn(corpus)
    assert seen.widths == (1, 2)
    assert len(seen.rarity) == 4  # red, fish, blue, 'red fish'
    long = [" ".join(f"w{i}" for i in range(start, start + 150)) for start in (0, 50, 100)]
    assert vocabulary.learn(Corpus.from_texts(long))[0].widths == (1,)
    chinese = ["".join(chr(0x4E00 + i) for i in range(start, start + 150)) for start in (0, 50, 100)]
    assert vocabulary.learn(Corpus.from_texts(chinese))[0].widths == (1, 2)


def test_the_vocabulary_is_bounded_and_holds_the_most_frequent():
    texts = [f"common word{i % 5} odd{i % 40}" for i in range(120)]
    seen, _ = vocabulary.learn(Corpus.from_texts(texts), columns=6)
    assert len(seen.rarity) == 6
    bags = seen.bags(pa.array(texts, pa.large_string()))
    assert (np.diff(bags.starts) >= 2).all()  # 'common' and the text's 'word<i>'


def test_a_long_text_costs_what_its_head_costs():
    head = " ".join(f"w{i % 50}" for i in range(2000))
    keys = vocabulary.learn(Corpus.from_texts([head[: vocabulary.HEAD], head + " other" * 100]))[1]
    assert keys[0] == keys[1]
