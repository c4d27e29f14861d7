"""The training loop: it learns, it resumes to the same bits, it never looks at anything but what it is given."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolchain.errors import ConversionError, DataError
from toolchain.training import BitCountPenalty, ClipFloorShift, FitConfig, evaluate, fit

CONFIG = FitConfig(epochs=4, batch=32, lr=0.05, schedule="one-cycle", flip=True, shift=1, cutout=2, ema=0.9, seed=3)


@dataclass(frozen=True)
class Blobs:
    """Images whose brighter half is their class."""

    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def images(self, indices: np.ndarray | slice = slice(None)) -> Tensor:
        rng = np.random.default_rng(self.seed)
        images = rng.random((self.count, 1, 6, 6), dtype=np.float32) * 0.5
        labels = self.targets().numpy()
        images[labels == 0, :, :3] += 0.5
        images[labels == 1, :, 3:] += 0.5
        return torch.from_numpy(images[indices])

    def targets(self, indices: np.ndarray | slice = slice(None)) -> Tensor:
        return torch.from_numpy(np.random.default_rng(self.seed + 1).integers(0, 2, self.count)[indices])


def make_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        ClipFloorShift(4, 2.0),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(4 * 36, 2),
    )


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


TRAIN, VALIDATION = Blobs(161, 0), Blobs(64, 10)  # 161: the last batch would be a single image


def test_learns_and_leaves_the_best_epoch_in_eval_mode() -> None:
    model = make_model()
    result = fit(model, TRAIN, VALIDATION, CONFIG)
    assert result.validation_accuracy > 0.95
    assert not model.training
    _, accuracy = evaluate(model, VALIDATION)
    assert accuracy == result.validation_accuracy == max(r.validation_accuracy for r in result.history)
    best = [r for r in result.history if r.validation_accuracy == accuracy]
    assert result.history[result.best_epoch].validation_loss == min(r.validation_loss for r in best)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ema": 0.0, "optimizer": "adamw", "lr": 1e-3, "schedule": "cosine"},
        {"timesteps": 2, "through_spikes": True, "neuron": "signed_if"},
    ],
)
def test_resumed_run_equals_uninterrupted_run_bit_for_bit(tmp_path: Path, changes: dict[str, float]) -> None:
    config = replace(CONFIG, **changes)
    whole = make_model()
    expected = fit(whole, TRAIN, VALIDATION, config)

    class StopHereError(Exception):
        pass

    def interrupt_after_two(_: nn.Module) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise StopHereError

    calls: list[int] = []
    checkpoint, log = tmp_path / "run.checkpoint", tmp_path / "run.jsonl"
    with pytest.raises(StopHereError):
        fit(
            make_model(),
            TRAIN,
            VALIDATION,
            config,
            checkpoint=checkpoint,
            log=log,
            after_epoch=interrupt_after_two,
        )
    torch.rand(7)  # whatever happened to the global generator in between must not matter
    resumed = make_model()
    result = fit(resumed, TRAIN, VALIDATION, config, checkpoint=checkpoint, resume=True, log=log)

    assert result.best_epoch == expected.best_epoch
    assert [replace(r, seconds=0) for r in result.history] == [replace(r, seconds=0) for r in expected.history]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == [0, 1, 2, 3]


@pytest.mark.parametrize("neuron", ["if", "signed_if"])
def test_training_through_spikes_is_for_its_steps(neuron: str) -> None:
    """What two steps lose against the trained network comes back; batch norm keeps its statistics."""
    model = make_model()
    fit(model, TRAIN, VALIDATION, replace(CONFIG, epochs=2, shift=0))
    with torch.no_grad():
        model[2].threshold.mul_(4)  # few spikes in two steps
    before, _ = evaluate(model, VALIDATION, timesteps=2, neuron=neuron)
    statistics = model[1].running_mean.clone()
    config = FitConfig(
        epochs=8, batch=16, optimizer="adamw", lr=5e-3, timesteps=2, neuron=neuron, through_spikes=True, seed=1
    )
    result = fit(model, TRAIN, VALIDATION, config)
    after, accuracy = evaluate(model, VALIDATION, timesteps=2, neuron=neuron)
    assert after < 0.7 * before
    assert accuracy == result.validation_accuracy
    assert torch.equal(model[1].running_mean, statistics)
    assert not model.training


def test_noise_of_the_activations_survives_a_resumption(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"

    def measure(model: nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, ClipFloorShift):
                module.sigma += 0.125

    expected = fit(make_model(), TRAIN, VALIDATION, CONFIG, after_epoch=measure)
    assert [r.sigma for r in expected.history] == [0.0, 0.125, 0.25, 0.375]

    class StopHereError(Exception):
        pass

    def interrupt(model: nn.Module) -> None:
        if any(isinstance(m, ClipFloorShift) and m.sigma == 0.25 for m in model.modules()):
            raise StopHereError
        measure(model)

    with pytest.raises(StopHereError):
        fit(make_model(), TRAIN, VALIDATION, CONFIG, checkpoint=checkpoint, after_epoch=interrupt)
    result = fit(make_model(), TRAIN, VALIDATION, CONFIG, checkpoint=checkpoint, resume=True, after_epoch=measure)
    assert [replace(r, seconds=0) for r in result.history] == [replace(r, seconds=0) for r in expected.history]


def test_resuming_another_run_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    fit(make_model(), TRAIN, VALIDATION, replace(CONFIG, epochs=1), checkpoint=checkpoint)
    with pytest.raises(DataError, match=r"lr was 0\.05, is 0\.1"):
        fit(
            make_model(),
            TRAIN,
            VALIDATION,
            replace(CONFIG, epochs=1, lr=0.1),
            checkpoint=checkpoint,
            resume=True,
        )


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"not a checkpoint"):
        (tmp_path / "run.checkpoint").write_bytes(content)
        with pytest.raises(DataError):
            fit(make_model(), TRAIN, VALIDATION, CONFIG, checkpoint=tmp_path / "run.checkpoint", resume=True)


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = make_model()
    torch.manual_seed(5)
    fit(model, TRAIN, VALIDATION, replace(CONFIG, epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_seed_decides_the_result() -> None:
    weights = []
    for seed in (1, 1, 2):
        model = make_model()
        fit(model, TRAIN, VALIDATION, replace(CONFIG, epochs=1, seed=seed))
        weights.append(model.state_dict()["0.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_threshold_driven_below_zero_is_raised_and_counted() -> None:
    model = make_model()
    with torch.no_grad():
        model[2].threshold.fill_(0.01)
    # Weight decay alone multiplies the threshold by 1 - lr * decay = -1 in the first step.
    config = replace(CONFIG, epochs=1, lr=0.01, weight_decay=200.0, momentum=0.0, schedule="cosine", ema=0.0)
    result = fit(model, TRAIN, VALIDATION, config)
    assert result.history[0].raised_thresholds > 0
    assert float(model[2].threshold) > 0


def test_diverging_loss_is_one_sentence() -> None:
    with pytest.raises(ConversionError, match="smaller lr"):
        fit(make_model(), TRAIN, VALIDATION, replace(CONFIG, lr=1e30, ema=0.0))


def test_penalty_is_part_of_the_loss() -> None:
    plain, punished = make_model(), make_model()
    config = replace(CONFIG, epochs=1, ema=0.0)
    fit(plain, TRAIN, VALIDATION, config)
    fit(punished, TRAIN, VALIDATION, config, penalty=lambda: 0.1 * punished[5].weight.square().sum())
    assert punished[5].weight.norm() < plain[5].weight.norm()


def test_penalty_of_a_second_compiled_network_of_the_same_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hooks must run, though code for the first network, which had none, is compiled already."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))  # needs no C++ compiler
    config = replace(CONFIG, epochs=1, compile=True)
    losses = []
    for decay in (0.0, 1.0):
        model = make_model()
        penalty = BitCountPenalty(model, decay) if decay else None
        result = fit(model, TRAIN, VALIDATION, config, penalty=penalty)
        losses.append(result.history[0].train_loss)
    assert losses[1] > 2 * losses[0]


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_learning_rate_peaks_at_lr_and_ends_near_zero(schedule: str) -> None:
    config = FitConfig(lr=0.2, schedule=schedule)
    rates = [config.learning_rate(step, 101) for step in range(101)]
    assert max(rates) == pytest.approx(0.2)
    assert rates.index(max(rates)) == (0 if schedule == "cosine" else 30)
    assert 0 <= rates[-1] < 1e-6
    assert rates[50] == pytest.approx(0.1 if schedule == "cosine" else 0.1 * (1 + np.cos(np.pi * 2 / 7)), rel=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"ema": 1.0},
        {"shift": -1},
        {"optimizer": "adam"},
        {"schedule": "step"},
        {"neuron": "lif"},
        {"through_spikes": True},
        {"through_spikes": True, "timesteps": 2, "compile": True},
    ],
)
def test_configuration_refuses_nonsense(wrong: dict[str, float]) -> None:
    with pytest.raises(ConversionError):
        FitConfig(**wrong)
