"""Rules, language, personal data and surprise on real texts: what they take from clean sets, what of planted garbage.

    python benchmarks/rules.py [--write]

Clean sets: nearly all that is found there is a false alarm (enwiki and zhwiki hold lists, Python holds addresses of
authors; see the samples). Garbage is made from articles: 200 of each kind planted in 5,000. Prints JSON.
"""

from __future__ import annotations

import base64
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from outcome import about, options, progress, say
from sources import SOURCES

from excise.corpus import Corpus
from excise.data import language, perplexity, pii, rules

ALL = rules.RulesSettings(rules=rules.RECIPES)
#: For sets of short texts: their length is not their quality.
SHORT = ("gopher.min_words=none", "gopher.min_stop_words=1", "c4.min_sentences=1")


def shuffled(units: list[str], rng: random.Random, join: str) -> str:
    """The same units in another order."""
    return join.join(rng.sample(units, len(units)))


GARBAGE: dict[str, Callable[[str, random.Random], str]] = {
    "letters shuffled": lambda text, rng: shuffled([*text], rng, ""),
    "words shuffled": lambda text, rng: shuffled(text.split() if " " in text else [*text], rng, " " * (" " in text)),
    "base64": lambda text, rng: base64.b64encode(rng.randbytes(len(text) // 2)).decode(),
    "every sixth letter wrong": lambda text, rng: "".join(
        rng.choice("abcdefghijklmnop") if rng.random() < 1 / 6 else c for c in text
    ),
    "one sentence again and again": lambda text, rng: (text[:60] + " ") * (1 + len(text) // 61),
    "one line again and again": lambda text, rng: (text[:60].replace("\n", " ") + "\n") * (1 + len(text) // 61),
    "menu": lambda text, rng: (
        "\n".join(rng.sample(["Home", "About", "Contact", "Login", "Search", "Privacy", "Terms", "Help"], 6)) * 3
    ),
    "numbers": lambda text, rng: " ".join(str(rng.randrange(10**6)) for _ in range(len(text) // 6)),
    "keywords": lambda text, rng: " ".join(rng.choice(["buy", "cheap", "#sale", "best", "online"]) for _ in range(200)),
}


def clean_set(name: str, texts: list[str]) -> dict[str, Any]:
    """What every finder takes from a clean set, and how fast."""
    corpus = Corpus.from_texts(texts, batch=2048)
    size = sum(len(text.encode()) for text in texts) / 1e6
    result: dict[str, Any] = {"records": len(texts), "megabytes": round(size, 1)}

    def timed(label: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        made = work()
        result.setdefault("megabytes_per_processor_second", {})[label] = round(size / (time.process_time() - began), 1)
        return made

    table = timed("quality", lambda: rules.measure(corpus, ALL))
    values = rules.values(table)
    for label, thresholds in (("quality", ()), ("quality, short texts allowed", SHORT)):
        active = rules.RulesSettings(rules=rules.RECIPES, thresholds=thresholds).active()
        over = {n: rules.beyond(values[n], t, at_most=rules.RULES[n].at_most) > 0 for n, t in active.items()}
        result[label] = {
            recipe: round(float(np.any([v for n, v in over.items() if n.startswith(recipe)], axis=0).mean()), 4)
            for recipe in rules.RECIPES
        }
        shares = {n: round(float(v.mean()), 4) for n, v in over.items() if v.mean() >= 0.001}
        result[label]["by_rule"] = dict(sorted(shares.items(), key=lambda item: -item[1]))
    spoken = timed("language", lambda: language.measure(corpus, language.LanguageSettings()))
    other = next(language.judge(spoken, corpus, language.LanguageSettings()))
    result["other_language"] = round(other.num_rows / len(texts), 5)
    private = timed("pii", lambda: pa.concat_tables(pii.find(corpus, pii.PiiSettings())))
    result["pii"] = dict(Counter(private["value"].to_pylist()))
    shown = private.filter(pa.compute.not_equal(private["value"], "<EMAIL>")).slice(0, 5).to_pylist()
    result["pii_but_addresses"] = [texts[row["position"]][row["start"] - 20 : row["stop"]] for row in shown]
    return result


def planted(texts: list[str], seed: int) -> dict[str, Any]:
    """Share of each kind of garbage found."""
    rng = random.Random(seed)
    texts = rng.sample(texts, len(texts))[:5000]
    kinds = [("clean", text) for text in texts]
    kinds += [(kind, make(text, rng)) for kind, make in GARBAGE.items() for text in texts[:200]]
    rng.shuffle(kinds)
    corpus = Corpus.from_texts([text for _, text in kinds], batch=2048)
    names = np.array([kind for kind, _ in kinds])
    clean = names == "clean"
    bits = perplexity.measure(corpus, perplexity.PerplexitySettings())
    value = bits["bits_per_byte"].to_numpy()
    low, high = np.quantile(value[clean], [0.01, 0.99])
    found = {}
    counted = rules.measure(corpus, ALL)
    for recipe in rules.RECIPES:
        settings = rules.RulesSettings(rules=(recipe,))
        found[recipe] = [next(rules.judge(counted, corpus, settings))]
    settings = perplexity.PerplexitySettings(upper=float(high), lower=float(low))
    found["perplexity (clean quantiles .01 and .99)"] = [next(perplexity.judge(bits, corpus, settings))]
    result: dict[str, Any] = {}
    for finder, (table,) in found.items():
        gone = np.zeros(len(kinds), np.bool_)
        gone[table["position"].to_numpy()] = True
        result[finder] = {kind: round(float(gone[names == kind].mean()), 4) for kind in ("clean", *GARBAGE)}
    result["median_bits_per_byte"] = {
        kind: round(float(np.median(value[names == kind])), 2) for kind in ("clean", *GARBAGE)
    }
    return result


def main() -> None:
    """Print the measurements."""
    chosen = options(__doc__).parse_args()
    envelope = about("py3langid")
    warm = Corpus.from_texts(["warm"])
    for module, settings in ((rules, ALL), (language, language.LanguageSettings())):
        module.measure(warm, settings)
    texts = {name: make()[: 300 if chosen.small else None] for name, make in SOURCES.items()}
    result: dict[str, Any] = {"clean": {}, "planted": {}}
    for name, some in texts.items():
        progress(name)
        result["clean"][name] = clean_set(name, some)
    for name in ("enwiki", "zhwiki"):
        progress(f"garbage in {name}")
        result["planted"][name] = planted(texts[name], chosen.seed)
    say("rules", envelope, result, chosen)


if __name__ == "__main__":
    main()
