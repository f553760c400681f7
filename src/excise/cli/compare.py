"""`excise compare`: what a smaller model gained and what it cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from excise.evidence.compare import Evidence


def compare(
    before: Annotated[str, typer.Argument(help="Directory of the original model.", metavar="BEFORE")],
    after: Annotated[str, typer.Argument(help="Directory of the smaller model.", metavar="AFTER")],
    data: Annotated[list[str], typer.Option("--data", help="Held-out text that neither model was tuned on.")],
    text: Annotated[
        str | None, typer.Option("--text", help="Field or template of the text; detected if absent.")
    ] = None,
    goal: Annotated[
        list[str] | None, typer.Option("--goal", help="E.g. 'bytes<=0.3x', 'bpb<=1.02x'; may be given again.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for report.html and evidence.json; AFTER/excise/compare.* if absent."),
    ] = None,
    windows: Annotated[
        int | None, typer.Option("--windows", help="Use this many windows of 256 tokens; all if absent.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the intervals.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier comparison.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="With -o, continue an unfinished one (also the default).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the evidence as JSON.")] = False,
) -> None:
    """Compare two models: size, memory, speed, quality with intervals, and a verdict.

    With -o an interrupted comparison goes on where it stopped; without, it starts anew.

    [bold]Examples[/bold]

    excise compare original smaller --data heldout.jsonl

    excise compare original smaller --data heldout.jsonl --goal 'bytes<=0.3x' --goal 'bpb<=1.02x' -o comparison
    """
    from excise.cli.progress import bars
    from excise.pipeline.compare import compare as run

    with bars() as progress:
        evidence = run(
            before,
            after,
            data[0] if len(data) == 1 else data,
            text=text,
            goal=goal or (),
            out=out,
            windows=windows,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(evidence.as_dict(), indent=1, ensure_ascii=False))
    else:
        _show(evidence)
        written = out / "report.html" if out is not None else Path(after) / "excise" / "compare.html"
        if written.is_file():
            typer.echo(f"Report: {written}")
    if evidence.status == "goal_missed":
        raise typer.Exit(1)


def _show(evidence: Evidence) -> None:
    """The table, the goals and the verdict, on stdout."""
    from rich.console import Console
    from rich.markup import escape

    from excise.cli.tables import before_after, measure_row

    console = Console(highlight=False)
    console.print(before_after(measure_row(name, measure) for name, measure in evidence.measures.items()))
    for judged in evidence.goals:
        mark = {"met": "[green]met[/]", "not met": "[red]not met[/]"}.get(judged.outcome, "[yellow]undecided[/]")
        console.print(f"goal {escape(judged.goal)}: {mark}")
    for warning in evidence.warnings:
        console.print(f"[yellow]note:[/] {escape(warning)}", soft_wrap=True)
    console.print(f"\n[bold]{escape(evidence.verdict['sentence'])}[/]", soft_wrap=True)
