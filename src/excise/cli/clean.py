"""`excise clean`: duplicates out of a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from excise.pipeline.clean import CleanResult


def clean(
    data: Annotated[
        list[str],
        typer.Argument(
            help="Files, a directory or a glob: jsonl, json, csv, tsv, txt (also .gz .zst .xz), parquet, arrow, "
            "saved datasets, tar; texts, instructions, chats."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to make.")] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", help=r"Field, or template such as '{question}\n{answer}'; detected if absent."),
    ] = None,
    on: Annotated[str | None, typer.Option("--on", help="Find duplicates by this field only.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Field with ids; file#row if absent.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Field with labels; removals whose labels disagree are named.")
    ] = None,
    finders: Annotated[
        str, typer.Option("--finders", "--find", help="Finders, with commas between them.")
    ] = "exact,normalised,near",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Share of the 5-word sequences of both from which near texts are duplicates.  [default: 0.8]",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A finder's setting, as in near.threshold=0.7; again for more."),
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option("--action", help="What is done about what a finder finds, as in near=weigh; again for more."),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            "--keep", help="Who of a cluster stays: first, last, longest, shortest, highest:FIELD, lowest:FIELD."
        ),
    ] = "first",
    within: Annotated[bool, typer.Option("--within", help="Compare only records of one --label.")] = False,
    per_cluster: Annotated[int, typer.Option("--per-cluster", help="Records of each cluster that stay.")] = 1,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="Data only compared with: earlier data or evaluation sets; again for more."),
    ] = None,
    against_text: Annotated[
        str | None,
        typer.Option("--against-text", help="Field or template of those and of --like; as --text if absent."),
    ] = None,
    like: Annotated[
        list[str] | None, typer.Option("--like", help="Texts of the kind that is wanted; again for more.")
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option("--index", help="Folder with the records that earlier runs kept; this run's are added to it."),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features", help="Numeric fields for outliers, labels and values, with commas; or auto for all."
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option("--encoder", help="Folder of a model that makes vectors of texts, in place of TF-IDF."),
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option("--vectors", help="A .npy file with vectors of your own, a row a record.")
    ] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option("--probabilities", help="A file with your own out-of-sample probabilities of the labels."),
    ] = None,
    scorer: Annotated[
        Path | None,
        typer.Option("--scorer", help="Folder of a language model for perplexity, in place of one of n-grams."),
    ] = None,
    review: Annotated[
        Path | None,
        typer.Option("--review", help="Write what is proposed to a csv with an empty column for your decisions."),
    ] = None,
    apply: Annotated[Path | None, typer.Option("--apply", help="Follow such a csv with your decisions in it.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="Folder where measurements are kept, so that other thresholds cost little."),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="local, or ray: the cluster of RAY_ADDRESS, or a Ray on this machine.")
    ] = "local",
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="Most memory to take, such as 1GB, beside mapped files."),
    ] = None,
    restore: Annotated[
        str,
        typer.Option(
            "--restore",
            help="bytes: the original comes back bit for bit; content: its records do, at a lower price.",
        ),
    ] = "bytes",
    corrupt: Annotated[
        str, typer.Option("--corrupt", help="stop at a record that cannot be read, or reject it and go on.")
    ] = "stop",
    allow_large: Annotated[
        bool,
        typer.Option(
            "--allow-large",
            help="Go on where a source of 1,000 or more loses over half, to near duplicates or for lack of text.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find and count; write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished OUT.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an unfinished run (which is also the default).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    r"""Remove what is redundant or wrong in data; what stays is written byte for byte as it was.

    Without --finders: records that repeat others. `excise finders` lists what else can be found.

    [bold]Examples[/bold]

    excise clean corpus.jsonl -o cleaned

    excise clean data/ -o cleaned --text '{instruction}\n{input}\n{output}' --keep longest

    excise clean corpus.jsonl.gz --on output --dry-run
    """
    from excise.cli.progress import bars
    from excise.errors import SettingError
    from excise.pipeline.clean import clean as verb

    if out is None and not dry_run and review is None:
        raise SettingError("--out is not given; name the folder to make, or give --dry-run to write nothing.")
    with bars() as progress:
        result = verb(
            data[0] if len(data) == 1 else data,
            out,
            text=text,
            on=on,
            id=id_,
            label=label,
            finders=_listed(finders),
            threshold=threshold,
            settings=_settings(set_ or []),
            actions=dict(_parted(given, "--action", "FINDER=ACTION") for given in action or []),
            keep=keep,
            within=within,
            per_cluster=per_cluster,
            against=against or None,
            against_text=against_text,
            like=like or None,
            index=index,
            features=_listed(features),
            encoder=encoder,
            vectors=vectors,
            probabilities=probabilities,
            scorer=scorer,
            review=review,
            apply=apply,
            cache=cache,
            engine=engine,
            memory=memory,
            restore=restore,  # type: ignore[arg-type]  # checked by the verb
            corrupt=corrupt,  # type: ignore[arg-type]
            allow_large=allow_large,
            dry_run=dry_run,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(result.as_dict(), indent=1, ensure_ascii=False))
    else:
        _show(result, review)


def _listed(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


def _settings(given: list[str]) -> dict[str, dict[str, str]]:
    """`--set near.threshold=0.7` as settings by finder."""
    found: dict[str, dict[str, str]] = {}
    for one in given:
        place, value = _parted(one, "--set", "FINDER.SETTING=VALUE")
        finder, name = _parted(place, "--set", "FINDER.SETTING=VALUE", ".")
        found.setdefault(finder, {})[name] = value
    return found


def _parted(given: str, option: str, form: str, by: str = "=") -> tuple[str, str]:
    from excise.errors import SettingError

    name, sign, value = given.partition(by)
    if not (name and sign and value):
        raise SettingError(f"{option} is {given!r}; expected {form}.")
    return name.strip(), value.strip()


def _show(result: CleanResult, review: Path | None) -> None:
    """Counts, warnings, and where things are, on stdout."""
    from rich.console import Console
    from rich.markup import escape

    from excise.evidence.visible import visible

    evidence, console = result.evidence, Console(highlight=False)
    console.print(_table(evidence, result.kept))
    for warning in evidence["warnings"]:
        console.print(f"[yellow]note:[/] {escape(visible(warning))}", soft_wrap=True)
    for pair in evidence["pairs"][:3]:
        console.print(f"{escape(visible(pair['id']))} {escape(visible(pair['reason']))}", soft_wrap=True)
    if result.out is None:
        told = "Dry run: nothing was written." if review is None else f"To decide on: {escape(str(review))}"
        console.print(f"\n{told}", soft_wrap=True)
        return
    price = evidence["price"]
    if price["originals_bytes"]:
        told = "To restore bit for bit, copies of originals are in the ledger"
        console.print(f"{told}: {price['originals_bytes']:,} bytes (--restore content does without).", soft_wrap=True)
    console.print(f"\nCleaned: {escape(str(result.out / 'data'))}", soft_wrap=True)
    if evidence["weighed"]:
        console.print(f"Weights: {escape(str(result.out / 'weights.parquet'))}", soft_wrap=True)
    console.print(f"Report:  {escape(str(result.out / 'report.html'))}", soft_wrap=True)
    console.print(f"Undo:    excise restore {escape(str(result.out))} -o ORIGINAL", soft_wrap=True)


def _table(evidence: Mapping[str, Any], kept: int) -> Table:
    """What was done to how many records."""
    from rich.table import Table

    from excise.data.catalogue import FINDERS

    total = evidence["before"]["records"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, side in (("", "left"), ("records", "right"), ("of all", "right")):
        table.add_column(heading, justify=side, no_wrap=True)  # type: ignore[arg-type]
    table.add_row("read", f"{total:,}", "")
    for word in ("removed", "changed", "weighed"):
        for finder, count in evidence[word].items():
            if count == 0 and (finder in evidence["changed"] or evidence["settings"]["actions"].get(finder) != "drop"):
                continue
            about = FINDERS[finder].about if finder in FINDERS else "as a person said"
            table.add_row(f"{word}: {about}", f"{count:,}", f"{100 * count / total:.2f} %")
    if evidence["rejected"]:
        share = f"{100 * evidence['rejected'] / total:.2f} %"
        table.add_row("set aside: not readable", f"{evidence['rejected']:,}", share)
    table.add_row("[bold]kept[/]", f"[bold]{kept:,}[/]", f"{100 * kept / total:.2f} %")
    return table
