"""Guard rails: removals so large that they are more likely a mistake than redundancy."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from excise.corpus import Corpus
from excise.data.matches import EQUALITIES

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
        decisions: DECISIONS of keep.decide.
        corpus: The records.
        blank: By source, the records whose text is nothing but white space.

    Returns:
        Warnings, and a reason to stop where more than half of a source of 1,000 records or more goes for near
        duplicates, which rest on a threshold, or for having no text. Other equal texts never stop a run.
    """
    warnings: list[str] = []
    stops: list[str] = []
    if decisions.num_rows == 0 and len(corpus):
        warnings.append("Nothing was found: no record repeats another. Check that the text field is the right one.")
    sources, finders, partners = (decisions[name].to_pylist() for name in ("source", "finder", "partner"))
    lost = Counter(sources)
    lost_near = Counter(s for s, finder in zip(sources, finders, strict=True) if finder not in EQUALITIES)
    for source, without in zip(corpus.sources, blank, strict=True):
        if lost[source.name] > SOURCE_LOSS * source.records:
            share = 100 * lost[source.name] / source.records
            warnings.append(f"{source.name} loses {lost[source.name]:,} of {source.records:,} records ({share:.1f} %).")
        if source.records >= SOURCE_RECORDS and lost_near[source.name] > SOURCE_LOSS * source.records:
            stops.append(
                f"near duplicates are {lost_near[source.name]:,} of the {source.records:,} records of {source.name}"
            )
        if source.records >= SOURCE_RECORDS and min(without, lost[source.name]) > SOURCE_LOSS * source.records:
            stops.append(f"{without:,} of the {source.records:,} records of {source.name} have an empty text")
    for partner, followers in sorted(Counter(partners).items(), key=lambda item: (-item[1], str(item[0])))[:5]:
        if followers + 1 > max(CLUSTER_SHARE * len(corpus), CLUSTER_RECORDS):
            warnings.append(
                f"{followers:,} records go in favour of {partner}: more than 1 % of the corpus in one cluster."
            )
    stop = None
    if stops:
        stop = (
            f"{'; '.join(stops)}: to remove more than half of a source is rarely right. Look at the pairs with "
            "--dry-run, raise --threshold or compare another field, or give --allow-large to remove them."
        )
    return Rails(tuple(warnings), stop)
