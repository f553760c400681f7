"""`excise restore`: the original data back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def restore(
    out: Annotated[Path, typer.Argument(help="The folder that clean made.", metavar="OUT")],
    to: Annotated[Path, typer.Option("--out", "-o", help="Where the original goes: a file, or a folder to make.")],
    only: Annotated[
        str,
        typer.Option(help="Undo these finders only, with commas between; all else stays removed.", metavar="FINDERS"),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Put the original data back, bit for bit; proved before it gets its name.

    [bold]Example[/bold]

    excise restore cleaned -o original.jsonl

    excise restore cleaned -o without_near.jsonl --only near
    """
    from excise.cli.progress import bars
    from excise.pipeline.restore import restore as verb

    with bars() as progress:
        finders = [name.strip() for name in only.split(",") if name.strip()]
        result = verb(out, to, only=finders, progress=progress)
    if as_json:
        typer.echo(json.dumps(result.as_dict(), indent=1, ensure_ascii=False))
        return
    if result.only:
        typer.echo(f"Wrote {result.to}: the data as if {' and '.join(result.only)} had not acted.")
        for warning in result.warnings:
            typer.echo(f"note: {warning}")
        return
    same = "the original bit for bit" if result.bitwise else "all its records; the files' bytes may differ"
    files = "1 file" if result.files == 1 else f"{result.files:,} files"
    typer.echo(f"Restored {files} to {result.to}: {same}.")
