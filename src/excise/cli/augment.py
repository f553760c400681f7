"""`excise augment`: changed copies of records added to a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from excise.pipeline.augment import AugmentResult


def augment(
    data: Annotated[
        list[str],
        typer.Argument(help="Files, a directory or a glob: jsonl, json, csv, tsv, txt (also .gz .zst .xz), parquet."),
    ],
    op: Annotated[
        list[str],
        typer.Option(
            "--op",
            help="NAME=RATE of noise, keyboard, ocr, homoglyph, drop, swap, crop, mask; + joins several; repeatable.",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to make.")] = None,
    copies: Annotated[
        int | None, typer.Option("--copies", help="Added records for each chosen record and --op; 1 if absent.")
    ] = None,
    share: Annotated[float, typer.Option("--share", help="Fraction of the records that are chosen.")] = 1.0,
    balance: Annotated[
        str | None,
        typer.Option("--balance", help="FIELD or FIELD=SHARE: copies until each class has that share of the largest."),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The field that is changed; detected if absent.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Field with labels, to count by.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Field with ids; file#row if absent.")] = None,
    protect: Annotated[
        str, typer.Option("--protect", help="What is never changed, with commas between; '' for nothing.")
    ] = "urls,numbers,code,masks",
    mask_token: Annotated[str, typer.Option("--mask-token", help="What the operation mask puts in.")] = "<mask>",
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Augment files named test, valid, dev, eval or held out as well.")
    ] = False,
    marks: Annotated[
        bool, typer.Option("--marks/--no-marks", help="Add augmented_from and augmentation to copies, where they fit.")
    ] = True,
    corrupt: Annotated[
        str, typer.Option("--corrupt", help="stop at a record that cannot be read, or reject: leave it as it is.")
    ] = "stop",
    seed: Annotated[int, typer.Option("--seed", help="Of all draws.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make and count copies; write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished OUT.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an unfinished run (which is also the default).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Add changed copies of records behind the last one of each file; what was there stays byte for byte as it was.

    [bold]Examples[/bold]

    excise augment train.jsonl -o more --op keyboard=0.05 --op drop=0.1

    excise augment data/ -o even --op noise=0.03+swap=0.1 --balance label

    excise augment train.csv --op crop=0.3 --text review --share 0.5 --dry-run
    """
    from excise.cli.progress import bars
    from excise.errors import SettingError
    from excise.pipeline.augment import augment as verb

    if out is None and not dry_run:
        raise SettingError("--out is not given; name the folder to make, or give --dry-run to write nothing.")
    with bars() as progress:
        result = verb(
            data[0] if len(data) == 1 else data,
            out,
            op=op,
            copies=copies,
            share=share,
            balance=balance,
            text=text,
            label=label,
            id=id_,
            protect=[name.strip() for name in protect.split(",") if name.strip()],
            mask_token=mask_token,
            held_out=held_out,
            marks=marks,
            corrupt=corrupt,  # type: ignore[arg-type]  # checked by the verb
            seed=seed,
            dry_run=dry_run,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(result.as_dict(), indent=1, ensure_ascii=False))
    else:
        _show(result)


def _show(result: AugmentResult) -> None:
    """Counts, warnings, and where things are, on stdout."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    evidence, console = result.evidence, Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("records", justify="right", no_wrap=True)
    table.add_row("read", f"{evidence['before']['records']:,}")
    for name, count in evidence["added"].items():
        table.add_row(f"added by {escape(name)}", f"{count:,}")
    table.add_row("[bold]now[/]", f"[bold]{evidence['after']['records']:,}[/]")
    for entry in evidence["labels"][:10]:
        table.add_row(f"class {escape(entry['label'])}", f"{entry['before']:,} → {entry['after']:,}")
    console.print(table)
    for warning in evidence["warnings"]:
        console.print(f"[yellow]note:[/] {escape(warning)}", soft_wrap=True)
    for pair in evidence["pairs"][:3]:
        console.print(f"{escape(pair['id'])} {escape(pair['reason'])}: {escape(pair['text'][:100])}", soft_wrap=True)
    if result.out is None:
        console.print("\nDry run: nothing was written.")
        return
    if evidence["price"]["originals_bytes"]:
        told = "To restore bit for bit, copies of originals are in the ledger"
        console.print(f"{told}: {evidence['price']['originals_bytes']:,} bytes.", soft_wrap=True)
    console.print(f"\nAugmented: {escape(str(result.out / 'data'))}", soft_wrap=True)
    console.print(f"Report:    {escape(str(result.out / 'report.html'))}", soft_wrap=True)
    console.print(f"Undo:      excise restore {escape(str(result.out))} -o ORIGINAL", soft_wrap=True)
