"""Residual error as noise: a training method; the converted network is QCFS's.

Huang et al., "Converting High-Performance and Low-Latency SNNs through Explicit Modelling of Residual Error in ANNs",
TNNLS 2025, arXiv 2404.17456; published code ``hzp2022/ANN2SNN_NQ``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.conversion.methods.base import register
from spikec.conversion.methods.qcfs import QCFS
from spikec.ir.kinds import Kind


@register
@dataclass(frozen=True)
class ResidualError(QCFS):
    """Plain integrate-and-fire neurons on a network trained with noise of the size of its own conversion error.

    Training adds ``sigma_l * eps`` to every activation, sigma_l being measured per layer after each epoch on held-out
    training data (``spikec train --method residual-error``). Any other method converts such a network too.

    >>> tc.ResidualError(timesteps=4).name
    'residual-error'
    """

    name: ClassVar[str] = "residual-error"
    source: ClassVar[str] = "Huang et al., TNNLS 2025, arXiv 2404.17456"
    training: ClassVar[str] = "residual-error"
    trains_spikes: ClassVar[type[Kind] | None] = None
