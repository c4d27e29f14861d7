"""QCFS, the baseline: plain soft-reset integrate-and-fire neurons.

Bu et al., "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural networks", ICLR 2022,
arXiv 2303.04347; conversion as in its published code (``putshua/ANN_SNN_QCFS``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.conversion.methods.base import Method, NeuronSpec, register
from spikec.conversion.per_layer import PerLayer, one_number, per_layer
from spikec.ir.kinds import IF, LARGEST, Kind


@register
@dataclass(frozen=True)
class QCFS(Method):
    """Threshold = trained clip value, initial membrane = threshold / 2, weights unchanged; per step

        m = v + z,  s = [m >= threshold],  v = m - s * threshold.

    With ``schedule="layerwise"`` and L = T levels the conversion is lossless: each neuron fires exactly
    clip(floor(U / threshold + 1/2), 0, T) times, U being all the input of T steps.

    ``spikes``: K, the most spikes in a step, each worth threshold / K: ``s = clip(floor(m K / threshold), 0, K)``,
    after group neurons (arXiv 2402.19061) and burst spikes (AdaFire, arXiv 2412.16219). This distinguishes K T levels.
    K may differ by layer: a mapping from patterns of layer names to K, or its text
    (:mod:`spikec.conversion.per_layer`); layers that match none have K = 1.

    >>> tc.QCFS(timesteps=4, schedule="layerwise").timesteps
    4
    """

    spikes: PerLayer = 1

    name: ClassVar[str] = "qcfs"
    source: ClassVar[str] = "Bu et al., ICLR 2022, arXiv 2303.04347"
    training: ClassVar[str] = "qcfs"
    unsaid: ClassVar[tuple[str, ...]] = ("spikes",)
    by_layer: ClassVar[tuple[str, ...]] = ("spikes",)
    trains_spikes: ClassVar[type[Kind] | None] = IF

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "spikes", per_layer("spikes", self.spikes, 1, LARGEST))

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec(IF(spikes=one_number(self.spikes)))
