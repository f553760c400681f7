"""`excise explain`: why a record went, what happened to a tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

#: What the actions on tensors are called once they are done.
_DONE = {"prune": "pruned", "quantize": "quantized"}

#: Characters of a text shown; all of it is in --json.
_SHOWN = 1500


def explain(
    out: Annotated[Path, typer.Argument(help="The folder that clean or compress made.", metavar="OUT")],
    locus: Annotated[
        str | None, typer.Argument(help="Id of a record (file#row, or your own), or name of a tensor.", metavar="ID")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say why a record went or what was done to a tensor, with the removed and the kept text side by side.

    [bold]Examples[/bold]

    excise explain cleaned

    excise explain cleaned 'corpus.jsonl#17'

    excise explain smaller model.layers.0.mlp.up_proj.weight
    """
    from rich.console import Console

    from excise.pipeline.explain import explain as verb

    told = verb(out, locus)
    if as_json:
        typer.echo(json.dumps(told, indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False)
    if "tensors_changed" in told:
        _show_model(console, told)
    elif locus is None:
        _show_summary(console, told)
    elif "text" in told:
        _show_record(console, told)
    else:
        _show_tensor(console, told)


def _show_summary(console: Console, told: Mapping[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, side in (("", "left"), ("", "left"), ("count", "right")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for title in ("by_action", "by_finder", "by_source"):
        for row, (name, count) in enumerate(list(told[title].items())[:12]):
            table.add_row(title.replace("_", " ") if row == 0 else "", escape(name), f"{count:,}")
    console.print(f"{told['records_removed']:,} records removed")
    console.print(table)
    _show_example(console, told["out"], told["examples"])


def _show_example(console: Console, out: str, ids: Sequence[str]) -> None:
    if ids:
        console.print(f"\nOne of them: excise explain {out} '{ids[0]}'", markup=False, soft_wrap=True)


def _show_model(console: Console, told: Mapping[str, Any]) -> None:
    from rich.table import Table

    done = ", ".join(f"{count:,} {_DONE.get(action, action)}" for action, count in told["by_action"].items())
    console.print(
        f"{told['tensors_changed']:,} tensors of {told['model']} changed ({done}), "
        f"{told['tensors_untouched']:,} untouched\n"
        f"{told['bytes_before']:,} bytes before, {told['bytes_after']:,} now",
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("largest errors", overflow="fold")
    for heading in ("removed", "bits", "of output", "of weight"):
        table.add_column(heading, justify="right")
    for layer in told["worst"]:
        table.add_row(layer["name"], *_numbers(layer))
    console.print(table)
    _show_example(console, told["out"], [layer["name"] for layer in told["worst"]])


def _numbers(layer: Mapping[str, Any]) -> list[str]:
    """Share removed, bits, relative errors of output and weight, as a person reads them."""
    errors = (layer["relative_output_error"], layer["relative_weight_error"])
    told = ("-" if error is None else f"{error:.2g}" for error in errors)
    return [f"{100 * layer['sparsity']:.1f} %", "-" if layer["bits"] is None else str(layer["bits"]), *told]


def _show_record(console: Console, told: Mapping[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    finder = f" (found by {told['finder']})" if "finder" in told else ""
    console.print(f"[bold]{escape(told['id'])}[/] {told['fate']}: {escape(told['reason'])}{finder}", soft_wrap=True)
    partner = told.get("partner")
    table = Table(expand=True, show_lines=True)
    table.add_column(f"{told['fate']}: {escape(told['id'])}", ratio=1, overflow="fold")
    if partner is None:
        table.add_row(_short(told["text"]))
    else:
        table.add_column(f"kept: {escape(partner)}", ratio=1, overflow="fold")
        table.add_row(_short(told["text"]), _short(told.get("partner_text") or ""))
    console.print(table)
    if told.get("followers"):
        console.print("went in favour of it: " + escape(", ".join(told["followers"])), soft_wrap=True)


def _show_tensor(console: Console, told: Mapping[str, Any]) -> None:
    from rich.markup import escape

    console.print(f"[bold]{escape(told['id'])}[/] {told['fate']}:", soft_wrap=True)
    for decision in told["decisions"] or [told]:
        console.print(
            "  " + ": ".join(decision[k] for k in ("action", "reason") if k in decision), markup=False, soft_wrap=True
        )
    if layer := told["layer"]:
        shape = " × ".join(map(str, layer["shape"]))
        removed, bits, on_output, on_weight = _numbers(layer)
        console.print(f"  {shape} weights: {layer['bytes_before']:,} bytes before, {layer['bytes_after']:,} now")
        console.print(
            f"  removed {removed}; bits {bits}; relative error of the output {on_output}, of the weight {on_weight}"
        )


def _short(text: str) -> str:
    from rich.markup import escape

    return escape(text if len(text) <= _SHOWN else text[:_SHOWN] + " ...")
