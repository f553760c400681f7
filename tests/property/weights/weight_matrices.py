"""Hypothesis strategies for weight matrices: ordinary values, ties, zeros, one-sided and constant groups."""

import torch
from hypothesis import strategies as st
from torch import Tensor

COLUMNS = 12  # divided by 1, 2, 3, 4 and 6

_dtypes = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])
_value = st.one_of(
    st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0]),  # ties
    st.floats(-4, 4, width=32),
    st.floats(-2e4, 2e4, width=32),
    st.floats(-(2.0**-10), 2.0**-10, width=32),
)


def _rows(value: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    constant = value.map(lambda x: [x] * COLUMNS)
    one_sided = st.lists(value.map(abs), min_size=COLUMNS, max_size=COLUMNS)
    return st.one_of(st.lists(value, min_size=COLUMNS, max_size=COLUMNS), one_sided, constant)


@st.composite
def weights(draw: st.DrawFn, dtypes: st.SearchStrategy[torch.dtype] = _dtypes) -> Tensor:
    """[1 to 4, COLUMNS], finite."""
    rows = draw(st.lists(_rows(_value), min_size=1, max_size=4))
    return torch.tensor(rows, dtype=torch.float32).to(draw(dtypes))


def masks(weight: Tensor) -> st.SearchStrategy[Tensor]:
    """A bool mask of the weight's shape; whole rows and groups may be pruned."""
    row = st.one_of(st.lists(st.booleans(), min_size=COLUMNS, max_size=COLUMNS), st.sampled_from([[False] * COLUMNS]))
    return st.lists(row, min_size=len(weight), max_size=len(weight)).map(torch.tensor)
