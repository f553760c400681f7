"""The usual deviation of numbers, which a few wrong ones do not move."""

import numpy as np
from numpy.typing import NDArray

#: From the median absolute deviation to the standard deviation of a normal distribution, and from the mean one.
_OF_MEDIAN, _OF_MEAN = 1.4826, (np.pi / 2) ** 0.5


def usual(values: NDArray[np.float64]) -> float:
    """1.4826 times the median absolute deviation from the median; 1.2533 times the mean one where that is 0.

    It is 0 where more than half of the values are equal.

    Args:
        values: [n], finite, any unit.

    Returns:
        In the unit of the values; of normally distributed ones their standard deviation; 0 of none.
    """
    if len(values) == 0:
        return 0.0
    off = np.abs(values - np.median(values))
    return float(_OF_MEDIAN * np.median(off) or _OF_MEAN * off.mean())
