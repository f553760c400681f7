"""Put the demo's output, read from stdin, between the demo markers of both READMEs."""

import re
import sys
from pathlib import Path

here = f"{Path.cwd()}/"  # the report's path, which differs from machine to machine
shown = "\n".join(line.rstrip().replace(here, "") for line in sys.stdin.read().strip("\n").splitlines())
for name in ("README.md", "README.zh.md"):
    path = Path(__file__).resolve().parents[1] / name
    text = path.read_text(encoding="utf-8")
    filled = re.sub(
        r"(<!-- demo[^>]*-->\n).*?(<!-- /demo -->)",
        lambda marks: f"{marks[1]}```text\n{shown}\n```\n{marks[2]}",
        text,
        flags=re.DOTALL,
    )
    path.write_text(filled, encoding="utf-8")
