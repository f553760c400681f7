"""The engine on Ray: the local engine's bytes, also where workers die on the way; what travels, and what goes wrong."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from excise.adapters import ray as adapter
from excise.adapters.files import read as reading
from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.data import buckets, exact, minhash
from excise.data.threads import in_order
from excise.errors import InputError, MissingExtraError, RunError, SettingError
from excise.pipeline import clean as cleaning
from excise.pipeline.clean import clean

pytest.importorskip("ray", reason="Ray is not installed; pip install 'excise[ray]'")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def engine():
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield adapter.on_ray()
    ray.shutdown()


def corpus(path: Path, records: int = 200, seed: int = 0) -> Path:
    """Texts, near and exact copies of some, a line that many share."""
    rng = random.Random(seed)
    words = [f"word{n}" for n in range(2000)]
    texts = [" ".join(rng.choices(words, k=50)) for _ in range(records)]
    texts += [text.replace(text.split()[7], "other") for text in texts[: records // 3]] + texts[: records // 6]
    texts = [f"{text}\nAll rights reserved by the owner of this." if rng.random() < 0.3 else text for text in texts]
    rng.shuffle(texts)
    rows = [{"text": text, "label": "ab"[index % 2]} for index, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def killing_once(work, mark: Path):
    """The same work, but the first worker that begins it dies."""

    def dying(*given):
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*given)

    return dying


def test_results_come_in_order_from_other_processes(engine):
    found = list(engine(lambda item: (item * item, os.getpid()), range(100)))
    assert [square for square, _ in found] == [item * item for item in range(100)]
    assert os.getpid() not in {pid for _, pid in found}


def test_items_are_drawn_a_round_at_a_time_and_at_least_eight_are_in_flight(engine):
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    waiting = []
    results = engine(lambda item: item, endless())
    for delivered in range(200):
        assert next(results) == delivered + 1
        waiting.append(drawn - delivered)
    results.close()
    first, later = adapter._BLOCKS, adapter._BLOCKS * adapter._ITEMS
    assert waiting[:first] == [first - delivered for delivered in range(first)]
    assert waiting[0] >= 8
    assert max(waiting[first:]) == later


def test_many_finders_give_the_same_bytes_although_workers_die(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the workers were started elsewhere
    Path("data").mkdir()
    lines = corpus(Path("data.jsonl")).read_text().splitlines(keepends=True)
    for number in range(3):
        Path("data", f"{number}.jsonl").write_text("".join(lines[number::3]))
    finders = ("exact", "normalised", "quality", "near", "lines", "substrings", "pii")
    settings = {"lines": {"min_documents": 5}, "quality": {"rules": ("gopher",)}}
    whole = {"finders": finders, "settings": settings, "actions": {"quality": "note"}}
    clean("data", "here", **whole)
    for module, name in ((reading, "_read_one"), (exact, "_hashed"), (minhash, "_keyed"), (buckets, "_matched")):
        monkeypatch.setattr(module, name, killing_once(getattr(module, name), tmp_path / name))
    clean("data", "there", engine="ray", **whole)
    assert {path.name for path in tmp_path.glob("_*")} == {"_read_one", "_hashed", "_keyed", "_matched"}
    files = [f"data/{number}.jsonl" for number in range(3)]
    for name in (*files, "ledger/decisions.parquet", "ledger/removed.parquet", "ledger/sources.json"):
        assert Path("here", name).read_bytes() == Path("there", name).read_bytes()
    here, there = (json.loads(Path(out, "evidence.json").read_text()) for out in ("here", "there"))
    assert len(there["found"]) == 7
    assert {**there, "seconds": here["seconds"]} == here


def test_what_is_wrong_with_a_source_is_told_as_here(engine, tmp_path):
    for name in ("a", "b", "c"):
        corpus(tmp_path / f"{name}.jsonl", 10)
    for name in ("b", "c"):
        with (tmp_path / f"{name}.jsonl").open("a") as file:
            file.write("{\n")
    said = []
    for where in ("local", "ray"):
        with pytest.raises(InputError, match=r"b\.jsonl:15: ") as raised:
            clean(tmp_path, None, dry_run=True, engine=where)
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_sources_that_were_read_before_a_kill_are_not_read_again(tmp_path):
    for name in ("a", "b", "c"):
        corpus(tmp_path / f"{name}.jsonl", 10)
    inputs, done, asked = find(tmp_path), {}, []

    def step(name, work, files=()):
        if name not in done:
            done[name] = work()
        return done[name]

    def engine(work, items):
        for item in items:
            asked.append(item[0].name)
            yield work(item)

    first = reading.read(inputs, tmp_path / "views", Fields(), step=step, mapped=engine)
    assert asked == ["a.jsonl", "b.jsonl", "c.jsonl"]
    del done["read b.jsonl"], done["read c.jsonl"]
    again = reading.read(inputs, tmp_path / "views", Fields(), step=step, mapped=engine)
    assert asked[3:] == ["b.jsonl", "c.jsonl"]
    alone = reading.read(inputs, tmp_path / "views", Fields())
    assert first == again == alone


def test_relative_paths_of_index_cache_and_references_reach_the_workers(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, seed in (("monday", 0), ("tuesday", 1)):
        corpus(Path(f"{name}.jsonl"), 60, seed)
    Path("both.jsonl").write_text(Path("monday.jsonl").read_text() + Path("tuesday.jsonl").read_text())
    clean("both.jsonl", "at-once")
    for name in ("monday", "tuesday"):
        clean(f"{name}.jsonl", name, index="index", cache="cache", engine="ray")
    parts = [Path(name, "data", f"{name}.jsonl").read_text() for name in ("monday", "tuesday")]
    assert "".join(parts) == Path("at-once/data/both.jsonl").read_text()


def test_the_first_error_in_order_comes_as_it_was_raised(engine, tmp_path):
    def work(item):
        if item == 3:
            time.sleep(0.3)
            raise InputError("no text", tmp_path / "data.jsonl", 3)
        if item == 5:
            raise MissingExtraError("noise", "scikit-learn")
        return item

    with pytest.raises(InputError, match=r"data\.jsonl:3: no text") as raised:
        list(engine(work, range(8)))
    assert raised.value.line == 3
    with pytest.raises(MissingExtraError, match="pip install 'excise\\[noise\\]'"):
        list(engine(work, [5]))
    with pytest.raises(ZeroDivisionError) as fault:
        list(engine(lambda item: item / 0, [1]))
    assert "On a worker" in fault.value.__notes__[0]
    with pytest.raises(PermissionError) as refused:
        list(engine(lambda item: (_ for _ in ()).throw(PermissionError(13, "no", item)), ["a file"]))
    assert refused.value.filename == "a file"


def test_a_file_that_a_machine_does_not_see_is_the_users_to_mend(engine, tmp_path):
    with pytest.raises(InputError, match=r"does not see a file of the run.*nowhere\.arrow"):
        list(engine(lambda name: Path(name).read_bytes(), [str(tmp_path / "nowhere.arrow")]))


def test_reading_makes_no_folder_that_a_run_has_given_up(tmp_path):
    corpus(tmp_path / "data.jsonl", 10)
    item = (
        find(tmp_path / "data.jsonl").files[0],
        [tmp_path / "gone" / "0.arrow", tmp_path / "gone" / "0.rejects.arrow"],
    )
    with pytest.raises(FileNotFoundError):
        reading._read_one(Fields(), "stop", lambda size_bytes: None, item)
    assert not (tmp_path / "gone").exists()


def test_another_version_on_a_machine_is_refused(engine, monkeypatch):
    monkeypatch.setattr(adapter, "__version__", "0.0.1")
    with pytest.raises(RunError, match=r"has Excise .*, the run has 0\.0\.1"):
        list(engine(abs, [1]))


def test_work_that_kills_every_worker_ends(engine, monkeypatch):
    monkeypatch.setattr(adapter, "_RETRIES", 0)
    with pytest.raises(RunError, match=r"worker died .* The same command goes on"):
        list(engine(lambda item: os._exit(1), [1]))


@pytest.mark.parametrize(
    "finder",
    ["exact", "normalised", "near", "quality", "perplexity", "unlike", "lines", "substrings", "pii", "contaminated"],
)
def test_what_travels_with_the_work_does_not_grow_with_the_corpus(finder, tmp_path, monkeypatch):
    from ray import cloudpickle

    sizes = []

    def weighed(work, items):
        sizes[-1] = max(sizes[-1], len(cloudpickle.dumps(work)))
        return in_order(work, items)

    monkeypatch.setattr(cleaning, "_engine", lambda name: weighed)
    other = corpus(tmp_path / "other.jsonl", 100, 1)
    more = {"contaminated": {"against": other}, "unlike": {"like": other}}
    for records in (100, 800):
        data = corpus(tmp_path / f"data-{records:04d}.jsonl", records)
        sizes.append(0)
        clean(data, None, dry_run=True, finders=(finder,), **more.get(finder, {}))
    assert 0 < sizes[1] < sizes[0] + 200


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="pip install 'excise\\[ray\\]'"):
        adapter.on_ray()


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    import ray

    def init(**settings):
        raise ConnectionError(f"nobody at {settings['address']}")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(SettingError, match=r"RAY_ADDRESS is 'head:6379'.*ray start"):
        adapter.on_ray()


def descendants(mark: str) -> list[int]:
    """Processes with a mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")
def test_an_interrupted_command_leaves_no_process(tmp_path):
    data, mark = corpus(tmp_path / "data.jsonl"), f"EXCISE_TEST_MARK={tmp_path}"
    command = [sys.executable, "-m", "excise", "clean", str(data), "-o", str(tmp_path / "out"), "--engine", "ray"]
    name, _, value = mark.partition("=")
    with (tmp_path / "said").open("w") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, name: value})
    deadline = time.monotonic() + 60
    while "equal texts" not in (tmp_path / "said").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(descendants(mark)) > 1
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130, (tmp_path / "said").read_text()
    while descendants(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert descendants(mark) == []
    assert "Traceback" not in (tmp_path / "said").read_text()
