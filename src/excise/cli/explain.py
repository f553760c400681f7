"""`excise explain`: why a record went, what happened to a tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: What the actions on tensors are called once they are done.
_DONE = {"prune": "pruned", "quantize": "quantized"}

#: Characters of a text shown; all of it is in --json.
_SHOWN = 1500
#: Texts, and changes at places in them: what is shown of them is made harmless piece by piece.
_BY_PLACE = ("text", "partner_text", "changes")
#: Characters beside a change that are shown, and of what it took away.
_CONTEXT = 200


def explain(
    out: Annotated[Path, typer.Argument(help="The folder that clean or compress made.", metavar="OUT")],
    locus: Annotated[
        str | None, typer.Argument(help="Id of a record (file#row, or your own), or name of a tensor.", metavar="ID")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say why a record went or was changed and who decided, with the removed and the kept text side by side.

    Or what was done to a tensor.

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
    console, told = Console(highlight=False), _harmless(told)
    if "tensors_changed" in told:
        _show_model(console, told)
    elif locus is None:
        _show_summary(console, told)
    elif "text" in told:
        _show_record(console, told)
    else:
        _show_tensor(console, told)


def _harmless(told: Any) -> Any:
    """The same with signs in place of characters that a terminal would obey."""
    from excise.evidence.visible import visible

    if isinstance(told, str):
        return visible(told)
    if isinstance(told, dict):
        return {_harmless(k): v if k in _BY_PLACE else _harmless(v) for k, v in told.items()}
    return [_harmless(item) for item in told] if isinstance(told, list) else told


def _show_summary(console: Console, told: Mapping[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    counts = [f"{told['records_removed']:,} records removed"]
    counts += [f"{told[f'records_{word}']:,} {word}" for word in ("changed", "added") if told[f"records_{word}"]]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, side in (("", "left"), ("", "left"), ("count", "right")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for title in ("by_action", "by_finder", "by_source"):
        for row, (name, count) in enumerate(list(told[title].items())[:12]):
            table.add_row(title.replace("_", " ") if row == 0 else "", escape(name), f"{count:,}")
    for row, (name, actions) in enumerate(told["by_person"].items()):
        for place, (action, count) in enumerate(actions.items()):
            title = "by person" if row == place == 0 else ""
            table.add_row(title, escape(f"{name}: {action}"), f"{count:,}")
    console.print(", ".join(counts))
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

    finder = f" (found by {told['finder']})" if told.get("finder") and told["fate"] != "added" else ""
    console.print(f"[bold]{escape(told['id'])}[/] {told['fate']}: {escape(told['reason'])}{finder}", soft_wrap=True)
    if len(told["decisions"]) > 1 or any(row["by"] or row["action"] == "keep" for row in told["decisions"]):
        _show_decisions(console, told["decisions"])
    table = Table(expand=True, show_lines=True)
    table.add_column(f"{told['fate']}: {escape(told['id'])}", ratio=1, overflow="fold")
    if told.get("partner_text") is not None:
        side = "made of" if told["fate"] == "added" else "kept"
        table.add_column(f"{side}: {escape(told['partner'])}", ratio=1, overflow="fold")
        table.add_row(*_side_by_side(console, told["text"], told["partner_text"]))
    else:
        table.add_row(_with_changes(console, told["text"], told.get("changes", [])))
    console.print(table)
    for change in told.get("changes", []):
        if change["action"] == "relabel":
            was = f"{change['was']} -> " if change["was"] is not None else ""
            console.print(_harmless(f"label: {was}{change['value']}"), markup=False, soft_wrap=True)
    if told.get("probabilities"):
        shares = ", ".join(f"{escape(name)} {share:.2f}" for name, share in told["probabilities"].items())
        console.print(f"a model that has not seen it: {shares}", soft_wrap=True)
    for key, words in (("followers", "went in favour of it"), ("copies", "made of it")):
        if told.get(key):
            console.print(f"{words}: " + escape(", ".join(told[key])), soft_wrap=True)


def _show_decisions(console: Console, decisions: Sequence[Mapping[str, Any]]) -> None:
    """All that was decided about a record, and by whom."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("decision", "finder", "by", "redundancy", "reason"):
        table.add_column(heading, justify="right" if heading == "redundancy" else "left", overflow="fold")
    for row in decisions:
        by = row["by"] or "excise"
        table.add_row(row["action"], row["finder"], escape(by), f"{row['redundancy']:.3g}", escape(row["reason"]))
    console.print(table)


def _side_by_side(console: Console, one: str, other: str) -> tuple[Text, Text]:
    """Two texts, what the other lacks marked."""
    from excise.evidence.differences import differing, split

    sides = split(one[:_SHOWN]), split(other[:_SHOWN])
    first, second = (_marked(console, *side) for side in zip(sides, differing(*sides), strict=True))
    return first.append(_more(one)), second.append(_more(other))


def _more(text: str) -> str:
    return " ..." if len(text) > _SHOWN else ""


def _marked(console: Console, parts: Sequence[str], flags: Sequence[bool]) -> Text:
    """Pieces, those that are flagged in colour; in brackets where there are no colours."""
    from itertools import groupby

    from rich.text import Text

    from excise.evidence.visible import visible

    text = Text()
    for flag, run in groupby(zip(flags, parts, strict=True), lambda pair: pair[0]):
        piece = visible("".join(part for _, part in run))
        if flag and not console.is_terminal:
            piece = f"⟦{piece}⟧"
        text.append(piece, style="bold yellow" if flag else "")
    return text


def _with_changes(console: Console, text: str, changes: Sequence[Mapping[str, Any]]) -> Text:
    """A text with what was there before struck out, and what is there now, in context."""
    from rich.text import Text

    from excise.evidence.visible import visible

    inside = [change for change in changes if change["at"] is not None]
    if not inside:
        return Text(visible(text[:_SHOWN]) + _more(text))
    told, at = Text(), 0
    for change in inside:
        begin = max(at, change["at"] - _CONTEXT)
        told.append((" ... " if begin > at else "") + visible(text[begin : change["at"]]))
        was = change["was"] if change["was"] is not None else f"{change['characters']} characters"
        struck = visible(was[:_CONTEXT]) + (f" ... {len(was) - _CONTEXT} more" if len(was) > _CONTEXT else "")
        told.append(struck if console.is_terminal else f"⟦{struck}⟧", style="strike red")
        told.append(visible(change["value"]), style="bold green")
        at = change["at"] + len(change["value"])
    return told.append(visible(text[at : at + _CONTEXT]) + (" ..." if at + _CONTEXT < len(text) else ""))


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
