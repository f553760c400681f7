"""The reader printed in docs/format.md, run as it stands."""

import re

import pytest
import torch

import excise
from conftest import REPO
from excise.weights.solve import Plan
from packing import tiny, write_packed

PAGE = (REPO / "docs" / "format.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names = {}
    exec(compile(code, "docs/format.md", "exec"), names)
    return names["read"]


@pytest.fixture(scope="module", params=["Llama", "GPT2"])
def original(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    settings = {"n_embd": 64, "n_layer": 1, "n_head": 4, "n_positions": 64} if request.param == "GPT2" else {}
    tiny(request.param, **settings).save_pretrained(folder)
    return folder, request.param == "GPT2"


PLANS = [
    Plan(sparsity=0.5),
    Plan(bits=4, group=32),
    Plan(sparsity=0.3, bits=1, group=64),
    Plan(sparsity=0.5, bits=3, grid="affine", group="channel"),
    Plan(bits=5, grid="affine", group="tensor"),
    Plan(pattern="2:4", bits=8, group=16),
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_the_printed_reader_reads_what_excise_reads(reader, original, tmp_path, plan):
    folder, transposed = original
    write_packed(folder, tmp_path / "out", plan, transposed=transposed)
    theirs, ours = reader(tmp_path / "out"), excise.load(tmp_path / "out", dense=True).state_dict()
    assert theirs.keys() == ours.keys() - {"lm_head.weight"}
    for name, weight in theirs.items():
        assert weight.dtype == ours[name].dtype
        assert torch.equal(weight.view(torch.int16), ours[name].view(torch.int16)), name


def test_the_sizes_on_the_page_are_those_of_the_layouts():
    from excise.weights.layout import GridLayout, Layout

    def ratio(sparse, kind):
        grid = GridLayout(kind, 4, 128, torch.bfloat16) if kind else None
        return Layout((128, 256), torch.bfloat16, 128 * 128 if sparse else None, grid).size_bytes() / (2 * 128 * 256)

    table = [float(r) for r in re.findall(r"\| (0\.\d{4}) \|", PAGE)]
    kinds = [(True, None), (False, "symmetric"), (False, "affine"), (True, "symmetric"), (True, "affine")]
    assert table == pytest.approx([ratio(*kind) for kind in kinds], abs=5e-5)
