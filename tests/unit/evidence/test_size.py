"""Sizes: what counts as the checkpoint, and what its headers say."""

import numpy as np
import pytest
import zstandard
from safetensors.numpy import save_file

from evidence_fakes import FakeModel
from excise.errors import InputError
from excise.evidence import size


@pytest.fixture
def checkpoint(tmp_path):
    draw = np.random.default_rng(0)
    save_file({"a": draw.normal(size=(8, 4)).astype("float32")}, tmp_path / "model-1.safetensors", {"format": "pt"})
    save_file({"b": np.zeros(1000, "uint8"), "c": np.zeros(0, "uint8")}, tmp_path / "model-2.safetensors")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    return list(tmp_path.iterdir())


def test_sizes_are_those_of_the_files(checkpoint):
    found = size.files_size(checkpoint)
    assert list(found["files"]) == [
        "config.json",
        "model-1.safetensors",
        "model-2.safetensors",
        "model.safetensors.index.json",
    ]
    assert found["bytes"] == sum(path.stat().st_size for path in checkpoint)
    assert found["tensor_bytes"] == 8 * 4 * 4 + 1000


def test_zstd_size_is_that_of_zstd(checkpoint):
    file = next(path for path in checkpoint if path.name == "model-2.safetensors")
    whole = zstandard.ZstdCompressor(level=size.ZSTD_LEVEL).compress(file.read_bytes())
    assert abs(size.zstd_bytes(file) - len(whole)) <= 16  # a stream states no length
    assert size.zstd_bytes(file) < 200


def test_bits_are_stored_bits_over_logical_parameters(checkpoint):
    model = FakeModel(zeros=0.5)
    found = size.measure(model, checkpoint)
    assert found["parameters"] == 1024
    assert found["nonzeros"] == int((model.table != 0).sum()) < 1024
    assert found["bits"] == 8 * found["tensor_bytes"] / 1024
    assert found["memory"] == 4096


def test_a_model_in_memory_has_no_bytes_on_disk():
    assert set(size.measure(FakeModel(), [])) == {"parameters", "nonzeros", "memory"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"12",
        (1 << 40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"no",
        b"\x02" + b"\0" * 7 + b"[]",
    ],
)
def test_says_which_file_is_no_safetensors(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors: not a safetensors file"):
        size.files_size([tmp_path / "model.safetensors"])
