"""Loss and accuracy of a network under training, as it is or as a spiking network."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from spikec.arguments import whole_number
from spikec.frontend.modes import evaluating
from spikec.ir.kinds import IF
from spikec.training.checks import images_of, usable_device
from spikec.training.images import Images
from spikec.training.spiking import spiking, spiking_logits


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: Images,
    batch: int = 500,
    device: str = "cpu",
    timesteps: int = 0,
    neuron: str = IF.name,
) -> tuple[float, float]:
    """(mean cross entropy, fraction of images classified correctly) in eval mode; the mode of every module is restored.

    With ``timesteps`` T > 0 the network runs as a spiking network of ``neuron`` for T steps, see :func:`spiking`.
    """
    images_of("data", data)
    timesteps, batch = whole_number("timesteps", timesteps, 0), whole_number("batch", batch, 1)
    device = usable_device(device)
    loss, correct = 0.0, 0
    with evaluating(model):
        for start in range(0, len(data), batch):
            chosen = slice(start, start + batch)
            images, labels = data.images(chosen).to(device), data.targets(chosen).to(device)
            if timesteps:
                with spiking(model, neuron) as neurons:
                    logits = spiking_logits(model, neurons, images, timesteps)
            else:
                logits = model(images)
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            correct += int((logits.argmax(1) == labels).sum())
    return loss / len(data), correct / len(data)
