"""Compiling: kept on disk where possible, never a failure where not, never at import of the package."""

import os
import subprocess
import sys
from pathlib import Path

import excise

SOURCE = Path(excise.__file__).parents[1]


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_importing_the_data_side_loads_no_numba():
    code = (
        "import sys, excise, excise.data.text, excise.data.exact, excise.data.near, excise.data.keep, excise.data.rails\n"
        "print('numba' in sys.modules, 'torch' in sys.modules)"
    )
    assert run(code).stdout == "False False\n"


LOOP = """
import sys
sys.path.insert(0, {source!r})
from numba import int64
import numba.core.caching as caching
from excise.data.compiled import kernel
{trouble}
def double(x):
    return 2 * x
print(kernel(int64(int64))(double)(21))
"""


def test_no_place_for_the_cache_compiles_for_this_process(tmp_path):
    """numba raises RuntimeError where neither the source's folder nor the user's cache can be written."""
    file = tmp_path / "loop.py"
    trouble = "caching.CacheImpl._locator_classes = []"
    file.write_text(LOOP.format(source=str(SOURCE), trouble=trouble))
    found = run(f"import runpy; runpy.run_path({str(file)!r})")
    assert (found.stdout, found.returncode) == ("42\n", 0), found.stderr


def test_a_full_disk_compiles_for_this_process(tmp_path):
    file = tmp_path / "loop.py"
    trouble = (
        "def full(self, *rest):\n    raise OSError(28, 'No space left on device')\n"
        "caching.IndexDataCacheFile.save = full"
    )
    file.write_text(LOOP.format(source=str(SOURCE), trouble=trouble))
    found = run(f"import runpy; runpy.run_path({str(file)!r})", NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert (found.stdout, found.returncode) == ("42\n", 0), found.stderr


def test_the_cache_is_used(tmp_path):
    file = tmp_path / "loop.py"
    file.write_text(LOOP.format(source=str(SOURCE), trouble=""))
    for _ in range(2):
        found = run(f"import runpy; runpy.run_path({str(file)!r})", NUMBA_CACHE_DIR=str(tmp_path / "cache"))
        assert found.stdout == "42\n", found.stderr
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) == 1


def test_a_read_only_home_and_installation_finds_duplicates(tmp_path):
    """The engine as a whole with nowhere to write its compiled code."""
    code = (
        "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []\n"
        "from excise.corpus import Corpus; from excise.data import near\n"
        "tables = near.find(Corpus.from_texts(['one two three', 'One, two, three.']), near.NearSettings())\n"
        "print(sum(t.num_rows for t in tables))"
    )
    found = run(code)
    assert (found.stdout, found.returncode) == ("1\n", 0), found.stderr
