"""Progress where there is no terminal: lines with how far, how fast, and how long it takes."""

from excise.cli import progress


def test_rate_and_time_left(monkeypatch, capsys):
    clock = iter([0.0, 5.0, 20.0, 21.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.bars() as report:
        report("reading", 1_000_000, 100_000_000)
        report("reading", 2_000_000, 100_000_000)
        report("reading", 41_000_000, 100_000_000)
        report("training, loss 3.2", 0, None)
        report("training, loss 3.1", 1, None)
    assert capsys.readouterr().err.splitlines() == [
        "reading ...",
        "reading: 41 %, 2.0 M/s, 30 s left",
        "training, loss 3.2 ...",
    ]


def test_units():
    assert [progress._rate(speed) for speed in (0.5, 12_345, 3.2e9)] == ["0.5/s", "12.3 k/s", "3.2 G/s"]
    assert [progress._duration(seconds) for seconds in (8.4, 60, 3700)] == ["8 s", "1 min 0 s", "61 min 40 s"]
