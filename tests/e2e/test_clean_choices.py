"""What is done about what is found: policies, actions, weights, reviews, and finders of noise, as typed."""

import csv
import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from excise.cli.app import main

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "and",
    "a",
    "lazy",
    "dog",
    "have",
    "been",
    "with",
    "that",
    "old",
    "river",
    "of",
    "stones",
    "to",
    "be",
    "near",
    "town",
]


def prose(rng, sentences=12):
    return "\n".join(
        " ".join(rng.choices([*WORDS, *WORDS, *(f"name{n}" for n in range(40))], k=rng.randint(9, 15))).capitalize()
        + "."
        for _ in range(sentences)
    )


def write(path, rows):
    Path(path).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def rows_of(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def decisions(out):
    return pq.read_table(Path(out, "ledger/decisions.parquet")).to_pylist()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def back_again(out, original):
    assert main(["restore", out, "-o", f"{out}-back"]) == 0
    assert Path(f"{out}-back").read_bytes() == Path(original).read_bytes()


def test_who_stays(here, capsys):
    text = prose(random.Random(0))
    write(
        "d.jsonl",
        [{"text": text, "date": f"2024-0{n}-01"} for n in (2, 5, 1)] + [{"text": text + " Yes.", "date": "2020"}],
    )
    for policy, stays in (("first", 0), ("last", 3), ("longest", 3), ("highest:date", 1), ("lowest:date", 3)):
        assert (
            main(["clean", "d.jsonl", "-o", f"out-{stays}-{policy[:4]}", "--keep", policy, "--threshold", "0.7"]) == 0
        )
        kept = rows_of(f"out-{stays}-{policy[:4]}/data/d.jsonl")
        assert kept == [rows_of("d.jsonl")[stays]]
    assert main(["clean", "d.jsonl", "-o", "out", "--keep", "highest:age"]) == 2
    assert "no record has a field 'age'" in capsys.readouterr().err
    assert main(["clean", "d.jsonl", "-o", "two", "--per-cluster", "2"]) == 0
    assert len(rows_of("two/data/d.jsonl")) == 2


def test_within_a_label(here):
    rng = random.Random(1)
    text, other = prose(rng), prose(rng)
    write("d.jsonl", [{"text": t, "label": n} for n, t in (("a", text), ("b", text), ("a", text), ("b", other))])
    assert main(["clean", "d.jsonl", "-o", "out", "--label", "label", "--within"]) == 0
    assert [row["label"] for row in rows_of("out/data/d.jsonl")] == ["a", "b", "b"]
    assert main(["clean", "d.jsonl", "-o", "all", "--label", "label"]) == 0
    assert [row["label"] for row in rows_of("all/data/d.jsonl")] == ["a", "b"]


def test_weights_in_place_of_removals(here):
    rng = random.Random(2)
    texts = [prose(rng) for _ in range(3)]
    write("d.jsonl", [{"text": texts[n]} for n in (0, 1, 0, 2, 0)])
    assert main(["clean", "d.jsonl", "-o", "out", "--finders", "exact", "--action", "exact=weigh"]) == 0
    assert Path("out/data/d.jsonl").read_bytes() == Path("d.jsonl").read_bytes()
    weights = pq.read_table("out/weights.parquet").to_pydict()
    assert weights["weight"] == pytest.approx([1 / 3, 1, 1 / 3, 1, 1 / 3], abs=1e-6)
    assert weights["id"][4] == "d.jsonl#4"


def test_quality_language_and_personal_data(here):
    pytest.importorskip("py3langid", reason="extra 'noise'")
    rng = random.Random(3)
    rows = [{"text": prose(rng)} for _ in range(12)]
    rows[3] = {"text": "### " * 200}
    rows[5] = {
        "text": "数学是研究数量、结构以及空间等概念的学科，也是人类对事物的抽象结构与模式进行严格描述的一种通用手段。"
        * 3
    }
    rows[7]["text"] += "\nWrite to jane.roe@posteo.net or from 94.130.17.23, please."
    write("d.jsonl", rows)
    finders = ["--finders", "quality,language,pii", "--set", "language.keep=en"]
    assert main(["clean", "d.jsonl", "-o", "out", *finders]) == 0
    expected = [row for n, row in enumerate(rows) if n not in {3, 5}]
    expected[5] = {"text": rows[7]["text"].replace("jane.roe@posteo.net", "<EMAIL>").replace("94.130.17.23", "<IP>")}
    assert rows_of("out/data/d.jsonl") == expected
    told = {(row["id"], row["action"], row["finder"]) for row in decisions("out")}
    assert told == {
        ("d.jsonl#3", "drop", "quality"),
        ("d.jsonl#5", "drop", "language"),
        ("d.jsonl#7", "mask", "pii"),
    }
    back_again("out", "d.jsonl")
    assert (
        main(
            [
                "clean",
                "d.jsonl",
                "-o",
                "noted",
                *finders,
                *(f"--action={f}=note" for f in ("quality", "language", "pii")),
            ]
        )
        == 0
    )
    assert Path("noted/data/d.jsonl").read_bytes() == Path("d.jsonl").read_bytes()


def test_parts_are_cut_out_of_what_stays(here):
    rng = random.Random(4)
    notice = "This notice stands at the end of every page of this site, whoever wrote the page."
    rows = [{"n": n, "text": f"{prose(rng)}\n{notice}"} for n in range(6)]
    rows.append({"n": 6, "text": rows[2]["text"]})
    write("d.jsonl", rows)
    arguments = ["--finders", "exact,lines", "--set", "lines.min_documents=3"]
    assert main(["clean", "d.jsonl", "-o", "out", *arguments]) == 0
    kept = rows_of("out/data/d.jsonl")
    assert [row["n"] for row in kept] == [0, 1, 2, 3, 4, 5]
    assert [notice in row["text"] for row in kept] == [True] + [False] * 5
    assert kept[4]["text"].rstrip("\n") == rows[4]["text"].removesuffix(notice).rstrip("\n")
    back_again("out", "d.jsonl")
    assert main(["restore", "out", "-o", "only.jsonl", "--only", "lines"]) == 0
    assert rows_of("only.jsonl") == rows[:6]


def test_a_passage_repeated_elsewhere_is_cut(here):
    rng = random.Random(5)
    passage = prose(rng, 6)
    rows = [{"text": f"{prose(rng)}\n{passage}\n{prose(rng)}"} for _ in range(3)]
    write("d.jsonl", rows)
    assert main(["clean", "d.jsonl", "-o", "out", "--finders", "substrings"]) == 0
    kept = rows_of("out/data/d.jsonl")
    assert passage in kept[0]["text"]
    for row, whole in zip(kept[1:], rows[1:], strict=True):
        assert passage not in row["text"]
        assert 0.8 * len(passage) < len(whole["text"]) - len(row["text"]) <= len(passage) + 2
    back_again("out", "d.jsonl")


def test_what_cannot_be_cut_is_refused_with_the_way_out(here, capsys):
    turns = [{"role": "user", "content": "Write to jane.roe@posteo.net, please, and tell her that all is well."}]
    write("d.jsonl", [{"messages": turns}])
    assert main(["clean", "d.jsonl", "-o", "out", "--finders", "pii"]) == 2
    assert "--action pii=drop" in capsys.readouterr().err
    assert not Path("out").exists()
    assert main(["clean", "d.jsonl", "-o", "out", "--finders", "pii", "--action", "pii=drop"]) == 0
    assert rows_of("out/data/d.jsonl") == []


def test_a_person_in_the_loop(here, capsys):
    rng = random.Random(6)
    texts = [prose(rng) for _ in range(4)]
    rows = [{"text": t} for t in (*texts, texts[0], texts[1], texts[2].replace("name", "same", 1))]
    write("d.jsonl", rows)
    assert main(["clean", "d.jsonl", "--review", "review.csv"]) == 0
    assert not Path("out").exists()
    with Path("review.csv").open(encoding="utf-8-sig", newline="") as file:
        review = list(csv.DictReader(file))
    assert sorted(row["id"] for row in review) == ["d.jsonl#4", "d.jsonl#5", "d.jsonl#6"]
    assert {row["decision"] for row in review} == {""}
    for row in review:
        row["decision"] = {"d.jsonl#4": "keep", "d.jsonl#5": "", "d.jsonl#6": "删除"}[row["id"]]
    with Path("review.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, review[0].keys())
        writer.writeheader()
        writer.writerows(review)
    assert main(["clean", "d.jsonl", "-o", "out", "--apply", "review.csv"]) == 0
    assert rows_of("out/data/d.jsonl") == [*rows[:4], rows[4]]
    by = {row["id"]: (row["action"], row["by"]) for row in decisions("out")}
    assert by["d.jsonl#5"] == ("drop", "")
    assert by["d.jsonl#6"] == ("drop", "review.csv")
    back_again("out", "d.jsonl")
    assert main(["clean", "d.jsonl", "-o", "other", "--apply", "none.csv"]) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "near.size=1"], "near.size is not known; allowed: threshold"),
        (["--set", "near.threshold=high"], "near.threshold is 'high'"),
        (["--set", "exact.any=1"], "exact has no settings"),
        (["--set", "quality.rules=c4"], "settings has 'quality', which is none of the finders"),
        (["--set", "near"], "expected FINDER.SETTING=VALUE"),
        (["--action", "near=cut"], "action is 'cut' for near; it must be one of drop, weigh, note"),
        (["--action", "near"], "expected FINDER=ACTION"),
        (["--per-cluster", "0"], "per_cluster is 0"),
        (["--memory", "much"], "expected a size such as 800MB or 4GB"),
        (["--memory", "10MB"], "2 records take 315 MB on one core"),
        (["--engine", "spark"], "engine is 'spark'; it must be local or ray"),
        (["--finders", "semantic", "--encoder", "nowhere"], "no such file or directory"),
        (["--like", "d.jsonl"], "like is given, which only unlike or perplexity looks at"),
        (["--scorer", "d.jsonl"], "scorer is given, which only perplexity looks at"),
        (["--finders", "exact", "--threshold", "0.9"], "threshold is given, which only near looks at"),
        (["--within"], "within is set, but no label is named"),
        (["--against-text", "text"], "give against or like"),
    ],
)
def test_mistakes_in_choices(here, capsys, arguments, told):
    write("d.jsonl", [{"text": "a"}, {"text": "b"}])
    assert main(["clean", "d.jsonl", "-o", "out", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["d.jsonl"]


def test_copies_that_stay_are_looked_at_like_all_others(here):
    """Of a cluster two stay: the second is not out of sight of the finders that come later."""
    rng = random.Random(7)
    notice = "This notice stands at the end of every page of this site, whoever wrote the page."
    rows = [{"text": f"{prose(rng)}\n{notice}"} for _ in range(5)]
    write("d.jsonl", [*rows, *rows])
    arguments = ["--finders", "exact,lines", "--per-cluster", "2", "--set", "lines.min_documents=3"]
    assert main(["clean", "d.jsonl", "-o", "out", *arguments]) == 0
    kept = rows_of("out/data/d.jsonl")
    assert len(kept) == 10
    assert [notice in row["text"] for row in kept] == [True] + [False] * 9


def test_a_limit_on_memory_changes_nothing_else(here):
    rng = random.Random(8)
    rows = [{"text": prose(rng)} for _ in range(30)]
    write("d.jsonl", rows + rows[:9])
    assert main(["clean", "d.jsonl", "-o", "all"]) == 0
    assert main(["clean", "d.jsonl", "-o", "few", "--memory", "400MB"]) == 0
    assert Path("few/ledger/decisions.parquet").read_bytes() == Path("all/ledger/decisions.parquet").read_bytes()
