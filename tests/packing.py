"""A packed checkpoint made by hand from a tiny model, for the tests of loading."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from excise.weights import layout, packed
from excise.weights.solve import Plan, solve


def tiny(kind: str, **settings):
    """A randomly initialised model of two blocks, hidden 64, ffn 128, in bf16."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        **{
            "vocab_size": 96,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 64,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "tie_word_embeddings": True,
        }
        | settings
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():  # biases start at 0, which would hide a lost one
            parameter.data += torch.randn_like(parameter) * 0.05
    return model.to(torch.bfloat16).eval()


def write_packed(source: Path, out: Path, plan: Plan, *, transposed: bool = False) -> dict[str, torch.Tensor]:
    """Compress every matrix of every block of the checkpoint at `source`; the solved weights by name."""
    stored = load_file(source / "model.safetensors")
    tensors, layouts, dense = {}, {}, {}
    for name, weight in stored.items():
        if weight.dim() != 2 or "embed" in name or "wte" in name or "wpe" in name or "lm_head" in name:
            tensors[name] = weight
            continue
        solution = solve(weight.t().contiguous() if transposed else weight, plan, name=name)
        layouts[name] = packed.describe(solution, weight.dtype, transposed=transposed)
        tensors |= {f"{name}.{part}": t for part, t in packed.pack(solution, weight.dtype).items()}
        dense[name] = solution.weight.t().contiguous() if transposed else solution.weight
    tensors[layout.guard_of(layouts)] = torch.empty(0, dtype=torch.uint8)
    out.mkdir()
    for file in source.iterdir():
        if file.suffix == ".json":
            (out / file.name).write_bytes(file.read_bytes())
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = layout.quantization_config(layouts)
    (out / "config.json").write_text(json.dumps(config))
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    return dense


def resident_bytes(model) -> int:
    """Parameters and buffers, shared ones once."""
    return sum({t.data_ptr(): t.nbytes for t in [*model.parameters(), *model.buffers()]}.values())
