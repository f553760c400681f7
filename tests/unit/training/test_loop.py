"""The training loop: order, schedule, and a resume that changes no bit."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from excise.errors import InputError, NumericsError, OutputError, SettingError
from excise.training.loop import CHECKPOINT, batch_order, fit, learning_rate

VOCABULARY = 11


class Bigram(nn.Module):
    """Embedding tied to its head, a norm, dropout and a buffer: everything a checkpoint must get right."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.middle = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(8, VOCABULARY, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("scratch", torch.ones(3), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        if self.training:
            self.seen += tokens.numel()
        return self.head(self.dropout(self.norm(self.middle(self.embedding(tokens)).relu())))


def built() -> Bigram:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Bigram()


def loss(model: nn.Module, tokens: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


WINDOWS = (torch.arange(17 * 6).reshape(17, 6) * 7 % 13) % VOCABULARY
SETTINGS = {"loss": loss, "steps": 12, "batch": 4, "lr": 0.01, "seed": 5, "every": 3}


class Killed(Exception):
    pass


def kill_at(step: int):
    def progress(label: str, done: float, total: float | None) -> None:
        if done == step:
            raise Killed

    return progress


@pytest.mark.parametrize("stops", [(1,), (3,), (5,), (4, 7), (12,)])
def test_a_killed_run_resumed_has_the_bytes_of_an_undisturbed_one(tmp_path: Path, stops: tuple[int, ...]) -> None:
    model = built()
    losses = fit(model, WINDOWS, folder=tmp_path / "whole", **SETTINGS)
    for stop in stops:
        with pytest.raises(Killed):
            fit(built(), WINDOWS, folder=tmp_path / "parts", progress=kill_at(stop), **SETTINGS)
    again = built()
    assert fit(again, WINDOWS, folder=tmp_path / "parts", **SETTINGS) == losses
    whole, parts = ((tmp_path / name / CHECKPOINT).read_bytes() for name in ("whole", "parts"))
    assert whole == parts
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert again.head.weight is again.embedding.weight
    assert losses[-1] < losses[0]


def test_the_work_before_the_kill_is_not_done_again(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(built(), WINDOWS, folder=tmp_path, progress=kill_at(8), **SETTINGS)
    told: list[float] = []
    fit(built(), WINDOWS, folder=tmp_path, progress=lambda label, done, total: told.append(done), **SETTINGS)
    assert told == [7, 8, 9, 10, 11, 12]  # the last checkpoint before step 8 is step 6's


def test_checkpoints_do_not_change_the_result(tmp_path: Path) -> None:
    often = fit(built(), WINDOWS, folder=tmp_path / "often", **{**SETTINGS, "every": 1})
    once = fit(built(), WINDOWS, folder=tmp_path / "once", **{**SETTINGS, "every": 100})
    assert often == once
    assert (tmp_path / "often" / CHECKPOINT).read_bytes() == (tmp_path / "once" / CHECKPOINT).read_bytes()


def test_the_callers_generator_and_mode_are_left_alone(tmp_path: Path) -> None:
    model = built().eval()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    fit(model, WINDOWS, folder=tmp_path, **SETTINGS)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training


def test_every_epoch_sees_each_window_once_and_in_its_own_order() -> None:
    seen = torch.cat([batch_order(17, 4, step, seed=5) for step in range(17)])
    epochs = seen.reshape(4, 17)
    assert torch.equal(epochs.sort(dim=1).values, torch.arange(17).expand(4, 17))
    assert len({tuple(row.tolist()) for row in epochs}) == 4
    assert not torch.equal(batch_order(17, 17, 0, seed=5), batch_order(17, 17, 0, seed=6))
    assert batch_order(3, 8, 0, seed=0).bincount().tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])


def test_the_rate_rises_to_the_peak_and_ends_near_a_tenth() -> None:
    rates = [learning_rate(step, 100, 2.0, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and rates[9] == pytest.approx(2.0) and rates[10] == pytest.approx(2.0)
    assert rates[55] == pytest.approx(2.0 * 0.55)
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0.2 < rates[99] < 0.201
    assert learning_rate(0, 1, 2.0, 0.0) == 2.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 13}, "steps was 12, is 13"),
        ({"lr": 0.02}, "lr was 0.01, is 0.02"),
        ({"seed": 6}, "seed was 5"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_and_kept(tmp_path: Path, change: dict, named: str) -> None:
    fit(built(), WINDOWS, folder=tmp_path, **SETTINGS)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(OutputError, match=named):
        fit(built(), WINDOWS, folder=tmp_path, **{**SETTINGS, **change})
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_other_data_and_other_weights_are_refused(tmp_path: Path) -> None:
    fit(built(), WINDOWS, folder=tmp_path, **SETTINGS)
    with pytest.raises(OutputError, match="windows was"):
        fit(built(), WINDOWS.flip(0), folder=tmp_path, **SETTINGS)
    with pytest.raises(OutputError, match="weights was"):
        fit(Bigram(), WINDOWS, folder=tmp_path, **SETTINGS)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    fit(built(), WINDOWS, folder=tmp_path, **SETTINGS)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=CHECKPOINT):
        fit(built(), WINDOWS, folder=tmp_path, **SETTINGS)


def test_a_loss_that_is_not_finite_stops_at_its_step(tmp_path: Path) -> None:
    def breaks(model: nn.Module, tokens: Tensor) -> Tensor:
        return loss(model, tokens) * (float("nan") if model.seen > 60 else 1.0)

    with pytest.raises(NumericsError, match="loss is nan at step 4 of 12"):
        fit(built(), WINDOWS, folder=tmp_path, **{**SETTINGS, "loss": breaks})
    assert (tmp_path / CHECKPOINT).is_file()


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"batch": 0},
        {"every": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"clip": 0.0},
        {"warmup": 1.5},
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, change: dict) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(change))} is"):
        fit(built(), WINDOWS, folder=tmp_path, **{**SETTINGS, **change})


@pytest.mark.parametrize("windows", [torch.zeros(0, 6, dtype=torch.long), torch.zeros(6, dtype=torch.long)])
def test_windows_of_a_wrong_shape_are_refused(tmp_path: Path, windows: Tensor) -> None:
    with pytest.raises(SettingError, match="windows is"):
        fit(built(), windows, folder=tmp_path, **SETTINGS)
