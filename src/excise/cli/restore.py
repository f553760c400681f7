"""`excise restore`: the original data back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def restore(
    out: Annotated[Path, typer.Argument(help="The folder that clean made.", metavar="OUT")],
    to: Annotated[Path, typer.Option("--out", "-o", help="Where the original goes: a file, or a folder to make.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Put the original data back, bit for bit; proved before it gets its name.

    [bold]Example[/bold]

    excise restore cleaned -o original.jsonl
    """
    from excise.cli.progress import bars
    from excise.pipeline.restore import restore as verb

    with bars() as progress:
        result = verb(out, to, progress=progress)
    if as_json:
        typer.echo(json.dumps(result.as_dict(), indent=1, ensure_ascii=False))
        return
    same = "the original bit for bit" if result.bitwise else "all its records; the files' bytes may differ"
    files = "1 file" if result.files == 1 else f"{result.files:,} files"
    typer.echo(f"Restored {files} to {result.to}: {same}.")
