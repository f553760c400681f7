"""Files: readers and writers of jsonl, json, csv, tsv, txt and parquet, plain or compressed."""

from excise.adapters.files.read import open_corpus as open_corpus
