"""Images: noise, crop, flips and cut-out on arrays; shape, dtype and range stay.

An array is a batch: [n, height, width] or [n, height, width, channels], uint8 or floating point. Its range is 0 to 255
for uint8, else from the least to the greatest value in the array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from excise.errors import SettingError

Images = NDArray[Any]
ImageOperation = Callable[[Images, np.random.Generator, float], Images]


def gaussian(images: Images, rng: np.random.Generator, rate: float) -> Images:
    """Each value plus a normal deviate, cut off at the ends of the range.

    Args:
        images: uint8 or floating [n, height, width(, channels)].
        rng: A generator.
        rate: Standard deviation as a fraction of the range, in [0, 1].
    """
    least, most = _range(images)
    if rate == 0 or least == most:
        return images
    noisy = images.astype(np.float64) + rng.standard_normal(images.shape) * (rate * (most - least))
    noisy = np.clip(noisy, least, most)
    result: Images = (np.rint(noisy) if images.dtype == np.uint8 else noisy).astype(images.dtype)
    return result


def crop(images: Images, rng: np.random.Generator, rate: float) -> Images:
    """Each image moved at random: padded with the least value on all sides, then cut to its size again.

    Args:
        images: uint8 or floating [n, height, width(, channels)].
        rng: A generator.
        rate: Padding as a fraction of the side, in [0, 1]; the image moves by that much at most.
    """
    least, _ = _range(images)
    n, height, width = images.shape[:3]
    pads = round(rate * height), round(rate * width)
    if pads == (0, 0):
        return images
    around = ((0, 0), (pads[0], pads[0]), (pads[1], pads[1]), *((0, 0) for _ in images.shape[3:]))
    padded = np.pad(images, around, constant_values=images.dtype.type(least))
    down, right = ((rng.random(n) * (2 * pad + 1)).astype(np.int64) for pad in pads)
    rows = (down[:, None] + np.arange(height))[:, :, None]
    columns = (right[:, None] + np.arange(width))[:, None, :]
    moved: Images = padded[np.arange(n)[:, None, None], rows, columns]
    return moved


def flip(images: Images, rng: np.random.Generator, rate: float) -> Images:
    """Each image mirrored left to right with probability `rate`."""
    return _mirrored(images, rng, rate, axis=2)


def vflip(images: Images, rng: np.random.Generator, rate: float) -> Images:
    """Each image mirrored top to bottom with probability `rate`."""
    return _mirrored(images, rng, rate, axis=1)


def _mirrored(images: Images, rng: np.random.Generator, rate: float, axis: int) -> Images:
    _range(images)
    chosen = rng.random(len(images)) < rate
    if not chosen.any():
        return images
    result = images.copy()
    result[chosen] = np.flip(images[chosen], axis)
    return result


def cutout(images: Images, rng: np.random.Generator, rate: float) -> Images:
    """A square of each image set to the least value; its middle is anywhere in the image.

    Args:
        images: uint8 or floating [n, height, width(, channels)].
        rng: A generator.
        rate: Side of the square as a fraction of the shorter side, in [0, 1].

    Source: DeVries and Taylor 2017, Improved regularization of convolutional neural networks with cutout: a part of the
        square may lie outside.
    """
    least, _ = _range(images)
    n, height, width = images.shape[:3]
    side = round(rate * min(height, width))
    if not side:
        return images
    inside = []
    for size in (height, width):
        first = (rng.random(n) * size).astype(np.int64) - side // 2
        place = np.arange(size)
        inside.append((place >= first[:, None]) & (place < first[:, None] + side))
    hidden = inside[0][:, :, None] & inside[1][:, None, :]
    result = images.copy()
    result[hidden] = least
    return result


#: The operations on images by name.
IMAGES: dict[str, ImageOperation] = {
    "gaussian": gaussian,
    "crop": crop,
    "flip": flip,
    "vflip": vflip,
    "cutout": cutout,
}


def _range(images: Images) -> tuple[float, float]:
    """Least and greatest value.

    Raises:
        SettingError: No such array.
    """
    if images.ndim not in {3, 4} or not (images.dtype == np.uint8 or np.issubdtype(images.dtype, np.floating)):
        raise SettingError(
            f"images is an array of {images.dtype} with shape {list(images.shape)}; "
            "give uint8 or floating point, [n, height, width] or [n, height, width, channels]."
        )
    if images.dtype == np.uint8:
        return 0, 255
    return (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
