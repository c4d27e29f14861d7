"""What an execution of a graph leaves behind, on any target."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spikec.ir.input_statistics import CodedInput
from spikec.simulation.registers import Place

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class TargetSteps:
    """What a target that has steps of its own, such as Lava, needed for a run.

    ``processes``: how many the run consisted of; ``steps``: those of all images together; ``seconds``: their wall clock
    without the start of interpreters; ``latency``: steps from the first of an image until its output is there.
    """

    processes: int
    steps: int
    seconds: float
    latency: int

    @property
    def ms_per_step(self) -> float:
        return 1000 * self.seconds / self.steps


@dataclass(frozen=True)
class Trace:
    """Result of running N images for T steps.

    - ``output`` int64 [N, classes]: the readout after the last step; ``logits`` float32 [N, classes]: the same in the
      ANN's units; ``output_curve`` int64 [N, T, classes]: the readout after each step, where the schedule has one;
    - ``counts`` int32 [N, *shape] per population: net emissions (sum of s); ``events`` int32 [N, *shape]: non-zero
      emissions over all steps emitted (T + drain, or max(T, rho)); ``spikes`` int8 (int16 where payloads need it)
      [N, T, *shape]: emissions of T steps, when recorded; ``count_totals`` and ``event_totals`` int64 [*shape]: counts
      and events summed over the images, also where the arrays per image were not kept;
    - ``membranes`` int64 [N, T, *shape] per population and readout: those of every step before reset, when recorded;
    - ``membrane`` per population and readout: (lowest, highest) membrane seen before reset; ``overflows``: neuron-steps
      beyond 24 bits;
    - ``steps`` int64 [N], with early exit or with sequences of different lengths: steps that each image ran. Its
      output, counts, events and rasters are those up to there; later entries of a raster are 0, later ones of the curve
      repeat the output;
    - ``coding``: values of the images that the input coding clipped or rounded to zero, in all and by image;
      ``input_events`` int32 [*input shape]: number of images, or of all frames of sequences, in which the pixel is not
      zero; ``pooled_events``: the
      same for each max pool of the image, by name; ``extra_steps``: drain or calibration steps beyond T, per layer;
      ``info``: what the target says about the run, in words; ``target_steps``: the steps of the target itself, where
      it has its own.

    With drain, ``counts``, ``spikes`` and ``output_curve`` cover the T + drain steps. ``seconds`` of wall clock and
    ``target`` are not compared.

    Where ``tc.simulate`` was asked for registers, ``overflows`` counts what did not fit those; accumulators have
    entries ``"node: accumulator"``, and ``accumulator`` holds per node the (lowest, highest) sum of one step.
    ``first_overflow``: the first number that did not fit, for each entry of ``overflows`` that has one.
    """

    output: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    counts: dict[str, npt.NDArray[np.int32]]
    events: dict[str, npt.NDArray[np.int32]]
    spikes: dict[str, Array] = field(default_factory=dict)
    membranes: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    output_curve: npt.NDArray[np.int64] | None = None
    membrane: dict[str, tuple[int, int]] = field(default_factory=dict)
    overflows: dict[str, int] = field(default_factory=dict)
    input_events: npt.NDArray[np.int32] | None = None
    pooled_events: dict[str, npt.NDArray[np.int32]] = field(default_factory=dict)
    timesteps: int = 0
    extra_steps: int = 0
    target: str = "golden"
    seconds: float = 0.0
    info: dict[str, str] = field(default_factory=dict)
    count_totals: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    event_totals: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    accumulator: dict[str, tuple[int, int]] = field(default_factory=dict)
    first_overflow: dict[str, Place] = field(default_factory=dict)
    steps: npt.NDArray[np.int64] | None = None
    target_steps: TargetSteps | None = None
    coding: CodedInput | None = None

    @property
    def images(self) -> int:
        return int(self.output.shape[0])

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Class per image, int64 [N]; the first of equal outputs wins, as ``numpy.argmax``."""
        return np.asarray(np.argmax(self.output, axis=1), np.int64)
