"""Which levels should a symmetric grid have? Mean relative output error over all matrices of wikillama; prints JSON.

    python benchmarks/levels.py [MODEL]

Every rule stores one number a group of 128 weights, in the weights' own 16 bits, rounded away from zero. Inputs are
those of the dense model on the first 64 windows of its calibration text.
"""

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn

from excise.weights import grids
from excise.weights.calibrate import Gram
from excise.weights.solve import relative_output_error

GROUP = 128


def on_levels(x: Tensor, scale: Tensor, lowest: int, highest: int) -> Tensor:
    """Nearest of the levels lowest * scale … highest * scale, scale rounded as the package does."""
    step = grids._rounded_away(scale, torch.bfloat16).float().unsqueeze(-1)
    return (x / step).nan_to_num().round().clamp(lowest, highest) * step


def even(x: Tensor, bits: int) -> Tensor:
    """-7 … 7, amax on 7."""
    top = 2 ** (bits - 1) - 1
    return on_levels(x, x.abs().amax(-1) / top, -top, top) if top else torch.zeros_like(x)


def all_codes(x: Tensor, bits: int) -> Tensor:
    """-8 … 7, amax on 7.5."""
    half = 2 ** (bits - 1)
    return on_levels(x, x.abs().amax(-1) / (half - 0.5), -half, half - 1)


def clipped(x: Tensor, bits: int) -> Tensor:
    """-8 … 7, the larger extreme on -8 by the sign of the scale, the other side cut off at 7."""
    half, largest = 2 ** (bits - 1), x.abs().amax(-1)
    return on_levels(x, torch.where(x.amax(-1) == largest, -largest, largest) / half, -half, half - 1)


def half_steps(x: Tensor, bits: int) -> Tensor:
    """-7.5 … 7.5, amax on 8; 0 is no level."""
    half = 2 ** (bits - 1)
    step = grids._rounded_away(x.abs().amax(-1) / half, torch.bfloat16).float().unsqueeze(-1)
    return ((x / step - 0.5).nan_to_num().round().clamp(-half, half - 1) + 0.5) * step


def package(kind: grids.Kind) -> Callable[[Tensor, int], Tensor]:
    """What Excise does."""

    def rule(x: Tensor, bits: int) -> Tensor:
        weight = x.reshape(len(x), -1).bfloat16()
        grid = grids.fit(weight, kind, bits, GROUP)
        return grids.decode(grids.encode(weight, grid), grid).float().reshape(x.shape)

    return rule


RULES = {
    "-7..7, amax on 7": even,
    "-8..7, amax on 7.5": all_codes,
    "-8..7, amax on -8, cut off": clipped,
    "-7.5..7.5, amax on 8": half_steps,
    "symmetric": package("symmetric"),
    "affine": package("affine"),
}


def main(folder: Path) -> None:
    """Gather the inputs of every linear layer, then try every rule."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens: list[int] = []
    for line in (folder / "calibration.jsonl").read_text(encoding="utf-8").splitlines():
        tokens += [0, *tokenizer(json.loads(line)["text"], add_special_tokens=False)["input_ids"]]
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != "lm_head"}
    grams = {name: Gram(layer.in_features, name) for name, layer in layers.items()}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, inputs, name=name: grams[name].add_(inputs[0]))
    with torch.no_grad():
        model(torch.tensor(tokens[: 64 * 256]).reshape(64, 256))
        errors = {
            f"{bits} bit, {title}": sum(
                relative_output_error(layer.weight, rule(grouped, bits).reshape(layer.weight.shape), grams[n].mean())
                for n, layer in layers.items()
                for grouped in [layer.weight.reshape(layer.out_features, -1, GROUP)]
            )
            / len(layers)
            for bits in (1, 2, 3, 4, 8)
            for title, rule in RULES.items()
        }
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    machine = {"machine": platform.processor() or platform.machine(), "versions": versions}
    about = {"model": folder.name, "matrices": len(layers), "group": GROUP, "windows": 64, "seed": 0}
    print(json.dumps({**about, "relative_output_error": errors, **machine}, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/models/wikillama"))
