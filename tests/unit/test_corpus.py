from excise.corpus import Corpus, Source


def test_positions_and_ids_in_memory():
    corpus = Corpus.from_texts(["a", "b", "中文", "d", "e"], batch=2)
    assert len(corpus) == 5
    assert [b.num_rows for b in corpus.batches()] == [2, 2, 1]
    taken = corpus.take([4, 2, 2])
    assert {k: (v["id"], v["text"], v["row"]) for k, v in taken.items()} == {
        2: ("memory#2", "中文", 2),
        4: ("memory#4", "e", 4),
    }


def test_source_of_position_skips_empty_sources():
    a = Corpus.from_texts(["x", "y"], "a")
    b = Corpus.from_texts(["z"], "b")
    empty = Source("empty", "empty", "jsonl", "", 0, "", 0, "text")
    corpus = Corpus((*a.sources, empty, *b.sources), (*a.views, (), *b.views))
    assert [corpus.sources[corpus.source_of(p)].name for p in range(3)] == ["a", "a", "b"]
    assert corpus.first_position(2) == 2
