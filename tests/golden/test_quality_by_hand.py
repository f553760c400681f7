"""Perplexity, bits per byte, KL and agreement against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from excise.evidence import losses
from excise.evidence.quality import cut, token_losses


class Coin:
    """Two tokens, 0 and 1; the next is always predicted with the same two probabilities."""

    vocabulary, separator, longest = 2, 0, None

    def __init__(self, first, second):
        self.logs = torch.tensor([math.log(first), math.log(second)])

    def encode(self, text):
        return [int(c) for c in text]

    def logits(self, tokens):
        return self.logs.expand(*tokens.shape, 2) + 5.0  # softmax does not see a constant


def test_two_coins():
    """Stream 0 1110 | 0 101: windows of 4 predict 111 and 0101 without its first: 3 + 3 tokens, 1s: 3 + 2."""
    texts = ["1110", "101"]
    fair, biased = Coin(0.5, 0.5), Coin(0.25, 0.75)
    windows = cut(texts, fair, biased, length=4)
    assert windows.tokens.tolist() == [[0, 1, 1, 1], [0, 0, 1, 0]]
    assert windows.document.tolist() == [[0, 0, 0, 0], [0, 1, 1, 1]]
    each = token_losses(fair, biased, windows.tokens)
    ln2, ln4, ln43 = math.log(2), math.log(4), math.log(4 / 3)
    assert each.before == pytest.approx(np.full((2, 3), ln2))
    assert each.after == pytest.approx(np.array([[ln43, ln43, ln43], [ln4, ln43, ln4]]))
    kl = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert each.kl == pytest.approx(np.full((2, 3), kl), rel=1e-6)
    # The fair coin's most likely token is the first of two equals, 0; the biased one's is 1.
    assert each.agree.tolist() == [[0, 0, 0], [0, 0, 0]]
    found = losses.measures(losses.sums(each, windows, texts, "windows"), seed=0)
    nats = 4 * ln43 + 2 * ln4
    assert found["loss"]["before"] == pytest.approx(ln2, rel=1e-6)
    assert found["loss"]["after"] == pytest.approx(nats / 6, rel=1e-6)
    assert found["perplexity"]["before"] == pytest.approx(2, rel=1e-6)
    assert found["perplexity"]["after"] == pytest.approx(math.exp(nats / 6), rel=1e-6)
    # Document 0: 5 tokens for 4 bytes, 3 predicted; document 1: 4 tokens for 3 bytes, 3 predicted.
    covered = 3 * 4 / 5 + 3 * 3 / 4
    assert found["bpb"]["before"] == pytest.approx(6 / covered, rel=1e-6)
    assert found["bpb"]["after"] == pytest.approx(nats / ln2 / covered, rel=1e-6)
    assert found["kl"]["after"] == pytest.approx(kl, rel=1e-6)
    assert found["top1"]["after"] == 0


def test_bytes_are_those_of_the_original_text():
    """Three bytes a character: three times fewer bits per byte for the same tokens."""
    fair = Coin(0.5, 0.5)
    fair.encode = lambda text: [1] * len(text)
    windows = cut(["错" * 7], fair, fair, length=4)
    each = token_losses(fair, fair, windows.tokens)
    found = losses.measures(losses.sums(each, windows, ["错" * 7], "windows"), seed=0)
    assert found["bpb"]["after"] == pytest.approx(8 / 21, rel=1e-6)
    assert found["bpb"]["interval"]["difference"] == [0.0, 0.0]
    assert found["kl"]["after"] == 0
    assert found["top1"]["after"] == 1


def test_reference_model_on_its_unseen_text(shared):
    """Own arithmetic with transformers alone: mean of 255 losses over the first windows of wikillama's held-out text."""
    import json

    from transformers import AutoModelForCausalLM, AutoTokenizer

    from excise.adapters.hf import open_model

    folder = shared / "models" / "wikillama"
    lines = (folder / "heldout.jsonl").read_text(encoding="utf-8").splitlines()[:12]
    texts = [json.loads(line)["text"] for line in lines]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    stream = [t for text in texts for t in (0, *tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])]
    count = len(stream) // 256
    tokens = torch.tensor(stream[: count * 256]).reshape(count, 256)
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        reference = float(network(tokens, labels=tokens).loss)
    model = open_model(folder)
    windows = cut(texts, model, model)
    assert windows.tokens.tolist() == tokens.tolist()
    each = token_losses(model, model, windows.tokens)
    assert float(each.before.mean(dtype=np.float64)) == pytest.approx(reference, abs=2e-3)
    assert np.array_equal(each.before, each.after)
    assert not each.kl.any()
    assert each.agree.all()
