"""Error compensation with dual-threshold neurons: a reconstruction after Liu et al., ICML 2025, arXiv 2506.01968.

Only the abstract and public reviews of that paper were available: a learnable clipping threshold, a dual-threshold
neuron, and an initial potential of half the threshold. Every equation here is our reconstruction, with switches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from spikec.arguments import real_number, whole_number
from spikec.conversion.methods.base import Method, NeuronSpec, Offsets, register
from spikec.conversion.per_layer import PerLayer, one_number, per_layer
from spikec.errors import ConversionError
from spikec.ir.kinds import LARGEST, Kind, SignedIF


@register
@dataclass(frozen=True)
class ErrorCompensation(Method):
    """Signed spikes with memory (reconstruction):

        s = +1 if m >= threshold and c < T;  -1 if m <= -negative and c > 0;  v = m - s * threshold;  c += s.

    ``negative``: negative threshold as a fraction of the threshold, 0 for one integer unit. ``offsets="static"`` adds
    initial membranes from calibration images (``spikec.conversion.offsets.static``, a method of our own), "tuned"
    improves them by gradient descent on the output (``spikec.conversion.offsets.tuned``, ours too).
    ``drain``: steps run after T with input and biases off, so that late corrections still arrive; with drain = T a
    neuron's count is exactly the quantised activation for its own input. ``spikes``: K, the most spikes in a step, each
    worth threshold / K (``spikec.ir.kinds.SignedIF``; a form of ours). This distinguishes K T levels.
    K may differ by layer: a mapping from patterns of layer names to K, or its text
    (:mod:`spikec.conversion.per_layer`); layers that match none have K = 1.

    >>> tc.convert(model, tc.ErrorCompensation(timesteps=4, drain=4), example=images).drain
    4
    """

    negative: float = 0.0
    offsets: Offsets | None = None
    drain: int = 0
    spikes: PerLayer = 1

    name: ClassVar[str] = "error-compensation"
    source: ClassVar[str] = "reconstruction, inspired by Liu et al., ICML 2025, arXiv 2506.01968"
    training: ClassVar[str] = "qcfs"
    unsaid: ClassVar[tuple[str, ...]] = ("spikes",)
    by_layer: ClassVar[tuple[str, ...]] = ("spikes",)
    trains_spikes: ClassVar[type[Kind] | None] = SignedIF

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "drain", whole_number("drain", self.drain, 0, 2**15 - 1))
        object.__setattr__(self, "spikes", per_layer("spikes", self.spikes, 1, LARGEST))
        object.__setattr__(self, "negative", real_number("negative", self.negative))
        if not 0 <= self.negative <= 1:
            raise ConversionError(f"negative must be a fraction of the threshold in [0, 1], not {self.negative!r}")
        if self.drain and self.schedule != "pipelined":
            raise ConversionError("drain steps need the schedule 'pipelined'; layerwise needs none")
        if self.offsets is not None and (not isinstance(self.offsets, str) or self.offsets not in get_args(Offsets)):
            raise ConversionError(f"offsets must be 'static', 'tuned' or left out, not {self.offsets!r}")

    def calibrated_offsets(self) -> Offsets | None:
        return self.offsets

    def drain_steps(self) -> int:
        return self.drain

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec(SignedIF(spikes=one_number(self.spikes)), negative=self.negative)
