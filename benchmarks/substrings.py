"""Repeated substrings: MB/s of one core, and coverage against a suffix array. Prints JSON.

    python benchmarks/substrings.py [--megabytes 95] [--array-megabytes 15] [--seed 0] [--repeats 3]

Speed is that of a whole search on the mixed corpus, text in memory to findings: by the clock and by processor seconds,
on one core and on all. Coverage is the share of the bytes that an earlier record (or the same one, earlier) holds in a
run of 150 or more, by the suffix array's longest previous factors, that the spans cover: as found, and as snapped to
lines, sentences and words. Needs pydivsufsort.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from unittest import mock

import numba
import numpy as np
import pyarrow as pa
import pydivsufsort
from corpora import mixed

from excise.corpus import Corpus
from excise.data import substring_kernels, substrings
from excise.data.substrings import SubstringsSettings
from excise.data.threads import in_order, workers


def one_after_another(work: Callable, items: Iterator) -> Iterator:
    """An engine of one core."""
    return map(work, items)


@numba.njit(cache=True)
def longest_previous(places, lcp, rank):
    """By place the longest prefix that also occurs at an earlier place (Crochemore, Ilie 2008)."""
    count = places.size
    before, after = np.arange(-1, count - 1), np.arange(1, count + 1)
    common = np.zeros(count + 1, np.int64)
    common[1:count] = lcp[: count - 1]
    longest = np.zeros(count, np.int64)
    for place in range(count - 1, -1, -1):
        r = rank[place]
        left = common[r] if before[r] >= 0 else 0
        right = common[after[r]] if after[r] < count else 0
        longest[place] = max(left, right)
        if after[r] < count:
            common[after[r]] = min(left, right)
            before[after[r]] = before[r]
        if before[r] >= 0:
            after[before[r]] = after[r]
    return longest


@numba.njit(cache=True)
def covered_by(longest, stops, least):
    """Bytes inside a repeat of at least `least` bytes that ends with its record."""
    covered = np.zeros(longest.size, np.bool_)
    reach = 0
    for place in range(longest.size):
        size = min(longest[place], stops[place] - place)
        if size >= least:
            reach = max(reach, place + size)
        covered[place] = place < reach
    return covered


def by_suffix_array(texts: list[bytes], least: int) -> tuple[np.ndarray, float]:
    """Repeated bytes of the texts, which lie with a byte between, and seconds."""
    began = time.perf_counter()
    flat = np.frombuffer(b"".join(text + b"\xff" for text in texts), np.uint8).copy()
    places = pydivsufsort.divsufsort(flat)
    lcp = pydivsufsort.kasai(flat, places).astype(np.int64)
    rank = np.empty(len(places), np.int64)
    rank[places] = np.arange(len(places))
    sizes = np.array([len(text) + 1 for text in texts])
    longest = longest_previous(places.astype(np.int64), lcp, rank)
    return covered_by(longest, np.repeat(np.cumsum(sizes) - 1, sizes), least), time.perf_counter() - began


def by_spans(texts: list[bytes], findings: pa.Table) -> np.ndarray:
    """Bytes inside the spans of the findings, laid out as of `by_suffix_array`."""
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    covered = np.zeros(starts[-1], np.bool_)
    for row in findings.select(["position", "start", "stop"]).to_pylist():
        text = np.frombuffer(texts[row["position"]] + b" ", np.uint8)
        points = starts[row["position"]] + np.flatnonzero(text & 0xC0 != 0x80)
        covered[points[row["start"]] : points[row["stop"]]] = True
    return covered


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=95)
    parser.add_argument("--array-megabytes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    texts = mixed(options.megabytes, options.seed).texts
    corpus = Corpus.from_texts(texts, batch=8192)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    speed: dict[str, dict[str, float]] = {}
    for name, mapped in {"one core": one_after_another, f"{workers()} cores": in_order}.items():
        seconds, processor = [], []
        for _ in range(options.repeats + 1):  # the first fills numba's cache
            began, before = time.perf_counter(), time.process_time()
            found = pa.concat_tables(substrings.find(corpus, SubstringsSettings(), mapped=mapped))
            seconds.append(time.perf_counter() - began)
            processor.append(time.process_time() - before)
        speed[name] = {
            "by the clock": round(megabytes / min(seconds[1:]), 1),
            "by processor seconds": round(megabytes / min(processor[1:]), 1),
        }

    few = mixed(options.array_megabytes, options.seed).texts
    encoded = [text.encode() for text in few]
    chosen = SubstringsSettings(within=True)
    truth, array_seconds = by_suffix_array(encoded, chosen.shortest)
    snapped = by_spans(encoded, pa.concat_tables(substrings.find(Corpus.from_texts(few), chosen)))
    with mock.patch.object(substring_kernels, "snap", lambda *_: None):
        raw = by_spans(encoded, pa.concat_tables(substrings.find(Corpus.from_texts(few), chosen)))
    report = {
        "seed": options.seed,
        "megabytes": round(megabytes, 1),
        "megabytes_per_second": speed,
        "findings": len(found),
        "suffix_array": {
            "megabytes": round(len(truth) / 1e6, 1),
            "seconds": round(array_seconds, 2),
            "repeated_share": round(float(truth.mean()), 5),
            "found_of_it": round(float((raw & truth).sum() / truth.sum()), 5),
            "found_beside_it_bytes": int((raw & ~truth).sum()),  # ends in the middle of a code point are rounded up
            "found_of_it_snapped": round(float((snapped & truth).sum() / truth.sum()), 5),
            "snapped_beside_it_bytes": int((snapped & ~truth).sum()),
        },
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
