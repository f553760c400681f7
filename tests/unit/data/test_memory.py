"""A limit on memory leaves room for so many cores, or says what is needed."""

import pytest

from excise.data import memory
from excise.data.threads import in_order
from excise.errors import SettingError


def test_a_core_more_for_as_much_more_memory(monkeypatch):
    monkeypatch.setattr(memory, "workers", lambda: 4)
    for cores in (1, 2, 3, 4):
        limit = memory.needed(1_000_000, cores)
        assert memory.cores_for(limit, 1_000_000) == cores
        if cores > 1:
            assert memory.cores_for(limit - 1, 1_000_000) == cores - 1
    assert memory.cores_for(1 << 40, 1_000_000) == 4


def test_ten_gigabytes_of_text_fit_into_one():
    assert memory.cores_for(1 << 30, 3_350_000) >= 1


def test_too_little_is_refused_with_what_is_needed():
    with pytest.raises(SettingError, match=r"memory is 100 MB; 1,000,000 records take 435 MB on one core\. Allow"):
        memory.cores_for(100 * 10**6, 1_000_000)


def test_the_number_of_cores_changes_nothing():
    assert [list(in_order(lambda x: x * x, range(20), cores)) for cores in (1, 3, None)] == [
        [x * x for x in range(20)]
    ] * 3
