"""augment, end to end: copies behind the records of each file, a ledger of them, and the way back."""

import csv
import gzip
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
import zstandard
from typer.testing import CliRunner

from excise.adapters.files.read import open_corpus
from excise.cli.augment import augment as command
from excise.data.augment.protect import spans
from excise.errors import ExciseError, InputError, OutputError, SettingError
from excise.ledger import Ledger
from excise.pipeline import augment as pipeline
from excise.pipeline.augment import augment
from excise.pipeline.explain import explain
from excise.pipeline.restore import restore

RECORDS = [
    {
        "id": f"r{i}",
        "n": i,
        "text": f"The quick brown fox number {i} jumps over the lazy dogs.",
        "label": "ab"[i % 5 == 0],
    }
    for i in range(30)
] + [
    {"id": "zh", "n": 30, "text": "我喜欢猫，它已经很可爱。他们未来会去北京大学。", "label": "b"},
    {"id": "mixed", "n": 31, "text": "Say \"hi\", 'you'\tand e\u0301 👩🏽\u200d🚀 https://a.b/c?d=1", "label": "a"},
    {"id": "empty", "n": 32, "text": "", "label": "a"},
]


def lines(records: list[dict[str, object]], end: str = "\n", last: bool = True) -> bytes:
    whole = end.join(json.dumps(record, ensure_ascii=False) for record in records)
    return (whole + (end if last else "")).encode()


def write_all(folder: Path) -> None:
    """One file of every kind."""
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jsonl").write_bytes(lines(RECORDS))
    (folder / "b.jsonl").write_bytes(lines(RECORDS, "\r\n", last=False))
    (folder / "c.json").write_text(json.dumps(RECORDS, ensure_ascii=True, indent=2) + "\n")
    for name, delimiter, end in (("d.csv", ",", "\n"), ("e.tsv", "\t", "\r\n")):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(RECORDS[0]), delimiter=delimiter, lineterminator=end)
            writer.writeheader()
            writer.writerows(RECORDS)
    (folder / "f.txt").write_text("".join(f"{r['text']}\n".replace("\t", " ") for r in RECORDS), encoding="utf-8")
    (folder / "sub" / "g.jsonl.gz").write_bytes(gzip.compress(lines(RECORDS), mtime=0))
    (folder / "sub" / "h.jsonl.zst").write_bytes(zstandard.compress(lines(RECORDS)))
    pq.write_table(pa.Table.from_pylist(RECORDS), folder / "i.parquet", row_group_size=10)
    (folder / "test.jsonl").write_bytes(lines(RECORDS))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_all(tmp_path / "data")
    return tmp_path / "data"


def texts_of(folder: Path, at: Path, label: str | None = "label") -> dict[str, list[tuple[str, str | None]]]:
    """Text and label of each record by file."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            field = None if file.suffix == ".txt" else label
            corpus, _ = open_corpus(file, at / file.name, label=field)
            rows = [row for batch in corpus.batches() for row in batch.select(["text", "label"]).to_pylist()]
            found[str(file.relative_to(folder))] = [(row["text"], row["label"]) for row in rows]
    return found


def same_files(one: Path, other: Path) -> bool:
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_copies_stand_behind_the_records_of_each_file_and_are_taken_back(data: Path, tmp_path: Path) -> None:
    result = augment(data, tmp_path / "out", op=["keyboard=0.15", "drop=0.2+ocr=0.2"], copies=2, seed=5)
    before, after = texts_of(data, tmp_path / "v1"), texts_of(tmp_path / "out" / "data", tmp_path / "v2")
    decisions = Ledger(tmp_path / "out" / "ledger").decisions.to_pylist()
    assert result.added == len(decisions) == result.evidence["after"]["records"] - result.evidence["before"]["records"]
    assert set(result.evidence["added"]) == {"keyboard", "drop+ocr"}
    assert {row["action"] for row in decisions} == {"add"}
    assert len({row["id"] for row in decisions}) == len(decisions)
    by_file = Counter(row["source"] for row in decisions)
    for name, records in before.items():
        assert after[name][: len(records)] == records
        assert len(after[name]) == len(records) + by_file[name]
        assert by_file[name] > 100 or name == "test.jsonl"
    for row in decisions:
        text, label = after[row["source"]][row["row"]]
        name, _, parent = row["partner"].rpartition("#")
        assert name == row["source"]
        assert row["id"] == f"{name}#{row['row']}"
        parent_text, parent_label = before[name][int(parent)]
        assert label == parent_label
        assert text != parent_text
        at = 0
        for start, stop in spans(parent_text):
            at = text.index(parent_text[start:stop], at) + stop - start
    for name in ("a.jsonl", "b.jsonl", "d.csv", "e.tsv", "f.txt", "c.json"):
        old, new = (data / name).read_bytes(), (tmp_path / "out" / "data" / name).read_bytes()
        assert new.startswith(old.rstrip(b"\n]") if name == "c.json" else old)
        assert new.endswith(b"\n") == old.endswith(b"\n")
        assert new.count(b"\r\n") == (new.count(b"\n") if b"\r\n" in old else 0)
    assert restore(tmp_path / "out", tmp_path / "back").bitwise
    assert same_files(data, tmp_path / "back")


def test_explain_tells_what_a_copy_is_made_from(data: Path, tmp_path: Path) -> None:
    augment(data, tmp_path / "out", op=["noise=0.2", "swap=0.4"], seed=5)
    for name in ("a.jsonl", "c.json", "d.csv", "sub/g.jsonl.gz", "i.parquet"):
        told = explain(tmp_path / "out", f"{name}#{len(RECORDS) + 1}")
        assert (told["fate"], told["partner"], told["finder"]) == ("added", f"{name}#0", "swap")
        assert told["partner_text"] == RECORDS[0]["text"]
        assert told["text"] != RECORDS[0]["text"]
        assert sorted(re.findall(r"\w+", told["text"])) == sorted(re.findall(r"\w+", str(RECORDS[0]["text"])))
        assert explain(tmp_path / "out", f"{name}#0")["copies"] == [f"{name}#{len(RECORDS) + i}" for i in (0, 1)]
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "a.jsonl#0" in page


def test_copies_in_json_and_parquet_say_where_they_come_from(data: Path, tmp_path: Path) -> None:
    augment(data, tmp_path / "out", op=["noise=0.2"], seed=5)
    out = tmp_path / "out" / "data"
    tables = {
        "a.jsonl": [json.loads(line) for line in (out / "a.jsonl").read_text("utf-8").splitlines()],
        "c.json": json.loads((out / "c.json").read_text("utf-8")),
        "i.parquet": pq.read_table(out / "i.parquet").to_pylist(),
    }
    for name, records in tables.items():
        assert [{k: r[k] for k in RECORDS[0]} for r in records[: len(RECORDS)]] == RECORDS
        for record in records[len(RECORDS) :]:
            parent = RECORDS[int(record["augmented_from"].removeprefix(f"{name}#"))]
            assert record["augmentation"] == {"op": "noise=0.2", "copy": 1, "seed": 5}
            assert {**record, "text": ""} == {
                **parent,
                "text": "",
                "augmented_from": record["augmented_from"],
                "augmentation": record["augmentation"],
            }
            assert list(record) == [*parent, "augmented_from", "augmentation"]
    assert (out / "c.json").read_bytes().isascii()
    plain = augment(data, tmp_path / "plain", op=["noise=0.2"], seed=5, marks=False)
    assert plain.added == sum(len(v) for v in texts_of(out, tmp_path / "v", None).values()) - 10 * len(RECORDS) + 1
    assert b"augment" not in (tmp_path / "plain" / "data" / "a.jsonl").read_bytes()
    assert pq.read_schema(tmp_path / "plain" / "data" / "i.parquet") == pq.read_schema(data / "i.parquet")


def test_augmenting_what_is_augmented_names_the_nearer_parent(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(RECORDS[:3]))
    augment(tmp_path / "a.jsonl", tmp_path / "one", op=["noise=0.2"])
    augment(tmp_path / "one" / "data", tmp_path / "two", op=["noise=0.2"], seed=1)
    records = [json.loads(line) for line in (tmp_path / "two" / "data" / "a.jsonl").read_text("utf-8").splitlines()]
    assert [r.get("augmented_from") for r in records] == [None] * 3 + [
        f"a.jsonl#{i}" for i in (0, 1, 2, 0, 1, 2, 3, 4, 5)
    ]
    assert restore(tmp_path / "two", tmp_path / "back").bitwise


def test_own_ids_stay_unique_and_decide_alone_what_becomes_of_a_record(tmp_path: Path) -> None:
    made = []
    for turn, records in enumerate((RECORDS, RECORDS[::-1])):
        file = tmp_path / f"{turn}.jsonl"
        file.write_bytes(lines(records))
        augment(file, tmp_path / f"out{turn}", op=["noise=0.2", "swap=0.3"], id="id", share=0.5, seed=9)
        corpus, _ = open_corpus(tmp_path / f"out{turn}" / "data", tmp_path / f"v{turn}", id="id")
        rows = [row for batch in corpus.batches() for row in batch.select(["id", "text"]).to_pylist()]
        made.append({row["id"]: row["text"] for row in rows})
    assert made[0] == made[1]
    assert len(RECORDS) < len(made[0]) < 3 * len(RECORDS) - 10
    assert "~noise1" in "".join(made[0])
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "p.parquet")
    augment(tmp_path / "p.parquet", tmp_path / "p", op=["noise=0.2"], id="id")
    ids = pq.read_table(tmp_path / "p" / "data" / "p.parquet")["id"].to_pylist()
    assert len(set(ids)) == len(ids) > len(RECORDS)


def test_the_same_command_gives_the_same_bytes_after_a_kill_too(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings() -> dict[str, object]:
        return {"op": ["noise=0.1", "crop=0.3"], "balance": "label=0.9", "text": "text"}

    shutil.rmtree(data / "sub")
    (data / "f.txt").unlink()
    augment(data, tmp_path / "whole", **settings())  # type: ignore[arg-type]
    for target in ("write_additions", "draw_rows", "write_source", "write_rows", "write_sources"):
        out = tmp_path / target

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(pipeline, target, killed)
            with pytest.raises(KeyboardInterrupt):
                augment(data, out, **settings())  # type: ignore[arg-type]
        assert not out.exists()
        result = augment(data, out, **settings())  # type: ignore[arg-type]
        assert result.skipped
        assert same_files(tmp_path / "whole" / "data", out / "data")
        for name in ("decisions.parquet", "removed.parquet", "sources.json"):
            assert (out / "ledger" / name).read_bytes() == (tmp_path / "whole" / "ledger" / name).read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        augment(data, tmp_path / "whole", **settings())  # type: ignore[arg-type]


def test_classes_are_made_even_over_the_files(tmp_path: Path) -> None:
    few = [r for r in RECORDS[:30] if r["label"] == "b"]
    many = [r for r in RECORDS[:30] if r["label"] == "a"]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.jsonl").write_bytes(lines(many[:20] + few[:2]))
    (tmp_path / "data" / "two.jsonl").write_bytes(lines(few[2:] + many[20:] + [{"text": "no class at all here"}]))
    result = augment(tmp_path / "data", tmp_path / "out", op=["noise=0.2", "swap=0.3"], balance="label")
    assert result.evidence["labels"] == [
        {"label": "a", "before": 24, "after": 24},
        {"label": "b", "before": 6, "after": 24},
    ]
    after = texts_of(tmp_path / "out" / "data", tmp_path / "v")
    assert Counter(label for rows in after.values() for _, label in rows) == {"a": 24, "b": 24, None: 1}
    assert (
        Counter(row["partner"] for row in Ledger(tmp_path / "out" / "ledger").decisions.to_pylist()).most_common()[-1][
            1
        ]
        == 3
    )
    assert result.evidence["added"] == {"noise": 9, "swap": 9}
    half = augment(tmp_path / "data", None, op=["noise=0.2"], balance="label=0.5", dry_run=True)
    assert half.evidence["labels"][1] == {"label": "b", "before": 6, "after": 12}


def test_held_out_files_are_left_alone_unless_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    held_out = ["test.jsonl", "my-dev.jsonl", "valid/a.jsonl", "heldout_2.jsonl", "x.eval.jsonl"]
    others = ["latest.jsonl", "devices.jsonl", "evaluate.jsonl", "train.jsonl", "contest/a.jsonl"]
    for name in held_out + others:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(lines(RECORDS[:3]))
    result = augment(folder, tmp_path / "out", op=["noise=0.2"])
    assert sorted(result.evidence["left_alone"]) == sorted(held_out)
    assert all(result.evidence["after"]["sources"][name] == 6 for name in others)
    assert any("look like test sets" in told for told in result.evidence["warnings"])
    asked = augment(folder, None, op=["noise=0.2"], held_out=True, dry_run=True)
    assert asked.added == 3 * len(held_out + others)
    with pytest.raises(SettingError, match="--held-out"):
        augment(folder / "test.jsonl", tmp_path / "none", op=["noise=0.2"])
    assert not (tmp_path / "none.partial").exists()


def test_what_gives_nothing_new_is_counted_and_not_added(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\nshort\n" + "long word " * 120_000 + "\n")
    result = augment(tmp_path / "a.txt", tmp_path / "out", op=["swap=1"])
    assert (result.added, result.evidence["unchanged"], result.evidence["too_long"]) == (0, 2, 1)
    assert len(result.evidence["warnings"]) == 3
    assert (tmp_path / "out" / "data" / "a.txt").read_bytes() == (tmp_path / "a.txt").read_bytes()
    assert restore(tmp_path / "out", tmp_path / "back.txt").bitwise


def test_unreadable_records_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(RECORDS[:2]) + b"{broken\n" + lines(RECORDS[2:4]))
    with pytest.raises(InputError, match=r"a\.jsonl:3"):
        augment(file, tmp_path / "out", op=["noise=0.2"])
    result = augment(file, tmp_path / "out", op=["noise=0.2"], corrupt="reject")
    assert result.added == 4
    assert (tmp_path / "out" / "data" / "a.jsonl").read_bytes().startswith(file.read_bytes())
    assert [row["row"] for row in Ledger(tmp_path / "out" / "ledger").decisions.to_pylist()] == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("content", "settings", "told"),
    [
        ("a.jsonl", {"op": ["nois=0.1"]}, "nois"),
        ("a.jsonl", {"op": []}, "op is not given"),
        ("a.jsonl", {"op": "noise=0.1"}, "give a list"),
        ("a.jsonl", {"op": ["noise=0.1"], "balance": "label", "copies": 2}, "both say how many"),
        ("a.jsonl", {"op": ["noise=0.1"], "balance": "label", "share": 0.5}, "both say how many"),
        ("a.jsonl", {"op": ["noise=0.1"], "balance": "label=2"}, "balance is 'label=2'"),
        ("a.jsonl", {"op": ["noise=0.1"], "balance": "=0.5"}, "balance is '=0.5'"),
        ("a.jsonl", {"op": ["noise=0.1"], "balance": "label", "label": "n"}, "give the same"),
        ("a.jsonl", {"op": ["noise=0.1"], "balance": "nosuch"}, "nosuch"),
        ("a.jsonl", {"op": ["noise=0.1"], "corrupt": "mend"}, "corrupt is 'mend'"),
        ("a.jsonl", {"op": ["noise=0.1"], "text": "{text} {label}"}, "more than one field"),
        ("a.jsonl", {"op": ["noise=0.1"], "id": "n"}, "Leave --id away"),
        ("chat.jsonl", {"op": ["noise=0.1"]}, "plain text"),
        ("one.jsonl", {"op": ["noise=0.1"], "balance": "label"}, "has one value only"),
        ("marked.parquet", {"op": ["noise=0.1"]}, "--no-marks"),
    ],
)
def test_mistakes_are_told_with_the_way_out(
    content: str, settings: dict[str, object], told: str, tmp_path: Path
) -> None:
    file = tmp_path / content
    if content == "chat.jsonl":
        file.write_bytes(lines([{"messages": [{"role": "user", "content": "hello there"}]}] * 3))
    elif content == "one.jsonl":
        file.write_bytes(lines([{"text": "hello there", "label": "a"}] * 3))
    elif content == "marked.parquet":
        pq.write_table(pa.table({"text": ["hello there"], "augmented_from": [3]}), file)
    else:
        file.write_bytes(lines(RECORDS))
    with pytest.raises(ExciseError) as error:
        augment(file, tmp_path / "out", **settings)  # type: ignore[arg-type]
    assert told in str(error.value)
    assert error.value.exit_code == 2
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


def run(*arguments: str | Path) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout


def test_the_command_tells_what_was_done(data: Path, tmp_path: Path) -> None:
    code, shown = run(data, "-o", tmp_path / "out", "--op", "keyboard=0.2", "--op", "drop=0.2", "--label", "label")
    assert code == 0
    for told in ("added by keyboard", "added by drop", "class a", "test.jsonl", "excise restore"):
        assert told in shown
    code, shown = run(data / "a.jsonl", "--op", "keyboard=0.2", "--dry-run", "--json", "--protect", "")
    told = json.loads(shown)
    assert (code, told["status"], told["out"], told["settings"]["protect"]) == (0, "dry_run", None, [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "out"]


def test_saved_datasets_load_again(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    records = [{"text": r["text"], "label": r["label"]} for r in RECORDS]
    sides = {"train": datasets.Dataset.from_list(records), "test": datasets.Dataset.from_list(records)}
    datasets.DatasetDict(sides).save_to_disk(str(tmp_path / "data"))
    result = augment(tmp_path / "data", tmp_path / "out", op=["noise=0.2"])
    loaded = datasets.load_from_disk(str(tmp_path / "out" / "data"))
    assert loaded["train"].num_rows == len(RECORDS) + result.added
    assert loaded["test"].num_rows == len(RECORDS)
    assert loaded["train"].column_names == ["text", "label"]
    restore(tmp_path / "out", tmp_path / "back")
    assert same_files(tmp_path / "data", tmp_path / "back")
