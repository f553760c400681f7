"""Fresh interpreters: both orders of imports, what an import costs, and what happens without excise."""

import subprocess
import sys
import textwrap

import pytest

from excise.weights.solve import Plan
from packing import tiny, write_packed


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    tiny("Llama").save_pretrained(folder / "original")
    write_packed(folder / "original", folder / "out", Plan(sparsity=0.5, bits=4, group=32))
    return folder / "out"


LOAD = """
import torch
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
assert type(model.model.layers[0].mlp.up_proj).__name__ == "PackedLinear"
assert model.dtype == torch.bfloat16
assert model.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=4, do_sample=False).shape == (1, 7)
print("generated")
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import sys, excise\nfrom transformers import AutoModelForCausalLM",
        "import sys\nfrom transformers import AutoModelForCausalLM, quantizers\nimport transformers.quantizers.auto\nimport excise",
        "import sys, transformers\nimport excise\nfrom transformers import AutoModelForCausalLM",
    ],
    ids=["excise first", "transformers first", "transformers first, not all of it"],
)
def test_from_pretrained_knows_the_format_in_either_order(out, imports):
    result = python(f"{imports}\n{LOAD}", out)
    assert result.stdout == "generated\n", result.stderr
    assert "arning" not in result.stderr.replace("Loading weights", "")


def test_importing_excise_loads_neither_torch_nor_transformers():
    result = python(
        """
        import sys, time
        began = time.perf_counter()
        import excise
        seconds = time.perf_counter() - began
        print(sorted({"torch", "transformers", "safetensors", "numpy"} & sys.modules.keys()), seconds < 0.3)
        """
    )
    assert result.stdout == "[] True\n", result.stderr


def test_without_excise_transformers_stops_instead_of_inventing_weights(out):
    result = python(
        """
        import sys
        from transformers import AutoModelForCausalLM
        AutoModelForCausalLM.from_pretrained(sys.argv[1])
        print("loaded")
        """,
        out,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert "got excise" in result.stderr  # names the method it does not know
    assert "torch.Size([0])" in result.stderr  # the guard
