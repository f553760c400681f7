"""How much memory the finders of duplicates take, and how many cores a limit leaves room for.

What they hold at once is small beside a corpus: pieces of text and their shingle sets by core, and a few numbers by
record. So a limit is kept by working on fewer cores; what is found does not depend on their number.
"""

from excise.data.threads import workers
from excise.errors import SettingError

#: Bytes of heap and anonymous maps (RssAnon, VmData without what is reserved): the interpreter with its libraries; a
#: core at work; a record, with a tenth of all records going. Measured by benchmarks/growth.py.
BASE_BYTES, CORE_BYTES, RECORD_BYTES = 200 << 20, 100 << 20, 120


def needed(records: int, cores: int = 1) -> int:
    """Bytes that cleaning so many records on so many cores takes, about."""
    return BASE_BYTES + cores * CORE_BYTES + records * RECORD_BYTES


def cores_for(memory_bytes: int, records: int) -> int:
    """On how many cores to work, so that memory stays below a limit.

    Args:
        memory_bytes: The limit, on heap and anonymous maps; memory-mapped files are not counted.
        records: Of the corpus.

    Returns:
        At least 1, and no more than there are.

    Raises:
        SettingError: One core takes more already.
    """
    least = needed(records)
    if memory_bytes < least:
        raise SettingError(
            f"memory is {_megabytes(memory_bytes)}; {records:,} records take {_megabytes(least)} on one core. "
            "Allow as much, or clean the data in parts with --index."
        )
    return min(workers(), (memory_bytes - needed(records, 0)) // CORE_BYTES)


def _megabytes(size_bytes: int) -> str:
    return f"{-(-size_bytes // 10**6):,} MB"
