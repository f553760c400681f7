"""Who stays: greedy kept anchors over verified matches, whatever order they were found in.

A record goes only if it matches a record that stays. Following matches of matches instead (transitive closure)
removed 8 % of records wrongly on real text, and elsewhere whole sources.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data.matches import EQUALITIES
from excise.errors import InputError, SettingError

#: Who of a cluster stays; highest and lowest rank by a field, as in highest:date.
POLICIES = ("first", "last", "longest", "shortest", "highest", "lowest")
#: Those that need a field.
BY_FIELD = ("highest", "lowest")


def parsed(policy: str) -> tuple[str, str | None]:
    """A policy and the field it ranks by, if any.

    Raises:
        SettingError: No such policy, or a field is missing or superfluous.
    """
    name, colon, field = policy.partition(":")
    if name not in POLICIES:
        raise SettingError(f"keep is {policy!r}; it must be one of {', '.join(POLICIES)}.")
    if (name in BY_FIELD) != bool(field) or (colon and not field):
        told = "names the field to rank by, as in highest:date" if name in BY_FIELD else "takes no field"
        raise SettingError(f"keep is {policy!r}; {name} {told}.")
    return name, field or None


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
    """The order in which records are kept: 0 for the record to keep rather than any other; references come first.

    Args:
        corpus: The records; for a policy by field, with that field in the column `order`.
        policy: One of POLICIES. Lengths are in code points. A field is compared as numbers where all its values are
            numbers, else as text; a record without a value comes last. The first of equal records is kept.

    Returns:
        int64 [records], a permutation.

    Raises:
        SettingError: No such policy.
    """
    name, _ = parsed(policy)
    if name == "first":
        return np.arange(len(corpus), dtype=np.int64)
    own = corpus.own
    if name == "last":
        keys = -np.arange(len(own))
    elif name in BY_FIELD:
        keys = _sortable(pa.chunked_array([batch["order"] for batch in own.batches()], pa.string()), name == "highest")
    else:
        lengths = [pc.utf8_length(batch["text"]).to_numpy(zero_copy_only=False) for batch in own.batches()]
        keys = np.concatenate([np.zeros(0, np.int64), *lengths]) * (-1 if name == "longest" else 1)
    order = np.append(np.arange(corpus.first_own), corpus.first_own + np.argsort(keys, kind="stable"))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _sortable(values: pa.ChunkedArray, highest: bool) -> NDArray[Any]:
    """Numbers that sort as the values do; missing ones, and empty texts, come last.

    Raises:
        InputError: Some values are numbers and others are not, so that they have no order.
    """
    present = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(values), ""), False).to_numpy()
    given = values.filter(pa.array(present))
    try:
        known = pc.utf8_trim_whitespace(given).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        strange = next((value for value in pc.unique(given).to_pylist() if not _is_number(value)), "")
        dates = pc.all(pc.match_substring_regex(given, r"^\s*[0-9]{4}([-/.].*)?$")).as_py()  # 2020 beside 2024-02-01
        if not dates and any(_is_number(value) for value in pc.unique(given).slice(0, 1000).to_pylist()):
            raise InputError(
                f"keep ranks by a field in which some values are numbers and others are not, such as {strange!r}; "
                "leave those empty, or rank by another field"
            ) from None
        known = pc.rank(given, tiebreaker="dense").to_numpy().astype(np.float64)
    keys = np.full(len(values), np.inf)
    keys[present] = np.where(np.isnan(known), np.inf, -known if highest else known)
    return keys


def _is_number(value: str) -> bool:
    try:
        return not math.isnan(float(value))
    except ValueError:
        return False


def resolve(findings: pa.Table, rank: NDArray[np.int64], dead: NDArray[np.bool_] | None = None) -> Verdict:
    """Greedy kept anchors: from the best rank down, a record goes if it matches one that stays.

    Equal texts are one class and share their matches: where the class's best record goes for another record, its
    copies go for that one too, for their similarity to it is the same.

    Args:
        findings: FINDINGS in any order; those without a partner say nothing about who stays.
        rank: [records], as of `ranks`.
        dead: bool [records], True for those that go anyhow: nothing goes for them, and they are not told of.

    Cost: O(findings log findings); about 150 bytes of memory a finding, none a record.
    """
    findings = findings.filter(pc.is_valid(findings["partner_position"]))
    if dead is not None:
        rank = rank + len(rank) * dead  # the head of a class of equals is dead only if all of them are
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
    similarity, name = findings["redundancy"].to_numpy()[~equal], finder[~equal]
    if dead is not None:
        alive = ~(dead[records[one]] | dead[records[other]])
        one, other, similarity, name = one[alive], other[alive], similarity[alive], name[alive]
    worse, better = np.maximum(one, other), np.minimum(one, other)
    anchor = _anchors(len(records), worse, better, similarity, name)

    gone = np.flatnonzero((anchor[head] >= 0) | (head != np.arange(len(records))))
    gone = gone[np.argsort(records[gone])]
    if dead is not None:
        gone = gone[~dead[records[gone]]]
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
