"""The `excise` command: puts the commands together and turns errors into exit codes.

Exit codes: 0 done; 1 a goal missed or a run failed; 2 the user's mistake; 130 interrupted (the work is kept).
"""

from __future__ import annotations

import errno
import gc
import sys
from collections.abc import Sequence

import typer

from excise import __version__
from excise.cli import augment, clean, compare, compress, explain, finders, recipe, restore, run
from excise.errors import ExciseError
from excise.evidence.visible import visible

app = typer.Typer(
    name="excise",
    help="Finds the redundancy in a language model and in its training data, removes it, and proves what that cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.demo)
app.command()(clean.clean)
app.command()(finders.finders)
app.command()(augment.augment)
app.command()(explain.explain)
app.command()(restore.restore)
app.command()(compress.compress)
app.command()(compare.compare)
app.command()(run.run)
app.add_typer(recipe.app, name="recipe")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"excise {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows `excise`; those of this process if None.

    Returns:
        The exit code.
    """
    gc.set_threshold(50_000, 20, 20)  # libraries make many objects as they load, and none of them is garbage
    try:
        app(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="excise")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
        if code == 130:
            typer.echo(
                "excise: interrupted. What was finished is kept; the same command goes on from there.",
                err=True,
            )
        return code
    except ExciseError as error:
        typer.echo(f"excise: {visible(str(error))}", err=True)
        return error.exit_code
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        typer.echo(
            f"excise: {error.strerror}: {error.filename}. Check the path and who may read and write there.", err=True
        )
        return 2
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        told = "the disk is full" if full else str(error.strerror or error)
        goes_on = " Free some space; the same command then goes on where it stopped." if full else ""
        typer.echo(f"excise: {told}{where}.{goes_on}", err=True)
        return 1
    return 0
