"""Offset-spike calibration.

Hao et al., "Bridging the gap between ANNs and SNNs by calibrating offset spikes", ICLR 2023, arXiv 2302.10685; the
procedure as its published code does it (``hzc1208/ANN2SNN_COS``): one pass, per neuron and per image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from spikec.arguments import whole_number
from spikec.conversion.methods.base import Method, NeuronSpec, Offsets, register
from spikec.errors import ConversionError
from spikec.ir.kinds import IF, CalibratedIF
from spikec.ir.types import Schedule


@register
@dataclass(frozen=True)
class OffsetSpikes(Method):
    """``mode="online"``: run ``rho`` steps, shift each initial membrane so that the count moves by one, replay.
    The shift is chosen per neuron and per image: it costs rho further steps per layer, which every report states.

    ``mode="static"``: the shift is chosen per neuron once, from calibration images, and costs nothing at run time; a
    method of our own (``spikec.conversion.offsets.static``), not the paper's. ``mode="tuned"``: as static, then
    improved by gradient descent on the output (``spikec.conversion.offsets.tuned``), also ours.

    >>> tc.OffsetSpikes(timesteps=4).name
    'offset-spikes'
    """

    rho: int = 4
    mode: Literal["online", "static", "tuned"] = "online"

    name: ClassVar[str] = "offset-spikes"
    source: ClassVar[str] = "Hao et al., ICLR 2023, arXiv 2302.10685"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined",)
    reason: ClassVar[str] = "neurons that receive everything before they fire make no offset spikes"
    training: ClassVar[str] = "qcfs"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rho", whole_number("rho", self.rho, 1, 2**15 - 1))
        if not isinstance(self.mode, str) or self.mode not in ("online", "static", "tuned"):
            raise ConversionError(f"mode must be 'online', 'static' or 'tuned', not {self.mode!r}")

    def calibrated_offsets(self) -> Offsets | None:
        return None if self.mode == "online" else self.mode

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec(CalibratedIF(rho=self.rho) if self.mode == "online" else IF())
