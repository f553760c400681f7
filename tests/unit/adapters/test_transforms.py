"""Augmentation on the fly: the same for an example whatever its batch, other in another epoch."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from excise.adapters.transforms import Augment, AugmentImages, AugmentTokens
from excise.errors import SettingError

TEXTS = [f"a fairly long sentence with the number {i} goes on and on" for i in range(12)]


def test_texts_do_not_depend_on_their_batch() -> None:
    augment = Augment(["keyboard=0.2", "drop=0.3+swap=0.2"], seed=4)
    whole = augment({"text": TEXTS, "label": list(range(12))})
    assert whole["label"] == list(range(12))
    assert sum(a != b for a, b in zip(whole["text"], TEXTS, strict=True)) >= 11
    assert augment({"text": TEXTS[::-1]})["text"] == whole["text"][::-1]
    assert [augment({"text": text})["text"] for text in TEXTS] == whole["text"]


def test_an_epoch_is_another_draw_and_comes_back() -> None:
    augment = Augment(["noise=0.2"])
    first = augment({"text": TEXTS})
    augment.set_epoch(1)
    second = augment({"text": TEXTS})
    augment.set_epoch(0)
    assert first != second
    assert augment({"text": TEXTS}) == first
    assert Augment(["noise=0.2"], seed=1)({"text": TEXTS}) != first


def test_a_share_of_the_texts_is_changed_and_the_id_tells_them_apart() -> None:
    augment = Augment(["noise=0.3"], share=0.25, id="id")
    texts = ["one and the same sentence of several words"] * 400
    new = augment({"text": texts, "id": list(range(400))})["text"]
    assert 70 < sum(text != texts[0] for text in new) < 130
    assert len(set(new)) > 60
    none = augment({"text": [None, "x"], "id": [1, 2]})["text"]
    assert none[0] is None


def test_datasets_hands_out_changed_texts() -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": TEXTS, "label": list(range(12))})
    augment = Augment(["drop=0.4"])
    seen = data.with_transform(augment)
    wanted = augment({"text": TEXTS})["text"]
    assert seen[3]["text"] == wanted[3]
    assert seen[[5, 2]]["text"] == [wanted[5], wanted[2]]
    assert seen[3]["label"] == 3


@pytest.mark.parametrize("kind", [torch.from_numpy, np.asarray], ids=["tensor", "array"])
@pytest.mark.parametrize("shape", [(6, 8, 8), (6, 3, 8, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_do_not_depend_on_their_batch(kind: Callable[[Any], Any], shape: tuple[int, ...], dtype: type) -> None:
    values = np.random.default_rng(0).random(shape) * 200
    images = kind(values.astype(dtype))
    augment = AugmentImages(["crop=0.2+gaussian=0.1", "cutout=0.5", "flip=1"], seed=2)
    new = augment(images)
    assert type(new) is type(images)
    assert new.shape == images.shape
    assert new.dtype == images.dtype
    assert not (new == images).all()
    order = [3, 1, 5]
    assert (augment(images[order]) == new[order]).all()
    assert (augment.one(images[4]) == new[4]).all()
    assert (images == kind(values.astype(dtype))).all()
    augment.set_epoch(7)
    assert not (augment(images) == new).all()


def test_channels_are_first_or_last() -> None:
    image = np.zeros((1, 2, 5, 5), np.uint8)
    image[0, 1, :, 0] = 9
    flipped = AugmentImages(["flip=1"])(image)
    assert (flipped[0, 1, :, 4] == 9).all()
    last = AugmentImages(["flip=1"], channels="last")(np.moveaxis(image, 1, -1))
    assert (np.moveaxis(last, -1, 1) == flipped).all()
    with pytest.raises(SettingError, match="channels"):
        AugmentImages(["flip=1"], channels="middle")  # type: ignore[arg-type]


def test_half_precision_of_torch_goes_through() -> None:
    images = torch.rand(3, 1, 8, 8).to(torch.bfloat16)
    new = AugmentImages(["flip=1"])(images)
    assert new.dtype == torch.bfloat16
    assert torch.equal(new, images.flip(-1))


def collated() -> dict[str, torch.Tensor]:
    ids = torch.tensor([[1, 5, 6, 7, 8, 2, 0, 0], [1, 5, 6, 7, 8, 9, 10, 2], [1, 11, 12, 2, 0, 0, 0, 0]])
    return {
        "input_ids": ids,
        "attention_mask": (ids > 0).long(),
        "labels": ids.where(ids > 0, -100),
        "class": torch.tensor([1, 2, 3]),
    }


def test_tokens_in_a_collated_batch() -> None:
    batch = collated()
    augment = AugmentTokens(["drop=0.4+swap=0.3", "crop=0.5", "mask=0.5"], mask=99, special=(1, 2), seed=3)
    new = augment(batch)
    assert new.keys() == batch.keys()
    assert torch.equal(new["class"], batch["class"])
    assert not torch.equal(new["input_ids"], batch["input_ids"])
    told = (new["attention_mask"] == 1) & (new["input_ids"] != 99)
    assert torch.equal(new["input_ids"][told], new["labels"][told])
    assert (new["labels"][new["attention_mask"] == 0] == -100).all()
    turned = augment({name: values.flip(0) for name, values in batch.items()})
    for name in ("input_ids", "attention_mask", "labels"):
        assert new[name].dtype == batch[name].dtype
        assert torch.equal(turned[name], new[name].flip(0))
    assert torch.equal(batch["input_ids"], collated()["input_ids"])


def test_a_loader_collates_with_it() -> None:
    augment = AugmentTokens(["swap=0.5"])
    rows = [torch.arange(i, i + 6) + 1 for i in range(8)]
    loader = torch.utils.data.DataLoader(
        rows, batch_size=4, collate_fn=lambda few: augment({"input_ids": torch.stack(few)})
    )
    seen = torch.cat([batch["input_ids"] for batch in loader])
    assert torch.equal(seen.sort().values, torch.stack(rows))
    assert not torch.equal(seen, torch.stack(rows))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Augment([]), "ops is empty"),
        (lambda: Augment("drop=0.1"), "ops is 'drop=0.1'"),
        (lambda: Augment(["flip=0.1"]), "flip"),
        (lambda: Augment(["drop=0.1"], share=2), "share is 2"),
        (lambda: Augment(["drop=0.1"])({"words": ["a"]}), "'text'"),
        (lambda: AugmentImages(["drop=0.1"]), "drop"),
        (lambda: AugmentTokens(["mask=0.1"]), "mask is not given"),
        (lambda: AugmentTokens(["drop=0.1"])({"ids": [[1]]}), "input_ids"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(SettingError) as error:
        make()
    assert told in str(error.value)


def test_torch_is_not_imported() -> None:
    code = "import sys, excise.adapters.transforms as t; t.Augment(['drop=0.1']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
