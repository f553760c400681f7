"""What each step costs on one core, and what a record costs in memory and on disk. Prints JSON.

    python benchmarks/unit_costs.py [--megabytes 48] [--small] [--write]
    python benchmarks/unit_costs.py --fill

MB of text a second are by processor time, on a mixed corpus of text and code with copies in it, best of three, on one
core: a busy machine distorts them less than the clock. The driver's part of a step is what is left when the results of
the workers are there already. Bytes of disk are those of the files. Memory is anonymous memory (RssAnon, sampled) on
short records in which nothing is found, in small pieces, so that what grows is seen: what a finder takes at most beyond
what was there when it began, the difference between two corpora. `--fill` puts the last kept result, and what it means
for ten terabytes, into docs/scaling.md.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from corpora import mixed, write_jsonl
from outcome import RESULTS, about, options, progress, say

from excise.adapters.files.changes import Changes
from excise.adapters.files.cuts import collect
from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import Reading, read
from excise.adapters.files.write import write_source
from excise.corpus import Corpus
from excise.data import (
    buckets,
    contamination,
    exact,
    language,
    lines,
    minhash,
    near,
    perplexity,
    pii,
    rules,
    substrings,
)
from excise.data.text import buffers
from excise.data.threads import Mapped, in_order
from excise.pipeline.clean import clean

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "scaling.md"
#: Finders whose memory is measured.
MEMORY = ("exact", "near", "lines", "substrings", "quality", "language", "perplexity", "pii")


@dataclass(frozen=True)
class Given:
    """A corpus as it lies on disk and as it was read.

    Attributes:
        files: By format.
        reading: Of the jsonl file.
        packed: Of the same with zstd.
        items: Some other records, as evaluation items.
        size_bytes: Of all texts.
        folder: To write in.
    """

    files: dict[str, Path]
    reading: Reading
    packed: Reading
    items: Reading
    size_bytes: int
    folder: Path

    @property
    def corpus(self) -> Corpus:
        """The records."""
        return self.reading.corpus


def given(megabytes: float, seed: int, folder: Path) -> Given:
    """Made anew."""
    texts = mixed(megabytes, seed).texts
    files = {"jsonl": write_jsonl(texts, folder / "data.jsonl")}
    body = files["jsonl"].read_bytes()
    files["jsonl.gz"] = folder / "data.jsonl.gz"
    files["jsonl.gz"].write_bytes(gzip.compress(body, 6))
    files["jsonl.zst"] = folder / "data.jsonl.zst"
    files["jsonl.zst"].write_bytes(zstandard.ZstdCompressor(3).compress(body))
    files["parquet"] = folder / "data.parquet"
    table = pa.table({"id": [str(i) for i in range(len(texts))], "text": pa.array(texts, pa.large_string())})
    pq.write_table(table, files["parquet"], compression="zstd", row_group_size=10_000)
    long = [text for text in texts if len(text.split()) > 20 and text.isascii()]  # of one length of sequences
    few = write_jsonl(long[:: max(1, len(long) // 200)], folder / "items.jsonl")
    size_bytes = sum(len(text.encode()) for text in texts)
    readings = [_read(files[form], folder / f"views-{form}") for form in ("jsonl", "jsonl.zst")]
    return Given(files, *readings, _read(few, folder / "items"), size_bytes, folder)


def _read(path: Path, folder: Path) -> Reading:
    return read(find(path), folder, Fields())


def _drawn(tables: Iterable[pa.Table]) -> None:
    for _ in tables:
        pass


def _written(reading: Reading, folder: Path) -> None:
    """Every tenth record goes."""
    source, out = reading.corpus.sources[0], folder / "written"
    gone = np.arange(0, source.records, 10)
    (out / "ledger").mkdir(parents=True, exist_ok=True)
    collect(reading, {source.name: Changes.of(gone)}, out / "ledger" / "removed.parquet")
    write_source(source, reading.contents[0], gone, out / "data", out / "ledger", "bytes", lambda n: None)


def _contaminated(at: Given, mapped: Mapped) -> None:
    both = at.corpus.beside(at.items.corpus)
    _drawn(contamination.find(both, contamination.ContaminationSettings(), mapped=mapped))


def _near(at: Given, mapped: Mapped) -> None:
    _drawn(near.find(at.corpus, near.NearSettings(), folder=at.folder, mapped=mapped))


def _signed(at: Given, mapped: Mapped) -> None:
    with tempfile.TemporaryDirectory(dir=at.folder) as folder:
        minhash.spill(at.corpus, Path(folder), minhash.shape_for(0.8), mapped=mapped)


def _lines(at: Given, mapped: Mapped) -> None:
    _drawn(lines.find(at.corpus, lines.LinesSettings(), folder=at.folder, mapped=mapped))


def _substrings(at: Given, mapped: Mapped) -> None:
    _drawn(substrings.find(at.corpus, substrings.SubstringsSettings(), folder=at.folder, mapped=mapped))


def _reading(form: str) -> Callable[[Given, Mapped], Any]:
    return lambda at, mapped: _read(at.files[form], at.folder / f"read-{form}")


#: What is measured: name in the table, what is done.
STEPS: dict[str, Callable[[Given, Mapped], Any]] = {
    "fingerprint the files": lambda at, mapped: find(at.files["jsonl"]),
    **{f"read {form}": _reading(form) for form in ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")},
    "exact": lambda at, mapped: _drawn(exact.find(at.corpus, normalised=False, mapped=mapped)),
    "normalised": lambda at, mapped: _drawn(exact.find(at.corpus, normalised=True, mapped=mapped)),
    "near, of it signing": _signed,
    "near": _near,
    "lines": _lines,
    "substrings": _substrings,
    "contaminated": _contaminated,
    "quality": lambda at, mapped: rules.measure(at.corpus, rules.RulesSettings(), mapped=mapped),
    "language": lambda at, mapped: language.measure(at.corpus, language.LanguageSettings(), mapped=mapped),
    "perplexity": lambda at, mapped: perplexity.measure(at.corpus, perplexity.PerplexitySettings(), mapped=mapped),
    "pii": lambda at, mapped: _drawn(pii.find(at.corpus, pii.PiiSettings(), mapped=mapped)),
    "write jsonl and prove": lambda at, mapped: _written(at.reading, at.folder),
    "write jsonl.zst and prove": lambda at, mapped: _written(at.packed, at.folder),
}


class Remembered:
    """An engine that does the work once, and then has the results at hand."""

    def __init__(self) -> None:
        self._results: list[list[Any]] = []
        self._again: Iterator[list[Any]] | None = None

    def again(self) -> None:
        """From now on nothing is worked on."""
        self._again = iter(self._results)

    def __call__(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of the items."""
        if self._again is None:
            self._results.append([work(item) for item in items])
            yield from self._results[-1]
        else:
            yield from (result for _, result in zip(items, next(self._again), strict=True))


def speeds(at: Given, repeats: int) -> dict[str, dict[str, float]]:
    """MB of text a second, by step: of processor time, of the driver's part of it, and of the clock."""
    found = {}
    for name, step in STEPS.items():
        best = [(np.inf, np.inf)]
        for _ in range(repeats):
            clock, processor = time.perf_counter(), time.process_time()
            step(at, in_order)
            best.append((time.process_time() - processor, time.perf_counter() - clock))
        engine = Remembered()
        step(at, engine)
        engine.again()
        processor = time.process_time()
        step(at, engine)
        driver = time.process_time() - processor
        seconds, by_clock = min(best)
        rates = {"mb_per_s": seconds, "driver_mb_per_s": driver, "mb_per_s_by_the_clock": by_clock}
        found[name] = {key: round(at.size_bytes / 1e6 / value, 1) for key, value in rates.items()}
        progress(f"{name}: {found[name]}")
    return found


def compared(at: Given) -> float:
    """Share of the text that the finder 'near' reads again and compares; more than 1 where it does so many times."""
    sizes = np.concatenate([np.diff(buffers(batch["text"])[1]) for batch in at.corpus.batches()])
    read_again = 0

    def watched(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        def told() -> Iterator[Any]:
            nonlocal read_again
            for item in items:
                if isinstance(item, tuple):
                    read_again += int(sizes[item[0]].sum())
                yield item

        return in_order(work, told())

    _near(at, watched)
    return round(read_again / at.size_bytes, 3)


def sorted_keys(count: int, seed: int) -> float:
    """Million keys of a band a second that the driver sorts into buckets, by processor time."""
    keys = np.random.default_rng(seed).integers(0, 1 << 63, count, np.uint64)
    live = np.ones(count, np.bool_)
    began = time.process_time()
    buckets.bucketed(keys, live, live, np.arange(count))
    return round(count / 1e6 / (time.process_time() - began), 2)


def disk(at: Given) -> dict[str, float]:
    """Bytes by what they are for."""
    records, found = len(at.corpus), {}
    found["view, a byte of text"] = at.corpus.views[0].stat().st_size / at.size_bytes
    with tempfile.TemporaryDirectory(dir=at.folder) as folder:
        bands = minhash.spill(at.corpus, Path(folder), minhash.shape_for(0.8))
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        found["near: bands, a record"] = size / len(bands.positions)
    out, cache = at.folder / "cleaned", at.folder / "cache"
    finders = ("exact", "normalised", "near", "quality")
    clean(at.files["jsonl"], out, finders=finders, cache=cache, allow_large=True, actions={"quality": "note"})
    for kind in ("exact", "normalised", "signatures"):
        size = next((cache / "sources").glob(f"*/{kind}-*.npy")).stat().st_size
        found[f"--cache, --index: {kind}, a record"] = size / records
    found["--cache: quality, a record"] = next(cache.glob("quality-*.arrow")).stat().st_size / records
    ledger = out / "ledger"
    decisions, data = ledger / "decisions.parquet", at.files["jsonl"].stat().st_size
    removed_bytes = data - (out / "data" / "data.jsonl").stat().st_size
    found["ledger: decisions, a decision"] = decisions.stat().st_size / max(1, pq.read_metadata(decisions).num_rows)
    found["ledger: removed text, a byte removed"] = (ledger / "removed.parquet").stat().st_size / max(1, removed_bytes)
    return {name: round(value, 2) for name, value in found.items()}


def memory(records: int, folder: Path) -> dict[str, float]:
    """Bytes of anonymous memory that each more record costs a finder."""
    spawned = multiprocessing.get_context("spawn")
    found: dict[str, float] = {}
    readings = []
    for count in (records // 2, records):  # read elsewhere, for what reading took and gave back would be used again
        path = short(folder / f"short-{count}.jsonl", count)
        with spawned.Pool(1) as pool:
            readings.append(pool.apply(_read, (path, folder / f"short-{count}")))
    for name in MEMORY:
        peaks = []
        for reading in readings:
            with spawned.Pool(1) as pool:
                peaks.append(pool.apply(beyond, (name, reading, folder)))
        found[name] = max(0, round((peaks[1] - peaks[0]) / (records - records // 2)))
        progress(f"{name}: {found[name]} bytes of memory a record")
    return found


def beyond(name: str, reading: Reading, folder: Path) -> int:
    """Bytes of memory that a finder takes at most, beyond what was there before it ran; in small pieces of text."""
    for module in (exact, minhash, lines, substrings, rules, language, perplexity, pii):
        for size in ("_SLICE_BYTES", "_PIECE_BYTES"):
            if hasattr(module, size):
                setattr(module, size, 1 << 17)
    before, done, most = _anonymous(), threading.Event(), 0

    def watch() -> None:
        nonlocal most
        while not done.wait(0.01):
            most = max(most, _anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        STEPS[name](Given({}, reading, reading, reading, 0, Path(own)), in_order)
    done.set()
    watcher.join()
    return most - before


def _anonymous() -> int:
    """Bytes of this process."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) << 10


def short(path: Path, count: int) -> Path:
    """Records of twelve words of which no two are alike."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{n:x}" for n in range(1 << 16)])
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, count, 10_000):
            drawn = words[rng.integers(0, len(words), (min(10_000, count - start), 12))]
            file.writelines(json.dumps({"text": " ".join(row)}) + "\n" for row in drawn.tolist())
    return path


def measured(chosen: Any, folder: Path) -> dict[str, Any]:
    """All of it."""
    (folder / "warm").mkdir()
    warm = given(0.3, chosen.seed, folder / "warm")
    for step in STEPS.values():  # so that compiled code is loaded
        step(warm, in_order)
    at = given(chosen.megabytes, chosen.seed, folder)
    return {
        "megabytes": round(at.size_bytes / 1e6, 1),
        "records": len(at.corpus),
        "steps": speeds(at, chosen.repeats),
        "near_compared_share": compared(at),
        "band_million_keys_per_s": sorted_keys(chosen.records, chosen.seed),
        "disk_bytes": disk(at),
        "memory_bytes_a_record": memory(chosen.records, folder),
    }


def main() -> None:
    """Print the measurements, or fill them into the page."""
    parser = options(__doc__, megabytes=48.0, records=4_000_000, repeats=3, work="")
    parser.add_argument("--fill", action="store_true")
    chosen = parser.parse_args()
    if chosen.fill:
        fill(PAGE, json.loads((RESULTS / "unit_costs.json").read_text(encoding="utf-8")))
        return
    if chosen.small:
        chosen.megabytes, chosen.records, chosen.repeats = 1.0, 20_000, 1
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    envelope = about()
    with tempfile.TemporaryDirectory(dir=chosen.work or None) as folder:
        result = measured(chosen, Path(folder))
    say("unit_costs", envelope, result, chosen)


def fill(page: Path, told: dict[str, Any]) -> None:
    """Put the tables between their marks."""
    text = page.read_text(encoding="utf-8")
    for name, lines_of in (("steps", steps_table(told)), ("records", records_table(told))):
        table = "\n".join(lines_of)
        text, count = re.subn(
            rf"(<!-- {name}[^>]*-->\n).*?(<!-- /{name} -->)",
            lambda marks, table=table: f"{marks[1]}{table}\n{marks[2]}",
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise SystemExit(f"{page.name} has no place for {name}")
    page.write_text(text, encoding="utf-8")


#: Ten terabytes of text, in records of three kilobytes.
TEXT_BYTES, RECORD_BYTES = 10e12, 3_000
BANDS = minhash.shape_for(0.8)[0]


def steps_table(told: dict[str, Any]) -> list[str]:
    """Speeds, and hours for ten terabytes."""
    rows = [
        f"Measured with `{told['command']}` on one core of an {told['machine']['processor']} under a load of "
        f"{told['load_before']:.0f}, {told['megabytes']:.0f} MB of text and code:",
        "",
        "| step | MB/s a core | driver's part, MB/s | 10 TB: core-hours | of them on the driver |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, rate in told["steps"].items():
        hours, driver = (TEXT_BYTES / 3.6e9 / rate[key] for key in ("mb_per_s", "driver_mb_per_s"))
        if name.startswith("read"):
            part, driver = "none", 0
        elif name.startswith(("fingerprint", "write")):
            part, driver = "all of it", hours
        else:
            part = f"{rate['driver_mb_per_s']:,.0f}"
        rows.append(f"| {name} | {rate['mb_per_s']:,.0f} | {part} | {_hours(hours)} | {_hours(driver)} |")
    sorting = BANDS * TEXT_BYTES / RECORD_BYTES / 3.6e9 / told["band_million_keys_per_s"]
    speed = f"{told['band_million_keys_per_s']:.0f} million keys/s"
    rows.append(
        f"| near: sort the keys of {BANDS} bands | {speed} | all of it | {_hours(sorting)} | {_hours(sorting)} |"
    )
    return rows


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def records_table(told: dict[str, Any]) -> list[str]:
    """Bytes of memory and disk, and what that is for ten terabytes."""
    records = TEXT_BYTES / RECORD_BYTES
    rows = ["| | bytes | 10 TB in 3.3 billion records |", "|---|---:|---:|"]
    rows += [
        f"| memory of the driver: {name}, a record | {value:,} | {_size(value * records)} |"
        for name, value in told["memory_bytes_a_record"].items()
    ]
    compared = told["near_compared_share"]
    rows.append(f"| read again and compared by near, a byte of text | {compared} | {_size(compared * TEXT_BYTES)} |")
    for name, value in told["disk_bytes"].items():
        whole = value * (TEXT_BYTES if name.endswith("of text") else records)
        shown = _size(whole) if name.endswith(("of text", "a record")) else "by what goes"
        rows.append(f"| disk: {name} | {value:,} | {shown} |")
    return rows


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e12:,.1f} TB" if size_bytes >= 1e12 else f"{size_bytes / 1e9:,.0f} GB"


if __name__ == "__main__":
    main()
