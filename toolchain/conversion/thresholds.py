"""Thresholds for plain ReLU networks, from a calibration set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from spikec.conversion.calibration.choice import Calibration
from spikec.errors import ConversionError
from spikec.frontend import Rectifier
from spikec.training.modes import standing_in

_BINS = 2048
_CANDIDATES = 256
_BATCH = 64
#: Rounds of the iteration of the rule ``moments``.
_ROUNDS = 100
#: A channel's threshold is at least this part of the largest: finer ones gain nothing and need huge integers.
_SMALLEST = 1 / 64

#: One number per layer [1] or per channel [C].
Values = np.ndarray[Any, np.dtype[np.float64]]


def calibrate(
    graph: fx.GraphModule, images: Tensor, resolution: dict[str, int], choice: Calibration | None = None
) -> dict[str, Values]:
    """Thresholds per :class:`Rectifier` of a traced graph, by name: [1], or [C] where ``choice`` wants one per channel.

    All are chosen on the pre-activations of the network itself over ``images`` [N, C, H, W]. Rules of ``choice``:

    - ``least-squares``: the clip value that minimises the mean squared difference between the rectified pre-activation
      and its quantised clipped form (levels ``resolution[name]``). A maximum would spend the few levels of a short
      spike train on outliers;
    - ``max`` and ``percentile`` of the rectified pre-activations;
    - ``inference-scale``: from 0, over batches, ``lambda += 2 mean(max(x - lambda, 0))``, later layers seeing
      activations clipped at lambda (arXiv 2409.03368);
    - ``moments``: least squared error in closed form from mean and variance, as if pre-activations were normal
      (arXiv 2503.00301).

    An upper bound of the activation (ReLU6) caps them. A channel that is never positive gets the largest threshold of
    its layer. Raises :class:`ConversionError` for a layer that is never positive.
    """
    choice = choice or Calibration()
    names = [str(n.target) for n in graph.graph.nodes if n.op == "call_module"]
    layers = {n: m for n in names if isinstance(m := graph.get_submodule(n), Rectifier)}
    if not layers:
        return {}
    whole = choice.per == "layer"
    peaks: dict[str, Values] = {}
    for name, values in _inputs(graph, layers, images, whole):
        highest = values.max(1).values.double().numpy()
        peaks[name] = np.maximum(peaks[name], highest) if name in peaks else np.maximum(highest, 0)
    for name, layer in layers.items():
        if layer.bound is not None:
            peaks[name] = np.minimum(peaks[name], layer.bound)
    silent = [name for name, peak in peaks.items() if not peak.max() > 0]
    if silent:
        raise ConversionError(
            f"layer {silent[0]} is never positive on the {len(images)} calibration images, so it has no threshold; "
            "use more or other calibration images"
        )
    found = _RULES[choice.thresholds](_Measured(graph, layers, images, peaks, resolution, choice))
    return {name: _filled(found[name], peaks[name]) for name in layers}


@dataclass(frozen=True)
class _Measured:
    """What a rule may look at. ``peaks``: the largest pre-activation of every row, at most the bound."""

    graph: fx.GraphModule
    layers: dict[str, Rectifier]
    images: Tensor
    peaks: dict[str, Values]
    resolution: dict[str, int]
    choice: Calibration

    @property
    def whole(self) -> bool:
        """Whether a layer has one threshold."""
        return self.choice.per == "layer"

    def inputs(self) -> Iterator[tuple[str, Tensor]]:
        return _inputs(self.graph, self.layers, self.images, self.whole)


def _filled(thresholds: Values, peaks: Values) -> Values:
    """At most the peak; of silent channels the largest of the layer."""
    thresholds = np.minimum(thresholds, peaks)
    largest = thresholds.max()
    return np.where(thresholds > 0, np.maximum(thresholds, largest * _SMALLEST), largest)


def _least_squares(m: _Measured) -> dict[str, Values]:
    counts, _ = _histograms(m)
    return {
        name: np.array([best_clip(c, p, m.resolution[name]) for c, p in zip(counts[name], peaks, strict=True)])
        for name, peaks in m.peaks.items()
    }


def _largest(m: _Measured) -> dict[str, Values]:
    return m.peaks


def _percentile(m: _Measured) -> dict[str, Values]:
    counts, totals = _histograms(m)
    found = {}
    for name in m.layers:
        above = counts[name][:, ::-1].cumsum(1)[:, ::-1]  # values in a bin or a higher one
        allowed = (1 - m.choice.percentile / 100) * totals[name]
        bins = (above > allowed).sum(1)
        found[name] = m.peaks[name] * bins / _BINS
    return found


def _inference_scale(m: _Measured) -> dict[str, Values]:
    scales: dict[str, Tensor] = {}

    def clip(name: str) -> Callable[[Tensor], Tensor]:
        def forward(x: Tensor) -> Tensor:
            x = torch.relu(x)
            rows = _rows(x, m.whole).double()
            before = scales.get(name, torch.zeros(len(rows), dtype=torch.float64))
            after = before + 2 * (rows - before[:, None]).clamp(min=0).mean(1)
            scales[name] = after
            shape = (1, -1, *[1] * (x.ndim - 2))
            return torch.minimum(x, after.to(x).reshape(shape))

        return forward

    with standing_in({layer: clip(name) for name, layer in m.layers.items()}), torch.no_grad():
        for batch in torch.split(m.images, _BATCH):
            m.graph(batch)
    return {name: scales[name].numpy() for name in m.layers}


def _moments(m: _Measured) -> dict[str, Values]:
    sums: dict[str, Tensor] = {}
    for name, values in m.inputs():
        x = values.double()
        total = torch.stack([torch.full_like(x[:, 0], x.shape[1]), x.sum(1), (x * x).sum(1)])
        sums[name] = sums[name] + total if name in sums else total
    found = {}
    for name, (number, total, squares) in sums.items():
        mean = (total / number).numpy()
        deviation = np.sqrt(np.maximum((squares / number).numpy() - mean**2, 1e-30))
        found[name] = normal_clip(mean, deviation, m.resolution[name])
    return found


def normal_clip(mean: Values, deviation: Values, levels: int) -> Values:
    """Clip values of least squared error for normal pre-activations (DCGS, arXiv 2503.00301): ``theta *= k`` with, for
    i = 1..n, c = (2 i - 1) theta / 2n and e = erf((c - mu) / (sqrt 2 sigma)),

        k = [(mu / theta) (1 - sum e / n) + (sigma / theta) sqrt(2 / pi) sum exp(-(c - mu)^2 / 2 sigma^2) / n]
            / [1 - sum (2 i - 1) e / n^2]
    """
    steps = np.arange(1, levels + 1)[None]
    mu, sigma = mean[:, None], deviation[:, None]
    theta = np.maximum(mean + 2 * deviation, deviation)
    for _ in range(_ROUNDS):
        c = (2 * steps - 1) * theta[:, None] / (2 * levels)
        e = torch.erf(torch.from_numpy((c - mu) / (math.sqrt(2) * sigma))).numpy()
        dense = np.exp(-((c - mu) ** 2) / (2 * sigma**2))
        upper = (mean / theta) * (1 - e.sum(1) / levels)
        upper = upper + (deviation / theta) * math.sqrt(2 / math.pi) * dense.sum(1) / levels
        lower = 1 - ((2 * steps - 1) * e).sum(1) / levels**2
        usable = (lower > 1e-12) & (upper > 0)
        theta = theta * np.where(usable, upper / np.where(usable, lower, 1), 1)
    return theta


_RULES = {
    "least-squares": _least_squares,
    "max": _largest,
    "percentile": _percentile,
    "inference-scale": _inference_scale,
    "moments": _moments,
}


def best_clip(counts: Values, peak: float, levels: int) -> float:
    """The clip value of least squared error for positive values histogrammed in equal bins over [0, peak]; 0 where
    there are none."""
    if not counts.any():
        return 0.0
    centres = (np.arange(len(counts)) + 0.5) * (peak / len(counts))
    candidates = peak * np.arange(1, _CANDIDATES + 1) / _CANDIDATES
    # Between two boundaries all values have one level, so three running sums give the error of every candidate.
    sums = [np.append(0.0, np.cumsum(counts * centres**power)) for power in range(3)]
    boundaries = (np.arange(1, levels + 1) - 0.5)[None] * candidates[:, None] / levels
    first = np.searchsorted(centres, boundaries)
    number, total = (each[-1] - each[first] for each in sums[:2])  # of all values at or above each boundary
    step = candidates[:, None] / levels
    value = np.arange(1, levels + 1)[None] * step
    # Passing boundary k raises the level from (k - 1) to k steps: q^2 grows by (2 k - 1) step^2.
    gained = number * step * (2 * value - step) - 2 * total * step
    errors = sums[2][-1] + gained.sum(1)
    return float(candidates[int(np.argmin(errors))])


def _histograms(m: _Measured) -> tuple[dict[str, Values], dict[str, int]]:
    """Positive values in equal bins over [0, peak] of each row, and how many values a row has, positive or not."""
    counts = {name: np.zeros((len(peak), _BINS)) for name, peak in m.peaks.items()}
    totals = dict.fromkeys(m.layers, 0)
    for name, values in m.inputs():
        totals[name] += values.shape[1]
        for row, (x, peak) in enumerate(zip(values, m.peaks[name], strict=True)):
            positive = x[x > 0].clamp(max=float(peak))
            if len(positive) and peak > 0:
                counts[name][row] += torch.histc(positive.float(), _BINS, 0.0, float(peak)).double().numpy()
    return counts, totals


def _rows(values: Tensor, whole: bool) -> Tensor:
    """[N, C, ...] as one row, or a row per channel."""
    return values.reshape(1, -1) if whole else values.transpose(0, 1).flatten(1)


def _inputs(
    graph: fx.GraphModule, layers: dict[str, Rectifier], images: Tensor, whole: bool
) -> Iterator[tuple[str, Tensor]]:
    for start in range(0, len(images), _BATCH):
        with _captured(layers) as seen, torch.no_grad():
            graph(images[start : start + _BATCH])
        for name, values in seen:
            yield name, _rows(values, whole)


@contextmanager
def _captured(layers: dict[str, Rectifier]) -> Iterator[list[tuple[str, Tensor]]]:
    seen: list[tuple[str, Tensor]] = []

    def hook(name: str) -> Any:
        def keep(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen.append((name, args[0].detach().cpu()))

        return keep

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
