"""The compiled loop of language identification: py3langid's automaton and naive Bayes scores over Arrow's buffers."""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: ANN001, ANN201, C901
import numpy as np
from numba import float32, float64, int32, int64, types, uint8, uint16, uint32

from excise.data.compiled import kernel

_bytes = types.Array(uint8, 1, "C", readonly=True)
_offsets = types.Array(int64, 1, "C", readonly=True)
_moves = types.Array(uint32, 1, "C", readonly=True)
_rows = types.Array(uint16, 1, "C", readonly=True)
_features = types.Array(int32, 1, "C", readonly=True)
_table = types.Array(float32, 2, "C", readonly=True)
_prior = types.Array(float32, 1, "C", readonly=True)


@kernel(
    types.void(
        _bytes, _offsets, _moves, _rows, _features, _table, _prior, _features, int32[::1], int32[::1], float64[::1]
    )
)  # fmt: skip
def identify(data, offsets, moves, rows, features, table, prior, same, counts, language, probability):
    """The likeliest language of each text.

    Args:
        data: Bytes of the texts, NFC.
        offsets: [n + 1].
        moves: Next state by rows[state] * 256 + byte.
        rows: By state.
        features: By state: the feature seen on reaching it, or -1.
        table: [features, languages], log probabilities.
        prior: [languages].
        same: [languages], the first language of that name.
        counts: Scratch, [features], zeros; left as zeros.
        language: [n], written: index of the language, -1 where no feature was seen.
        probability: [n], written: softmax of the scores divided by the square root of the text's bytes.

    Source: Lui, Baldwin 2012, langid.py; the weights, log1p of counts and the temperature are py3langid's.
    """
    seen = np.empty(counts.size, np.int32)
    scores = np.empty(prior.size, np.float64)
    for text in range(offsets.size - 1):
        state = 0
        kinds = 0
        for i in range(offsets[text], offsets[text + 1]):
            state = moves[np.int64(rows[state]) * 256 + data[i]]
            feature = features[state]
            if feature >= 0:
                if counts[feature] == 0:
                    seen[kinds] = feature
                    kinds += 1
                counts[feature] += 1
        language[text] = -1
        probability[text] = 0.0
        if kinds == 0:
            continue
        for k in range(scores.size):
            scores[k] = prior[k]
        for j in range(kinds):
            weight = np.log1p(np.float64(counts[seen[j]]))
            row = table[seen[j]]
            for k in range(scores.size):
                scores[k] += weight * row[k]
            counts[seen[j]] = 0
        cooler = 1.0 / np.sqrt(np.float64(offsets[text + 1] - offsets[text]))
        top = scores.max()
        total = 0.0
        for k in range(scores.size):
            scores[k] = np.exp((scores[k] - top) * cooler)
            total += scores[k]
            if same[k] != k:
                scores[same[k]] += scores[k]
                scores[k] = 0.0
        best = np.argmax(scores)
        language[text] = best
        probability[text] = scores[best] / total
