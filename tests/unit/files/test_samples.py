"""Tar files of samples: read, thinned out, and still tar files; read and written here by Python's tarfile."""

import io
import json
import tarfile

import pytest

from excise.adapters.files import containers
from excise.adapters.files.find import find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import read
from excise.errors import InputError
from excise.pipeline.clean import clean
from excise.pipeline.explain import explain
from excise.pipeline.restore import restore


def packed(members, form=tarfile.GNU_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def listed(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(m.name, tar.extractfile(m).read() if m.isfile() else None) for m in tar]


def sample(key, text, size=700):
    return [(f"{key}.jpg", b"\xff\xd8" + key.encode() * size), (f"{key}.txt", text.encode()), (f"{key}.cls", b"3")]


MEMBERS = [
    ("train", None),
    *sample("train/a", "a cat 猫"),
    *sample("train/b.c/d", "a dog"),
    *sample("train/" + "long" * 60, "a cat 猫"),
    *sample("train/é", "a bird"),
]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("chunk", [700, 5000, containers.CHUNK])
def test_samples_are_dropped_whole(tmp_path, monkeypatch, form, chunk):
    monkeypatch.setattr(containers, "CHUNK", chunk)
    members = (
        [(n.replace("long" * 60, "l/" * 60 + "x"), c) for n, c in MEMBERS] if form == tarfile.USTAR_FORMAT else MEMBERS
    )
    (tmp_path / "a.tar").write_bytes(packed(members, form))
    found = read(find(tmp_path / "a.tar"), tmp_path / "views", Fields(label="cls", id="__key__"))
    rows = [row for batch in found.corpus.batches() for row in batch.to_pylist()]
    assert [row["text"] for row in rows] == ["a cat 猫", "a dog", "a cat 猫", "a bird"]
    assert [row["label"] for row in rows] == ["3"] * 4
    assert rows[1]["id"] == "train/b.c/d"
    result = clean(tmp_path / "a.tar", tmp_path / "out", finders=("exact",))
    assert (result.kept, result.removed) == (3, 1)
    assert listed((tmp_path / "out" / "data" / "a.tar").read_bytes()) == members[:7] + members[10:]
    assert explain(tmp_path / "out", "a.tar#2")["text"] == "a cat 猫"
    restore(tmp_path / "out", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "a.tar").read_bytes()


def test_fields_of_a_json_member(tmp_path):
    members = [(f"{i}.json", json.dumps({"caption": f"c{i}", "meta": {"w": i}, "width": i}).encode()) for i in range(3)]
    (tmp_path / "a.tar").write_bytes(packed(members))
    found = read(find(tmp_path / "a.tar"), tmp_path / "views", Fields(features=("width", "meta.w")))
    assert [t for b in found.corpus.batches() for t in b["text"].to_pylist()] == ["c0", "c1", "c2"]
    assert found.features()[0].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert "can only be dropped as a whole" in found.editable(0)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (packed(MEMBERS)[:3000], "the tar file is cut short"),
        (packed(MEMBERS)[:-600].rstrip(b"\0")[:-400], "the tar file is cut short|no header of a tar file"),
        (b"no tar" * 500, "this is no header of a tar file"),
        (packed([("a.jpg", b"x")]), "cannot tell which field is the text; there are: no fields"),
        (packed([("a.txt", b"\xff")]), "not UTF-8"),
        (packed([*sample("a", "x"), ("b.jpg", b"x")]), "the record has no field 'txt'; it has __key__"),
        (packed([("a.json", b"{")]), "a.json is not JSON"),
        (packed([]), "there are no records in it"),
    ],
)
def test_what_is_no_tar_of_samples_is_refused(tmp_path, data, told):
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(InputError, match=told):
        read(find(tmp_path / "a.tar"), tmp_path / "views", Fields())
