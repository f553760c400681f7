import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import excise
from excise.errors import InputError
from excise.weights.linear import PackedLinear
from excise.weights.solve import Plan
from packing import resident_bytes, tiny, write_packed

TOKENS = torch.arange(1, 33).reshape(2, 16)
BOTH = Plan(sparsity=0.5, bits=4, group=32)
KINDS = {
    "Llama": {},
    "Qwen2": {"tie_word_embeddings": False},  # has biases on q, k, v
    "Mistral": {"sliding_window": None},
    "GPT2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64},  # its Conv1D is transposed
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One tiny checkpoint of each kind."""
    folders = {}
    for kind, settings in KINDS.items():
        folders[kind] = tmp_path_factory.mktemp(kind)
        tiny(kind, **settings).save_pretrained(folders[kind])
    return folders


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def checkpoint(originals, kind, tmp_path):
    out = tmp_path / "out"
    dense = write_packed(originals[kind], out, BOTH, transposed=kind == "GPT2")
    return originals[kind], out, dense


def with_weights(folder, dense):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    model.load_state_dict(model.state_dict() | dense)
    return model


def logits(model):
    with torch.no_grad():
        return model(TOKENS).logits


def test_it_computes_what_was_in_memory(checkpoint, kind):
    original, out, dense = checkpoint
    model = excise.load(out)
    assert sum(isinstance(m, PackedLinear) for m in model.modules()) == len(dense) == (8 if kind == "GPT2" else 14)
    assert model.dtype == torch.bfloat16
    assert not model.training
    assert torch.equal(logits(model), logits(with_weights(original, dense)))
    assert model.generate(TOKENS[:, :4], max_new_tokens=3, do_sample=False).shape == (2, 7)


def test_tied_embeddings_stay_tied(checkpoint, kind):
    model = excise.load(checkpoint[1])
    tied = model.get_output_embeddings().weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    assert tied == (kind != "Qwen2")


def test_dense_gives_an_ordinary_model(checkpoint, tmp_path):
    original, out, dense = checkpoint
    model = excise.load(out, dense=True)
    reference = with_weights(original, dense)
    assert [type(m) for m in model.modules()] == [type(m) for m in reference.modules()]
    assert torch.equal(logits(model), logits(reference))
    model.save_pretrained(tmp_path / "plain")
    assert "quantization_config" not in json.loads((tmp_path / "plain" / "config.json").read_text())
    again = load_file(tmp_path / "plain" / "model.safetensors")
    assert again.keys() == load_file(original / "model.safetensors").keys()
    assert all(torch.equal(again[name], weight) for name, weight in dense.items())


def test_saving_a_packed_model_gives_the_same_tensors(checkpoint, tmp_path):
    _, out, _ = checkpoint
    excise.load(out).save_pretrained(tmp_path / "again")
    first, second = (load_file(folder / "model.safetensors") for folder in (out, tmp_path / "again"))
    assert first.keys() == second.keys()
    assert all(first[n].dtype == second[n].dtype and torch.equal(first[n], second[n]) for n in first)
    configs = [json.loads((f / "config.json").read_text())["quantization_config"] for f in (out, tmp_path / "again")]
    assert configs[0] == configs[1]
    assert torch.equal(logits(excise.load(tmp_path / "again")), logits(excise.load(out)))


@pytest.mark.parametrize("kind", ["Llama"])
def test_a_plain_checkpoint_loads_as_well(checkpoint, capsys):
    original, _, _ = checkpoint
    model = excise.load(original)
    assert capsys.readouterr().err == ""  # no bars of others
    assert model.dtype == torch.bfloat16
    assert not any(isinstance(m, PackedLinear) for m in model.modules())
    assert torch.equal(logits(excise.load(original, dense=True)), logits(model))


@pytest.mark.parametrize("kind", ["Llama"])
def test_another_dtype_can_be_asked_for(checkpoint):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint[1], dtype=torch.float32)
    packed = model.model.layers[0].mlp.up_proj
    assert (model.dtype, packed.weight.dtype, packed.weight.parts()["scale"].dtype) == (
        torch.float32,
        *[torch.bfloat16] * 2,
    )
    assert logits(model).dtype == torch.float32


@pytest.mark.parametrize("kind", ["Llama"])
def test_the_base_model_can_be_loaded_and_saved_alone(checkpoint, tmp_path):
    from transformers import AutoModel, AutoModelForCausalLM

    _, out, dense = checkpoint
    base = AutoModel.from_pretrained(out)
    assert sum(isinstance(m, PackedLinear) for m in base.modules()) == len(dense)
    base.save_pretrained(tmp_path / "base")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    assert torch.equal(logits(whole), logits(excise.load(out)))


@pytest.mark.parametrize("kind", ["Llama"])
def test_shards_are_read(checkpoint, tmp_path):
    model = excise.load(checkpoint[1])
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    assert torch.equal(logits(excise.load(tmp_path / "shards")), logits(model))
    shard = sorted((tmp_path / "shards").glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(InputError, match=f"{shard.name} is missing"):
        excise.load(tmp_path / "shards")


@pytest.mark.parametrize(
    ("plan", "most"),
    [
        (Plan(sparsity=0.5), 0.5625),
        (Plan(bits=4, group=32), (0.5 + 6 / 32) / 2),  # 2 bytes of scale and 4 for the kernel
        (BOTH, (0.5 + 0.125 + 6 / 32) / 2),  # in memory the kernel's codes have no gaps
        (Plan(sparsity=0.5, bits=3, group=32), (0.1875 + 0.125 + 2 / 32) / 2),
        (Plan(bits=2, group="channel", grid="affine"), 0.17),
    ],
    ids=str,
)
def test_packed_weights_stay_packed_in_memory(originals, tmp_path, plan, most):
    dense = write_packed(originals["Llama"], tmp_path / "out", plan)
    light, heavy = excise.load(tmp_path / "out"), excise.load(tmp_path / "out", dense=True)
    packed = sum(t.nbytes for n, t in light.named_buffers() if ".weight." in n)
    unpacked = sum(t.nbytes for t in dense.values())
    assert packed <= most * unpacked
    assert resident_bytes(light) == resident_bytes(heavy) - unpacked + packed


class TestDamage:
    """Every damage is refused with the tensor's or the file's name, by load and by from_pretrained."""

    @pytest.fixture
    def out(self, originals, tmp_path):
        write_packed(originals["Llama"], tmp_path / "out", BOTH)
        return tmp_path / "out"

    @staticmethod
    def change(out, **tensors):
        path = out / "model.safetensors"
        held = load_file(path)
        for name, tensor in tensors.items():
            held.pop(name)
            if tensor is not None:
                held[name] = tensor
        save_file(held, path, metadata={"format": "pt"})

    @staticmethod
    def refused(out, told, by_transformers=True):
        from transformers import AutoModelForCausalLM

        with pytest.raises(InputError, match=told):
            excise.load(out)
        if by_transformers:
            with pytest.raises(InputError, match=told):
                AutoModelForCausalLM.from_pretrained(out)

    NAME = "model.layers.1.mlp.up_proj.weight"

    def test_a_missing_tensor(self, out):
        self.change(out, **{f"{self.NAME}.codes": None})
        self.refused(out, f"tensor {self.NAME}.codes is missing")

    def test_a_tensor_of_another_size(self, out):
        self.change(out, **{f"{self.NAME}.codes": torch.zeros(7, dtype=torch.uint8)})
        self.refused(out, rf"tensor {self.NAME}.codes is U8 \[7\]; config.json describes U8 \[2048\]")

    def test_a_mask_that_was_changed(self, out):
        self.change(out, **{f"{self.NAME}.mask": torch.zeros(1024, dtype=torch.uint8)})
        self.refused(out, f"{self.NAME}: the mask keeps 0 weights; config.json describes 4096")

    def test_a_scale_that_is_no_number(self, out):
        self.change(out, **{f"{self.NAME}.scale": torch.full((128, 2), float("inf"), dtype=torch.bfloat16)})
        self.refused(out, f"{self.NAME}: scale holds NaN or infinite values")

    def test_a_file_cut_short(self, out):
        path = out / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
        self.refused(out, "model.safetensors: .*Copy it again")

    def test_a_later_version(self, out):
        config = json.loads((out / "config.json").read_text())
        config["quantization_config"]["format_version"] = 2
        (out / "config.json").write_text(json.dumps(config))
        self.refused(out, "format_version is 2; this Excise reads version 1")

    def test_a_plain_tensor_that_is_missing(self, out):
        self.change(out, **{"model.norm.weight": None})
        self.refused(out, "1 tensors are missing, the first is model.norm.weight", by_transformers=False)

    def test_a_plain_tensor_of_another_size(self, out):
        self.change(out, **{"model.norm.weight": torch.ones(3, dtype=torch.bfloat16)})
        told = r"model.norm.weight is \[3\], but config.json makes it \[64\]"
        self.refused(out, told, by_transformers=False)

    def test_no_checkpoint_at_all(self, tmp_path):
        with pytest.raises(InputError, match="no model here"):
            excise.load(tmp_path)
