import itertools
import subprocess
import sys

import pytest

from excise import recipe
from excise.errors import ExciseError, InputError, OutputError

HEAD = "schema_version: 1\nname: x\nstages:\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "  - kind: clean\n    data: a\n    sparsity: 3\n", r"r:6: stages\[0\].sparsity is not known here; allowed: name, kind, data"),
        (HEAD + "  - kind: compres\n    data: a\n", r"r:4: stages\[0\].kind is 'compres'; allowed: gather, clean"),
        (HEAD + "  - kind: compress\n    model: a\n    sparsity: 1.2\n", r"r:6: stages\[0\].sparsity is 1.2; .*less than or equal to 1"),
        (HEAD + "  - kind: compress\n    model: a\n    sparsity: -0.1\n", r"r:6: .*greater than or equal to 0"),
        (HEAD + "  - kind: compress\n    model: a\n    bits: 9\n", r"r:6: stages\[0\].bits is 9; .*less than or equal to 8"),
        (HEAD + "  - kind: compress\n    model: a\n    grid: linear\n", r"r:6: stages\[0\].grid is 'linear'; .*'symmetric' or 'affine'"),
        (HEAD + "  - kind: compress\n    model: '{early}/a'\n    bits: 4\n", r"r:5: stages\[0\].model names the stage \{early\}; earlier stages: none"),
        (HEAD + "  - kind: clean\n    data: a\n  - kind: clean\n    data: b\n", r"r:6: stages\[1\]: two stages are called 'clean'"),
        (HEAD + "  - kind: clean\n    data: []\n", r"r:5: stages\[0\].data.*at least 1 item"),
        (HEAD + "  - kind: clean\n    data: a\n    threshold: 0\n", r"r:6: stages\[0\].threshold is 0; .*greater than 0"),
        (HEAD + "  - kind: clean\n", r"r:4: stages\[0\].data is missing"),
        ("name: x\nname: y\n", r"r:2: 'name' is given twice"),
        ("a: [", r"r:1: not YAML"),
        ("- 1\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("schema_version: 2\nname: x\nstages: []\n", r"r:1: schema_version is 2"),
        ("name: x\n? [1, 2]\n: a\n", r"r:2: a list or mapping cannot be the name of a setting"),
        ("name: x\n? {a: 1}\n: a\n", r"r:2: a list or mapping cannot be the name of a setting"),
        ("name: x\nstages: &a [*a]\n", r"r:2: \*a is an alias; a recipe has none"),
        ("name: x\nstages: " + "[" * 5000, r"r:2: nested more than 20 deep"),
        ("name: x\n\nabout: \x07\n", r"r:3: not YAML: the character U\+0007 is not allowed"),
        ("name: x\nabout: a\n---\nname: y\n", r"r:3: not YAML: but found another document"),
        (HEAD + "  - kind: gather\n    megabytes: !!int abc\n", r"r:5: stages\[0\].megabytes is 'abc'"),
        (HEAD + "  - kind: gather\n    megabytes: 2024-99-99\n", r"r:5: stages\[0\].megabytes is '2024-99-99'"),
        (HEAD + "  - kind: gather\n    1: 2\n", r"r:5: stages\[0\].1 is not known here"),
    ],
)  # fmt: skip
def test_errors_name_line_and_what_is_allowed(text, told):
    with pytest.raises(InputError, match=told) as caught:
        recipe.parse(text, "r")
    assert caught.value.exit_code == 2


COMPRESS = HEAD + "  - kind: compress\n    model: a\n"
COMPARE = HEAD + "  - kind: compare\n    before: a\n    after: b\n    data: c\n"
PRETRAIN = HEAD + "  - kind: pretrain\n    data: a\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (COMPARE + "    goal: ['bytes<=0.5x', 'bpb=<1']\n", r"r:8: stages\[0\].goal\[1\]: goal is 'bpb=<1'; expected NAME"),
        (COMPARE + "    goal:\n      - bytes<=0.5x\n      - speed>=2x\n", r"r:10: .*'speed' is not measured"),
        (COMPRESS + "    pattern: 0:4\n", r"r:6: stages\[0\].pattern: pattern is '0:4'; it must be"),
        (COMPRESS + "    pattern: 4:4\n", r"r:6: .*1 <= N < M"),
        (COMPRESS + "    pattern: 2:4\n    sparsity: 0.6\n", r"r:7: .*sparsity is 0.6 beside pattern 2:4, which removes 0.5"),
        (COMPRESS, r"r:4: stages\[0\]: sparsity is 0 and bits is not given"),
        (COMPRESS + "    sparsity: 0.5\n    importance: taylor\n", r"r:7: .*importance is taylor, which needs data"),
        (COMPRESS + "    bits: 4\n    solver: obs\n", r"r:7: .*solver is obs, which needs data"),
        (COMPRESS + "    data: b\n    sparsity: 0.5\n    importance: obs\n", r"r:8: .*importance is obs; it needs solver obs"),
        (COMPRESS + "    bits: 4\n    signed: true\n", r"r:7: .*only taylor has a sign"),
        (PRETRAIN + "    heads: 4\n    kv_heads: 3\n", r"r:7: .*kv_heads is 3 beside heads 4; it must divide"),
        (PRETRAIN + "    heads: 3\n    kv_heads: 1\n", r"r:6: .*heads is 3 beside hidden 256"),
        (PRETRAIN + "    hidden: 32\n    heads: 32\n", r"r:7: .*hidden / heads must be even"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_told_with_their_line(text, told):
    with pytest.raises(InputError, match=told):
        recipe.parse(text, "r")


def test_recipes_refuse_what_compress_would_refuse_before_it_opens_the_model():
    """The recipe's checks are written without torch; they must not drift from those of the command."""
    from excise.pipeline.preflight import check_plan
    from excise.weights.solve import Plan

    given = {
        "sparsity": (0.0, 0.5),
        "pattern": ("row", "global", "2:4", "1:4", "4:2"),
        "importance": ("magnitude", "taylor", "obs"),
        "signed": (False, True),
        "bits": (None, 4),
        "solver": ("round", "obs"),
        "data": (None, "text"),
    }
    seen = set()
    for values in itertools.product(*given.values()):
        settings = dict(zip(given, values, strict=True))
        accepted = []
        for check in (
            lambda s: recipe.Compress(kind="compress", model="m", **s),
            lambda s: check_plan(Plan(**{k: v for k, v in s.items() if k != "data"}), [], s["data"] is not None),
        ):
            try:
                check(settings)
                accepted.append(True)
            except ValueError:
                accepted.append(False)
        assert accepted[0] == accepted[1], settings
        seen.add(accepted[0])
    assert seen == {True, False}


def test_a_ratio_and_a_date_are_text_and_numbers_are_numbers():
    read = recipe.parse(
        COMPRESS.replace("name: x", "name: x\nabout: 2024-01-31") + "    pattern: 2:4\n    group: 64\n    bits: ~\n"
    )
    assert (read.about, read.stages[0].pattern, read.stages[0].group, read.stages[0].bits) == (
        "2024-01-31",
        "2:4",
        64,
        None,
    )
    assert (
        recipe.parse(HEAD.replace("name: x", "name: x\nabout: 2024-99-99") + "  - kind: gather\n").about == "2024-99-99"
    )


def test_checking_a_recipe_needs_no_torch():
    code = "import sys; from excise import recipe; recipe.load('compress'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_fault_is_told():
    with pytest.raises(InputError) as caught:
        recipe.parse(HEAD + "  - kind: compress\n    model: a\n    bits: 9\n    sparsity: 2\n", "r")
    assert len(str(caught.value).splitlines()) == 2


def test_shipped_recipes_are_well_formed():
    assert set(recipe.shipped()) >= {"demo", "clean", "compress"}
    for name in recipe.shipped():
        assert recipe.load(name)[0].name == name


def test_copy_then_load(tmp_path):
    path = recipe.copy("demo", tmp_path / "mine.yaml")
    assert recipe.load(path) == (recipe.load("demo")[0], tmp_path)
    with pytest.raises(OutputError):
        recipe.copy("demo", path)
    with pytest.raises(ExciseError, match="there are: "):
        recipe.copy("nonsense", tmp_path / "other.yaml")


def test_references_only_at_the_start():
    assert recipe.references("{clean}/data") == ["clean"]
    assert recipe.references("plain/{not}") == []


def test_every_setting_is_described():
    for model in (recipe.Recipe, *recipe._models()):
        for name, field in model.model_fields.items():
            assert name == "kind" or field.description, (model.__name__, name)
