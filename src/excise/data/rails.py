"""Guard rails: removals so large that they are more likely a mistake than redundancy."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from excise.corpus import Corpus
from excise.data.matches import EQUALITIES, SIMILAR

#: A source may lose this fraction before it is named; one cluster may hold this fraction of the corpus.
SOURCE_LOSS, CLUSTER_SHARE = 0.5, 0.01
#: Sources smaller than this never stop a run, and clusters smaller than this are not named: small numbers say little.
SOURCE_RECORDS, CLUSTER_RECORDS = 1000, 20


@dataclass(frozen=True)
class Rails:
    """What a person should look at.

    Attributes:
        warnings: Sentences for the report.
        stop: Why the run should stop unless large removals are allowed, or None.
    """

    warnings: tuple[str, ...]
    stop: str | None


def guard(decisions: pa.Table, corpus: Corpus, blank: Sequence[int]) -> Rails:
    """Warnings about sources that lose more than half, clusters over 1 % of the corpus, and nothing found at all.

    Args:
        decisions: DECISIONS of decide.decide.
        corpus: The records.
        blank: By source, the records whose text is nothing but white space.

    Returns:
        Warnings, and a reason to stop where more than half of a source of 1,000 records or more goes for near
        duplicates, which rest on a threshold, or for having no text. Other equal texts never stop a run, nor do
        finders that are asked for because of what they remove.
    """
    found, decisions = decisions.num_rows, decisions.filter(pc.equal(decisions["action"], "drop"))
    warnings: list[str] = []
    stops: list[str] = []
    if found == 0 and len(corpus):
        warnings.append("Nothing was found: no record repeats another. Check that the text field is the right one.")
    nearly = pc.is_in(decisions["finder"], pa.array(SIMILAR))
    counts, counts_near = _counts(decisions["source"]), _counts(decisions["source"].filter(nearly))
    for source, without in zip(corpus.sources, blank, strict=True):
        lost, lost_near = counts.get(source.name, 0), counts_near.get(source.name, 0)
        if lost > SOURCE_LOSS * source.records:
            share = 100 * lost / source.records
            warnings.append(f"{source.name} loses {lost:,} of {source.records:,} records ({share:.1f} %).")
        if source.records >= SOURCE_RECORDS and lost_near > SOURCE_LOSS * source.records:
            stops.append(f"near duplicates are {lost_near:,} of the {source.records:,} records of {source.name}")
        if source.records >= SOURCE_RECORDS and min(without, lost) > SOURCE_LOSS * source.records:
            stops.append(f"{without:,} of the {source.records:,} records of {source.name} have an empty text")
    paired = pc.is_in(decisions["finder"], pa.array([*EQUALITIES, *SIMILAR]))
    large = _counts(decisions["partner"].filter(paired), above=max(CLUSTER_SHARE * len(corpus), CLUSTER_RECORDS) - 1)
    for partner, followers in sorted(large.items(), key=lambda item: (-item[1], item[0]))[:5]:
        warnings.append(f"{followers:,} records go in favour of {partner}: more than 1 % of the corpus in one cluster.")
    stop = None
    if stops:
        stop = (
            f"{'; '.join(stops)}: to remove more than half of a source is rarely right. Look at the pairs with "
            "--dry-run, raise --threshold or compare another field, or give --allow-large to remove them."
        )
    return Rails(tuple(warnings), stop)


def _counts(column: pa.ChunkedArray, above: float = 0) -> dict[str, int]:
    """How often each value comes, of those that come more often than `above`."""
    values, counts = pc.value_counts(column).flatten()
    often = pc.greater(counts, above)
    return dict(zip(values.filter(often).to_pylist(), counts.filter(often).to_pylist(), strict=True))
