"""Operations on images: shape, dtype and range stay, and each does what its name says."""

import numpy as np
import pytest

from excise.data.augment.images import IMAGES, crop, cutout, flip, gaussian, vflip
from excise.data.augment.seeds import generator
from excise.errors import SettingError

SHAPES = [(5, 12, 9), (4, 8, 8, 3), (3, 7, 10, 1)]


def images(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    values = np.random.default_rng(0).integers(1, 255, shape)
    return values.astype(np.uint8) if dtype == "uint8" else (values / 100 - 1).astype(dtype)


@pytest.mark.parametrize("name", sorted(IMAGES))
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shape_dtype_and_range_stay(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    given = images(shape, dtype)
    before = given.copy()
    new = IMAGES[name](given, generator(1), 0.5)
    assert new.shape == given.shape
    assert new.dtype == given.dtype
    assert new.min() >= (0 if dtype == "uint8" else given.min())
    assert new.max() <= (255 if dtype == "uint8" else given.max())
    assert not np.array_equal(new, given)
    assert np.array_equal(given, before)
    assert np.array_equal(IMAGES[name](given, generator(1), 0.0), given)
    assert np.array_equal(IMAGES[name](given, generator(1), 0.5), new)
    assert len(IMAGES[name](given[:0], generator(1), 0.5)) == 0


def test_noise_has_the_spread_that_was_asked_for() -> None:
    grey = np.full((4, 64, 64), 128, np.uint8)
    assert abs(gaussian(grey, generator(0), 0.1).astype(float).std() - 25.5) < 0.5
    half = np.linspace(1, 3, 4096, dtype=np.float32).reshape(1, 64, 64)
    assert abs((gaussian(half, generator(0), 0.01) - half).std() - 0.02) < 0.001


def test_a_crop_moves_the_image_and_fills_with_the_least_value() -> None:
    given = images((200, 10, 10), "uint8")
    new = crop(given, generator(0), 0.2)
    seen = set()
    for old, moved in zip(given, new, strict=True):
        padded = np.pad(old, 2)
        found = [(y, x) for y in range(5) for x in range(5) if np.array_equal(padded[y : y + 10, x : x + 10], moved)]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) == 25


def test_flips_mirror_their_own_axis_with_the_probability() -> None:
    given = images((1000, 4, 5), "uint8")
    for operation, axis in ((flip, 2), (vflip, 1)):
        new = operation(given, generator(0), 0.3)
        mirrored = (new == np.flip(given, axis)).all((1, 2))
        assert ((new == given).all((1, 2)) | mirrored).all()
        assert 240 < mirrored.sum() < 360
        assert np.array_equal(operation(given, generator(0), 1.0), np.flip(given, axis))


def test_cutout_sets_one_square_to_the_least_value() -> None:
    given = images((300, 20, 30, 3), "uint8")
    new = cutout(given, generator(0), 0.5)
    sizes = set()
    for old, cut in zip(given, new, strict=True):
        hidden = (cut == 0).all(-1)
        rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
        assert hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert np.array_equal(cut[~hidden], old[~hidden])
        sizes.add((len(rows), len(columns)))
    assert max(sizes) == (10, 10)
    assert len(sizes) > 1  # some stick out


@pytest.mark.parametrize("wrong", [np.zeros((3, 3), np.uint8), np.zeros((3, 3, 3), np.int64), np.zeros(4)])
@pytest.mark.parametrize("name", sorted(IMAGES))
def test_other_arrays_are_refused(name: str, wrong: np.ndarray) -> None:
    with pytest.raises(SettingError, match="images is an array"):
        IMAGES[name](wrong, generator(0), 0.5)
