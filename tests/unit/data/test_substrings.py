"""Repeated substrings by hand: borders, lengths, scripts, linear work, and coverage of real text."""

import random
import time

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import substring_kernels, substrings
from excise.data.substrings import SubstringsSettings
from excise.errors import SettingError
from excise.finding import FINDINGS

FACT = "The harbour was rebuilt in stone after the storm of that year, and a lighthouse was set at the end of the mole."
MORE = "Its lamp burnt whale oil until the harbour board could afford another one, which is in the museum of the town."
HAN = "".join(chr(0x4E00 + 7 * i) for i in range(200))


def found(texts, chosen=None, **more):
    table = pa.concat_tables(substrings.find(Corpus.from_texts(texts), chosen or SubstringsSettings(), **more))
    assert table.schema == FINDINGS
    return table.to_pylist()


def spans(texts, *settings, **more):
    rows = found(texts, *settings, **more)
    return [(r["position"], r["partner_position"], texts[r["position"]][r["start"] : r["stop"]]) for r in rows]


def test_whole_sentences_go_and_the_first_occurrence_stays():
    texts = [f"One. {FACT} {MORE} Nothing else.", f"Two! {FACT} {MORE} Something else.", f"{FACT} {MORE}"]
    rows = found(texts)
    assert [texts[r["position"]][r["start"] : r["stop"]] for r in rows] == [f"{FACT} {MORE} ", f"{FACT} {MORE}"]
    assert [(r["locus"], r["partner"], r["redundancy"]) for r in rows] == [
        ("memory#1", "memory#0", 1.0),
        ("memory#2", "memory#0", 1.0),
    ]
    assert rows[1]["reason"] == f"repeats {len(FACT) + 1 + len(MORE)} characters of memory#0"


def test_lines_go_whole():
    lines = "".join(f"    value_{i} = compute(value_{i - 1}, {i})\n" for i in range(9))
    texts = [f"def one():\n    start = 1\n{lines}    return 1\n", f"def two():\n    begin = 2\n{lines}    return 2\n"]
    assert spans(texts) == [(1, 0, lines)]


def test_where_no_line_or_sentence_begins_near_words_go_whole():
    words = " ".join(f"word{i}" for i in range(60))
    assert spans([f"alpha {words} omega", f"beta {words} amen"]) == [(1, 0, words + " ")]


def test_where_nothing_begins_near_code_points_stay_whole():
    one = "".join(random.Random(0).choices("éèêëíìîïóòô", k=200))
    assert spans([f"à{one}à", f"ü{one}ü"]) == [(1, 0, one)]  # à and ü share their first byte, C3


@pytest.mark.parametrize("size", [149, 150])
def test_bytes_are_counted(size):
    text = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=size))
    assert spans([f"A{text}B", f"C{text}D"]) == ([(1, 0, text)] if size == 150 else [])


@pytest.mark.parametrize("size", [49, 50])
def test_code_points_of_scripts_without_blanks_are_counted(size):
    text = HAN[:size]
    assert spans([f"甲{text}乙", f"丙{text}丁"]) == ([(1, 0, text)] if size == 50 else [])


@pytest.mark.parametrize(("least", "size", "count"), [(30, 29, 0), (30, 30, 1), (80, 79, 0), (80, 80, 1)])
def test_their_own_measure_counts_whatever_the_bytes(least, size, count):
    text = HAN[:size]
    assert len(spans([f"甲{text}乙", f"丙{text}丁"], SubstringsSettings(min_points=least))) == count
    latin = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=149))
    assert spans([f"A{latin}B", f"C{latin}D"], SubstringsSettings(min_points=least)) == []


def test_chinese_sentences_go_whole():
    texts = [f"引子。{HAN[:70]}。{HAN[70:90]}甲", f"楔子！{HAN[:70]}。{HAN[70:90]}乙"]
    assert spans(texts) == [(1, 0, HAN[:70] + "。")]


def test_within_a_record_only_if_asked():
    text = f"{FACT} {MORE}\nIn between.\n{FACT} {MORE}\nAt the end.\n"
    assert spans([text]) == []
    assert spans([text], SubstringsSettings(within=True)) == [(0, 0, f"{FACT} {MORE}\n")]


def test_a_span_may_go_on_with_another_record():
    texts = [f"x {FACT} {MORE}", f"{MORE} {FACT[::-1]}", f"{FACT} {MORE} {FACT[::-1]}"]
    rows = found(texts)
    assert [(r["position"], r["partner"], r["reason"]) for r in rows] == [
        (2, "memory#0", f"repeats {len(FACT) + 1 + len(MORE)} characters of memory#0"),
        (2, "memory#1", f"repeats {len(FACT) + 1} more characters of memory#1"),
    ]
    assert rows[0]["stop"] == rows[1]["start"]


def test_equal_keys_are_not_enough(monkeypatch):
    """All fingerprints get one key: nothing is found but what is equal."""
    true = substring_kernels.winnow

    def colliding(data, offsets, width, window, ring, keys, places):
        count = true(data, offsets, width, window, ring, keys, places)
        keys[:count] = 7
        return count

    monkeypatch.setattr(substring_kernels, "winnow", colliding)
    rng = random.Random(0)
    texts = ["".join(rng.choices("abcdefgh ", k=400)) for _ in range(5)]
    assert spans(texts) == []
    assert spans([*texts, texts[4]]) == [(5, 4, texts[4])]


def test_fingerprints_find_room_however_many_there_are(monkeypatch):
    texts = [f"x {FACT} {MORE}", f"y {FACT} {MORE}"]
    expected = spans(texts)
    true, sizes = substring_kernels.winnow, []

    def full(data, offsets, width, window, ring, keys, places):
        sizes.append(len(keys))
        return true(data, offsets, width, window, ring, keys, places) if len(sizes) > 1 else -1

    monkeypatch.setattr(substring_kernels, "winnow", full)
    assert spans(texts) == expected
    assert sizes == [sum(map(len, texts)) // 8 + 1, sum(map(len, texts))]
    data, ends = np.frombuffer(b"abcdefgh", np.uint8), np.array([0, 8])
    few = (np.empty(1, np.uint64), np.empty(5, np.uint64), np.empty(5, np.int64))
    assert true(data, ends, 3, 1, *few) == -1  # six windows of one


@pytest.mark.parametrize(
    ("texts", "within", "count"),
    [
        (["a" * 3_000_000], True, 1),
        (["a" * 3_000_000] * 2, False, 1),
        (["no blanks in between" * 150_000], True, 1),
        ([FACT + MORE] * 20_000, False, 19_999),
        (["a" * (i % 400) + "b" for i in range(15_000)], False, None),
    ],
    ids=["one character", "twice", "a period", "identical", "runs"],
)
def test_the_work_is_linear_whatever_repeats(texts, within, count):
    found(["warm"])
    began = time.process_time()
    rows = found(texts, SubstringsSettings(within=within))
    # 3-5 MB, measured at 40 MB/s or more; quadratic work would take minutes.
    assert time.process_time() - began < 10
    assert count is None or len(rows) == count


def test_nothing_in_nothing_out():
    assert found([]) == []
    assert found(["", "", "short", "short"]) == []


@pytest.mark.parametrize("wrong", [{"min_bytes": 29}, {"min_points": 9}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(SettingError, match=r"min_\w+ is \d+; it must be \d+ or more .* phrases"):
        SubstringsSettings(**wrong)


def test_the_defaults_are_one_measure():
    chosen = SubstringsSettings()
    assert 3 * chosen.min_points == chosen.min_bytes == chosen.shortest
    assert substrings._width(chosen) == 100  # in windows of 51: 100 + 51 - 1 = 150


def test_the_work_folder_is_left_empty_and_progress_is_told(tmp_path):
    told = {}
    found([FACT * 2] * 3, folder=tmp_path, progress=lambda label, done, total: told.update({label: done / total}))
    assert list(tmp_path.iterdir()) == []
    assert told == {"reading for repeated substrings": 1, "comparing repeated substrings": 1}


def test_real_text_is_covered(shared, monkeypatch):
    """Chinese articles, of which some occur twice: all windows of 150 bytes that an earlier record holds, by a set."""
    from test_near_recall import zhwiki

    texts = zhwiki(shared, 300)
    texts += [a[200:600] + b[100:300] for a, b in zip(texts[::7], texts[1::7], strict=False)]
    monkeypatch.setattr(substring_kernels, "snap", lambda *_: None)
    mine = {
        (r["position"], byte)
        for r in found(texts)
        for byte in range(*(len(texts[r["position"]][: r[end]].encode()) for end in ("start", "stop")))
    }
    seen, held = set(), set()
    for position, text in enumerate(texts):
        data = text.encode()
        windows = [hash(data[i : i + 150]) for i in range(len(data) - 149)]
        for i in np.flatnonzero([w in seen for w in windows]).tolist():
            held |= {(position, byte) for byte in range(i, i + 150)}
        seen.update(windows)
    assert len(held) > 10_000
    assert len(mine & held) >= 0.99 * len(held)
    assert len(mine - held) <= 6 * len(texts)  # ends of spans, given in whole code points
