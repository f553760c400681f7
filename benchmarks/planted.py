"""Planted duplicates: what is found of each kind of change, in English, Chinese and code. Prints JSON.

    python benchmarks/planted.py [--pairs 250] [--seed 0] [--write]

Each pair is a text and a copy changed in one way. `excise clean` runs over all of them at thresholds 0.8, 0.5 and 0.3,
and every statement is checked against similarities computed by other code (truth.py):

* recall: of the pairs whose true similarity reaches the threshold, the share of which one record went; beside it the
  share that meets in a band by the formula 1 - (1 - J^r)^b for the J of each pair;
* precision: the share of removals whose true similarity to the record named as their partner reaches the threshold,
  that partner staying; and whether the similarity told is the true one;
* chains: ten texts, each an edit of the one before, the ends no duplicates; whoever goes must match one who stays;
* bands: how many pairs meet in a band at all, below the threshold as well, against the formula.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpora import articles, chinese_articles, python_code, write_jsonl
from outcome import about, options, progress, say
from process import run
from truth import similarity

from excise.data import minhash

THRESHOLDS = (0.8, 0.5, 0.3)
_WIDE = {point: point + 0xFEE0 for point in range(0x21, 0x7F)}
_CHINESE_MARKS = str.maketrans(",.;:!?()", "，。；：！？（）")
_WESTERN_MARKS = str.maketrans("，。；：！？（）、", ",.;:!?(),")
_HAN = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面"

Change = Callable[[str, random.Random], str]


def units(text: str) -> tuple[list[str], list[int]]:
    """The text in pieces that joined give it again, and which of them can be edited: words, Han characters."""
    parts = re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+|.", text, re.DOTALL)
    return parts, [i for i, part in enumerate(parts) if re.match(r"\w", part)]


def _new(part: str, rng: random.Random) -> str:
    return rng.choice(_HAN) if "\u3400" <= part[0] <= "\u9fff" else f"w{rng.randrange(10**5)}"


def replaced(share: float) -> Change:
    """So large a share of the words (Chinese: characters) exchanged for others."""

    def change(text: str, rng: random.Random) -> str:
        parts, words = units(text)
        for i in rng.sample(words, max(1, round(share * len(words)))):
            parts[i] = _new(parts[i], rng)
        return "".join(parts)

    return change


def inserted(share: float) -> Change:
    """So many words put in."""

    def change(text: str, rng: random.Random) -> str:
        parts, words = units(text)
        for i in rng.sample(words, max(1, round(share * len(words)))):
            gap = "" if "\u3400" <= parts[i][0] <= "\u9fff" else " "
            parts[i] += gap + _new(parts[i], rng)
        return "".join(parts)

    return change


def reordered(text: str, rng: random.Random) -> str:
    """Two neighbouring sentences, or lines of code, changed places."""
    sentences = re.split(r"(?<=[.!?。！？\n])(?=\s|\S)", text)
    if len(sentences) < 3:
        return text
    i = rng.randrange(len(sentences) - 1)
    sentences[i], sentences[i + 1] = sentences[i + 1], sentences[i]
    return "".join(sentences)


def shuffled(text: str, rng: random.Random) -> str:
    """All sentences, or lines of code, in another order."""
    sentences = re.split(r"(?<=[.!?。！？\n])(?=\s|\S)", text)
    rng.shuffle(sentences)
    return "".join(sentences)


def spaced(text: str, rng: random.Random) -> str:
    """White space doubled, or a new line in its place."""
    return re.sub(r"[ \n]", lambda gap: gap[0] + rng.choice(["", " ", "\n", "\t"]), text) + "\n"


def punctuated(text: str, rng: random.Random) -> str:
    """Western marks for Chinese ones, and the other way about."""
    return text.translate(_WESTERN_MARKS if re.search("[，。]", text) else _CHINESE_MARKS)


KINDS: dict[str, Change] = {
    **{f"replaced {percent} %": replaced(percent / 100) for percent in (1, 2, 5, 10, 20)},
    "inserted 2 %": inserted(0.02),
    "reordered": reordered,
    "shuffled": shuffled,
    "upper case": lambda text, rng: text.upper(),
    "white space": spaced,
    "decomposed (NFD)": lambda text, rng: unicodedata.normalize("NFD", text),
    "full width": lambda text, rng: text.translate(_WIDE),
    "punctuation translated": punctuated,
}


@dataclass
class Pair:
    """Places of an original and its copy in the corpus, and how they were made."""

    language: str
    kind: str
    original: int
    copy: int
    similarity: float = 0.0


@dataclass
class Corpus:
    """Texts, pairs of them, and chains: places of texts each of which is an edit of the one before."""

    texts: list[str]
    pairs: list[Pair]
    chains: list[list[int]]


def cut(stream: Iterator[str], shortest: int, longest: int, rng: random.Random) -> Iterator[str]:
    """Pieces of random lengths in characters, evenly over that range."""
    for text in stream:
        at = 0
        while len(text) - at >= shortest:
            size = rng.randint(shortest, longest)
            piece = text[at : at + size].strip()
            at += size
            if len(piece) >= shortest:
                yield piece


def corpus_of(pairs: int, seed: int) -> Corpus:
    """So many pairs of each kind in each language, where a change changes anything, and a tenth as many chains."""
    rng = random.Random(seed)
    streams = {
        "English": cut(articles(), 300, 3000, rng),
        "Chinese": cut(chinese_articles(), 100, 1000, rng),
        "code": cut(python_code(seed), 300, 3000, rng),
    }
    texts: list[str] = []
    made: list[Pair] = []
    chains: list[list[int]] = []
    for language, stream in streams.items():
        missing = dict.fromkeys(KINDS, pairs)
        for original in stream:
            for kind in sorted(missing, key=lambda kind: -missing[kind]):
                copy = KINDS[kind](original, rng) if missing[kind] else original
                if copy != original:
                    made.append(Pair(language, kind, len(texts), len(texts) + 1))
                    texts += [original, copy]
                    missing[kind] -= 1
                    break
            else:
                if not any(missing.values()) or all(kind.startswith("decomposed") for kind in missing if missing[kind]):
                    break
        for original in (next(stream, "") for _ in range(max(1, pairs // 10))):
            chain = [original]
            while original and len(chain) < 10:
                chain.append(replaced(0.02)(chain[-1], rng))
            if original:
                chains.append(list(range(len(texts), len(texts) + len(chain))))
                texts += chain
    order = list(range(len(texts)))
    rng.shuffle(order)
    place = np.argsort(order).tolist()
    for pair in made:
        pair.original, pair.copy = place[pair.original], place[pair.copy]
    return Corpus([texts[i] for i in order], made, [[place[i] for i in chain] for chain in chains])


def cleaned(data: Path, out: Path, threshold: float) -> list[dict[str, Any]]:
    """Removals, with row and row of the partner."""
    run([sys.executable, "-m", "excise", "clean", data, "-o", out, "--threshold", str(threshold), "--allow-large"])
    rows = pq.read_table(out / "ledger/decisions.parquet").to_pylist()
    return [
        {**row, "partner_row": int(row["partner"].rsplit("#", 1)[1])}
        for row in rows
        if row["action"] == "drop" and row["partner"] is not None
    ]


def judged(corpus: Corpus, removals: list[dict[str, Any]], threshold: float) -> dict[str, Any]:
    """Recall by kind and language, precision, chains."""
    gone = {removal["row"] for removal in removals}
    bands, rows = minhash.shape_for(threshold)
    right = {
        removal["row"]: similarity(corpus.texts[removal["row"]], corpus.texts[removal["partner_row"]])
        for removal in removals
    }
    cells: dict[str, dict[str, list[Pair]]] = defaultdict(lambda: defaultdict(list))
    for pair in corpus.pairs:
        cells[pair.language][pair.kind].append(pair)
    by_kind = {
        language: {kind: _cell(pairs, gone, right, threshold, (bands, rows)) for kind, pairs in kinds.items()}
        for language, kinds in cells.items()
    }
    reach = [pair for pair in corpus.pairs if pair.similarity >= threshold]
    found = np.mean([pair.original in gone or pair.copy in gone for pair in reach])
    expected = np.mean([_meets(pair.similarity, bands, rows) for pair in reach])
    near = [removal for removal in removals if removal["finder"] == "near"]
    in_chains = [place for chain in corpus.chains for place in chain]
    ends = [similarity(corpus.texts[chain[0]], corpus.texts[chain[-1]]) for chain in corpus.chains]
    return {
        "pairs_reaching": len(reach),
        "recall": round(float(found), 5),
        "expected_by_formula": round(float(expected), 5),
        "removed": len(removals),
        "precision": round(float(np.mean([right[r["row"]] >= threshold for r in removals])), 5),
        "partners_that_stay": round(float(np.mean([r["partner_row"] not in gone for r in removals])), 5),
        "similarities_told_otherwise": sum(abs(r["redundancy"] - right[r["row"]]) > 1e-9 for r in near),
        "chains": {
            "chains": len(corpus.chains),
            "records": len(in_chains),
            "mean_similarity_of_the_ends": round(float(np.mean(ends)), 3),
            "removed": sum(place in gone for place in in_chains),
            "closure_would_remove": len(in_chains) - len(corpus.chains),
            "removed_without_a_match_that_stays": sum(
                right.get(place, 1.0) < threshold for place in in_chains if place in gone
            ),
        },
        "by_kind": by_kind,
    }


def _meets(similar: float, bands: int, rows: int) -> float:
    return float(1 - (1 - similar**rows) ** bands)


def _cell(
    pairs: list[Pair], gone: set[int], right: dict[int, float], threshold: float, shape: tuple[int, int]
) -> dict[str, Any]:
    """One kind of change in one language."""
    found = [pair.original in gone or pair.copy in gone for pair in pairs]
    reach = [pair.similarity >= threshold for pair in pairs]
    removed = [place for pair in pairs for place in (pair.original, pair.copy) if place in gone]
    hit = [is_found for is_found, reaches in zip(found, reach, strict=True) if reaches]
    meets = [_meets(p.similarity, *shape) for p, reaches in zip(pairs, reach, strict=True) if reaches]
    return {
        "pairs": len(pairs),
        "mean_similarity": round(float(np.mean([pair.similarity for pair in pairs])), 3),
        "reaching": sum(reach),
        "recall": round(float(np.mean(hit)), 5) if hit else None,
        "expected": round(float(np.mean(meets)), 5) if meets else None,
        "found_of_all": round(float(np.mean(found)), 3),
        "precision": round(float(np.mean([right[place] >= threshold for place in removed])), 5) if removed else None,
    }


def bands_of(corpus: Corpus) -> dict[str, Any]:
    """Pairs that share a band key, by language and true similarity, against the formula."""
    shape = minhash.shape_for(0.8)
    keys = np.concatenate(
        [
            minhash.band_keys(minhash.signatures(pa.array(corpus.texts[at : at + 4096], pa.large_string()))[0], shape)
            for at in range(0, len(corpus.texts), 4096)
        ],
        axis=1,
    )
    edges = [0.3, 0.5, 0.7, 0.8, 0.9, 1.0]
    told: dict[str, Any] = {}
    for language in dict.fromkeys(pair.language for pair in corpus.pairs):
        for low, high in pairwise(edges):
            inside = [p for p in corpus.pairs if p.language == language and low <= p.similarity < high]
            if not inside:
                continue
            met = np.array([(keys[:, p.original] == keys[:, p.copy]).any() for p in inside])
            expected = np.array([_meets(p.similarity, *shape) for p in inside])
            told[f"{language}, {low} to {high}"] = {
                "pairs": len(inside),
                "met": round(float(met.mean()), 4),
                "expected": round(float(expected.mean()), 4),
                "standard_error": round(float(np.sqrt((expected * (1 - expected)).sum()) / len(inside)), 4),
            }
    return {"shape": list(shape), "by_similarity": told}


def main() -> None:
    """Print the measurements."""
    chosen = options(__doc__, pairs=250).parse_args()
    if chosen.small:
        chosen.pairs = 10
    envelope = about()
    corpus = corpus_of(chosen.pairs, chosen.seed)
    for pair in corpus.pairs:
        pair.similarity = similarity(corpus.texts[pair.original], corpus.texts[pair.copy])
    progress(f"{len(corpus.texts)} texts, {len(corpus.pairs)} pairs")
    with tempfile.TemporaryDirectory() as folder:
        data = write_jsonl(corpus.texts, Path(folder, "corpus.jsonl"))
        size_mb = round(data.stat().st_size / 1e6, 1)
        thresholds = {
            str(threshold): judged(corpus, cleaned(data, Path(folder, f"out-{threshold}"), threshold), threshold)
            for threshold in THRESHOLDS
        }
    result = {
        "corpus": {"records": len(corpus.texts), "megabytes": size_mb, "pairs": len(corpus.pairs)},
        "thresholds": thresholds,
        "bands": bands_of(corpus),
    }
    say("planted", envelope, json.loads(json.dumps(result)), chosen)


if __name__ == "__main__":
    main()
