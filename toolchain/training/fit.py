"""The training loop: stochastic gradient descent, validation, the best epoch, and exact resumption."""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikec.calls import named_arguments, outside
from spikec.errors import ConversionError, DataError
from spikec.training.activations import ClipFloorShift
from spikec.training.augment import augment
from spikec.training.checkpoint import KEYS, damaged, load_checkpoint, save_checkpoint
from spikec.training.checks import fitting_network, images_of, output_file, usable_device
from spikec.training.config import FitConfig
from spikec.training.evaluation import evaluate
from spikec.training.images import Images
from spikec.training.max_pools import pools_of_currents
from spikec.training.progress import EpochRecord, Progress
from spikec.training.spiking import spiking, spiking_logits
from spikec.words import option

State = dict[str, Tensor]


@dataclass(frozen=True)
class FitResult:
    """``best_epoch`` (from 0) had the highest validation accuracy, among equals the lowest loss."""

    best_epoch: int
    validation_accuracy: float
    history: tuple[EpochRecord, ...]


@named_arguments
def fit(
    model: nn.Module,
    train: Images,
    validation: Images,
    config: FitConfig,
    *,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    log: str | Path | None = None,
    after_epoch: Callable[[nn.Module], None] | None = None,
    penalty: Callable[[], Tensor] | None = None,
    device: str = "cpu",
    identity: Mapping[str, Any] | None = None,
) -> FitResult:
    """Train ``model`` in place and leave it in eval mode with the weights of its best epoch on ``validation``.

    Never choose the best epoch on test images: hold ``validation`` out of the training set.

    ``checkpoint`` is written after every epoch. With ``resume`` a run continues from it if it exists; with the same
    machine, number of threads and library versions it ends in the same weights, bit for bit. ``identity``: names to
    values of whatever else defines this run. A checkpoint is refused if its identity, activations, numbers of images or
    ``config`` differ. ``log`` gets one JSON line per epoch; ``resume`` first rewrites it to hold exactly the epochs of
    the checkpoint. ``after_epoch`` may change the activations' ``sigma``; ``penalty`` is added to the loss after each
    forward pass. Thresholds are kept positive after every step; the record says how often that was needed.

    ``device``: a torch device, such as "cuda"; also with ``config.precision`` "bfloat16".

    Raises :class:`ConversionError` if the loss stops being finite or the network, configuration or device cannot be
    used, :class:`DataError` for images and labels that do not fit the network and for the checkpoint of another run.

    >>> from spikec.training import FitConfig
    >>> result = tc.fit(model, train, validation, FitConfig(epochs=2))
    >>> result.best_epoch < len(result.history)
    True
    """
    if not isinstance(model, nn.Module):
        raise ConversionError(f"expected a torch.nn.Module, got {type(model).__name__}")
    if not isinstance(config, FitConfig):
        raise ConversionError(f"expected a configuration such as FitConfig(epochs=20), got {config!r}")
    for name, data in (("train", train), ("validation", validation)):
        images_of(name, data)
    files = output_file("checkpoint", checkpoint), output_file("log", log)
    if resume and checkpoint is None:
        raise ConversionError("resume=True continues from a checkpoint: give its path as checkpoint=...")
    device = usable_device(device)
    with torch.random.fork_rng(devices=[]):
        fitting_network(model.to(device), {"train": train, "validation": validation}, device)
        if config.spiking_steps:
            _warn_of_pools(model, train, device)
        torch.manual_seed(config.seed)
        run = _Run(model, train, validation, config, device, after_epoch, penalty, identity or {})
        return run.run(files[0], resume, files[1])


class _Run:
    def __init__(
        self,
        model: nn.Module,
        train: Images,
        validation: Images,
        config: FitConfig,
        device: str,
        after_epoch: Callable[[nn.Module], None] | None,
        penalty: Callable[[], Tensor] | None,
        identity: Mapping[str, Any],
    ) -> None:
        # channels_last is the layout the CPU's convolutions compute in.
        self.model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.train, self.validation, self.config, self.device = train, validation, config, device
        self.after_epoch, self.penalty = after_epoch, penalty
        self.averaged = copy.deepcopy(self.model) if config.ema else None
        if config.compile:
            # Otherwise code compiled earlier for a network of this class would be reused, without this one's hooks.
            torch.compiler.reset()
        self.forward = torch.compile(self.model) if config.compile else self.model
        self.generator = torch.Generator().manual_seed(config.seed)
        self.optimizer = _optimizer(model, config)
        self.activations = [m for m in model.modules() if isinstance(m, ClipFloorShift)]
        self.identity = {
            "training images": len(train),
            "validation images": len(validation),
            "activations": [f"{a.levels} levels, {a.order}" for a in self.activations],
            **{name: _plain(value) for name, value in identity.items()},
        }
        # A last batch of a single image has no variance for batch norm to divide by.
        self.steps_per_epoch = max(1, len(train) // config.batch + (len(train) % config.batch > 1))
        self.history: list[EpochRecord] = []
        self.best: State = {}
        self.best_epoch = 0

    def run(self, checkpoint: Path | None, resume: bool, log: Path | None) -> FitResult:
        progress = Progress(self.config.epochs, log)
        if resume and checkpoint is not None:
            if os.path.exists(checkpoint):
                self._restore(checkpoint)
            progress.resume(self.history)
        for epoch in range(len(self.history), self.config.epochs):
            self._epoch(epoch, progress)
            if checkpoint is not None:
                save_checkpoint(checkpoint, self.config, self.identity, self._state())
        self.model.load_state_dict(self.best)
        self.model.eval()
        accuracy = self.history[self.best_epoch].validation_accuracy
        return FitResult(self.best_epoch, accuracy, tuple(self.history))

    def _epoch(self, epoch: int, progress: Progress) -> None:
        start = time.monotonic()
        sigma = max((a.sigma for a in self.activations), default=0.0)
        loss, accuracy, raised = self._train_one(epoch, progress)
        candidate = self.averaged if self.averaged is not None else self.model
        validation_loss, validation_accuracy = evaluate(
            candidate,
            self.validation,
            device=self.device,
            timesteps=self.config.timesteps,
            neuron=self.config.neuron,
        )
        best = not self.history or (validation_accuracy, -validation_loss) > self.history[self.best_epoch].merit
        if best:
            self.best, self.best_epoch = _clone(candidate.state_dict()), epoch
        if self.after_epoch is not None:
            self.after_epoch(self.model)
        rate = self.optimizer.param_groups[0]["lr"]
        seconds = time.monotonic() - start
        record = EpochRecord(epoch, rate, loss, accuracy, validation_loss, validation_accuracy, raised, sigma, seconds)
        self.history.append(record)
        progress.epoch(record, best)

    def _train_one(self, epoch: int, progress: Progress) -> tuple[float, float, int]:
        config, count = self.config, len(self.train)
        order = torch.randperm(count, generator=self.generator).numpy()
        total_loss, correct, seen, raised = 0.0, 0, 0, 0
        self.model.train()
        for step in range(self.steps_per_epoch):
            chosen = order[step * config.batch : (step + 1) * config.batch]
            images = augment(
                self.train.images(chosen),
                self.generator,
                flip=config.flip,
                shift=config.shift,
                cutout=config.cutout,
            )
            layout = torch.channels_last if images.dim() == 4 else torch.preserve_format
            images = images.to(self.device, memory_format=layout)
            labels = self.train.targets(chosen).to(self.device)
            loss, logits = self._step(images, labels, epoch * self.steps_per_epoch + step)
            raised += sum(a.keep_positive() for a in self.activations)
            self._average()
            total_loss += loss * len(chosen)
            correct += int((logits.argmax(1) == labels).sum())
            seen += len(chosen)
            progress.batch(epoch, step + 1, self.steps_per_epoch, loss)
        return total_loss / seen, correct / seen, raised

    def _step(self, images: Tensor, labels: Tensor, step: int) -> tuple[float, Tensor]:
        rate = self.config.learning_rate(step, self.config.epochs * self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        reduced = self.config.precision == "bfloat16"
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=reduced):
            logits = self._logits(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        if self.penalty is not None:
            loss = loss + self.penalty()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ConversionError(f"the loss became {value} in step {step}: train with a smaller lr")
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return value, logits.detach()

    def _logits(self, images: Tensor) -> Tensor:
        if not self.config.spiking_steps:
            logits: Tensor = self.forward(images)
            return logits
        with spiking(self.model, self.config.neuron, gradients=True) as neurons:
            return spiking_logits(self.model, neurons, images, self.config.spiking_steps)

    @torch.no_grad()
    def _average(self) -> None:
        if self.averaged is None:
            return
        live = self.model.state_dict()
        for name, mean in self.averaged.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(live[name], 1 - self.config.ema)
            else:
                mean.copy_(live[name])

    def _state(self) -> dict[str, Any]:
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else {},
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "best_epoch": self.best_epoch,
            "history": [asdict(r) for r in self.history],
            "sigma": [a.sigma for a in self.activations],
            "generator": self.generator.get_state(),
            "global_generator": torch.get_rng_state(),
        }
        assert state.keys() == KEYS
        return state

    def _restore(self, path: Path) -> None:
        state = load_checkpoint(path, self.config, self.identity)
        try:
            self._take(path, state)
        except DataError:
            raise
        except Exception as error:  # values of wrong types fail in torch in any way
            raise damaged(path, error) from error

    def _take(self, path: Path, state: dict[str, Any]) -> None:
        shapes, own = ({n: list(v.shape) for n, v in s.items()} for s in (state["model"], self.model.state_dict()))
        if shapes != own:
            name = next(n for n in {**own, **shapes} if own.get(n) != shapes.get(n))
            raise DataError(
                f"{path} belongs to another network ({name} was {shapes.get(name)}, is {own.get(name)}); "
                f"train without {option('resume')}"
            )
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.history = [EpochRecord(**record) for record in state["history"]]
        if {name: list(value.shape) for name, value in self.best.items()} != own:
            raise ValueError("its best weights are of another network")
        numbers = all(isinstance(number, int | float) for record in self.history for number in asdict(record).values())
        if not numbers or self.best_epoch not in range(len(self.history)):
            raise ValueError("its history does not say how the epochs went")
        for activation, sigma in zip(self.activations, state["sigma"], strict=True):
            activation.sigma = sigma
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["global_generator"])


def _warn_of_pools(model: nn.Module, train: Images, device: str) -> None:
    pools = pools_of_currents(model, train.images(slice(0, 2)).to(device))
    if pools:
        warnings.warn(
            f"max pools {', '.join(pools)}: no activation stands before them; they are trained as they are written, "
            "but deployed with neurons before them. Write each behind its activation to train what is deployed",
            stacklevel=outside(),
        )


def _optimizer(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def _plain(value: Any) -> Any:
    """``value`` in types a checkpoint can be loaded with: tuples, Python numbers, text and None; the rest as text."""
    if type(value) is tuple:
        return tuple(map(_plain, value))
    return value if type(value) in (str, int, float, bool, type(None)) else str(value)


def _clone(state: State) -> State:
    return {name: value.detach().cpu().clone() for name, value in state.items()}
