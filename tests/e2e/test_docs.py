"""The commands of the documentation, run as they stand, in one folder, from top to bottom."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the README takes for granted: data.jsonl, heldout.jsonl and a model."""
    from excise.adapters.newborn import new_llama, new_tokenizer, save

    home = tmp_path_factory.mktemp("docs")
    texts = [
        f"Licence number {i}: you may use, copy and change part {i} of this, and give it to {i} others."
        for i in range(61)
    ]
    with (home / "data.jsonl").open("w") as file:
        for text in [*texts, texts[5]]:
            file.write(json.dumps({"text": text}) + "\n")
    shutil.copy(home / "data.jsonl", home / "tuesday.jsonl")
    with (home / "heldout.jsonl").open("w") as file:
        for i in range(100, 130):
            file.write(json.dumps({"text": f"Licence number {i}: you may not copy part {i} of that. " * 10}) + "\n")
    model = new_llama(300, hidden=128, layers=2, heads=2, kv_heads=1, ffn=256, positions=512, seed=0)
    save(model, new_tokenizer(texts, 300), home / "model")
    return home


@pytest.mark.parametrize("document", ["README.md", "README.zh.md", "docs/cleaning.md"])
def test_documented_commands_run(document, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    blocks = BLOCK.findall((REPO / document).read_text(encoding="utf-8"))
    assert len(blocks) >= 5
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    for language, text in blocks:
        command = ["bash", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def test_both_languages_show_the_same_commands_and_figures():
    def commands(document):
        text = (REPO / document).read_text(encoding="utf-8")
        blocks = [re.sub(r"#.*", "", block) for _, block in BLOCK.findall(text)]
        demo = text.split("/demo")[0].split("<!-- demo")[1].split("-->", 1)[1]
        return [[line.split() for line in block.splitlines()] for block in blocks], demo.split("<!--")[0]

    assert commands("README.md") == commands("README.zh.md")


def test_every_link_of_the_documentation_leads_somewhere():
    for document in [*REPO.glob("*.md"), *(REPO / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
