"""`excise compress`: a smaller checkpoint that transformers still loads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def compress(
    model: Annotated[str, typer.Argument(help="Directory with a transformers checkpoint.", metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")],
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Calibration text; without it errors are those of the weights.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Field or template of the text; detected if absent.")
    ] = None,
    sparsity: Annotated[float, typer.Option("--sparsity", help="Fraction of the weights removed, 0 to 1.")] = 0.0,
    pattern: Annotated[
        str, typer.Option("--pattern", help="row, layer, global, or N:M such as 2:4 (2 kept of each 4).")
    ] = "row",
    importance: Annotated[
        str,
        typer.Option("--importance", help="magnitude, taylor (|w * dL/dw|; needs --data), or obs (with --solver obs)."),
    ] = "magnitude",
    signed: Annotated[bool, typer.Option("--signed", help="taylor with the gradient's sign: |w| * dL/dw.")] = False,
    bits: Annotated[int | None, typer.Option("--bits", help="Bits a weight, 1 to 8; not quantized if absent.")] = None,
    grid: Annotated[str, typer.Option("--grid", help="symmetric, or affine (min-max).")] = "symmetric",
    group: Annotated[
        str, typer.Option("--group", help="Weights that share a scale: a number, channel or tensor.")
    ] = "128",
    solver: Annotated[
        str, typer.Option("--solver", help="round, or obs: makes up for each error by later weights; needs --data.")
    ] = "round",
    windows: Annotated[int, typer.Option("--windows", help="Calibration windows of 256 tokens.")] = 64,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the draw of the calibration text.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all, say what would be done, write nothing.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished OUT.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an unfinished run (which is also the default).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the evidence as JSON.")] = False,
) -> None:
    """Prune and quantize a model; what is written is read back and compared before it is called done.

    [bold]Examples[/bold]

    excise compress model -o smaller --data calibration.jsonl --sparsity 0.5 --bits 4

    excise compress model -o smaller --bits 4 --grid affine --group channel

    excise compress model -o smaller --pattern 2:4 --importance taylor --data calibration.jsonl
    """
    from excise.cli.memory import give_back_freed
    from excise.cli.progress import bars
    from excise.pipeline.compress import compress as run

    give_back_freed()

    chosen: str | list[str] | None = data[0] if data is not None and len(data) == 1 else data
    with bars() as progress:
        result = run(
            model,
            out,
            data=chosen,
            text=text,
            sparsity=sparsity,
            pattern=pattern,
            importance=importance,
            signed=signed,
            bits=bits,
            grid=grid,
            solver=solver,
            group=int(group) if re.fullmatch(r"-?[0-9]+", group) else group,
            windows=windows,
            seed=seed,
            dry_run=dry_run,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(result.as_dict(), ensure_ascii=False, indent=1))
        return
    _show(result.evidence)
    if result.out is not None:
        typer.echo(f"\nModel:  {result.out}\nReport: {result.out / 'excise' / 'report.html'}")


def _show(evidence: Mapping[str, Any]) -> None:
    """What was done to how much, the worst layers, and the warnings."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    layers = evidence["layers"]
    settings, ratio = evidence["settings"], evidence["after"]["tensor_bytes_ratio"]
    done = []
    if any(layer["sparsity"] for layer in layers):
        weights = sum(layer["shape"][0] * layer["shape"][1] for layer in layers)
        removed = sum(layer["sparsity"] * layer["shape"][0] * layer["shape"][1] for layer in layers)
        done.append(f"{removed / weights:.1%} of the weights removed ({settings['importance']}, {settings['pattern']})")
    if settings["bits"] is not None:
        done.append(f"{settings['bits']} bits a weight ({settings['grid']}, group {settings['group']})")
    planned = evidence["status"] == "dry_run"
    console.print(f"{'Would do' if planned else 'Done'} to {len(layers)} matrices: {'; '.join(done)}")
    console.print(f"Their bytes: {ratio:.3f}x of before")
    if planned:
        return
    before, after = evidence["before"], evidence["after"]
    console.print(
        f"Checkpoint: {before['bytes'] / 1e6:,.2f} MB -> {after['bytes'] / 1e6:,.2f} MB "
        f"({after['file_bytes_ratio']:.3f}x; {len(evidence['untouched'])} tensors untouched: embeddings, head, norms)"
    )
    errors = [(layer["relative_output_error"], layer["name"]) for layer in layers]
    known = sorted((e, n) for e, n in errors if e is not None)
    if known:
        middle, (largest, name) = known[len(known) // 2][0], known[-1]
        console.print(f"Relative output error: median {middle:.3g}, largest {largest:.3g} ({name})")
    for warning in evidence["warnings"]:
        console.print(f"[yellow]note:[/] {escape(warning)}")
