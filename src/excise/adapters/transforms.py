"""Transforms: augmentation on the fly, for the datasets library and for torch; no copy of the data is kept.

What becomes of an example depends on the seed, the epoch and the example itself (its id if it has one, else its
content), not on the order in which examples come, the batch they are in, or the worker that loads them. `set_epoch`
before each epoch gives other variants. Loader workers that outlive an epoch do not hear of it: make the loader with
`persistent_workers=False`, which is torch's default.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from excise.data.augment import operations
from excise.data.augment.images import IMAGES
from excise.data.augment.operations import Operation, TextSettings
from excise.data.augment.protect import PROTECTED
from excise.data.augment.seeds import fraction, generator
from excise.data.augment.tokens import TOKENS, Tokens
from excise.errors import SettingError

Values = TypeVar("Values")


class _Epochs:
    """What all transforms share: operations, a seed, a share of the examples, and the epoch, which is their state."""

    def __init__(self, ops: Sequence[str], seed: int, share: float, known: Sequence[str]) -> None:
        if isinstance(ops, str):
            raise SettingError(f"ops is {ops!r}; give a list, such as ['{ops}'].")
        if not ops:
            raise SettingError(f"ops is empty; give one or more, of {', '.join(known)}.")
        if not 0 <= share <= 1:
            raise SettingError(f"share is {share:g}; it must be in [0, 1].")
        self.operations = tuple(operations.parse(op, known) for op in ops)
        self.seed, self.share, self.epoch = seed, share, 0

    def set_epoch(self, epoch: int) -> None:
        """Other variants from here on; the same ones for the same number."""
        self.epoch = epoch

    def _drawn(self, key: str) -> tuple[Operation, np.random.Generator] | None:
        """The operation for an example and its generator; None where the example is left as it is."""
        if fraction(self.seed, "share", self.epoch, key) >= self.share:
            return None
        place = int(fraction(self.seed, "operation", self.epoch, key) * len(self.operations))
        operation = self.operations[place]
        return operation, generator(self.seed, self.epoch, key, operation.written)


class Augment(_Epochs):
    """Changes texts: `dataset.set_transform(Augment(["keyboard=0.05", "drop=0.1"]))`, or in `dataset.map`.

    Args:
        ops: Operations on text, as those of `excise augment`; each example is changed by one of them, drawn anew each
            epoch. '+' joins steps that are all done.
        seed: Of all draws.
        share: Fraction of the examples that are changed in an epoch, in [0, 1].
        text: Field with the text.
        id: Field that tells examples apart; their text does if None.
        protect: What is never changed.
        mask_token: What `mask` puts in.
    """

    def __init__(
        self,
        ops: Sequence[str],
        seed: int = 0,
        *,
        share: float = 1.0,
        text: str = "text",
        id: str | None = None,
        protect: Sequence[str] = tuple(PROTECTED),
        mask_token: str = "<mask>",
    ) -> None:
        super().__init__(ops, seed, share, tuple(operations.TEXT))
        self.settings = TextSettings(self.operations, tuple(protect), mask_token)
        self.text, self.id = text, id

    def __call__(self, examples: Mapping[str, Any]) -> dict[str, Any]:
        """One example, or a batch as the datasets library hands it out: fields to lists; all other fields as they are.

        Raises:
            SettingError: There is no such field.
        """
        for name in (self.text, *([] if self.id is None else [self.id])):
            if name not in examples:
                raise SettingError(f"text or id names the field {name!r}; the examples have {', '.join(examples)}.")
        texts = examples[self.text]
        keys = texts if self.id is None else examples[self.id]
        if isinstance(texts, str):
            return {**examples, self.text: self.changed(texts, str(keys))}
        new = [text if text is None else self.changed(text, str(key)) for text, key in zip(texts, keys, strict=True)]
        return {**examples, self.text: new}

    def changed(self, text: str, key: str | None = None) -> str:
        """One text, in this epoch."""
        drawn = self._drawn(text if key is None else key)
        return text if drawn is None else operations.changed(text, drawn[0], self.settings, drawn[1])


class AugmentImages(_Epochs):
    """Changes images: in a dataset's `__getitem__`, or on a batch in a loader's `collate_fn` or training loop.

    Args:
        ops: gaussian=SD, crop=SHARE, flip=P, vflip=P, cutout=SIDE, with '+' between those that are all done; of several
            entries one is drawn for each image and epoch.
        seed: Of all draws.
        share: Fraction of the images that are changed in an epoch, in [0, 1].
        channels: Where the channels are: 'first' for torch's [n, channels, height, width], 'last' for arrays.
    """

    def __init__(
        self, ops: Sequence[str], seed: int = 0, *, share: float = 1.0, channels: Literal["first", "last"] = "first"
    ) -> None:
        super().__init__(ops, seed, share, tuple(IMAGES))
        if channels not in {"first", "last"}:
            raise SettingError(f"channels is {channels!r}; it must be first or last.")
        self.channels = channels

    def __call__(self, images: Values) -> Values:
        """A batch of images.

        Args:
            images: Tensor or array [n, height, width], [n, channels, height, width] or [n, height, width, channels],
                uint8 or floating point. An array without axes of its own for batches goes through `one`.

        Returns:
            Of the same kind, shape, dtype and device; the range of each image is kept.
        """
        return _as(images, self._batch(_array(images)))

    def one(self, image: Values) -> Values:
        """One image: [height, width], or three axes with its channels."""
        return _as(image, self._batch(_array(image)[None])[0])

    def _batch(self, images: NDArray[Any]) -> NDArray[Any]:
        first = images.ndim == 4 and self.channels == "first"
        turned: NDArray[Any] = np.moveaxis(images, 1, -1) if first else images
        result: NDArray[Any] = np.stack([self._image(image) for image in turned]) if len(turned) else turned
        return np.moveaxis(result, -1, 1) if first else result

    def _image(self, image: NDArray[Any]) -> NDArray[Any]:
        drawn = self._drawn(_content(image))
        if drawn is None:
            return image
        batch = image[None]
        for name, rate in drawn[0].steps:
            batch = IMAGES[name](batch, drawn[1], rate)
        changed: NDArray[Any] = batch[0]
        return changed


class AugmentTokens(_Epochs):
    """Changes token tensors after a collator: `collate_fn=lambda rows: augment(collator(rows))`.

    Args:
        ops: drop=P, swap=P, mask=P, crop=SHARE, with '+' between those that are all done.
        seed: Of all draws.
        share: Fraction of the sequences that are changed in an epoch, in [0, 1].
        pad: Id of padding.
        mask: Id of the mask token; needed for `mask`.
        special: Ids that are never touched: beginning, end, separators.
    """

    def __init__(
        self,
        ops: Sequence[str],
        seed: int = 0,
        *,
        share: float = 1.0,
        pad: int = 0,
        mask: int | None = None,
        special: Sequence[int] = (),
    ) -> None:
        super().__init__(ops, seed, share, tuple(TOKENS))
        if mask is None and any(name == "mask" for operation in self.operations for name, _ in operation.steps):
            raise SettingError("mask is not given; masking tokens needs the id of the mask token.")
        self.pad, self.mask, self.special = pad, mask, tuple(special)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch.

        Args:
            batch: Tensors or arrays by name: `input_ids` [n, length]; `attention_mask` and `labels` where there are
                any, kept in step if they have the same shape. All else stays as it is. Without an attention mask
                nothing tells the padding that `drop` and `crop` leave from tokens, but its id.

        Raises:
            SettingError: There is no `input_ids`, or its shape is another.
        """
        if "input_ids" not in batch:
            raise SettingError(f"the batch has no input_ids; it has {', '.join(batch)}.")
        names = [name for name in ("input_ids", "attention_mask", "labels") if batch.get(name) is not None]
        arrays = {name: _array(batch[name]) for name in names}
        rows = [
            self._row({name: array[i : i + 1] for name, array in arrays.items()})
            for i in range(len(arrays["input_ids"]))
        ]
        if not rows:
            return dict(batch)
        joined = {name: np.concatenate([row[name] for row in rows]) for name in names}
        return {**batch, **{name: _as(batch[name], joined[name]) for name in names}}

    def _row(self, row: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        tokens = Tokens(
            row["input_ids"], row.get("attention_mask"), row.get("labels"), self.pad, self.mask, self.special
        )
        drawn = self._drawn(_content(tokens.ids))
        if drawn is None:
            return row
        for name, rate in drawn[0].steps:
            tokens = TOKENS[name](tokens, drawn[1], rate)
        found = {"input_ids": tokens.ids, "attention_mask": tokens.attention, "labels": tokens.labels}
        return {name: value for name in row if (value := found[name]) is not None}


def _content(array: NDArray[Any]) -> str:
    """What tells an array apart: its bytes."""
    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(array).tobytes())


def _is_tensor(values: Any) -> bool:
    torch = sys.modules.get("torch")  # who has a tensor has imported torch
    return torch is not None and isinstance(values, torch.Tensor)


def _array(values: Any) -> NDArray[Any]:
    if not _is_tensor(values):
        return np.asarray(values)
    tensor = values.detach().cpu()
    array: NDArray[Any] = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    return array


def _as(values: Values, new: NDArray[Any]) -> Values:
    """An array as the kind of values that were given; a tensor of their dtype, on their device."""
    if _is_tensor(values):
        tensor: Any = values
        return sys.modules["torch"].from_numpy(new.copy()).to(tensor.device, tensor.dtype)  # type: ignore[no-any-return]
    return np.ascontiguousarray(new)  # type: ignore[return-value]
