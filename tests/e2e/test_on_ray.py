"""The engine on Ray: the local engine's bytes, also where a worker dies on the way."""

import json
import os
import random
import signal
from pathlib import Path

import pytest

from excise.pipeline.clean import clean

pytest.importorskip("ray", reason="Ray is not installed; pip install 'excise[ray]'")


@pytest.fixture(scope="module")
def engine():
    import ray

    from excise.adapters.ray import on_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield on_ray()
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_results_come_in_order_although_a_worker_dies(engine, tmp_path):
    def work(item):
        mark = tmp_path / "died"
        if item == 5 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item * item, os.getpid()

    found = list(engine(work, range(40)))
    assert [square for square, _ in found] == [item * item for item in range(40)]
    assert os.getpid() not in {pid for _, pid in found}
    assert (tmp_path / "died").exists()


@pytest.mark.filterwarnings("ignore")
def test_the_same_bytes_as_on_one_machine(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    words = [f"word{n}" for n in range(2000)]
    texts = [" ".join(rng.choices(words, k=50)) for _ in range(200)]
    texts += [text.replace(text.split()[7], "other") for text in texts[:60]] + texts[100:130]
    rng.shuffle(texts)
    Path("data.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    clean("data.jsonl", "here")
    clean("data.jsonl", "there", engine="ray")
    for name in ("data/data.jsonl", "ledger/decisions.parquet", "ledger/removed.parquet"):
        assert Path("here", name).read_bytes() == Path("there", name).read_bytes()
    assert len(Path("here/data/data.jsonl").read_text().splitlines()) < 230
