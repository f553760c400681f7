"""Boilerplate by hand: settings, reasons, equality beyond the key, work folder."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import lines
from excise.data.lines import LinesSettings
from excise.errors import SettingError
from excise.finding import FINDINGS

NOTICE = "# Copyright (c) the authors of the package. All rights reserved.\n#\n# Licensed under the terms of the Apache License, version 2.0\n"
FOOTER = "本文来自某某网站，未经书面授权不得转载。"


def found(texts, chosen, **more):
    table = pa.concat_tables(lines.find(Corpus.from_texts(texts, batch=2), chosen, **more))
    assert table.schema == FINDINGS
    return table.to_pylist()


def test_a_notice_goes_from_all_but_the_first():
    texts = [f"{NOTICE}x = {i}\n" for i in range(4)]
    rows = found(texts, LinesSettings(min_documents=4))
    assert [(r["locus"], r["partner"], r["redundancy"]) for r in rows] == [
        (f"memory#{i}", "memory#0", 1.0) for i in (1, 2, 3)
    ]
    assert {texts[r["position"]][r["start"] : r["stop"]] for r in rows} == {NOTICE}
    assert rows[0]["reason"] == (
        "repeats 2 lines of memory#0 that 4 or more records hold each; 4 or more are boilerplate"
    )
    assert found(texts, LinesSettings(min_documents=5)) == []


def test_chinese_footers_are_long_enough():
    texts = [f"第{i}条新闻很短\n{FOOTER}" for i in range(3)]
    rows = found(texts, LinesSettings(min_documents=3))
    assert [texts[r["position"]][r["start"] : r["stop"]] for r in rows] == [FOOTER, FOOTER]
    assert rows[0]["reason"] == "repeats a line of memory#0 that 3 records hold; 3 or more are boilerplate"


@pytest.mark.parametrize("line", ["}", "-" * 100, "=" * 40 + " * " + "─" * 60, "    return result", "#endif /* not */"])
def test_code_and_rules_are_no_boilerplate_by_default(line):
    assert found([f"{line}\nname = {i}" for i in range(40)], LinesSettings()) == []


def test_paragraphs_leave_single_lines_alone():
    texts = [f"{NOTICE}\nimport the_same_very_long_module_name\nvalue = {i}\n" for i in range(3)]
    rows = found(texts, LinesSettings(unit="paragraph", min_documents=3))
    assert {texts[r["position"]][r["start"] : r["stop"]] for r in rows} == {NOTICE + "\n"}


def test_a_record_that_is_all_boilerplate_is_one_finding():
    texts = [NOTICE, f"{FOOTER}\n", f"\n{FOOTER}\n\n{NOTICE}\n}}\n"]
    rows = found(texts, LinesSettings(min_documents=2))
    assert [(r["position"], r["partner"], r["start"], r["stop"]) for r in rows] == [(2, "memory#0", 0, len(texts[2]))]
    assert "3 lines of memory#0 that 2 or more records hold each" in rows[0]["reason"]


def test_none_keeps_none_and_names_another_record():
    texts = [f"{NOTICE}x = {i}" for i in range(3)]
    rows = found(texts, LinesSettings(min_documents=2, keep="none"))
    assert [(r["position"], r["partner_position"]) for r in rows] == [(0, 1), (1, 0), (2, 0)]


def test_a_line_twice_in_one_record_is_one_holder():
    assert found([NOTICE * 30, "x"], LinesSettings(min_documents=2)) == []


def test_skipped_records_neither_hold_nor_lose():
    texts = [NOTICE + str(i) for i in range(4)]
    rows = found(texts, LinesSettings(min_documents=3), skip=np.array([True, False, False, False]))
    assert [(r["position"], r["partner_position"]) for r in rows] == [(2, 1), (3, 1)]
    assert found(texts, LinesSettings(min_documents=4), skip=np.array([True, False, False, False])) == []


def test_equal_keys_are_not_enough(monkeypatch):
    """All units get one key: only those whose text is that of the first go."""
    true = lines.units_of

    def colliding(texts, unit):
        units = true(texts, unit)
        return replace(units, keys=np.full(len(units.keys), 7, np.uint64))

    monkeypatch.setattr(lines, "units_of", colliding)
    notice = "Some line of text that is long enough to count"
    texts = [notice, "Another line of text that is long enough", notice.upper(), "A third line of text that is long"]
    assert [r["position"] for r in found(texts, LinesSettings(min_documents=2))] == [2]


def test_nothing_in_nothing_out():
    assert found([], LinesSettings()) == []
    assert found(["", "\n", "\n\n"], LinesSettings(min_documents=2, min_length=1)) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"unit": "word"}, "unit is 'word'; it must be one of line, paragraph"),
        ({"keep": "last"}, "keep is 'last'; it must be one of first, none"),
        ({"min_documents": 1}, "min_documents is 1; it must be 2 or more"),
        ({"min_length": 0}, "min_length is 0; it must be 1 or more"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, says):
    with pytest.raises(SettingError, match=says):
        LinesSettings(**wrong)


def test_the_work_folder_is_left_empty_and_progress_is_told(tmp_path):
    told = {}
    found(
        [NOTICE] * 3,
        LinesSettings(min_documents=2),
        folder=tmp_path,
        progress=lambda label, done, total: told.update({label: (done, total)}),
    )
    assert list(tmp_path.iterdir()) == []
    assert told == {"reading for boilerplate": (3, 3), "marking boilerplate": (3, 3)}
