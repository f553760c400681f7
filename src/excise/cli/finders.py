"""`excise finders`: what can be found in data, what is done about it, and which settings there are."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer


def finders(
    name: Annotated[str | None, typer.Argument(help="A finder; all of them if absent.")] = None,
) -> None:
    """List the finders of `clean`, or tell the settings of one.

    [bold]Examples[/bold]

    excise finders

    excise finders quality
    """
    from excise.data.catalogue import FINDERS
    from excise.errors import SettingError

    if name is None:
        for known, finder in FINDERS.items():
            typer.echo(f"{known:13}{finder.about:46}{' | '.join(finder.actions)}")
        typer.echo(
            "\nexcise clean DATA -o OUT --finders exact,near,quality --set near.threshold=0.7 --action quality=note"
        )
        return
    if name not in FINDERS:
        raise SettingError(f"finder is {name!r}; it must be one of {', '.join(FINDERS)}.")
    finder = FINDERS[name]
    typer.echo(f"{name}: {finder.about}.\nActions: {', '.join(finder.actions)}.")
    if finder.settings is None:
        typer.echo("It has no settings.")
        return
    told = _told(finder.settings)
    for one in fields(finder.settings):
        typer.echo(f"\n--set {name}.{one.name}={_default(one)}\n    {told.get(one.name, '')}")


def _told(settings: type[Any]) -> dict[str, str]:
    """What the docstring says of each setting."""
    section = (settings.__doc__ or "").partition("Attributes:")[2]
    parts = re.split(r"\n {8}(\w+): ", section)
    return {name: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _default(one: Any) -> str:
    value = one.default if one.default is not MISSING else one.default_factory()
    return "none" if value is None else ",".join(value) if isinstance(value, tuple) else str(value)
