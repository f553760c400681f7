import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from excise.adapters import assemble
from excise.adapters.checkpoint import open_checkpoint, read_header
from excise.errors import InputError, NumericsError
from tiny_checkpoints import save as save_checkpoint


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    save_checkpoint(folder, shard="100KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "model")


def refused(folder):
    with pytest.raises(InputError) as caught:
        open_checkpoint(folder)
    return str(caught.value)


def test_every_tensor_is_found_with_its_shape_and_bytes(folder):
    checkpoint = open_checkpoint(folder)
    expected = {n: t for file in folder.glob("*.safetensors") for n, t in load_file(file).items()}
    assert checkpoint.entries.keys() == expected.keys()
    for name, tensor in checkpoint.read(checkpoint.entries):
        entry = checkpoint.entries[name]
        assert torch.equal(tensor, expected[name])
        assert entry.shape == tuple(tensor.shape)
        assert entry.size_bytes == tensor.nbytes
        raw = (folder / entry.file).read_bytes()[entry.start : entry.start + entry.size_bytes]
        assert raw == tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def test_an_empty_folder_is_no_model(tmp_path):
    assert "there is no config.json (the folder holds nothing)" in refused(tmp_path)


def test_a_folder_of_other_files_is_no_model(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert "the folder holds notes.txt" in refused(tmp_path)


def test_config_without_weights(folder):
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    assert "neither model.safetensors nor model.safetensors.index.json" in refused(folder)


def test_pickled_weights_are_not_loaded(folder):
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert "pytorch_model.bin, which is a pickle" in refused(folder)


def test_a_missing_shard_is_named(folder):
    shard = sorted(folder.glob("*.safetensors"))[1]
    held = len(load_file(shard))
    shard.unlink()
    message = refused(folder)
    assert shard.name in message
    assert f"holds {held} of " in message


def test_a_shard_cut_short_is_named(folder):
    shard = sorted(folder.glob("*.safetensors"))[0]
    os.truncate(shard, shard.stat().st_size - 7)
    message = refused(folder)
    assert shard.name in message
    assert "its header promises" in message


@pytest.mark.parametrize("content", [b"", b"\x05", b"\xff" * 40, (8).to_bytes(8, "little") + b"not json" + b"x" * 9])
def test_rubbish_is_not_a_safetensors_file(folder, content):
    sorted(folder.glob("*.safetensors"))[0].write_bytes(content)
    assert "safetensors" in refused(folder)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"shape": [3, 3]}, r"b is F32 \[3, 3\], which takes 36 bytes, but the header gives it 24"),
        ({"dtype": "F64"}, r"b is F64 \[2, 3\], which takes 48 bytes, but the header gives it 24"),
        ({"dtype": "F5"}, "b has dtype 'F5'; known are BOOL"),
        ({"dtype": ["F32"]}, "b has dtype "),
        ({"shape": [-2, -3]}, r"b has shape \[-2, -3\]; expected whole"),
        ({"shape": [2.0, 3]}, r"b has shape \[2.0, 3\]; expected whole"),
        ({"data_offsets": [8, 32]}, "b begins at byte [0-9]+, but the data before it ends at"),
        ({"data_offsets": [40, 64]}, "b begins at byte"),
        ({"data_offsets": [16, 16], "shape": [0]}, "its header promises"),
        ({"data_offsets": ["16", "40"]}, "not a safetensors file"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, changed, told):
    file = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(4), "b": torch.ones(2, 3)}, file)
    raw = file.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    assert header["b"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [16, 40]}
    header["b"] |= changed
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    with pytest.raises(InputError, match=told):
        read_header(file)


def test_what_safetensors_cannot_read_is_refused_by_name(folder):
    checkpoint = open_checkpoint(folder)
    shard = checkpoint.files[0]
    (folder / shard).write_bytes(b"overwritten since")
    with pytest.raises(InputError, match=f"{shard}: safetensors cannot read it"):
        list(checkpoint.read(checkpoint.entries))


def test_a_listing_cannot_reach_outside_the_folder(folder):
    index = folder / "model.safetensors.index.json"
    listing = json.loads(index.read_text())
    listing["weight_map"]["model.norm.weight"] = "../other/model.safetensors"
    index.write_text(json.dumps(listing))
    assert "not a plain file name" in refused(folder)


def test_a_tensor_in_two_files(folder):
    first, second = sorted(folder.glob("*.safetensors"))[:2]
    twice = load_file(first) | load_file(second)
    save_file(twice, second)
    assert f"is also in {first.name}" in refused(folder)


def test_broken_config(folder):
    (folder / "config.json").write_text("{")
    assert "not JSON" in refused(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_named(folder, value):
    shard = sorted(folder.glob("*.safetensors"))[0]
    tensors = load_file(shard)
    name = next(n for n in tensors if n.endswith("q_proj.weight"))
    tensors[name][3, 5] = value
    save_file(tensors, shard, metadata={"format": "pt"})
    with pytest.raises(NumericsError, match=rf"{name} holds 1 values .* first at \[3, 5\]"):
        open_checkpoint(folder).check_numbers()


def test_what_is_assembled_is_what_safetensors_would_write(tmp_path):
    tensors = {
        "b.codes": torch.arange(5, dtype=torch.uint8),
        "a.scale": torch.ones(3, 1, dtype=torch.bfloat16),
        "c.values": torch.randn(7),
        "empty": torch.zeros(0, 4),
    }
    save_file({k: v for k, v in tensors.items() if k < "b"}, tmp_path / "one")
    save_file({k: v for k, v in tensors.items() if k >= "b"}, tmp_path / "two")
    pieces = {n: (p, e) for p in (tmp_path / "one", tmp_path / "two") for n, e in read_header(p).items()}
    assemble.write(tmp_path / "all", pieces)
    assert (tmp_path / "all").read_bytes() == save(tensors, metadata={"format": "pt"})
    assert not list(tmp_path.glob("*.aside"))


def test_files_that_belong_to_the_model(folder):
    shards = sorted(p.name for p in folder.glob("*.safetensors"))
    assert len(shards) > 1
    needed = {"License.txt", "chat_template.jinja", "tokenizer.model.v3", "vocab.json"}
    foreign = {"README.md", "training.json", "params.json", "data.jsonl", "train.py", "pytorch_model.bin"}
    for name in needed | foreign:
        (folder / name).write_text("x")
    save_file({"again": torch.zeros(9)}, folder / "consolidated.safetensors")
    (folder / "tokenizer").mkdir()
    found = open_checkpoint(folder).files
    saved = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert set(found) == {*shards, "model.safetensors.index.json", *saved, *needed}
    assert len(found) == len(set(found))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "train.Config"}}))
    assert {*open_checkpoint(folder).files} - {*found} == {"train.py"}  # code of its own
