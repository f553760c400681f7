"""A language model of numbers: logits depend on the last token alone, and can be disturbed."""

import torch

WORDS = 32


class FakeModel:
    """Bigram model over bytes folded into WORDS tokens; `noise` disturbs its table."""

    vocabulary = WORDS
    separator = 0
    longest = None

    def __init__(self, noise=0.0, zeros=0.0, seed=0):
        draw = torch.Generator().manual_seed(seed)
        table = 2 * torch.randn(WORDS, WORDS, generator=draw)
        table += noise * torch.randn(WORDS, WORDS, generator=torch.Generator().manual_seed(seed + 1))
        self.table = torch.where(torch.rand(WORDS, WORDS, generator=draw) < zeros, 0.0, table)
        self.seen = []
        self.config = {}

    def encode(self, text):
        return [1 + b % (WORDS - 1) for b in text.encode()]

    def logits(self, tokens):
        self.seen.append(tuple(tokens.shape))
        return self.table[tokens]

    def decode(self, tokens, steps):
        last = int(tokens[0, -1])
        for _ in range(steps):
            last = int(self.table[last].argmax())
            yield last

    def memory_bytes(self):
        return self.table.numel() * 4

    def tensors(self):
        yield "table", self.table
