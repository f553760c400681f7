"""Laws of the ledger: undo(replay(x)) is x, in chunks of any size; a changed file is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.errors import ArtefactError
from excise.ledger import Cut, replay, undo


def chunked(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


@st.composite
def originals_and_cuts(draw):
    original = draw(st.binary(max_size=200))
    borders = sorted(draw(st.sets(st.integers(0, len(original)), max_size=12)))
    cuts = [
        Cut(a, original[a:b], draw(st.binary(max_size=5))) for a, b in zip(borders[::2], borders[1::2], strict=False)
    ]
    return original, cuts


@given(originals_and_cuts(), st.integers(1, 50), st.integers(1, 50))
def test_undo_of_replay_is_the_original(case, first, second):
    original, cuts = case
    cleaned = b"".join(replay(chunked(original, first), cuts))
    kept, at = [], 0
    for cut in cuts:
        kept += [original[at : cut.start], cut.replacement]
        at = cut.start + len(cut.original)
    assert cleaned == b"".join([*kept, original[at:]])
    assert b"".join(undo(chunked(cleaned, second), cuts)) == original


def test_a_shortened_file_is_noticed():
    with pytest.raises(ArtefactError, match="changed after it was cleaned"):
        list(undo([b"ab"], [Cut(5, b"x")]))


def test_a_changed_replacement_is_noticed():
    with pytest.raises(ArtefactError, match="byte 1 "):
        list(undo([b"aXb"], [Cut(1, b"long", b"s")]))
