"""Vectors from words, from a user's file and from an encoder."""

import math
import sys

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import embed
from excise.data.embed import Bags, EmbedSettings
from excise.data.threads import in_order
from excise.errors import InputError, MissingExtraError, SettingError

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "The quick brown fox jumped over the lazy dogs!",
    "stock markets fell sharply on Tuesday",
    "你好，今天天气很好",
    "你好，今天天气不好",
    "",
    "?!...",
]


def vectors(texts, folder, settings=None, **more):
    return embed.vectors(Corpus.from_texts(texts), folder / "vectors.npy", settings or EmbedSettings(), **more)


def grams(text):
    bags = Bags.of(pa.array([text], pa.large_string()))
    return dict(zip(bags.buckets.tolist(), bags.counts.tolist(), strict=True))


def test_rows_have_length_one_and_texts_without_words_are_zeros(tmp_path):
    found = vectors(TEXTS, tmp_path)
    assert found.shape == (7, 256)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 1, 1, 1, 0, 0], atol=1e-6)


def test_alike_texts_are_near_and_others_are_not(tmp_path):
    found = vectors(TEXTS, tmp_path)
    assert found[0] @ found[1] > 0.6
    assert found[3] @ found[4] > 0.5
    assert abs(found[0] @ found[2]) < 0.35
    assert abs(found[0] @ found[3]) < 0.25


def test_a_word_is_its_runs_of_three_letters_with_its_borders():
    # ^at at$ | ^a$ | ^at ata tat ata tat at$
    assert sorted(grams("at").values()) == [1, 1]
    assert sorted(grams("a").values()) == [1]
    assert sorted(grams("atatat").values()) == [1, 1, 2, 2]
    assert grams("AT") == grams("at") == grams("at.")
    assert set(grams("at")) < set(grams("atatat"))


def test_tokens_of_one_letter_count_alone_and_in_pairs():
    assert len(grams("北京")) == 3
    assert len(grams("北，京")) == 2  # punctuation is between them
    assert set(grams("北，京")) < set(grams("北京"))
    assert grams("北京北京")[next(iter(grams("北")))] == 2
    assert not set(grams("x>y")) ^ set(grams("x > y"))


def test_weights_are_tf_idf_by_hand():
    bags = Bags.of(pa.array(["atatat", "at", "北"], pa.large_string()))
    having = np.bincount(bags.buckets, minlength=1 << embed.BITS)
    rarity = np.log((1 + 3) / (1 + having)) + 1
    raw = [
        (1 + math.log(count)) * (math.log(4 / (1 + texts)) + 1)
        for count, texts in [(1, 2), (2, 1), (2, 1), (1, 2)]  # ^at, ata, tat, at$
    ]
    expected = np.array(raw) / math.hypot(*raw)
    np.testing.assert_allclose(bags.weights(rarity)[: bags.starts[1]], expected, rtol=1e-12)


def test_cosines_are_those_of_tf_idf_but_for_the_noise_of_the_projection(tmp_path):
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(400)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(200)]
    texts += [" ".join([*t.split()[:9], *rng.choice(words, 3)]) for t in texts]
    found = np.array(vectors(texts, tmp_path))

    bags = Bags.of(pa.array(texts, pa.large_string()))
    having = np.bincount(bags.buckets, minlength=1 << embed.BITS)
    weights = bags.weights(np.log((1 + len(texts)) / (1 + having)) + 1)
    kinds, column = np.unique(bags.buckets, return_inverse=True)
    exact = np.zeros((len(texts), len(kinds)))
    exact[np.repeat(np.arange(len(texts)), np.diff(bags.starts)), column] = weights

    error = (found @ found.T - exact @ exact.T)[np.triu_indices(len(texts), 1)]
    assert abs(error.mean()) < 0.02
    assert error.std() < 1 / math.sqrt(256)


def test_the_random_half_holds_only_what_the_directions_leave(tmp_path):
    # With as many directions as texts nothing is left of the sample itself.
    found = np.array(vectors(TEXTS[:4], tmp_path, EmbedSettings(dimensions=64)))
    assert np.abs(found[:, 32:]).max() < 1e-4
    assert np.abs(found[:, :32]).max() > 0.5


def test_same_seed_same_bytes_whatever_the_engine(tmp_path):
    texts = [f"{TEXTS[i % 5]} {i}" for i in range(300)]
    first = np.array(vectors(texts, tmp_path))
    saved = (tmp_path / "vectors.npy").read_bytes()
    vectors(texts, tmp_path, mapped=map)
    assert (tmp_path / "vectors.npy").read_bytes() == saved
    assert not np.allclose(first, vectors(texts, tmp_path, EmbedSettings(seed=1)))
    assert [p.name for p in tmp_path.iterdir()] == ["vectors.npy"]


def test_pieces_do_not_matter_but_for_rounding(tmp_path, monkeypatch):
    texts = [f"{TEXTS[i % 5]} {i}" for i in range(300)]
    first = np.array(vectors(texts, tmp_path))
    monkeypatch.setattr(embed, "_PIECE_BYTES", 1000)
    np.testing.assert_allclose(vectors(texts, tmp_path), first, atol=1e-5)


def test_a_sample_of_long_texts_has_fewer_of_them(monkeypatch):
    corpus = Corpus.from_texts([f"{TEXTS[0]} {i}" for i in range(100)])
    assert len(embed.sampled(corpus, EmbedSettings(sample=40)).starts) == 41
    monkeypatch.setattr(embed, "_SAMPLE_FEATURES", 100)
    monkeypatch.setattr(embed, "_READ_RECORDS", 10)
    assert len(embed.sampled(corpus, EmbedSettings()).starts) == 11


def test_only_the_head_of_a_text_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "HEAD", 10)
    found = vectors(["abcde fghi jklm", "abcde fghi nopq", "北京" * 5 + "上海", "北京" * 5, "other"], tmp_path)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])


def test_small_corpora(tmp_path):
    assert vectors([], tmp_path).shape == (0, 0)
    assert np.linalg.norm(vectors(["one"], tmp_path)) == pytest.approx(1)
    assert not vectors(["", " "], tmp_path).any()
    assert vectors(["one", "two"], tmp_path, EmbedSettings(dimensions=3)).shape == (2, 3)


def test_an_encoder_takes_the_place_of_words(tmp_path):
    def lengths(texts):
        return np.array([[len(text), 1.0] for text in texts])

    found = vectors(["abc", "abcdefg"], tmp_path, encoder=lengths, mapped=in_order)
    np.testing.assert_allclose(found, [[3 / math.hypot(3, 1), 1 / math.hypot(3, 1)], [7 / math.hypot(7, 1), 1 / math.hypot(7, 1)]], rtol=1e-6)  # fmt: skip


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.ones((2, 3)), "2 rows; the corpus has 3 records"),
        (np.ones(3), "matrix of numbers"),
        (np.array([["a"]] * 3), "matrix of numbers"),
        (np.array([[1.0], [2.0], [np.nan]]), "record 2 holds NaN"),
        (np.array([[{}]] * 3), r"no \.npy file"),
    ],
)
def test_a_users_vectors_are_checked(tmp_path, array, says):
    np.save(tmp_path / "mine.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=says):
        embed.loaded(tmp_path / "mine.npy", tmp_path / "vectors.npy", 3)
    assert not (tmp_path / "vectors.npy").exists()


def test_a_users_vectors_are_brought_to_length_one(tmp_path):
    np.save(tmp_path / "mine.npy", np.array([[3, 4], [0, 0], [0, -2]], np.int16))
    found = embed.loaded(tmp_path / "mine.npy", tmp_path / "vectors.npy", 3)
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)
    with pytest.raises(InputError, match=r"no \.npy file"):
        embed.loaded(tmp_path / "none.npy", tmp_path / "vectors.npy", 3)


def test_blocks_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(InputError, match="follow 2 of 3"):
        embed.stored(tmp_path / "v.npy", 4, [np.ones((2, 3)), np.ones((2, 2))])
    with pytest.raises(InputError, match="2 vectors for 4 records"):
        embed.stored(tmp_path / "v.npy", 4, [np.ones((2, 3))])


def test_without_scikit_learn_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.utils.extmath", None)
    with pytest.raises(MissingExtraError, match=r"excise\[semantic\]"):
        vectors(TEXTS, tmp_path)


@pytest.mark.parametrize("wrong", [{"dimensions": 1}, {"sample": 0}, {"seed": -1}])
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        EmbedSettings(**wrong)
