"""Excerpts: parts of the texts of a few records, found by id in one pass, without the texts they are of."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise.corpus import Corpus


@dataclass(frozen=True)
class Excerpt:
    """A part of a text.

    Attributes:
        text: The part.
        start: Code points of the text before it.
        characters: Code points of the whole text.
        label: Of the record.
    """

    text: str
    start: int
    characters: int
    label: str | None


def excerpts(corpus: Corpus, wanted: Mapping[str, Collection[int]], characters: int) -> dict[tuple[str, int], Excerpt]:
    """Parts of texts, by the record's id and where they start.

    Args:
        corpus: The records.
        wanted: By id, the code points at which excerpts start.
        characters: Code points of an excerpt at most.

    Returns:
        By (id, start); records that the corpus lacks are absent.

    Cost: One pass over the ids, and the pages of the texts that are wanted.
    """
    ids = pa.array(sorted(wanted), pa.string())
    found: dict[tuple[str, int], Excerpt] = {}
    missing = len(wanted)
    for batch in corpus.batches():
        if not missing:
            break
        here = np.flatnonzero(pc.is_in(batch["id"], ids).to_numpy(zero_copy_only=False))
        missing -= len(here)
        for index in here.tolist():
            name, label = batch["id"][index].as_py(), batch["label"][index].as_py()
            text = batch["text"].slice(index, 1)
            total = pc.utf8_length(text)[0].as_py()
            for start in wanted[name]:
                part = pc.utf8_slice_codeunits(text, start, start + characters)[0].as_py()
                found[name, start] = Excerpt(part, start, total, label)
    return found
