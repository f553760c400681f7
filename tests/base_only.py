"""Run by CI in a venv that has the base dependencies alone: clean, explain and restore must work without torch.

No test runner here on purpose: the venv has what a data engineer's has, and nothing else.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def excise(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "excise", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def check(condition, told):
    if not condition:
        print(f"FAILED: {told}")
        sys.exit(1)


def main():
    for name in ("torch", "transformers", "safetensors"):
        check(importlib.util.find_spec(name) is None, f"{name} is installed here, so this proves nothing")
    with tempfile.TemporaryDirectory() as folder:
        data, out, back = Path(folder, "data.jsonl"), Path(folder, "out"), Path(folder, "back.jsonl")
        words = [f"word{i} and some more text number {i} that is long enough to be compared" for i in range(50)]
        texts = [*words, words[3], words[7].upper(), "重复的中文文本也要能够找到才行", "重复的中文文本也要能够找到才行"]
        lines = [json.dumps({"text": text, "n": i}, ensure_ascii=False) for i, text in enumerate(texts)]
        data.write_text("\n".join(lines) + "\n", encoding="utf-8")

        done = excise("clean", data, "-o", out)
        check(done.returncode == 0, f"clean: {done.stderr}")
        kept = (out / "data" / "data.jsonl").read_text(encoding="utf-8").splitlines()
        check(kept == [*lines[:50], lines[52]], f"clean kept {len(kept)} records, expected 51")
        told = excise("explain", out, "data.jsonl#50")
        check(told.returncode == 0 and "data.jsonl#3" in told.stdout, f"explain: {told.stdout} {told.stderr}")
        done = excise("restore", out, "-o", back)
        check(done.returncode == 0 and back.read_bytes() == data.read_bytes(), f"restore: {done.stderr}")

        told = excise("compress", folder, "-o", Path(folder, "small"), "--bits", "4")
        check(told.returncode == 2 and "excise[model]" in told.stderr, f"compress without torch: {told.stderr}")
    print("base only: 5 passed, 0 failed")


if __name__ == "__main__":
    main()
