"""`excise run` and `excise demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    from excise import pipeline
    from excise.cli.progress import bars

    with bars() as progress:
        result = pipeline.run(recipe, out, overwrite=overwrite, progress=progress)
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
    from excise import pipeline
    from excise.cli.progress import bars

    with bars() as progress:
        result = pipeline.demo(out, overwrite=overwrite, progress=progress)
    _show(result, as_json)
