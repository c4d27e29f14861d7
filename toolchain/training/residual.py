"""Residual-error noise: train with the error the spiking network will make (Huang et al., TNNLS 2025).

arXiv 2404.17456, procedure as in the published code ``hzp2022/ANN2SNN_NQ``: after every epoch, with frozen weights,
the network runs as a spiking network for T steps and as an ANN on held-out images; per layer, the standard deviation
of the difference of activation and firing rate becomes the noise of the next epoch. Errors accumulate with depth,
since each layer's input is the previous layer's spikes. Here the held-out images are not augmented.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spikec.arguments import whole_number
from spikec.frontend.modes import evaluating
from spikec.training.activations import ClipFloorShift
from spikec.training.checks import images_of
from spikec.training.images import Images
from spikec.training.spiking import spiking, spiking_logits


def residual_errors(
    model: nn.Module, data: Images, timesteps: int, batch: int = 250, device: str = "cpu"
) -> dict[str, float]:
    """Per :class:`ClipFloorShift` by name, sqrt(mean over batches of var(activation - threshold * count / T)).

    In units of the activation. The variance is taken over all elements of a batch; images in order, eval mode.
    """
    timesteps = whole_number("timesteps", timesteps, 1)
    images_of("data", data)
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ClipFloorShift)}
    variances: dict[str, list[float]] = {name: [] for name in layers}
    for start in range(0, len(data), batch):
        images = data.images(slice(start, start + batch)).to(device)
        with spiking(model) as neurons:
            spiking_logits(model, neurons, images, timesteps)
            rates = {name: neuron.total for name, neuron in neurons.items()}
        activations = _activations(model, layers, images)
        for name, total in rates.items():
            variances[name].append(float(_variance(activations[name] - total / timesteps)))
    return {name: math.sqrt(sum(values) / len(values)) for name, values in variances.items()}


class ResidualNoise:
    """An ``after_epoch`` of :func:`spikec.training.fit`: sets every activation's ``sigma`` for the next epoch."""

    def __init__(self, data: Images, timesteps: int = 4, device: str = "cpu") -> None:
        self.data, self.timesteps, self.device = data, whole_number("timesteps", timesteps, 1), device

    def __call__(self, model: nn.Module) -> None:
        errors = residual_errors(model, self.data, self.timesteps, device=self.device)
        for name, sigma in errors.items():
            layer = model.get_submodule(name)
            assert isinstance(layer, ClipFloorShift)
            layer.sigma = sigma


def _variance(gap: Tensor) -> Tensor:
    return torch.var(gap) if gap.numel() > 1 else torch.zeros(())


@torch.no_grad()
def _activations(model: nn.Module, layers: dict[str, ClipFloorShift], images: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        seen[name] = output

    handles = [
        layer.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
        for name, layer in layers.items()
    ]
    try:
        with evaluating(model):
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return seen
