"""The two dicts of finders, and what each finder says of itself."""

from dataclasses import MISSING, fields

import pytest
from typer.testing import CliRunner

from excise.cli.app import app
from excise.data.catalogue import FINDERS
from excise.data.decide import ACTIONS
from excise.pipeline import finders
from excise.recipe import finder_settings


def test_both_name_the_same_finders():
    assert set(finders.FINDERS) == set(FINDERS)


@pytest.mark.parametrize("name", FINDERS)
def test_a_finder_tells_its_settings_and_takes_them_back(name):
    finder = FINDERS[name]
    assert set(finder.actions) <= set(ACTIONS)
    shown = CliRunner().invoke(app, ["finders", name]).output
    assert finder.about in shown
    for one in fields(finder.settings) if finder.settings else ():
        assert one.default is not MISSING
        line = next(line for line in shown.splitlines() if line.startswith(f"--set {name}.{one.name}="))
        told = shown.splitlines()[shown.splitlines().index(line) + 1].strip()
        assert len(told) > 10, f"{name}.{one.name} is not described"
        given = line.partition("=")[2]
        assert finder_settings(name, {one.name: given}) == finder.settings(), line
