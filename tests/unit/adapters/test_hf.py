import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from excise.adapters.hf import find_folder, open_model
from excise.adapters.roles import role_of
from excise.errors import InputError, MissingExtraError
from packing import tiny
from tiny_checkpoints import KINDS, save

TOKENS = torch.arange(1, 49).reshape(2, 24)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folders = {}
    for kind in KINDS:
        folders[kind] = tmp_path_factory.mktemp(kind)
        save(folders[kind], kind)
    return folders


@pytest.fixture
def llama(checkpoints, tmp_path):
    return shutil.copytree(checkpoints["Llama"], tmp_path / "model")


def through(model, tokens):
    hidden = model.embed(tokens)
    for block in model.blocks():
        hidden = block(hidden)
    return model.unembed(hidden)


@pytest.mark.parametrize("kind", KINDS)
def test_block_by_block_is_the_whole_network_bit_for_bit(checkpoints, kind):
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(checkpoints[kind])
    with torch.no_grad():
        expected = whole(TOKENS).logits
    assert torch.equal(through(open_model(checkpoints[kind]), TOKENS), expected)
    assert torch.equal(through(open_model(whole), TOKENS), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_current_block_is_in_memory(checkpoints, kind):
    model = open_model(checkpoints[kind])
    model.embed(TOKENS)

    def loaded():
        return {v.name for v in model.matrices() if not v.get().is_meta}

    assert not loaded()
    for block in model.blocks():
        assert loaded() == {v.name for v in block.matrices}
    assert not loaded()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Llama", {"q", "k", "v", "o", "gate", "up", "down", "embedding", "norm"}),
        ("Qwen2", {"q", "k", "v", "o", "gate", "up", "down", "embedding", "norm", "head", "bias"}),
        ("Qwen3", {"q", "k", "v", "o", "gate", "up", "down", "embedding", "norm"}),
        ("Mistral", {"q", "k", "v", "o", "gate", "up", "down", "embedding", "norm", "head"}),
        ("Phi3", {"qkv", "o", "gate_up", "down", "embedding", "norm"}),
        ("GPT2", {"qkv", "o", "up", "down", "embedding", "norm", "bias", "other"}),  # other: learned positions
        ("Bloom", {"qkv", "o", "up", "down", "embedding", "norm", "bias"}),
    ],
)
def test_roles_are_found(checkpoints, kind, expected):
    model = open_model(checkpoints[kind])
    roles = model.roles()
    assert set(roles.values()) == expected
    assert sum(r == "embedding" for r in roles.values()) == 1
    assert all(roles[v.name] == v.role for v in model.matrices())
    assert roles.keys() == dict(open_model(model.whole).tensors()).keys()


def test_a_role_needs_name_and_shape():
    assert role_of("model.layers.0.self_attn.q_proj", (128, 64), 64) == "q"
    assert role_of("model.layers.0.self_attn.q_proj", (64, 128), 64) == "other"
    assert role_of("h.0.attn.c_proj", (64, 64), 64) == "o"
    assert role_of("h.0.mlp.c_proj", (64, 256), 64) == "down"
    assert role_of("h.0.mlp.something", (64, 256), 64) == "other"


def test_conv1d_is_seen_as_out_in(checkpoints):
    model = open_model(checkpoints["GPT2"])
    for block in model.blocks():
        view = next(v for v in block.matrices if v.role == "up")
        assert view.shape == (256, 64)
        assert view.module.weight.shape == (64, 256)
        view.set_(torch.full((256, 64), 0.5))
        assert torch.equal(view.module.weight, torch.full((64, 256), 0.5, dtype=torch.bfloat16))


def test_text_goes_in_and_tokens_come_out(checkpoints):
    from transformers import AutoModelForCausalLM

    model = open_model(checkpoints["Llama"])
    ids = model.encode("one two")
    assert (len(ids), model.separator, model.vocabulary, model.longest) == (7, 0, 96, 64)
    tokens = torch.tensor([ids])
    whole = AutoModelForCausalLM.from_pretrained(checkpoints["Llama"])
    expected = whole.generate(tokens, max_new_tokens=6, do_sample=False, eos_token_id=95, pad_token_id=0)[0, 7:]
    assert list(model.decode(tokens, 6)) == expected.tolist()
    assert model.memory_bytes() == sum(t.numel() * t.element_size() for t in [*whole.parameters(), *whole.buffers()])
    total, count = model.loss(TOKENS)
    with torch.no_grad():
        nats = whole(TOKENS, labels=TOKENS).loss
    assert count == 46
    assert total.item() / count == pytest.approx(nats.item(), rel=1e-3)


def test_tensors_are_those_of_the_files(checkpoints):
    stored = load_file(checkpoints["Qwen3"] / "model.safetensors")
    found = dict(open_model(checkpoints["Qwen3"]).tensors())
    assert found.keys() == stored.keys()
    assert all(torch.equal(found[name], stored[name]) for name in stored)


def test_files_without_the_base_models_prefix(checkpoints, llama):
    stored = load_file(llama / "model.safetensors")
    save_file({n.removeprefix("model."): t for n, t in stored.items()}, llama / "model.safetensors", {"format": "pt"})
    model = open_model(llama)
    assert model.stored["model.norm.weight"] == "norm.weight"
    assert torch.equal(through(model, TOKENS), through(open_model(checkpoints["Llama"]), TOKENS))


def test_a_missing_weight_is_named(llama):
    stored = load_file(llama / "model.safetensors")
    del stored["model.layers.1.mlp.up_proj.weight"]
    save_file(stored, llama / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"model.layers.1.mlp.up_proj.weight is missing .* \[128, 64\]"):
        open_model(llama)


@pytest.mark.parametrize(("key", "value"), [("intermediate_size", 256), ("vocab_size", 97), ("num_key_value_heads", 4)])
def test_weights_that_are_not_the_configs(llama, key, value):
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(InputError, match=r"is \[\d+, \d+\], but config.json makes it"):
        open_model(llama)


def test_another_architecture_is_refused(llama):
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps(config | {"model_type": "nothing_known"}))
    with pytest.raises(InputError, match="transformers cannot build a causal language model from this"):
        open_model(llama)


def test_another_quantization_is_refused(llama):
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(InputError, match=r"quantized already \(gptq\)"):
        open_model(llama)


def test_experts_are_refused_with_what_was_looked_for(tmp_path):
    tiny("Mixtral", num_local_experts=2).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"looked for Linear weights and found several matrices in one tensor"):
        open_model(tmp_path).matrices()


def test_no_tokenizer_matters_only_to_text(tmp_path):
    save(tmp_path, tokenizer=False)
    model = open_model(tmp_path)
    assert model.logits(TOKENS).shape == (2, 24, 96)
    with pytest.raises(InputError, match="has no tokenizer"):
        model.encode("x")


def test_tokens_of_another_vocabulary(checkpoints):
    with pytest.raises(InputError, match="token 96 is outside the model's vocabulary of 96"):
        open_model(checkpoints["Llama"]).logits(torch.tensor([[1, 96]]))


def test_a_path_that_is_none(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such directory"):
        find_folder(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="a file, not a directory"):
        find_folder(tmp_path / "file")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        find_folder("nobody/nothing")


def test_a_hub_that_does_not_answer(monkeypatch):
    import huggingface_hub

    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(InputError, match="the hub did not give it either \\(no route to host\\)"):
        find_folder("nobody/nothing")


@pytest.mark.parametrize("missing", ["torch", "transformers", "safetensors"])
def test_a_missing_extra_is_named(checkpoints, monkeypatch, missing):
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *a: None if name == missing else real(name, *a))
    with pytest.raises(MissingExtraError, match=rf"{missing}.*pip install 'excise\[model\]'"):
        open_model(checkpoints["Llama"])


def test_more_blocks_in_the_files_than_in_the_config_are_refused(llama):
    config = json.loads((llama / "config.json").read_text())
    config.pop("layer_types", None)
    (llama / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    with pytest.raises(InputError, match=r"model\.layers\.1\..* \(9 tensors are left over\)"):
        open_model(llama)


@pytest.mark.parametrize("name", ["model.layers.0.self_attn.q_proj.bias", "layers.0.self_attn.q_proj.bias"])
def test_a_part_of_a_block_that_the_config_lacks_is_refused(llama, name):
    tensors = load_file(llama / "model.safetensors")
    save_file({**tensors, name: torch.ones(64)}, llama / "model.safetensors")
    with pytest.raises(InputError, match=name):
        open_model(llama)


def test_other_leftovers_are_warned_of_and_relics_are_not(llama):
    tensors = load_file(llama / "model.safetensors")
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()  # tied, and stored once more
    save_file(tensors, llama / "model.safetensors")
    open_model(llama)
    save_file({**tensors, "score.weight": torch.ones(2, 64)}, llama / "model.safetensors")
    with pytest.warns(UserWarning, match=r"does not use 1 of its tensors, the first is score\.weight"):
        open_model(llama)
