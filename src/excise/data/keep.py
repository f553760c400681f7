"""Who stays: greedy kept anchors over verified matches, whatever order they were found in.

A record goes only if it matches a record that stays. Following matches of matches instead (transitive closure)
removed 8 % of records wrongly on real text, and elsewhere whole sources.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.matches import EQUALITIES, reason
from excise.errors import SettingError
from excise.ledger import DECISIONS

POLICIES = ("first", "longest")


@dataclass(frozen=True)
class Verdict:
    """What goes, and for which record that stays.

    Attributes:
        position: int64 [n], ascending: the records that go.
        partner: int64 [n]: a record that stays and that it matches.
        finder: [n] names, as Python strings.
        redundancy: float64 [n]: the similarity to the partner.
    """

    position: NDArray[np.int64]
    partner: NDArray[np.int64]
    finder: NDArray[np.object_]
    redundancy: NDArray[np.float64]


def ranks(corpus: Corpus, policy: str) -> NDArray[np.int64]:
    """The order in which records are kept: 0 for the record to keep rather than any other.

    Args:
        corpus: The records.
        policy: 'first' in the corpus, or 'longest' in code points (the first of those of one length).

    Returns:
        int64 [records], a permutation.

    Raises:
        SettingError: No such policy.
    """
    if policy not in POLICIES:
        raise SettingError(f"keep is {policy!r}; it must be one of {', '.join(POLICIES)}.")
    if policy == "first":
        return np.arange(len(corpus), dtype=np.int64)
    lengths = [pc.utf8_length(batch["text"]).to_numpy(zero_copy_only=False) for batch in corpus.batches()]
    order = np.argsort(-np.concatenate([np.zeros(0, np.int64), *lengths]), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def resolve(findings: pa.Table, rank: NDArray[np.int64]) -> Verdict:
    """Greedy kept anchors: from the best rank down, a record goes if it matches one that stays.

    Equal texts are one class and share their matches: where the class's best record goes for another record, its
    copies go for that one too, for their similarity to it is the same.

    Args:
        findings: FINDINGS in any order; those without a partner say nothing about who stays.
        rank: [records], as of `ranks`.

    Cost: O(findings log findings); about 150 bytes of memory a finding, none a record.
    """
    findings = findings.filter(pc.is_valid(findings["partner_position"]))
    others = sorted(set(pc.unique(findings["finder"]).to_pylist()) - set(EQUALITIES))
    names = np.array([*EQUALITIES, *others], object)
    finder = pc.index_in(findings["finder"], pa.array(names, pa.string())).to_numpy()
    # A node is a record that a finding names; nodes are numbered from the best rank down.
    ends = np.concatenate([findings[name].to_numpy() for name in ("position", "partner_position")])
    records = np.unique(ends)
    records = records[np.argsort(rank[records])]
    node = np.argsort(records)[np.searchsorted(np.sort(records), ends)]
    left, right = node[: len(findings)], node[len(findings) :]

    exact, equal = finder == 0, finder < len(EQUALITIES)
    same_bytes = _heads(len(records), left[exact], right[exact])
    head = _heads(len(records), left[equal], right[equal])
    one, other = head[left[~equal]], head[right[~equal]]
    worse, better = np.maximum(one, other), np.minimum(one, other)
    similarity, name = findings["redundancy"].to_numpy()[~equal], finder[~equal]
    anchor = _anchors(len(records), worse, better, similarity, name)

    gone = np.flatnonzero((anchor[head] >= 0) | (head != np.arange(len(records))))
    gone = gone[np.argsort(records[gone])]
    partner, redundancy = head[gone], np.ones(len(gone))
    told = (same_bytes[gone] != same_bytes[partner]).astype(np.int64)
    nearly = anchor[partner] >= 0
    match = anchor[partner[nearly]]
    partner[nearly], redundancy[nearly], told[nearly] = better[match], similarity[match], name[match]
    return Verdict(records[gone], records[partner], names[told], redundancy)


def _heads(count: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least node of each node's connected component, by spreading least labels and halving paths."""
    head = np.arange(count)
    while True:
        before = head.copy()
        np.minimum.at(head, left, before[right])
        np.minimum.at(head, right, before[left])
        head = head[head]
        if np.array_equal(head, before):
            return head


def _anchors(
    count: int,
    worse: NDArray[np.int64],
    better: NDArray[np.int64],
    redundancy: NDArray[np.float64],
    finder: NDArray[np.int32],
) -> NDArray[np.int64]:
    """For each node its best match with a node that stays, as an index into the matches; -1 where the node stays."""
    order = np.lexsort((finder, better, -redundancy, worse))
    order = order[worse[order] != better[order]]
    anchors = [-1] * count
    for index, this, other in zip(order.tolist(), worse[order].tolist(), better[order].tolist(), strict=True):
        # Every match of `other` with a better node came before: whether it stays is settled.
        if anchors[this] < 0 and anchors[other] < 0:
            anchors[this] = index
    return np.array(anchors, np.int64)


#: What the reason of a removal ends with where the two records are labelled differently.
DISAGREE = "; labels disagree: "


def _disagreement(mine: str | None, theirs: str | None) -> str:
    return "" if mine == theirs else f"{DISAGREE}{mine} here, {theirs} there"


def decide(findings: pa.Table, corpus: Corpus, policy: str = "first") -> pa.Table:
    """The records to drop, each with a record that stays and that it matches.

    Args:
        findings: FINDINGS of any finders, in any order.
        corpus: The records they are about.
        policy: As in `ranks`.

    Returns:
        DECISIONS, in the order of the corpus.

    Raises:
        SettingError: No such policy.

    Cost: As of `resolve`, and about 500 bytes of memory a removal, most of it for its sentence.
    """
    verdict = resolve(findings, ranks(corpus, policy))
    positions = np.union1d(verdict.position, verdict.partner)
    found = text.records_at(corpus, positions, ["id", "row", "label"])
    here = pa.array(np.searchsorted(positions, verdict.position))
    there = pa.array(np.searchsorted(positions, verdict.partner))
    partners = found["id"].take(there).to_pylist()
    labels = zip(found["label"].take(here).to_pylist(), found["label"].take(there).to_pylist(), strict=True)
    told = zip(verdict.finder, verdict.redundancy.tolist(), partners, labels, strict=True)
    names = pa.array([source.name for source in corpus.sources], pa.string())
    columns = {
        "id": found["id"].take(here),
        "source": names.take(pa.array(map(corpus.source_of, verdict.position.tolist()), pa.int64())),
        "row": found["row"].take(here),
        "action": pa.repeat("drop", len(partners)),
        "finder": verdict.finder,
        "partner": partners,
        "redundancy": verdict.redundancy,
        "reason": [reason(*match) + _disagreement(*pair) for *match, pair in told],
    }
    return pa.table(columns, schema=DECISIONS)
