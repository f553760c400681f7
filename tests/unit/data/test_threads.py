"""Threads: results in order, few items waiting, errors passed on."""

import time

import pytest

from excise.data import threads


def test_results_come_in_order_and_items_are_drawn_late():
    drawn = []

    def items():
        for i in range(20):
            drawn.append(i)
            yield i

    def work(i):
        time.sleep(0.002 * (20 - i) / 20)
        return i * i

    results = []
    for result in threads.in_order(work, items()):
        results.append(result)
        assert len(drawn) - len(results) <= threads.workers() + 1
    assert results == [i * i for i in range(20)]


def test_an_error_in_the_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(threads.in_order(lambda i: 1 // i, [1, 0, 1]))
