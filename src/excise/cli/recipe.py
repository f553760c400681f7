"""`excise recipe list|copy|check|explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Recipes: list the shipped ones, copy, check, explain.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")]


@app.command("list")
def list_() -> None:
    """Name the shipped recipes.

    Example: excise recipe list
    """
    from excise import recipe

    for name, text in recipe.shipped().items():
        typer.echo(f"{name:10} {recipe.parse(text, name).about}")


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="Name of a shipped recipe.")],
    to: Annotated[Path | None, typer.Argument(help="File to write; NAME.yaml if not given.")] = None,
) -> None:
    """Copy a shipped recipe to edit it.

    Example: excise recipe copy clean mine.yaml
    """
    from excise import recipe

    typer.echo(recipe.copy(name, to or Path(f"{name}.yaml")))


@app.command()
def check(name: Which) -> None:
    """Say whether a recipe is well formed; errors name the line and what is allowed.

    Example: excise recipe check mine.yaml
    """
    from excise import recipe

    checked, _ = recipe.load(name)
    typer.echo(f"{name}: {len(checked.stages)} stages, well formed")


@app.command()
def explain(name: Which) -> None:
    """Say what each stage of a recipe will do, and which settings are not the default.

    Example: excise recipe explain demo
    """
    from excise import recipe

    checked, _ = recipe.load(name)
    typer.echo(f"{checked.name}: {checked.about}".rstrip(": "))
    for number, (title, stage) in enumerate(checked.named(), 1):
        about = (type(stage).__doc__ or "").splitlines()[0]
        typer.echo(f"{number}. {title}: {about}")
        for key, value in stage.model_dump(exclude={"name"}, exclude_defaults=True).items():
            if key != "kind":
                typer.echo(f"     {key} = {value}    {type(stage).model_fields[key].description}")
