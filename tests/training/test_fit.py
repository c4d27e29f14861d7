"""The training loop: it learns, it resumes to the same bits, it never looks at anything but what it is given."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikec.errors import ConversionError, DataError, ToolchainError
from spikec.training import BitCountPenalty, ClipFloorShift, FitConfig, evaluate, fit
from spikec.training.checkpoint import read_state

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


def test_resuming_with_another_network_data_or_identity_is_refused(tmp_path: Path) -> None:
    """Hyper-parameters alone do not make a run: 4 levels went on as 8, and nothing said so."""
    config = replace(CONFIG, epochs=1)
    files: dict[str, Any] = {"checkpoint": tmp_path / "run.checkpoint", "identity": {"method": "qcfs", "data": "blobs"}}
    fit(make_model(), TRAIN, VALIDATION, config, **files)
    files["resume"] = True
    fit(make_model(), TRAIN, VALIDATION, config, **files)
    levels, wide = make_model(), make_model()
    levels[2].levels = 8
    wide[5] = nn.Linear(4 * 36, 3)
    refused = [
        (levels, TRAIN, files, r"activations was \['4 levels, floor_clamp'\], is \['8 levels"),
        (wide, TRAIN, files, r"another network \(5\.weight was \[2, 144\], is \[3, 144\]\)"),
        (make_model(), Blobs(64, 0), files, "training images was 161, is 64"),
        (
            make_model(),
            TRAIN,
            {**files, "identity": {"method": "relu", "data": "blobs"}},
            "method was 'qcfs', is 'relu'",
        ),
        (make_model(), TRAIN, {**files, "identity": {"method": "qcfs"}}, "data was 'blobs', is None"),
    ]
    for model, data, options, message in refused:
        with pytest.raises(DataError, match=message):
            fit(model, data, VALIDATION, config, **options)


def test_checkpoint_of_an_earlier_version_resumes(tmp_path: Path) -> None:
    """It holds no identity, and no setting that came later."""
    config, checkpoint = replace(CONFIG, epochs=1), tmp_path / "run.checkpoint"
    first = fit(make_model(), TRAIN, VALIDATION, config, checkpoint=checkpoint)
    state = read_state(checkpoint)
    del state["identity"], state["config"]["compile"]
    torch.save(state, checkpoint)
    again = fit(make_model(), TRAIN, VALIDATION, config, checkpoint=checkpoint, resume=True, identity={"data": "blobs"})
    assert again.history == first.history


def test_log_of_a_resumed_run_holds_each_epoch_once(tmp_path: Path) -> None:
    """A run can die between the line of an epoch and its checkpoint; lines of a run without one are not its own."""
    checkpoint, log = tmp_path / "run.checkpoint", tmp_path / "run.jsonl"
    expected = tmp_path / "whole.jsonl"
    fit(make_model(), TRAIN, VALIDATION, CONFIG, log=expected)
    for kept in (0, 2):
        fit(make_model(), TRAIN, VALIDATION, CONFIG, checkpoint=checkpoint, log=log)
        cut_short(checkpoint, kept)
        fit(make_model(), TRAIN, VALIDATION, CONFIG, checkpoint=checkpoint, resume=True, log=log)
        mine, whole = (
            [json.loads(line) | {"seconds": 0} for line in path.read_text().splitlines()] for path in (log, expected)
        )
        assert [record["epoch"] for record in mine] == [0, 1, 2, 3]
        if not kept:
            assert mine == whole
        log.unlink()


def cut_short(checkpoint: Path, epochs: int) -> None:
    """As if the run had died after writing the log of the epoch after ``epochs``, but not its checkpoint."""
    if not epochs:
        checkpoint.unlink()
        return
    state = read_state(checkpoint)
    state["history"] = state["history"][:epochs]
    state["best_epoch"] = min(state["best_epoch"], epochs - 1)
    torch.save(state, checkpoint)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    fit(make_model(), TRAIN, VALIDATION, replace(CONFIG, epochs=1), checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    torch.save({"format": "spikec-training/1"}, checkpoint)
    for content in (b"", b"not a checkpoint", b"hello", whole[:2000], checkpoint.read_bytes()):
        checkpoint.write_bytes(content)
        with pytest.raises(DataError):
            fit(make_model(), TRAIN, VALIDATION, CONFIG, checkpoint=checkpoint, resume=True)


class Unlabelled(Blobs):
    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "expected a torch.nn.Module, got NoneType"),
        ({"model": nn.Flatten()}, "no parameters that could be trained"),
        ({"model": nn.Conv2d(1, 2, 3)}, r"must give logits \[N, classes\]"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(36, 1))}, "labels of train run from 0 to 1, but .* 1 classes"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(35, 2))}, r"fails on images of train, shape \(2, 1, 6, 6\)"),
        ({"train": VALIDATION.images()}, "train must be a labelled set .*, not Tensor"),
        ({"validation": Unlabelled(4, 0)}, "validation holds no image"),
        ({"config": {"epochs": 1}}, "FitConfig"),
        ({"device": None}, "device None cannot be used"),
        ({"device": "meta"}, "device 'meta' cannot be used"),
        ({"resume": True}, "give its path as checkpoint="),
        ({"checkpoint": "missing/run.checkpoint"}, "folder missing does not exist"),
        ({"log": 7}, "log is named by its path, text or a pathlib.Path, not by int"),
        ({"log": "x" * 5000}, r"log cannot be x{77}\.\.\.: the name is too long for this system; give a shorter one"),
        ({"checkpoint": "a\0b"}, "checkpoint cannot be .*: a path holds no zero bytes; leave them out"),
        ({"checkpoint": "."}, r"checkpoint: \. is there and is no file; give another name"),
    ],
)
def test_mistakes_are_one_sentence(changes: dict[str, Any], message: str) -> None:
    values = {"model": make_model(), "train": TRAIN, "validation": VALIDATION, "config": CONFIG} | changes
    with pytest.raises(ToolchainError, match=message):
        fit(**values)


def test_paths_may_be_strings_and_other_values_anything(tmp_path: Path) -> None:
    """A checkpoint with a number of numpy in it could not be read again."""
    config = replace(CONFIG, epochs=np.int64(1), lr=np.float32(0.05))
    identity = {"data": tmp_path, "share": np.float64(0.1), "nothing": None, "mean": (np.float32(0.5), (tmp_path,))}
    for resume in (False, True):
        files = {
            "identity": identity,
            "checkpoint": f"{tmp_path}/run.checkpoint",
            "log": f"{tmp_path}/run.jsonl",
            "resume": resume,
        }
        assert len(fit(make_model(), TRAIN, VALIDATION, config, **files).history) == 1


class Pictures:
    """A labelled set that reads one image after the other, and takes slices with both ends only."""

    def __len__(self) -> int:
        return len(TRAIN)

    def images(self, indices: Any) -> Tensor:
        return TRAIN.images(self._numbers(indices))

    def targets(self, indices: Any) -> Tensor:
        return TRAIN.targets(self._numbers(indices))

    def _numbers(self, indices: Any) -> list[int]:
        return list(range(indices.start, min(indices.stop, len(self)))) if isinstance(indices, slice) else list(indices)


class Squeezing(nn.Sequential):
    """Its logits are a vector where the batch is a single image."""

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = super().forward(x)
        return logits.squeeze()


def test_other_sets_and_networks_that_can_be_trained_are_not_refused() -> None:
    data, model = Pictures(), Squeezing(*make_model())
    assert len(fit(model, data, data, replace(CONFIG, epochs=1)).history) == 1


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


def test_training_through_spikes_trains_thresholds_and_scales_too() -> None:
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = FitConfig(epochs=1, batch=32, optimizer="adamw", lr=5e-3, timesteps=2, through_spikes=True)
    fit(model, TRAIN, VALIDATION, config)
    same = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert same == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


@pytest.mark.parametrize("timesteps", [1, 3])
def test_training_through_spikes_runs_the_network_once_for_each_step(timesteps: int) -> None:
    runs = []
    model = make_model()
    model[0].register_forward_hook(lambda module, _, output: runs.append(module.training or output.requires_grad))
    fit(model, TRAIN, VALIDATION, FitConfig(epochs=1, batch=32, timesteps=timesteps, through_spikes=True))
    assert sum(runs) == 5 * timesteps  # batches of 32 of 161 images; a last one of a single image is left out
