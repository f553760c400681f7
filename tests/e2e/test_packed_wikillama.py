"""The promised sizes, memory and results on the reference model."""

import json

import pytest
import torch
from safetensors import safe_open

import excise
from excise.weights.layout import read_layouts
from excise.weights.solve import Plan
from packing import resident_bytes, write_packed

PROMISES = [
    (Plan(sparsity=0.5), 0.57, 0.65),
    (Plan(bits=4), 0.27, 0.5),
    (Plan(bits=4, grid="affine"), 0.27, 0.5),
    (Plan(sparsity=0.5, bits=4), 0.20, 0.5),
    (Plan(sparsity=0.5, bits=4, grid="affine"), 0.205, 0.5),
]


@pytest.mark.parametrize(("plan", "stored", "resident"), PROMISES, ids=lambda p: str(p)[:60])
def test_promises(shared, tmp_path, plan, stored, resident):
    from transformers import AutoModelForCausalLM

    original = shared / "models" / "wikillama"
    solved = write_packed(original, tmp_path / "out", plan)
    assert len(solved) == 42

    config = json.loads((tmp_path / "out" / "config.json").read_text())["quantization_config"]
    layouts = read_layouts(config)
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        parts = {n: file.get_tensor(n) for n in file.keys() if n.rpartition(".")[0] in layouts}  # noqa: SIM118
    assert sum(t.nbytes for t in parts.values()) <= stored * sum(w.nbytes for w in solved.values())

    light = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    dense = AutoModelForCausalLM.from_pretrained(original)
    dense.load_state_dict(dense.state_dict() | solved)
    assert resident_bytes(light) <= resident * resident_bytes(dense)
    assert light.get_input_embeddings().weight is light.get_output_embeddings().weight

    tokens = torch.randint(1, 4096, (2, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(light(tokens).logits, dense(tokens).logits)
        few, exact = light(tokens[:1, :4]).logits.float(), dense.float()(tokens[:1, :4]).logits
    assert (few - exact).norm() <= 0.02 * exact.norm()  # bf16 over six blocks
    assert light.generate(tokens[:1, :4], max_new_tokens=2, do_sample=False).shape == (1, 6)
    assert torch.equal(excise.load(tmp_path / "out")(tokens).logits, light(tokens).logits)
