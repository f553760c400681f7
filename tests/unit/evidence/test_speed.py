"""Speed: both models in turn, the first token apart, summaries of the rounds."""

import pytest
import torch

from evidence_fakes import FakeModel
from excise.evidence import speed

TOKENS = torch.arange(300)[None] % 32


class Clock:
    """Time that passes only when a model works: `prompt_ms` a prompt, `token_ms` a token."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class TimedModel(FakeModel):
    def __init__(self, clock, log, prompt_ms, token_ms):
        super().__init__()
        self.clock, self.log, self.prompt_ms, self.token_ms = clock, log, prompt_ms, token_ms

    def logits(self, tokens):
        self.clock.now += self.prompt_ms / 1e3
        self.log.append(("read", self, tokens.shape[1]))
        return super().logits(tokens)

    def decode(self, tokens, steps):
        self.clock.now += self.prompt_ms / 1e3  # the prefill, before the first token
        self.log.append(("write", self, steps))
        for count, token in enumerate(super().decode(tokens, steps)):
            self.clock.now += self.token_ms / 1e3 if count else 0
            yield token


@pytest.fixture
def timed(monkeypatch):
    clock, log = Clock(), []
    monkeypatch.setattr(speed, "time", clock)
    return TimedModel(clock, log, 100, 4), TimedModel(clock, log, 50, 1), log


def test_measures_what_the_clock_says(timed):
    before, after, _ = timed
    found = speed.measure(before, after, TOKENS, rounds=3)
    assert found["latency"]["before"]["median"] == pytest.approx(4)
    assert found["latency"]["after"]["median"] == pytest.approx(1)
    assert found["latency"]["ratio"] == pytest.approx(0.25)
    assert found["latency"]["interval"]["ratio"] == pytest.approx([0.25, 0.25])
    assert found["prefill"]["before"]["median"] == pytest.approx(2560)
    assert found["prefill"]["ratio"] == pytest.approx(2)
    assert found["settings"] == {
        "prefill_tokens": 256,
        "prompt_tokens": 32,
        "decode_tokens": 32,
        "rounds": 3,
        "warm_up_rounds": 1,
        "batch": 1,
    }


def test_the_models_take_turns_and_each_comes_first_as_often(timed):
    before, after, log = timed
    speed.measure(before, after, TOKENS, rounds=4)
    writers = [model for kind, model, _ in log if kind == "write"][2:]  # after the warm-up
    assert writers == [before, after, after, before, before, after, after, before]


def test_a_slow_model_writes_fewer_tokens(timed, monkeypatch):
    before, after, log = timed
    monkeypatch.setattr(speed, "DECODE_SECONDS", 0.505)
    found = speed.measure(before, after, TOKENS, rounds=10)
    assert found["settings"]["decode_tokens"] == 10  # 500 ms / (10 rounds * 5 ms)
    assert {steps for kind, _, steps in log if kind == "write"} == {5, 11}


def test_stays_within_what_the_models_take(timed):
    before, after, log = timed
    found = speed.measure(before, after, TOKENS, rounds=1, longest=16)
    assert found["settings"]["prefill_tokens"] == 16
    prompt = found["settings"]["prompt_tokens"]
    assert prompt + max(steps for kind, _, steps in log if kind == "write") <= 16


def test_machine_names_processor_and_threads():
    found = speed.machine()
    assert found["threads"] == torch.get_num_threads()
    assert found["cores"] >= 1
    assert found["cpu"]
