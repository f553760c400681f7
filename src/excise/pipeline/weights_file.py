"""weights_file: OUT/weights.parquet, what each record that stays weighs, where a finder was asked to weigh."""

from __future__ import annotations

from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from excise.pipeline.study import Study

#: One row a record of the cleaned data, in their order.
WEIGHTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
    ]
)


def write(found: Study, file: IO[bytes]) -> None:
    """Write the weight of every record that stays: the product of what its finders say, 1 where none says anything."""
    decided = found.decisions.filter(pc.equal(found.decisions["action"], "weigh"))
    corpus, gone = found.reading.corpus, found.gone_mask()
    with pq.ParquetWriter(file, WEIGHTS, compression="zstd") as writer:
        for index, source in enumerate(corpus.sources):
            here = decided.filter(pc.equal(decided["source"], source.name))
            rows, weights = here["row"].to_numpy(), here["value"].cast(pa.float64()).to_numpy()
            at = corpus.first_position(index)
            for batch in corpus.batches_of(index):
                weight = np.ones(len(batch))
                numbers = batch["row"].to_numpy()
                inside = slice(np.searchsorted(rows, numbers[0]), np.searchsorted(rows, numbers[-1], "right"))
                np.multiply.at(weight, np.searchsorted(numbers, rows[inside]), weights[inside])
                stay = ~gone[at : at + len(batch)]
                at += len(batch)
                columns = [batch["id"].filter(pa.array(stay)), pa.repeat(source.name, int(stay.sum())), weight[stay]]
                writer.write_table(pa.table(columns, schema=WEIGHTS))
