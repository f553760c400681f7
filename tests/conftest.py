"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

#: Machines that run several jobs at once are slow now and then; an example's time says nothing.
settings.register_profile("excise", deadline=None)
settings.load_profile("excise")

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data sets and models; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("EXCISE_SHARED", REPO.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no shared data at {folder} (set EXCISE_SHARED)")
    return folder
