"""The public names: complete, lazy, light to import, and twins of the commands."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import excise
from excise.cli.app import app

COMMANDS = ("demo", "clean", "augment", "explain", "restore", "compress", "compare", "run", "recipe", "finders")


def test_all_names_resolve():
    assert sorted(excise.__all__) == excise.__all__
    for name in excise.__all__:
        assert getattr(excise, name) is not None
    assert set(excise.__all__) <= set(dir(excise))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = excise.nonsense


def test_commands_and_verbs_are_twins():
    commands = {c.name or c.callback.__name__ for c in app.registered_commands} | {"recipe"}
    assert commands == set(COMMANDS)
    assert commands - {"recipe", "finders"} == set(excise.__all__) - {"Corpus", "Ledger", "load"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert "Example" in shown.output or command == "recipe"


@pytest.mark.parametrize(
    "statement",
    [
        "import excise",
        "import excise; excise.clean, excise.explain, excise.restore",
        "from excise.cli.app import main; main(['--help'])",
        "from excise.cli.app import main; main(['clean', '--help'])",
    ],
)
def test_no_framework_is_loaded(statement):
    code = f"import sys; {statement}; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
