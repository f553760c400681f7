"""Histograms: every record is counted once, no bar lies on both sides of a threshold."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.data.contamination import ContaminationSettings
from excise.data.labels import LabelsSettings
from excise.data.language import LanguageSettings
from excise.data.outliers import OutliersSettings
from excise.data.perplexity import PerplexitySettings
from excise.data.rules import RulesSettings
from excise.data.unlike import UnlikeSettings
from excise.data.values import ValuesSettings
from excise.finding import Finding, table_of
from excise.pipeline.distributions import Measure, distributions, histogram, shares, spread

FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.lists(FLOATS, min_size=1, max_size=60), st.none() | FLOATS, st.none() | FLOATS)
def test_every_value_is_counted_and_thresholds_are_edges(values, least, most):
    found = histogram(Measure("x", "x", np.array(values), (least, most)))
    assert sum(found["counts"]) == len(values)
    assert len(found["edges"]) == len(found["counts"]) + 1 <= 29
    assert all(a < b for a, b in zip(found["edges"], found["edges"][1:], strict=False)) or len(set(values)) > 1
    out = [v for v in values if (least is not None and v < least) or (most is not None and v > most)]
    assert found["beyond"] == len(out)


def test_what_spans_much_is_drawn_by_its_logarithm():
    counts = np.array([1.0] * 10 + [100.0] * 1000 + [100_000.0] * 10)
    found = histogram(Measure("words", "words", counts, (50, None)))
    assert found["scale"] == "logarithmic" and 50 in found["edges"] and sum(found["counts"]) == 1020
    assert histogram(Measure("x", "x", np.linspace(0, 1, 99), (None, None)))["scale"] == "linear"


def test_nothing_and_one_value():
    assert histogram(Measure("x", "x", np.array([np.nan]), (None, 1.0))) is None
    found = histogram(Measure("x", "x", np.array([2.0, 2.0]), (None, None)))
    assert (found["edges"], found["counts"]) == ([2.0, 3.0], [2])


def test_pairs_are_counted_once_a_record_by_their_best():
    findings = [Finding("near", f"m#{i}", r, "", i, "m#0", 0) for i, r in ((1, 0.8), (1, 0.95), (2, 0.85))]
    found = distributions(table_of(findings), {}, {}, 0)
    near = found["near"]
    assert (near["beyond"], near["threshold"], sum(near["counts"])) == (2, [None, 0.8], 2)


def test_the_threshold_of_contamination_is_the_share_of_an_item():
    findings = table_of([Finding("contaminated", "m#1", 0.4, "", 1, "e#0", 0)])
    found = distributions(findings, {}, {"contaminated": ContaminationSettings(share=0.3)}, 1)["contaminated"]
    assert (found["beyond"], found["threshold"]) == (1, [None, 0.3])


@dataclass(frozen=True)
class Other:
    """Settings of a finder that nobody drew before."""


def test_each_finder_is_drawn_from_what_it_measured():
    words = np.array([10, 60, 70, 200])
    from excise.data.rule_kernels import COUNTERS

    quality = pa.table({name: words if name == "words" else np.zeros(4) for name in COUNTERS})
    outliers = pa.table({"oddness": [0.1, 0.2, 5.0, None]})
    language = pa.table(
        {"language": ["en", "fr", "en", None], "probability": [0.9, 0.8, 1.0, 0.0], "size_bytes": [9] * 4}
    )
    tables = {
        "quality": quality,
        "outliers": outliers,
        "language": language,
        "other": pa.table({"position": [1, 2], "some_score": [0.5, 0.7]}),
    }
    settings = {
        "quality": RulesSettings(),
        "outliers": OutliersSettings(),
        "language": LanguageSettings(),
        "other": Other(),
    }
    tables |= {
        "perplexity": pa.table({"bits_per_byte": [1.0, 2.0, 9.0, 3.0], "size_bytes": [500, 500, 500, 5]}),
        "labels": pa.table({"own": [0.9, 0.5, 0.1, None], "wrong": [0.05, 0.4, 0.7, None]}),
        "values": pa.table({"z": [-6.0, 1.0, 5.0, None]}),
        "unlike": pa.table({"difference": [-0.5, 0.1, 0.4]}),
    }
    settings |= {
        "perplexity": PerplexitySettings(upper=8.0, lower=0.5),
        "labels": LabelsSettings(),
        "values": ValuesSettings(),
        "unlike": UnlikeSettings(limit=0.2),
    }
    findings = table_of([Finding("outliers", "m#2", 0.9, "", 5)])
    found = distributions(findings, tables, settings, first_own=3)
    assert found["quality.gopher.min_words"]["threshold"] == [50, None]
    assert found["quality.gopher.min_words"]["beyond"] == 1
    assert all(one["beyond"] for one in found.values() if one["finder"] == "quality")
    assert (found["outliers"]["threshold"], found["outliers"]["beyond"]) == ([None, 5.0], 1)
    assert found["language"]["beyond"] == 0
    assert (found["perplexity"]["threshold"], found["perplexity"]["beyond"]) == ([0.5, 8.0], 1)
    assert sum(found["perplexity"]["counts"]) == 3, "a short text is not judged"
    assert [found[name]["beyond"] for name in ("labels", "values", "unlike")] == [0, 2, 1]
    assert found["labels"]["threshold"] == [None, None], "a threshold of 0 leaves all to the method"
    settings["labels"] = LabelsSettings(threshold=0.4)
    labels = distributions(findings, tables, settings, first_own=3)["labels"]
    assert (labels["threshold"], labels["beyond"], sum(labels["counts"])) == ([None, 0.4], 2, 3)
    assert (found["other"]["label"], found["other"]["threshold"]) == ("some score", [None, None])
    assert shares(tables, settings) == {
        "language": [
            {"name": "en", "records": 2, "kept": True},
            {"name": "–", "records": 1, "kept": True},
            {"name": "fr", "records": 1, "kept": False},
        ]
    }
    tables["language"] = pa.table({"language": ["wuu", "pcm"]})
    settings["language"] = LanguageSettings(keep=("zh",))
    assert [(one["name"], one["kept"]) for one in shares(tables, settings)["language"]] == [
        ("pcm", False),
        ("wuu", True),
    ], "what the finder keeps beside Chinese counts as kept"


@pytest.mark.parametrize(("count", "chosen"), [(3, [0, 1, 2]), (4, [0, 1, 2, 3]), (8, [0, 2, 4, 6]), (0, [])])
def test_spread(count, chosen):
    assert spread(np.arange(count), 4) == chosen
