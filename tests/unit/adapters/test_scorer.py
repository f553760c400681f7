"""Bits per byte under a model: equal to those of one text at a time, and low for what the model knows."""

import math

import pytest
import torch

from excise.adapters.hf import open_model
from excise.adapters.scorer import scorer


def test_scores_equal_one_at_a_time_and_tell_text_from_garbage(shared):
    path = shared / "models" / "wikillama"
    texts = [
        "The history of the town begins in the 12th century, when it was first mentioned in a charter.",
        "xq zzv kkj qpw 8f8f vvv qqq zxzx wvwv kqkq jjxx",
        "The river is a tributary of the Danube.",
        "",
    ]
    found = scorer(path)(texts)
    model = open_model(path)
    for text, bits in zip(texts[:3], found, strict=False):
        tokens = torch.tensor([[model.separator, *model.encode(text)]])
        with torch.inference_mode():
            logits = model.logits(tokens).float()[0, :-1]
        nats = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum")
        assert bits == pytest.approx(
            float(nats) / math.log(2) / len(text.encode()), rel=5e-3
        )  # bfloat16, in other batches
    assert found[0] < found[2] + 1 < found[1]
    assert found[3] == 0
