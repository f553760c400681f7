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
        (HEAD + "  - kind: compress\n    model: '{early}/a'\n", r"r:5: stages\[0\].model names the stage \{early\}; earlier stages: none"),
        (HEAD + "  - kind: clean\n    data: a\n  - kind: clean\n    data: b\n", r"r:6: stages\[1\]: two stages are called 'clean'"),
        (HEAD + "  - kind: clean\n", r"r:4: stages\[0\].data is missing"),
        ("name: x\nname: y\n", r"r:2: 'name' is given twice"),
        ("a: [", r"r:1: not YAML"),
        ("- 1\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("schema_version: 2\nname: x\nstages: []\n", r"r:1: schema_version is 2"),
    ],
)  # fmt: skip
def test_errors_name_line_and_what_is_allowed(text, told):
    with pytest.raises(InputError, match=told) as caught:
        recipe.parse(text, "r")
    assert caught.value.exit_code == 2


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
