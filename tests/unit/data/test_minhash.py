"""Signatures and their bands: defaults by their derivation, sizes on disk, and equality with the oracle."""

import numpy as np
import pyarrow as pa
import pytest

import text_oracle
from excise.corpus import Corpus
from excise.data import minhash
from excise.data.sketches import kept


def test_the_default_shape_follows_from_the_threshold():
    assert minhash.shape_for(0.8) == (24, 5)
    assert minhash.probability_found(0.8, 24, 5) == pytest.approx(1 - (1 - 0.8**5) ** 24)
    assert minhash.probability_found(0.8, 24, 5) > minhash.FOUND
    assert minhash.probability_found(0.8, 20, 6) < minhash.FOUND  # the next larger number of rows misses too many


@pytest.mark.parametrize("threshold", [0.06, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_every_threshold_is_found_with_the_promised_probability(threshold):
    bands, rows = minhash.shape_for(threshold)
    assert bands * rows == minhash.BINS
    assert minhash.probability_found(threshold, bands, rows) >= minhash.FOUND


def test_signatures_equal_the_oracle():
    texts = [
        "one",
        "one two three",
        "a b c d e f g " * 3,
        "中文没有空格，一字一词。" * 4,
        " ".join(map(str, range(400))),
    ]
    values, filled = minhash.signatures(pa.array(texts, pa.large_string()))
    assert values.tolist() == [text_oracle.signature(t) for t in texts]
    assert filled.tolist() == [1, 1, 7, *filled[3:].tolist()]
    assert 5 < filled[3] < 60 < filled[4] <= 120
    assert minhash.band_keys(values, (20, 6)).shape == (20, 5)


def test_equal_bands_have_equal_keys_and_others_not():
    words = [f"w{i}" for i in range(300)]
    other = [*words[:150], "changed", *words[151:]]
    values, _ = minhash.signatures(pa.array([" ".join(words), " ".join(other)], pa.large_string()))
    keys = minhash.band_keys(values, (20, 6)).T
    same = (values[0] == values[1]).reshape(20, 6).all(axis=1)
    assert 0 < same.sum() < 20
    assert ((keys[0] == keys[1]) == same).all()


def test_the_share_of_equal_values_estimates_the_similarity():
    # sigma = sqrt(J (1 - J) / 120) = 0.037 at 0.8; the mean of 40 pairs is within 4 sigma / sqrt(40) = 0.023.
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        words = [f"w{i}" for i in rng.integers(0, 10**6, 250)]
        other = list(words)
        for at in rng.integers(0, 250, 5):
            other[at] = "x"
        pair = [" ".join(words), " ".join(other)]
        values, _ = minhash.signatures(pa.array(pair, pa.large_string()))
        errors.append((values[0] == values[1]).mean() - text_oracle.jaccard(*pair))
    assert abs(np.mean(errors)) < 0.023


def test_bands_on_disk(tmp_path):
    corpus = Corpus.from_texts([f"text number {i}" for i in range(70)] + ["", "。、"], batch=16)
    skip = np.zeros(72, np.bool_)
    skip[3] = True
    bands = minhash.spill(corpus, tmp_path, (20, 6), skip=skip)
    assert bands.positions.tolist() == [i for i in range(70) if i != 3]
    assert bands.sizes.tolist() == [len(f"text number {i}") for i in range(70) if i != 3]
    assert len(bands.files) == 20
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) == 69 * (20 * 8 + 120 + 1 + 16)
    values, filled = minhash.signatures(pa.array(["text number 69"], pa.large_string()))
    assert [int(bands.keys(b)[-1]) for b in range(20)] == minhash.band_keys(values, (20, 6))[:, 0].tolist()
    assert bands.rough[-1].tolist() == [*(values[0] & 255).tolist(), filled[0]]


def test_kept_signatures_give_the_same_bands(tmp_path):
    corpus = Corpus.from_texts([f"text number {i}, " * i for i in range(40)] + [""], batch=16)
    for name in ("new", "kept", "again"):
        (tmp_path / name).mkdir()
    keep = kept([tmp_path / "sketches"])
    given = [minhash.spill(corpus, tmp_path / "new", (20, 6))]
    given += [minhash.spill(corpus, tmp_path / name, (20, 6), sketch=keep) for name in ("kept", "again")]
    for bands in given[1:]:
        assert bands.sizes.tolist() == given[0].sizes.tolist()
        assert bands.rough.tolist() == given[0].rough.tolist()
        assert all((bands.keys(b) == given[0].keys(b)).all() for b in range(20))
    assert np.load(tmp_path / "sketches" / f"signatures-{minhash.VERSION}.npy").shape == (41, 122)
