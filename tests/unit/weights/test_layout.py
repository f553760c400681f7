import pytest
import torch

from excise.errors import InputError
from excise.weights.layout import GridLayout, Layout, check_stored, guard_of, quantization_config, read_layouts

FOUR_BITS = GridLayout("symmetric", 4, 128, torch.bfloat16)
SPARSE = Layout((256, 768), torch.bfloat16, 98304, FOUR_BITS)


def ratio(layout):
    return layout.size_bytes() / (2 * layout.shape[0] * layout.shape[1])


@pytest.mark.parametrize(
    ("kept", "grid", "expected"),
    [
        (0.5, None, 0.5625),
        (None, FOUR_BITS, 0.2578125),
        (None, GridLayout("affine", 4, 128, torch.bfloat16), 0.265625),
        (0.5, FOUR_BITS, 0.1953125),
        (0.5, GridLayout("affine", 4, 128, torch.bfloat16), 0.203125),
    ],
)
def test_the_promised_sizes(kept, grid, expected):
    weights = 256 * 768
    assert ratio(Layout((256, 768), torch.bfloat16, kept and int(kept * weights), grid)) == expected


def test_the_description_is_plain_and_leaves_out_what_does_not_apply():
    config = quantization_config({"b": SPARSE, "a": Layout((2, 3), torch.float32, 4)})
    assert list(config["tensors"]) == ["a", "b"]
    assert config["tensors"]["a"] == {"shape": [2, 3], "dtype": "float32", "kept": 4}
    assert config["tensors"]["b"] == {
        "shape": [256, 768],
        "dtype": "bfloat16",
        "kept": 98304,
        "kind": "symmetric",
        "bits": 4,
        "group": 128,
        "scale_dtype": "bfloat16",
    }
    assert read_layouts(config) == {"a": Layout((2, 3), torch.float32, 4), "b": SPARSE}


def test_the_guard_is_the_first_name():
    assert guard_of(["b", "a.weight"]) == "a.weight"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format_version": 2}, "format_version is 2; this Excise reads version 1. Install"),
        ({"format_version": None}, "format_version is None"),
        ({"quant_method": "gptq"}, "quant_method is 'gptq'; Excise reads 'excise'"),
        ({"tensors": None}, "no table 'tensors'"),
    ],
)
def test_another_version_or_method_is_refused(change, told):
    with pytest.raises(InputError, match=told):
        read_layouts(quantization_config({"w": SPARSE}) | change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bits": 9}, "bits is 9, not 1 to 8"),
        ({"bits": 4.0}, r"bits is 4\.0"),
        ({"kind": "odd"}, "kind is 'odd'"),
        ({"group": 100}, "group is 100.*divisor of 768"),
        ({"group": "row"}, "group is 'row'"),
        ({"shape": [0, 3]}, r"shape is \[0, 3\]"),
        ({"shape": [2, 3, 4]}, r"shape is \[2, 3, 4\]"),
        ({"dtype": "int3"}, "'int3' is missing or not known"),
        ({"kept": 10**9}, "kept is 1000000000 of 196608"),
        ({"codebook": 1}, "'codebook' is not known"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_name(change, told):
    config = quantization_config({"layer.weight": SPARSE})
    config["tensors"]["layer.weight"] |= change
    with pytest.raises(InputError, match=f"the description of layer.weight .*{told}"):
        read_layouts(config)


def test_a_missing_or_resized_tensor_is_refused_by_name():
    stored = {
        "w.mask": ("U8", (24576,)),
        "w.codes": ("U8", (49152,)),
        "w.scale": ("BF16", (256, 6)),
    }
    check_stored({"w": SPARSE}, stored, "out")
    with pytest.raises(InputError, match=r"^out: tensor w.codes is missing, though config.json describes it"):
        check_stored({"w": SPARSE}, {k: v for k, v in stored.items() if k != "w.codes"}, "out")
    with pytest.raises(
        InputError, match=r"w.codes is U8 \[49151\]; config.json describes U8 \[49152\]. .*compress again"
    ):
        check_stored({"w": SPARSE}, stored | {"w.codes": ("U8", (49151,))}, "out")
    with pytest.raises(InputError, match=r"w.scale is F16 \[256, 6\]; config.json describes BF16"):
        check_stored({"w": SPARSE}, stored | {"w.scale": ("F16", (256, 6))}, "out")
