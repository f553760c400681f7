import json
import math
import re
import shutil

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from excise import recipe
from excise.corpus import Corpus
from excise.errors import ArtefactError, InputError, NumericsError, OutputError, SettingError
from excise.journal import Journal
from excise.ledger import Ledger
from excise.pipeline import artefact, preflight
from excise.pipeline.compress import compress
from excise.pipeline.load import load
from excise.pipeline.run import run
from excise.weights.linear import PackedLinear
from tiny_checkpoints import KINDS, save, text, weight_bytes

TOKENS = torch.arange(1, 33).reshape(2, 16) % 70
BOTH = {"sparsity": 0.5, "bits": 4, "group": 32}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A checkpoint, calibration text, and what compressing it by BOTH gives."""
    home = tmp_path_factory.mktemp("made")
    save(home / "model")
    text(home / "text.jsonl")
    return home, compress(home / "model", home / "out", data=home / "text.jsonl", windows=6, **BOTH)


@pytest.fixture
def model(made):
    return made[0] / "model"


@pytest.fixture
def data(made):
    return made[0] / "text.jsonl"


def logits(network):
    with torch.no_grad():
        return network(TOKENS).logits


class TestOutput:
    def test_the_checkpoint_is_the_original_with_packed_blocks(self, made, model):
        out = made[0] / "out"
        before, after = load_file(model / "model.safetensors"), load_file(out / "model.safetensors")
        names = {row["name"] for row in made[1].evidence["layers"]}
        assert len(names) == 14
        untouched = before.keys() - names
        assert after.pop(min(names)).numel() == 0  # the guard
        assert {n for n in after if n.rpartition(".")[0] not in names} == untouched
        assert all(torch.equal(after[n], before[n]) for n in untouched)
        network = load(out)
        packed = [m for m in network.modules() if isinstance(m, PackedLinear)]
        assert len(packed) == 14
        assert network.lm_head.weight is network.model.embed_tokens.weight
        for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            assert (out / name).read_bytes() == (model / name).read_bytes()
        assert not (made[0] / "out.partial").exists()

    def test_it_generates(self, made):
        from transformers import AutoModelForCausalLM

        network = AutoModelForCausalLM.from_pretrained(made[0] / "out")
        assert network.generate(TOKENS[:1], max_new_tokens=4, do_sample=False, pad_token_id=0).shape[1] <= 20

    def test_evidence_says_what_is_there(self, made, model):
        evidence = json.loads((made[0] / "out/excise/evidence.json").read_text())
        assert evidence == json.loads(json.dumps(made[1].evidence))
        assert (evidence["schema_version"], evidence["kind"], evidence["status"]) == (1, "compress", "done")
        file = made[0] / "out/model.safetensors"
        assert evidence["after"]["tensor_bytes"] == sum(t.nbytes for t in load_file(file).values())
        packed = [t.nbytes for n, t in load_file(file).items() if n.endswith((".mask", ".codes", ".scale"))]
        rows = evidence["layers"]
        assert sum(r["bytes_after"] for r in rows) == sum(packed)
        assert sum(r["bytes_before"] for r in rows) == sum(2 * math.prod(r["shape"]) for r in rows)
        assert all(r["sparsity"] == 0.5 and r["bits"] == 4 and 0 < r["relative_output_error"] < 1 for r in rows)
        network = load(made[0] / "out", dense=True)
        counted = sum(int(p.count_nonzero()) for p in network.parameters())
        assert evidence["after"]["nonzeros"] == counted < evidence["before"]["nonzeros"]
        assert evidence["after"]["parameters"] == sum(p.numel() for p in network.parameters())
        assert {u["role"] for u in evidence["untouched"]} == {"embedding", "norm"}
        assert evidence["calibration"]["windows"] == 6
        assert evidence["calibration"]["tokens"] == 6 * 64
        assert evidence["calibration"]["sources"][0]["name"] == "text.jsonl"
        assert evidence["verified"]["tensors"] == 14 + len(evidence["untouched"])
        assert (made[0] / "out/excise/report.html").stat().st_size > 1000

    def test_the_ledger_explains_each_tensor(self, made):
        ledger = Ledger.of_output(made[0] / "out")
        rows = ledger.explain("model.layers.1.mlp.down_proj.weight")
        assert [(r["action"], r["finder"], r["redundancy"]) for r in rows] == [
            ("prune", "magnitude", 0.5),
            ("quantize", "symmetric", 0.75),
        ]
        assert "4,096 of 8,192 weights removed by magnitude, pattern row" in rows[0]["reason"]
        assert "4 bits a weight instead of 16" in rows[1]["reason"]
        assert pq.read_table(made[0] / "out/excise/ledger/decisions.parquet").num_rows == 28
        assert ledger.sources == []  # what was a model has no data to restore

    def test_the_recipe_is_one(self, made):
        path = made[0] / "out/excise/recipe.yaml"
        checked, _ = recipe.load(path)
        stage = checked.stages[0]
        assert (stage.kind, stage.sparsity, stage.bits, stage.group, stage.windows) == ("compress", 0.5, 4, 32, 6)
        assert yaml.safe_load(path.read_text())["stages"][0]["data"] == "../../text.jsonl"

    def test_the_recipe_runs_from_where_it_lies(self, made, tmp_path):
        (tmp_path / "elsewhere").symlink_to(made[0])
        path = tmp_path / "elsewhere/out/excise/recipe.yaml"
        run(path, tmp_path / "again")
        assert weight_bytes(tmp_path / "again/compress") == weight_bytes(made[0] / "out")

    def test_the_recipe_of_an_out_behind_a_link(self, model, data, tmp_path, monkeypatch):
        """`..` of a linked folder is where the link points, not where it lies."""
        (tmp_path / "far/deep").mkdir(parents=True)
        (tmp_path / "link").symlink_to(tmp_path / "far/deep")
        monkeypatch.chdir(tmp_path)
        compress(model, "link/out", data=[data], windows=6, **BOTH)
        run("link/out/excise/recipe.yaml", "again")
        assert weight_bytes(tmp_path / "again/compress") == weight_bytes(tmp_path / "link/out")

    def test_the_same_again_is_the_same_bytes(self, made, model, data, tmp_path):
        compress(model, tmp_path / "again", data=data, windows=6, **BOTH)
        assert weight_bytes(tmp_path / "again") == weight_bytes(made[0] / "out")

    def test_no_machine_path_is_in_weights_config_or_ledger(self, made):
        for name, content in weight_bytes(made[0] / "out").items():
            assert str(made[0]).encode() not in content, name


@pytest.mark.parametrize("kind", KINDS)
def test_every_family(kind, tmp_path):
    original = save(tmp_path / "model", kind)
    result = compress(tmp_path / "model", tmp_path / "out", data=text(tmp_path / "t.jsonl"), windows=3, **BOTH)
    assert result.evidence["verified"]["logits_relative_difference"] == 0.0
    assert all(row["relative_output_error"] is not None for row in result.evidence["layers"])
    network = load(tmp_path / "out")
    changed = (logits(network) - logits(original)).norm() / logits(original).norm()
    assert 0 < changed < 1
    generated = network.generate(TOKENS[:1], max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert torch.equal(generated[:, :16], TOKENS[:1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_other_dtypes_stay_what_they_are(dtype, tmp_path):
    save(tmp_path / "model", dtype=dtype)
    result = compress(tmp_path / "model", tmp_path / "out", sparsity=0.5)
    width = 8 * dtype.itemsize
    assert result.evidence["after"]["tensor_bytes_ratio"] == 0.5 + 1 / width
    stored = load_file(tmp_path / "out/model.safetensors")
    assert {t.dtype for n, t in stored.items() if not n.endswith(".mask") and t.numel()} == {dtype}


@pytest.mark.parametrize(
    ("settings", "ratio"),
    [
        ({"sparsity": 0.5}, 0.5625),
        ({"pattern": "2:4"}, 0.5625),
        ({"bits": 4, "group": 64}, 0.265625),
        ({"bits": 4, "group": "channel"}, None),
        ({"bits": 8, "group": "tensor", "grid": "affine"}, None),
        ({"bits": 1, "group": 64}, 0.078125),
        ({"sparsity": 0.3, "pattern": "layer", "bits": 3, "group": 16, "grid": "affine"}, None),
        ({"sparsity": 0.4, "pattern": "global", "bits": 2, "group": 32}, None),
        ({"sparsity": 1.0}, 0.0625),
    ],
)
def test_settings(model, tmp_path, settings, ratio):
    planned = compress(model, tmp_path / "out", dry_run=True, **settings).evidence
    assert not list(tmp_path.iterdir())
    evidence = compress(model, tmp_path / "out", **settings).evidence
    rows = evidence["layers"]
    weights = sum(math.prod(r["shape"]) for r in rows)
    wanted = settings.get("sparsity", 0.5 if "pattern" in settings else 0.0)
    zeros = sum(round(r["sparsity"] * math.prod(r["shape"])) for r in rows)
    assert zeros == pytest.approx(wanted * weights, abs=len(rows) * 128)
    if settings.get("pattern") == "global":
        assert zeros == round(0.4 * weights)
    else:
        assert [r["bytes_after"] for r in rows] == pytest.approx([r["bytes_after"] for r in planned["layers"]], abs=128)
    if ratio is not None:
        assert evidence["after"]["tensor_bytes_ratio"] == ratio
    assert "No calibration text was given" in evidence["warnings"][0]
    assert evidence["calibration"] is None


@pytest.mark.parametrize("signed", [False, True])
def test_taylor_removes_what_the_gradient_says(model, data, tmp_path, signed):
    from excise.adapters.hf import open_model
    from excise.pipeline.windows import draw
    from excise.weights import importance, patterns, stream

    out = tmp_path / "out"
    compress(model, out, data=data, sparsity=0.5, importance="taylor", signed=signed, windows=4)
    opened = open_model(model)
    texts = [json.loads(line)["text"] for line in data.read_text().splitlines()]
    tokens = draw(opened, Corpus.from_texts(texts), 4, seed=0)
    gradients = stream.gradients(opened, [tokens[:1], tokens[1:]])
    name = "model.layers.1.mlp.up_proj.weight"
    matters = importance.taylor(dict(opened.tensors())[name], gradients[name], signed=signed)
    expected = patterns.free(matters, 0.5, "row")
    found = load(out, dense=True).get_parameter(name) != 0
    assert torch.equal(found, expected)


def test_shards_stay_shards(tmp_path):
    save(tmp_path / "model", shard="100KB")
    shards = sorted(p.name for p in (tmp_path / "model").glob("*.safetensors"))
    assert len(shards) > 1
    compress(tmp_path / "model", tmp_path / "out", **BOTH)
    assert sorted(p.name for p in (tmp_path / "out").glob("*.safetensors")) == shards
    listing = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    held = {n: f for f in shards for n in load_file(tmp_path / "out" / f)}
    assert listing["weight_map"] == held
    single = tmp_path / "single"
    save(single)
    compress(single, tmp_path / "one", **BOTH)
    assert torch.equal(logits(load(tmp_path / "out")), logits(load(tmp_path / "one")))


class TestRefusals:
    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"sparsity": 1.2}, r"sparsity is 1.2"),
            ({"sparsity": -0.1}, r"sparsity is -0.1"),
            ({"sparsity": float("nan")}, r"sparsity is nan"),
            ({"bits": 9}, r"bits is 9"),
            ({"bits": 0}, r"bits is 0"),
            ({"sparsity": 0.5, "pattern": "diagonal"}, r"pattern is 'diagonal'"),
            ({"sparsity": 0.5, "pattern": "4:2"}, r"pattern is '4:2'"),
            ({"sparsity": 0.3, "pattern": "2:4"}, r"sparsity is 0.3 beside pattern 2:4"),
            ({"sparsity": 0.5, "importance": "luck"}, r"importance is 'luck'"),
            ({"bits": 4, "grid": "round"}, r"grid is 'round'"),
            ({"bits": 4, "solver": "magic"}, r"solver is 'magic'"),
            ({"sparsity": 0.5, "signed": True}, r"signed is set beside importance magnitude"),
            ({"sparsity": 0.5, "importance": "taylor"}, r"importance is taylor but data is not given"),
            ({"sparsity": 0.5, "solver": "obs"}, r"solver is obs but data is not given"),
            ({}, r"sparsity is 0 and bits is not given"),
            ({"bits": 4}, r"group is 128 at model.layers.0.self_attn.q_proj.weight, whose width is 64.*Use 64"),
            ({"bits": 4, "group": 48}, r"group is 48 at .* whose width is 64.*Use 32 or 64"),
            ({"bits": 4, "group": 0}, r"group is 0"),
            ({"bits": 4, "group": "block"}, r"group is 'block'"),
            ({"pattern": "2:7"}, r"pattern is 2:7 at model.layers.0.self_attn.q_proj.weight, whose width is 64"),
            ({"bits": 4, "group": 64, "windows": 0}, r"windows is 0"),
            ({"bits": 4, "group": 64, "seed": -1}, r"seed is -1"),
        ],
    )
    def test_settings_before_any_work(self, model, tmp_path, settings, told):
        with pytest.raises(SettingError, match=told) as caught:
            compress(model, tmp_path / "out", **settings)
        assert caught.value.exit_code == 2
        assert not list(tmp_path.iterdir())

    def test_an_existing_out(self, model, tmp_path):
        (tmp_path / "out").mkdir()
        with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
            compress(model, tmp_path / "out", **BOTH)
        assert not list((tmp_path / "out").iterdir())
        compress(model, tmp_path / "out", overwrite=True, **BOTH)
        assert load(tmp_path / "out") is not None

    def test_an_out_that_would_eat_its_input(self, model, tmp_path):
        inside = shutil.copytree(model, tmp_path / "a/model")
        data = text(tmp_path / "a/text.jsonl")
        for out, settings in (
            (inside, {}),
            (tmp_path / "a", {}),
            (tmp_path / "a", {"data": data}),
            (inside / "smaller", {}),
        ):
            before = sorted(p.name for p in inside.rglob("*"))
            with pytest.raises(OutputError, match=r"is or holds the input|lies inside the model's folder"):
                compress(inside, out, overwrite=True, **settings, **BOTH)
            assert sorted(p.name for p in inside.rglob("*")) == before

    def test_too_little_disk(self, model, tmp_path, monkeypatch):
        monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
        with pytest.raises(OutputError, match=r"needs about .* of disk while it is made; 0.0 MB are free"):
            compress(model, tmp_path / "out", **BOTH)

    def test_too_little_memory(self, model, tmp_path, monkeypatch):
        monkeypatch.setattr(preflight, "_available_bytes", lambda: 1000)
        with pytest.raises(SettingError, match=r"memory is 0.0 MB free.*needs about"):
            compress(model, tmp_path / "out", **BOTH)

    def test_memory_that_a_control_group_limits(self, tmp_path):
        (tmp_path / "own").write_text("1:name=systemd:/\n0::/a/b\n")
        root = tmp_path / "root"
        for group, most in (("a", 1000), ("a/b", "max"), (".", None)):
            (root / group).mkdir(parents=True, exist_ok=True)
            if most is not None:
                (root / group / "memory.max").write_text(f"{most}\n")
            (root / group / "memory.current").write_text("900\n")
            (root / group / "memory.stat").write_text("anon 500\ninactive_file 300\n")
        assert preflight._group_bytes(tmp_path / "own", root) == [400]
        (root / "a/b/memory.max").write_text("700\n")
        assert preflight._group_bytes(tmp_path / "own", root) == [100, 400]
        assert preflight._group_bytes(tmp_path / "none", root) == []

    def test_weights_that_are_no_numbers(self, tmp_path):
        save(tmp_path / "model")
        weights = load_file(tmp_path / "model/model.safetensors")
        weights["model.layers.0.mlp.gate_proj.weight"][5, 6] = float("inf")
        save_file(weights, tmp_path / "model/model.safetensors", {"format": "pt"})
        with pytest.raises(NumericsError, match=r"model.layers.0.mlp.gate_proj.weight holds 1 values .*\[5, 6\]"):
            compress(tmp_path / "model", tmp_path / "out", **BOTH)
        assert not (tmp_path / "out.partial").exists()

    @pytest.mark.parametrize("with_text", [False, True])
    @pytest.mark.parametrize(
        ("name", "part"),
        [
            ("model.layers.1.mlp.down_proj.weight", "model.layers.1"),
            ("model.layers.0.mlp.down_proj.weight", "model.layers.0"),
            ("model.norm.weight", "the head, or the norm before it,"),
        ],
    )
    def test_a_model_that_overflows_by_itself(self, data, tmp_path, name, part, with_text):
        save(tmp_path / "model")
        weights = load_file(tmp_path / "model/model.safetensors")
        weights[name].fill_(3e38)
        save_file(weights, tmp_path / "model/model.safetensors", {"format": "pt"})
        with pytest.raises(NumericsError, match=f"^{re.escape(part)} gives outputs that are NaN or infinite in torch"):
            compress(tmp_path / "model", tmp_path / "out", data=data if with_text else None, windows=2, sparsity=0.5)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.rglob("out.partial/*.safetensors"))

    def test_what_is_compressed_already(self, made, tmp_path):
        with pytest.raises(InputError, match="is compressed already"):
            compress(made[0] / "out", tmp_path / "out", **BOTH)

    def test_text_without_a_tokenizer(self, data, tmp_path):
        save(tmp_path / "model", tokenizer=False)
        with pytest.raises(InputError, match="has no tokenizer"):
            compress(tmp_path / "model", tmp_path / "out", data=data, **BOTH)

    def test_text_that_fills_no_window(self, model, tmp_path):
        with pytest.raises(InputError, match=r"gives 6 tokens, which do not fill one window of 64"):
            compress(model, tmp_path / "out", data=Corpus.from_texts(["three", " "]), **BOTH)

    def test_a_block_larger_in_error_than_usual_is_loud(self, model, data, tmp_path):
        result = compress(model, tmp_path / "out", data=data, sparsity=0.95, windows=2)
        loud = [w for w in result.evidence["warnings"] if "relative error" in w]
        assert len(loud) >= 7
        assert "more bits, a smaller group or less sparsity" in loud[0]


class _Killed(BaseException):
    """Stands in for kill -9: nothing catches it."""


ALL_STEPS = {"sparsity": 0.5, "pattern": "global", "importance": "taylor", "bits": 4, "group": 32, "windows": 6}


@pytest.fixture(scope="module")
def whole(made):
    out = made[0] / "whole"
    compress(made[0] / "model", out, data=made[0] / "text.jsonl", **ALL_STEPS)
    return out


class TestInterrupted:
    @pytest.mark.parametrize("steps", range(7))
    @pytest.mark.parametrize("inside", [False, True])
    def test_killed_and_started_again_it_is_the_same(self, whole, model, data, tmp_path, monkeypatch, steps, inside):
        real, count = Journal.step, 0

        def step(self, name, work, files=()):
            nonlocal count
            if count == steps:
                if inside:  # the work is done, but not yet recorded
                    work()
                raise _Killed
            count += 1
            return real(self, name, work, files)

        with monkeypatch.context() as patched:
            patched.setattr(Journal, "step", step)
            with pytest.raises(_Killed):
                compress(model, tmp_path / "out", data=data, **ALL_STEPS)
        assert not (tmp_path / "out").exists()
        result = compress(model, tmp_path / "out", data=data, **ALL_STEPS)
        expected = ["windows", "gradients", "global masks", "model.layers.0", "model.layers.1", "reference"]
        assert list(result.skipped) == [*expected, "checkpoint"][:steps]
        assert weight_bytes(tmp_path / "out") == weight_bytes(whole)

    def test_other_settings_are_not_mixed_in(self, model, tmp_path, monkeypatch):
        with monkeypatch.context() as patched:
            patched.setattr(artefact, "write", lambda *_: (_ for _ in ()).throw(_Killed()))
            with pytest.raises(_Killed):
                compress(model, tmp_path / "out", **BOTH)
        with pytest.raises(OutputError, match="unfinished run with other inputs \\(bits was 4, is 3\\)"):
            compress(model, tmp_path / "out", **{**BOTH, "bits": 3})
        assert compress(model, tmp_path / "out", **BOTH).skipped[-1] == "reference"

    def test_an_artefact_changed_between_two_runs_is_noticed(self, model, tmp_path, monkeypatch):
        with monkeypatch.context() as patched:
            patched.setattr(artefact, "verify", lambda *_: (_ for _ in ()).throw(_Killed()))
            with pytest.raises(_Killed):
                compress(model, tmp_path / "out", **BOTH)
        file = tmp_path / "out.partial/model.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1  # of the same size, so that the journal has it for finished
        file.write_bytes(content)
        with pytest.raises(ArtefactError, match=r"cannot be read back .*Remove this folder and start anew"):
            compress(model, tmp_path / "out", **BOTH)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("what", ["codes", "norm", "config"])
    def test_an_artefact_that_is_not_what_was_meant_is_not_declared_done(self, model, tmp_path, monkeypatch, what):
        real = artefact.write

        def spoilt(into, *args):
            real(into, *args)
            file = into / "model.safetensors"
            tensors = load_file(file)
            if what == "codes":
                tensors["model.layers.0.mlp.up_proj.weight.codes"][7] ^= 1
            elif what == "norm":
                tensors["model.norm.weight"][0] += 1
            else:
                config = json.loads((into / "config.json").read_text())
                (into / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 10.0}))
            save_file(tensors, file, {"format": "pt"})

        told = {"codes": "mlp.up_proj.weight, read back", "norm": "model.norm.weight, read back", "config": "logits"}
        with monkeypatch.context() as patched:
            patched.setattr(artefact, "write", spoilt)
            with pytest.raises(ArtefactError, match=told[what]) as caught:
                compress(model, tmp_path / "out", **BOTH)
        assert caught.value.exit_code == 1
        assert not (tmp_path / "out").exists()
