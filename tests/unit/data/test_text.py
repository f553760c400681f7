"""Text as the kernels see it: buffers of slices, normalising, tokens, records by position."""

import itertools
import unicodedata

import numpy as np
import pyarrow as pa
import pytest

import text_oracle
from excise.corpus import Corpus
from excise.data import text, unicode, verify
from excise.journal import silent


def large(*texts):
    return pa.array(texts, pa.large_string())


def sets(*texts):
    hashes, starts = verify.shingle_sets(large(*texts))
    return [hashes[a:b].tolist() for a, b in itertools.pairwise(starts)]


@pytest.mark.parametrize(
    "array",
    [
        large("zero", "one", None, "", "é中", "last")[1:5],
        pa.array(["zero", "one", None, "", "é中", "last"])[1:5],
        large(None, "", None)[:2],
        large(),
    ],
)
def test_buffers_give_slices_and_nulls(array):
    data, offsets = text.buffers(array)
    found = [bytes(data[a:b]).decode() for a, b in itertools.pairwise(offsets)]
    assert found == [t or "" for t in array.to_pylist()]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("  A\t b\n\nC ", "a b c"),
        ("ＡＢＣ　１２", "abc 12"),
        ("ﬁne ½ … ™", "fine 1⁄2 ... tm"),
        ("É\u2028x\u0085y\u1680z\u00a0w", "é x y z w"),
        ("e\u0301", "é"),
        ("H\u0331", "ẖ"),
        ("\u1112\u1161\u11ab", "한"),
        ("Ⱥ", "ⱥ"),
        ("ΑΣ", "ας".replace("ς", "σ")),
        (" \u3000 ", ""),
        ("\x00\x01", "\x00\x01"),
        ("😀𠀀", "😀𠀀"),
    ],
)
def test_normalised_by_hand(given, expected):
    assert text.normalised(large("pad", given, "")[1:2]).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Hello, World_1!", ["hello", "world_1"]),
        ("我爱 北京。", ["我", "爱", "北", "京"]),
        ("中文abc中", ["中", "文", "abc", "中"]),
        ("カタカナ、ひらがな", list("カタカナひらがな")),
        ("ﾊﾟ", ["パ"]),
        ("สวัสดี", list("สวัสดี")),
        ("한국어 문장", ["한국어", "문장"]),
        ("naïve café—déjà", ["naïve", "café", "déjà"]),
        ("ＡＢ，ＣＤ", ["ab", "cd"]),
        ("don’t “x”", ["don", "t", "x"]),
        ("☺\ufe0f 👍🏽", ["☺", "👍", "🏽"]),
        ("-8 + 80% = C++/C#", ["-", "8", "+", "80", "%", "=", "c", "+", "+", "/", "c", "#"]),
        ("＃１－２＝５％", ["#", "1", "-", "2", "=", "5", "%"]),
        ("5‰ ٣٪ 3−2", ["5", "‰", "٣", "٪", "3", "−", "2"]),
        ("a_b—c‐d–e (f) [g] ‘h’: i; j! k?", ["a_b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]),
        ("“一”、《二》：三；「四」！", ["一", "二", "三", "四"]),
        ("𠀀𠀁", ["𠀀", "𠀁"]),
        ("x² ①", ["x2", "1"]),
    ],
)
def test_tokens_by_hand(given, expected):
    assert text_oracle.tokens(given) == expected
    # With fewer than five tokens a text is one shingle; with more, runs of five.
    runs = {tuple(expected[i : i + 5]) for i in range(max(1, len(expected) - 4))} if expected else set()
    assert sets(given) == [sorted(text_oracle.hashed(run) for run in runs)]


def test_every_code_point_is_folded_and_split_as_by_the_oracle():
    known = [chr(p) for p in range(0x40000) if unicodedata.category(chr(p)) not in {"Cn", "Co", "Cs"}]
    texts = pa.array(known, pa.large_string())
    assert text.normalised(texts).to_pylist() == [text_oracle.normalised(c) for c in known]
    hashes, starts = verify.shingle_sets(texts)
    found = [hashes[a:b].tolist() for a, b in itertools.pairwise(starts)]
    assert found == [sorted(text_oracle.hashed(s) for s in text_oracle.shingles(c)) for c in known]


def test_a_text_cut_inside_a_code_point_reads_nothing_beyond():
    data = np.frombuffer("ab 中中".encode()[:-1], np.uint8)
    from excise.data import kernels

    out = np.zeros(16, np.uint64)
    assert kernels.shingle(data, 0, len(data), unicode.points(), 5, out) == 1
    assert kernels.decode(data, len(data) - 1, len(data)) == 1


def test_pieces_cover_every_record_once():
    texts = ["x" * n for n in (5, 0, 900, 3, 3, 3, 1000, 1)]
    corpus = Corpus.from_texts(texts, batch=3)
    told = []
    found = list(text.pieces(corpus, 10, lambda label, done, total: told.append((done, total)), "reading"))
    assert [piece.position for piece in found] == [0, 2, 3, 6, 7]
    assert [t for piece in found for t in piece.texts().to_pylist()] == texts
    assert told[-1] == (8, 8)
    assert not list(text.pieces(Corpus.from_texts([]), 10, silent, "reading"))


def test_records_at_reads_across_sources_and_batches():
    one, two = Corpus.from_texts(["a", "b", "c"], "one", batch=2), Corpus.from_texts(["d", "e"], "two")
    empty = Corpus.from_texts([], "none")
    both = Corpus((*one.sources, *empty.sources, *two.sources), (*one.views, *empty.views, *two.views))
    found = text.records_at(both, np.array([1, 2, 4]), ["id", "text"])
    assert found["text"].to_pylist() == ["b", "c", "e"]
    assert found["id"].to_pylist() == ["one#1", "one#2", "two#1"]
    assert len(text.records_at(both, np.zeros(0, np.int64), ["id"])["id"]) == 0
