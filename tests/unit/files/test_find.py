import gzip
import os

import pytest

from excise.adapters.files.find import find
from excise.errors import InputError


def lay(folder, *names, data=b'{"text": "a"}\n'):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def test_a_directory_is_read_with_all_below_it_in_order_of_names(tmp_path):
    lay(tmp_path, "b.jsonl", "a/z.jsonl.gz", "a/y.txt", "README.md", ".hidden.jsonl", ".git/x.jsonl")
    inputs = find(tmp_path)
    assert [(i.name, i.format, i.compression) for i in inputs.files] == [
        ("a/y.txt", "txt", ""),
        ("a/z.jsonl.gz", "jsonl", "gz"),
        ("b.jsonl", "jsonl", ""),
    ]
    assert inputs.folder
    assert inputs.skipped == ("README.md",)


def test_a_glob_is_relative_to_its_fixed_part(tmp_path):
    lay(tmp_path, "one/a.jsonl", "two/a.jsonl", "two/b.txt")
    assert [i.name for i in find(tmp_path / "*" / "*.jsonl").files] == ["one/a.jsonl", "two/a.jsonl"]
    assert [i.name for i in find(str(tmp_path / "**/*.txt")).files] == ["two/b.txt"]


def test_a_list_keeps_its_order_and_names_tell_files_apart(tmp_path):
    lay(tmp_path, "one/a.jsonl", "two/a.jsonl")
    inputs = find([tmp_path / "two" / "a.jsonl", tmp_path / "one", tmp_path / "two" / "a.jsonl"])
    assert [i.name for i in inputs.files] == ["two/a.jsonl", "one/a.jsonl"]


def test_one_file_is_a_file_and_one_file_in_a_directory_is_a_directory(tmp_path):
    lay(tmp_path, "a.jsonl")
    assert not find(tmp_path / "a.jsonl").folder
    assert find(tmp_path).folder


def test_the_output_inside_the_input_is_left_out(tmp_path):
    lay(tmp_path, "a.jsonl", "out/data/a.jsonl", "out.partial/data/a.jsonl")
    without = [tmp_path / "out", tmp_path / "out.partial"]
    assert [i.name for i in find(tmp_path, without=without).files] == ["a.jsonl"]


def test_linked_folders_are_not_followed(tmp_path):
    lay(tmp_path, "in/a.jsonl", "elsewhere/b.jsonl")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "away").symlink_to(tmp_path / "elsewhere")
    assert [i.name for i in find(tmp_path / "in").files] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("name", "data", "format_"),
    [
        ("a.json", b'[{"text": 1}]', "json"),
        ("a.json", b'{"text": 1}\n{"text": 2}', "jsonl"),
        ("a.jsonl", b'\xef\xbb\xbf [{"text": 1}]', "json"),
        ("a.jsonl", b"not json", "jsonl"),
        ("a.ndjson", b'{"text": 1}', "jsonl"),
        ("corpus", b'{"text": 1}', "jsonl"),
        ("corpus", b'[\n{"text": 1}]', "json"),
        ("corpus", b"[note] plain text", "txt"),
        ("A.TXT", b'{"text": 1}', "txt"),
        ("a.tsv", b"a\tb", "tsv"),
    ],
)
def test_the_format_is_told_by_name_and_content(tmp_path, name, data, format_):
    lay(tmp_path, name, data=data)
    assert find(tmp_path / name).files[0].format == format_


def test_compression_is_told_by_content(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(b"{}"))
    assert find(tmp_path / "a.jsonl").files[0].compression == "gz"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.jsonl.gz", b"{}", r"a\.jsonl\.gz: its name ends in \.gz"),
        ("a.parquet", b"{}", "says parquet"),
        ("a.jsonl", b"\xff\xfe{\0}\0", "UTF-16.*iconv"),
        ("a.txt", b"PK\x03\x04rest", "zip"),
        ("a.json", b'{"data": [\n1]}', r"a\.json:1: .*over several lines"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(tmp_path, name, data, told):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=told):
        find(tmp_path / name)


def test_nothing_there_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    lay(tmp_path, "other/README.md")
    os.mkfifo(tmp_path / "pipe.jsonl")
    for entry, told in [
        ("missing.jsonl", "no such file"),
        ("empty", r"no data files here\. Readable are .jsonl"),
        ("other", r"it has README\.md"),
        ("*.csv", "matches no file"),
        ("pipe.jsonl", "not a regular file"),
    ]:
        with pytest.raises(InputError, match=told):
            find(tmp_path / entry)
    with pytest.raises(InputError, match="no data was named"):
        find([])


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    try:
        lay(tmp_path, os.fsdecode(b"caf\xe9.jsonl"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(InputError, match="name is not UTF-8"):
        find(tmp_path)


def test_an_unreadable_file_or_folder_is_refused(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    lay(tmp_path, "in/a.jsonl")
    (tmp_path / "in").chmod(0)
    try:
        with pytest.raises(InputError, match="cannot be read"):
            find(tmp_path)
    finally:
        (tmp_path / "in").chmod(0o700)


def test_errors_name_the_path_as_typed(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.gz").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^in/a\.gz: "):
        find("in/a.gz")


def test_configs_beside_the_data_and_earlier_outputs_are_left_out(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "dataset_info.json").write_text('{\n "splits": {}\n}\n')
    for home in ("out/ledger", "model/excise", "run", "x.partial/ledger"):
        (tmp_path / home).mkdir(parents=True)
        (tmp_path / home / "journal.jsonl").write_text('{"event": "start", "fingerprint": {}}\n')
    (tmp_path / "out" / "evidence.json").write_text("{}")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "journal.jsonl").write_text('{"text": "dear diary"}\n')
    found = find(tmp_path)
    assert [one.name for one in found.files] == ["a.jsonl", "mine/journal.jsonl"]
    assert found.skipped == ("dataset_info.json",)
    with pytest.raises(InputError, match="over several lines"):
        find(tmp_path / "dataset_info.json")
