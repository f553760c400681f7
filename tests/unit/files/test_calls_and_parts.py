"""Chats in which turns call tools or show pictures: what is called and shown is part of the text."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from excise.pipeline.clean import clean


def chat(city, call):
    calls = [{"id": call, "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": city})}}]
    return {
        "messages": [
            {"role": "user", "content": "What is the weather like there today?"},
            {"role": "assistant", "content": None, "tool_calls": calls},
        ]
    }


def shown(picture):
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": picture}}]
    return {"messages": [{"role": "user", "content": parts}]}


def rows_that_stay(tmp_path, rows):
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    stay = []
    for name in ("d.jsonl", "d.parquet"):
        result = clean(tmp_path / name, None, dry_run=True, finders=["exact"])
        stay.append((result.kept, sorted(pair["id"].partition("#")[2] for pair in result.evidence["pairs"])))
    assert stay[0] == stay[1]
    return stay[0]


def test_other_calls_are_other_texts_and_their_ids_do_not_count(tmp_path):
    rows = [chat("Rome", "call_1"), chat("Oslo", "call_2"), chat("Rome", "call_3")]
    assert rows_that_stay(tmp_path, rows) == (2, ["2"])


def test_other_pictures_are_other_texts(tmp_path):
    rows = [shown("a.png"), shown("b.png"), shown("a.png")]
    assert rows_that_stay(tmp_path, rows) == (2, ["2"])
