"""From findings to decisions: what is done about each record, by the action that each finder was given."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import keep, text
from excise.data.matches import EQUALITIES, SIMILAR, reason
from excise.finding import FINDINGS, findings_table
from excise.ledger import DECISIONS

#: What can be done about a finding. `note` only reports it.
ACTIONS = ("drop", "cut", "mask", "relabel", "weigh", "note")
#: Finders whose findings are pairs: a record goes for one that stays. Those of all others stand for themselves.
PAIRED = (*EQUALITIES, *SIMILAR)
#: Finders whose value is the label that they suggest; that of others is a weight.
RELABELLING = ("labels", "values")
#: What the reason of a removal ends with where the two records are labelled differently.
DISAGREE = "; labels disagree: "

_NO_ROWS = DECISIONS.empty_table()


def decide(
    findings: pa.Table,
    corpus: Corpus,
    rank: NDArray[np.int64] | None = None,
    actions: Mapping[str, str] | None = None,
    per_cluster: int = 1,
) -> pa.Table:
    """What is done about each record.

    Records that go for what they are go first; of those left, copies go for one that stays; what then stays is changed
    where a finding says so.

    Args:
        findings: FINDINGS of any finders, in any order.
        corpus: The records they are about.
        rank: As of `keep.ranks`; None is the order of the corpus.
        actions: One of ACTIONS by finder; drop where none is given.
        per_cluster: Records of each cluster that stay.

    Returns:
        DECISIONS, in the order of the corpus: one row for a record that is dropped, one a change for one that is not.

    Cost: As of `keep.resolve`, and about 500 bytes of memory a decision, most of it for its sentence.
    """
    chosen = dict(actions or {})
    names = pc.unique(findings["finder"]).to_pylist()
    told = _Teller(corpus)
    rank = np.arange(len(corpus)) if rank is None else rank

    def of(action: str, paired: bool) -> pa.Table:
        wanted = [n for n in names if chosen.get(n, "drop") == action and (n in PAIRED) == paired]
        return findings.filter(pc.is_in(findings["finder"], pa.array(wanted, pa.string())))

    gone = np.zeros(len(corpus), np.bool_)
    alone = _best(of("drop", False))
    gone[alone["position"].to_numpy()] = True
    copies = pairs(of("drop", True), corpus, rank, gone, per_cluster)
    gone[copies.position] = True
    parts = [told.rows("drop", alone), told.pairs(copies)]
    for action in ("cut", "mask"):
        parts.append(told.rows(action, _apart(_left(of(action, False), gone))))
    parts.append(told.rows("relabel", _best(_left(of("relabel", False), gone))))
    parts.append(told.rows("weigh", _left(_weighed(of("weigh", False)), gone)))
    parts.append(told.rows("weigh", _shared(of("weigh", True), rank, gone)))
    return told.in_order(pa.concat_tables(parts))


def out_already(findings: pa.Table, records: int, actions: Mapping[str, str]) -> NDArray[np.bool_]:
    """Bool [records]: those that go for what they are, by findings that stand for themselves."""
    gone = np.zeros(records, np.bool_)
    dropping = [
        name
        for name in pc.unique(findings["finder"]).to_pylist()
        if name not in PAIRED and actions.get(name, "drop") == "drop"
    ]
    gone[findings.filter(pc.is_in(findings["finder"], pa.array(dropping, pa.string())))["position"].to_numpy()] = True
    return gone


def pairs(
    findings: pa.Table, corpus: Corpus, rank: NDArray[np.int64], dead: NDArray[np.bool_], per_cluster: int
) -> keep.Verdict:
    """Which records go for one that stays; references never go, and of each cluster the best `per_cluster` stay."""
    verdict = keep.resolve(findings, rank, dead)
    go = verdict.position >= corpus.first_own
    if per_cluster > 1 and len(go):
        order = np.lexsort((rank[verdict.position], verdict.partner))
        partner = verdict.partner[order]
        first = np.append(True, partner[1:] != partner[:-1])
        place = np.arange(len(order)) - np.flatnonzero(first)[np.cumsum(first) - 1]
        go[order[place < per_cluster - 1]] = False
    return keep.Verdict(verdict.position[go], verdict.partner[go], verdict.finder[go], verdict.redundancy[go])


def _left(findings: pa.Table, gone: NDArray[np.bool_]) -> pa.Table:
    return findings.filter(pa.array(~gone[findings["position"].to_numpy()]))


def _best(findings: pa.Table) -> pa.Table:
    """One finding a record: the most redundant, the first of equals."""
    position = findings["position"].to_numpy()
    order = np.lexsort((np.arange(len(position)), -findings["redundancy"].to_numpy(), position))
    first = np.append(True, position[order][1:] != position[order][:-1])[: len(order)]
    return findings.take(pa.array(order[first]))


def _apart(findings: pa.Table) -> pa.Table:
    """Spans that do not overlap: what an earlier one covers already is taken off, and none may be left."""
    if not len(findings):
        return findings
    position, start, stop = (findings[name].to_numpy() for name in ("position", "start", "stop"))
    order = np.lexsort((-stop, start, position))
    position, start, stop = position[order], start[order].copy(), stop[order]
    reached, before = 0, -1
    for index in range(len(order)):
        reached = reached if position[index] == before else 0
        before = position[index]
        start[index] = max(start[index], reached)
        reached = max(reached, stop[index])
    left = start < stop
    taken = findings.take(pa.array(order)).filter(pa.array(left))
    return taken.set_column(taken.schema.get_field_index("start"), FINDINGS.field("start"), pa.array(start[left]))


def _weighed(findings: pa.Table) -> pa.Table:
    """The weight of each record, from its value, where that is one, or from how redundant it is."""
    columns = (findings[name].to_pylist() for name in ("finder", "value", "redundancy"))
    weights = [
        value if value is not None and finder not in RELABELLING else repr(max(0.0, round(1 - redundancy, 6)))
        for finder, value, redundancy in zip(*columns, strict=True)
    ]
    return findings.set_column(
        findings.schema.get_field_index("value"), FINDINGS.field("value"), pa.array(weights, pa.string())
    )


def _shared(findings: pa.Table, rank: NDArray[np.int64], gone: NDArray[np.bool_]) -> pa.Table:
    """Pairs as weights: each record of a cluster of m that stay weighs 1/m."""
    verdict = keep.resolve(findings, rank, gone)
    heads, first, counts = np.unique(verdict.partner, return_index=True, return_counts=True)
    of = np.searchsorted(heads, verdict.partner)
    sizes = np.concatenate([counts[of] + 1, counts + 1])
    return findings_table(
        pa.array(np.concatenate([verdict.finder, verdict.finder[first]]), pa.string()),
        pa.repeat("", len(sizes)),
        1 - 1 / sizes,
        [f"one of {size:,} records that repeat each other" for size in sizes.tolist()],
        position=np.concatenate([verdict.position, heads]),
        value=[repr(round(1 / size, 6)) for size in sizes.tolist()],
    )


class _Teller:
    """Turns findings into rows of DECISIONS about the records of a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._sources = pa.array([source.name for source in corpus.sources], pa.string())
        self._starts = np.array([corpus.first_position(index) for index in range(len(corpus.sources))], np.int64)

    def rows(self, action: str, findings: pa.Table) -> pa.Table:
        """Decisions on findings that stand for themselves; those on references are left out."""
        findings = findings.filter(pc.greater_equal(findings["position"], self._corpus.first_own))
        if not len(findings):
            return _NO_ROWS
        position = findings["position"].to_numpy()
        columns = {name: findings[name] for name in ("partner", "redundancy", "reason", "start", "stop", "value")}
        return self._table(position, action, findings["finder"], columns)

    def pairs(self, verdict: keep.Verdict) -> pa.Table:
        """Decisions to drop records for others."""
        positions = np.union1d(verdict.position, verdict.partner)
        found = text.records_at(self._corpus, positions, ["id", "label"])
        here = pa.array(np.searchsorted(positions, verdict.position))
        there = pa.array(np.searchsorted(positions, verdict.partner))
        partners = found["id"].take(there).to_pylist()
        labels = zip(found["label"].take(here).to_pylist(), found["label"].take(there).to_pylist(), strict=True)
        told = zip(verdict.finder, verdict.redundancy.tolist(), partners, labels, strict=True)
        columns = {
            "partner": pa.array(partners, pa.string()),
            "redundancy": pa.array(verdict.redundancy),
            "reason": pa.array([reason(*match) + _disagreement(*pair) for *match, pair in told], pa.string()),
        }
        return self._table(verdict.position, "drop", pa.array(verdict.finder, pa.string()), columns)

    def _table(self, position: NDArray[np.int64], action: str, finder: Any, columns: Mapping[str, Any]) -> pa.Table:
        asked = np.unique(position)
        found = text.records_at(self._corpus, asked, ["id", "row"])
        where = pa.array(np.searchsorted(asked, position))
        count = len(position)
        source = np.searchsorted(self._starts, position, "right") - 1
        plain = {
            "id": found["id"].take(where),
            "source": self._sources.take(pa.array(source)),
            "row": found["row"].take(where),
            "action": pa.repeat(action, count),
            "finder": finder,
            "by": pa.repeat("", count),
        }
        nothing = {f.name: pa.nulls(count, f.type) for f in DECISIONS if f.nullable and f.name not in columns}
        given = {**plain, **columns, **nothing}
        return pa.table({name: given[name] for name in DECISIONS.names}, schema=DECISIONS)

    def in_order(self, decisions: pa.Table) -> pa.Table:
        """Decisions in the order of the corpus; of one record by place in the text, then by action."""
        own = self._sources.slice(self._corpus.references)
        places = pc.index_in(decisions["source"], own).to_numpy()
        start = pc.fill_null(decisions["start"], -1).to_numpy()
        coded = pc.index_in(decisions["action"], pa.array([*ACTIONS, "reject"])).to_numpy()
        order = np.lexsort((coded, start, decisions["row"].to_numpy(), places))
        return decisions.take(pa.array(order)).combine_chunks()


def _disagreement(mine: str | None, theirs: str | None) -> str:
    return "" if mine == theirs else f"{DISAGREE}{mine} here, {theirs} there"
