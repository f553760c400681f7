"""A small training loop that survives being killed: resumed, it ends with the bytes of an undisturbed run.

Everything a step depends on follows from the state on disk and the step's number: parameters, AdamW moments
and losses are checkpointed; the order of the batches and the noise of dropout are drawn anew from the seed
and the step, so that there is no generator to save.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from excise.errors import InputError, NumericsError, OutputError, SettingError
from excise.journal import Progress, silent, written_aside

#: Name of the checkpoint inside `folder`.
CHECKPOINT = "training.safetensors"


def fit(
    model: nn.Module,
    windows: Tensor,
    *,
    loss: Callable[[nn.Module, Tensor], Tensor],
    steps: int,
    batch: int,
    folder: Path,
    lr: float = 1e-3,
    warmup: float = 0.05,
    weight_decay: float = 0.1,
    clip: float = 1.0,
    seed: int = 0,
    every: int = 50,
    progress: Progress = silent,
) -> list[float]:
    """Train `model` in place with AdamW; started again after a kill, goes on at the last checkpoint.

    Args:
        model: Trained where it lies (device, dtype). To resume, it must be built the same way again.
        windows: LongTensor [n, time], the training text cut into windows of tokens.
        loss: (model, tokens [batch, time]) -> scalar, mean nats a predicted token.
        steps: Optimizer steps, >= 1.
        batch: Windows a step, >= 1; every epoch goes through all windows in its own order.
        folder: Where the checkpoint lies; the finished run leaves one too, so calling again returns at once.
        lr: Peak learning rate, > 0; see `learning_rate`.
        warmup: Fraction of the steps over which the rate rises, in [0, 1].
        weight_decay: Decoupled, on matrices only: norms and biases are left alone.
        clip: Largest norm of the gradient, > 0.
        seed: Decides order of the batches and dropout.
        every: Steps between checkpoints, >= 1; does not change the result.
        progress: Told after each step, with the loss.

    Returns:
        The loss of every step in nats, those before a kill included.

    Raises:
        SettingError: A setting is out of its range.
        OutputError: The checkpoint in `folder` belongs to a run with other settings, data or weights.
        NumericsError: The loss of a step is not finite; the checkpoint before it stays.
    """
    _check(windows, steps=steps, batch=batch, lr=lr, warmup=warmup, clip=clip, every=every)
    device = next(model.parameters()).device
    optimizer = _adamw(model, weight_decay)
    settings: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "lr": lr,
        "warmup": warmup,
        "weight_decay": weight_decay,
        "clip": clip,
        "seed": seed,
        "windows": _digest(windows),
        "weights": _digest(*_state(model).values()),
    }
    path = folder / CHECKPOINT
    losses = _resume(path, model, optimizer, settings) if path.is_file() else []
    was_training = model.training
    model.train()
    for step in range(len(losses), steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, lr, warmup)
        tokens = windows[batch_order(len(windows), batch, step, seed)].to(device)
        with torch.random.fork_rng():  # dropout: the caller's generators stay as they were
            torch.manual_seed(_mixed(seed, step))
            value = loss(model, tokens)
        value.backward()
        losses.append(float(value.detach()))
        if not math.isfinite(losses[-1]):
            raise NumericsError(
                f"loss is {losses[-1]} at step {step + 1} of {steps}; it must be finite. "
                f"Lower lr (now {lr}) or lengthen warmup (now {warmup})."
            )
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % every == 0 or step + 1 == steps:
            _save(path, model, optimizer, losses, settings)
        progress(f"training, loss {losses[-1]:.3f}", step + 1, steps)
    model.train(was_training)
    return losses


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Rises linearly over the first `warmup` of the steps, then falls along half a cosine to a tenth.

    Args:
        step: Counted from 0.
        steps: Steps of the whole run.
        peak: Largest rate.
        warmup: Fraction of the steps, in [0, 1].

    Source: Loshchilov and Hutter, SGDR, 2017, without restarts.
    """
    rising = round(warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


def batch_order(count: int, batch: int, step: int, seed: int) -> Tensor:
    """Which windows a step sees: LongTensor [batch], a function of its arguments alone.

    The epochs' permutations stand one after the other and are cut into batches, so each window is seen once
    an epoch, and a batch may hold the end of one epoch and the start of the next.
    """
    places = torch.arange(step * batch, (step + 1) * batch)
    epochs = places // count
    chosen = torch.empty(batch, dtype=torch.long)
    for epoch in epochs.unique().tolist():
        order = torch.randperm(count, generator=torch.Generator().manual_seed(_mixed(seed, -1 - epoch)))
        here = epochs == epoch
        chosen[here] = order[places[here] % count]
    return chosen


def _mixed(seed: int, number: int) -> int:
    """A seed for this number that shares no stream with its neighbours."""
    return xxhash.xxh3_64_intdigest(f"{seed}/{number}".encode()) >> 1


def _check(windows: Tensor, **settings: float) -> None:
    if windows.ndim != 2 or len(windows) == 0:
        raise SettingError(
            f"windows is a tensor of shape {list(windows.shape)}; it must be [n, time] with n >= 1. "
            "Give more text or a shorter window."
        )
    for name in ("steps", "batch", "every"):
        if settings[name] < 1:
            raise SettingError(f"{name} is {settings[name]}; it must be at least 1.")
    for name in ("lr", "clip"):
        if not settings[name] > 0:
            raise SettingError(f"{name} is {settings[name]}; it must be above 0.")
    if not 0 <= settings["warmup"] <= 1:
        raise SettingError(f"warmup is {settings['warmup']}; it is a fraction of the steps, in [0, 1].")


def _adamw(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=(
            0.9,
            0.95,
        ),  # the language model's usual pair: 0.999 averages over more steps than a short run has
    )


def _state(model: nn.Module) -> dict[str, Tensor]:
    """What training changes, by name: a tied parameter once, and only the persistent buffers."""
    kept = model.state_dict().keys()
    own = dict(model.named_parameters())
    return own | {name: buffer for name, buffer in model.named_buffers() if name in kept}


def _moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}.{slot}": value
        for name, parameter in model.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }


def _save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    losses: list[float],
    settings: Mapping[str, Any],
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in _state(model).items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in _moments(model, optimizer).items()}
    tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with written_aside(path) as file:
        file.write(save(whole, metadata={"settings": json.dumps(settings)}))


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: Mapping[str, Any]) -> list[float]:
    """Put the checkpoint's state into model and optimizer; return the losses so far."""
    try:
        with safe_open(path, framework="pt") as file:
            earlier = json.loads((file.metadata() or {}).get("settings", "{}"))
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise InputError(f"not a readable checkpoint ({error}). Delete it to train anew.", path) from error
    other = [name for name in settings if earlier.get(name) != settings[name]]
    if other:
        told = "; ".join(f"{name} was {earlier.get(name)}, is {settings[name]}" for name in other)
        raise OutputError(
            f"{path} belongs to another run ({told}). Use the settings it was started with, or delete it."
        )
    with torch.no_grad():
        for name, tensor in _state(model).items():
            tensor.copy_(tensors[f"model.{name}"])
    for name, parameter in model.named_parameters():
        slots = {s: tensors.get(f"optimizer.{name}.{s}") for s in ("step", "exp_avg", "exp_avg_sq")}
        if slots["step"] is not None:  # absent for parameters that have had no gradient yet
            optimizer.state[parameter] = {
                s: v if s == "step" else v.to(parameter.device) for s, v in slots.items() if v is not None
            }
    found: list[float] = tensors["losses"].tolist()
    return found


def _digest(*tensors: Tensor) -> str:
    """XXH3-128 of the tensors' bytes and shapes; hex."""
    digest = xxhash.xxh3_128()
    for tensor in tensors:
        whole = tensor.detach().cpu().contiguous()
        digest.update(f"{whole.dtype}{list(whole.shape)}".encode())
        digest.update(whole.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
