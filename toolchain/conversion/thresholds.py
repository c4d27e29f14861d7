"""Thresholds for plain ReLU networks, from a calibration set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from spikec.errors import ConversionError
from spikec.frontend import Rectifier

_BINS = 2048
_CANDIDATES = 256
_BATCH = 64


def calibrate(graph: fx.GraphModule, images: Tensor, resolution: dict[str, int]) -> dict[str, float]:
    """Threshold per :class:`Rectifier` of a traced graph, by name.

    The threshold is the clip value that minimises the mean squared difference between the rectified pre-activation and
    its quantised clipped form (levels ``resolution[name]``), over all neurons and ``images`` [N, C, H, W]. A maximum
    would spend the few levels of a short spike train on outliers. An upper bound of the activation (ReLU6) caps it.
    """
    names = [str(n.target) for n in graph.graph.nodes if n.op == "call_module"]
    layers = {n: m for n in names if isinstance(m := graph.get_submodule(n), Rectifier)}
    if not layers:
        return {}
    peaks = dict.fromkeys(layers, 0.0)
    for name, values in _inputs(graph, layers, images):
        peaks[name] = max(peaks[name], float(values.max()))
    for name, layer in layers.items():
        if layer.bound is not None:
            peaks[name] = min(peaks[name], layer.bound)
    silent = [name for name, peak in peaks.items() if not peak > 0]
    if silent:
        raise ConversionError(
            f"layer {silent[0]} is never positive on the {len(images)} calibration images, so it has no threshold; "
            "use more or other calibration images"
        )
    counts = {name: np.zeros(_BINS) for name in layers}
    for name, values in _inputs(graph, layers, images):
        positive = values[values > 0].clamp(max=peaks[name])
        counts[name] += torch.histc(positive.float(), _BINS, 0.0, peaks[name]).double().numpy()
    return {name: best_clip(counts[name], peaks[name], resolution[name]) for name in layers}


def best_clip(counts: np.ndarray[Any, np.dtype[np.float64]], peak: float, levels: int) -> float:
    """The clip value of least squared error for positive values histogrammed in equal bins over [0, peak]."""
    centres = (np.arange(len(counts)) + 0.5) * (peak / len(counts))
    candidates = peak * np.arange(1, _CANDIDATES + 1) / _CANDIDATES
    scaled = centres[None, :] / candidates[:, None]
    quantised = candidates[:, None] * np.clip(np.floor(scaled * levels + 0.5), 0, levels) / levels
    errors = ((centres[None, :] - quantised) ** 2) @ counts
    return float(candidates[int(np.argmin(errors))])


def _inputs(graph: fx.GraphModule, layers: dict[str, Rectifier], images: Tensor) -> Iterator[tuple[str, Tensor]]:
    for start in range(0, len(images), _BATCH):
        with _captured(layers) as seen, torch.no_grad():
            graph(images[start : start + _BATCH])
        yield from seen


@contextmanager
def _captured(layers: dict[str, Rectifier]) -> Iterator[list[tuple[str, Tensor]]]:
    seen: list[tuple[str, Tensor]] = []

    def hook(name: str) -> Any:
        def keep(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen.append((name, args[0].detach().flatten().cpu()))

        return keep

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
