"""`excise run` and `excise demo`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from excise.cli.tables import Row, before_after, measure_row
from excise.evidence.numbers import percent, size

if TYPE_CHECKING:
    from excise.pipeline.run import RunResult

Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder to make; the recipe's name if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a finished OUT.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where a killed run stopped; this is what happens anyway.")
]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    out: Out = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Run a recipe as one reproducible, resumable pipeline.

    Example: excise run recipe.yaml -o OUT
    """
    from excise.cli.progress import bars
    from excise.pipeline.run import run as verb

    with bars() as progress:
        result = verb(recipe, out, overwrite=overwrite, progress=progress)
    _show(result, as_json)


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to make.")] = Path("excise-demo"),
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """The whole job on text this machine has: clean, train a small model, compress, prove. No downloads.

    Example: excise demo
    """
    from excise.cli.progress import bars
    from excise.pipeline.run import demo as verb

    with bars() as progress:
        result = verb(out, overwrite=overwrite, progress=progress)
    _show(result, as_json)


def _show(result: RunResult, as_json: bool) -> None:
    """What went in and what came out, the verdict, and where the report is; exit 1 where a goal was missed."""
    if as_json:
        typer.echo(json.dumps(result.as_dict(), ensure_ascii=False, indent=1))
    else:
        from rich.console import Console
        from rich.markup import escape

        console = Console(highlight=False)
        console.print(before_after(_rows(result.evidence["stages"])))
        for stage in result.evidence["stages"]:
            if "verdict" in stage:
                console.print(f"\n{stage['verdict']['sentence']}", markup=False, soft_wrap=True)
        for warning in result.evidence["warnings"]:
            console.print(f"[yellow]note:[/] {escape(warning)}", soft_wrap=True)
        if result.skipped:
            console.print(f"Already done before this run: {', '.join(result.skipped)}", markup=False)
        console.print(f"Report: {result.report}", markup=False, soft_wrap=True)
    if result.status == "goal_missed":
        raise typer.Exit(1)


def _rows(stages: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Records and bytes of the data, then sizes, speed and quality of the model."""
    rows: list[Row] = []
    for stage in stages:
        if stage["kind"] == "clean":
            for label, name, written in (
                ("Records of text", "records", "{:,}".format),
                ("Bytes of text", "bytes", size),
            ):
                before, after = stage["before"][name], stage["after"][name]
                rows.append((label, written(before), written(after), percent(after / before) if before else "", ""))
        rows += [measure_row(name, measure) for name, measure in stage.get("measures", {}).items()]
    return rows
