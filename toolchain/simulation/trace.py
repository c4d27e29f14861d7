"""What an execution of a graph leaves behind, on any target."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spikec.display import Column, Shown, Table, count
from spikec.errors import DataError
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


@dataclass(frozen=True, repr=False)
class Trace(Shown):
    """Result of running N images for T steps.

    - ``outputs`` int64 [N, *shape] by the name of the output: each readout after the last step; ``scales``: the real
      value of one unit of it; ``output_curves`` int64 [N, T, *shape]: each readout after each step, where the schedule
      has one. Of a network with one output, ``output``, ``logits`` and ``output_curve`` are those of this one;
    - ``counts`` int32 [N, *shape] per population: net emissions (sum of s); ``events`` int32 [N, *shape]: non-zero
      emissions over all steps emitted (T + drain, or max(T, rho)); ``spikes`` int8 (int16 where payloads need it)
      [N, T, *shape]: emissions of T steps, when recorded; ``count_totals`` and ``event_totals`` int64 [*shape]: counts
      and events summed over the images, also where the arrays per image were not kept;
    - ``membranes`` int64 [N, T, *shape] per population and readout: those of every step before reset, when recorded;
    - ``membrane`` per population and readout that was watched: (lowest, highest) membrane seen before reset;
      ``overflows``: neuron-steps beyond the register;
    - ``steps`` int64 [N], with early exit or with sequences of different lengths: steps that each image ran. Its
      output, counts, events and rasters are those up to there; later entries of a raster are 0, later ones of the curve
      repeat the output;
    - ``coding``: values of the images that the input coding clipped or rounded to zero, in all and by image;
      ``input_events`` int32 [*input shape]: number of images, or of all frames of sequences, in which the pixel is not
      zero; ``pooled_events``: the
      same for each max pool of the image, by name; ``extra_steps``: steps that each layer emits beyond T, the drain or
      what a calibration is longer than T;
      ``info``: what the target says about the run, in words; ``target_steps``: the steps of the target itself, where
      it has its own.

    ``image_events``, ``image_synops``, ``image_synops_nonzero`` int64 [N]: sums over the neurons in the place of the
    arrays per image, as :class:`spikec.energy.by_image.ByImage` makes them: events of each population, and SynOps that
    spikes cause in each synapse node.

    With drain, ``counts``, ``spikes`` and ``output_curve`` cover the T + drain steps. ``seconds`` of wall clock and
    ``target`` are not compared.

    Where ``tc.simulate`` was asked for registers, ``overflows`` counts what did not fit those; accumulators have
    entries ``"node: accumulator"``, and ``accumulator`` holds per node the (lowest, highest) sum of one step.
    ``first_overflow``: the first number that did not fit, for each entry of ``overflows`` that has one.

    >>> trace
    <Trace: 12 images, T 4, 2 layers on golden; output [3], with spikes>
    >>> trace.counts["4"].shape
    (12, 8)
    """

    outputs: dict[str, npt.NDArray[np.int64]]
    scales: dict[str, float]
    counts: dict[str, npt.NDArray[np.int32]]
    events: dict[str, npt.NDArray[np.int32]]
    spikes: dict[str, Array] = field(default_factory=dict)
    membranes: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    output_curves: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
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
    image_events: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    image_synops: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    image_synops_nonzero: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    @property
    def images(self) -> int:
        return len(next(iter(self.outputs.values())))

    @property
    def output(self) -> npt.NDArray[np.int64]:
        """The only output, int64 [N, *shape]. Raises ``DataError`` where there are several, as ``logits``,
        ``output_curve`` and ``predictions`` do."""
        return self.outputs[self._only()]

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """The only output in the units of the trained network, float32 [N, *shape]."""
        return self.logits_of(self._only())

    @property
    def output_curve(self) -> npt.NDArray[np.int64] | None:
        """The only output after each step, int64 [N, T, *shape]; None where the schedule has none."""
        return self.output_curves[self._only()] if self.output_curves else None

    def logits_of(self, name: str) -> npt.NDArray[np.float32]:
        """An output in the units of the trained network, float32 [N, *shape]. Raises ``DataError`` for a name that no
        output has."""
        if name not in self.outputs:
            raise DataError(f"there is no output {name!r}; outputs: {', '.join(self.outputs)}")
        return np.asarray(self.outputs[name] * self.scales[name], np.float32)

    @property
    def has_classes(self) -> bool:
        """Whether there is one output of shape [N, classes], so that its largest value names a class."""
        return len(self.outputs) == 1 and self.output.ndim == 2

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Class per image, int64 [N]; the first of equal outputs wins, as ``numpy.argmax``. Raises ``DataError`` for an
        output that is not of shape [classes]."""
        output = self.output
        if output.ndim != 2:
            raise DataError(
                f"the output has shape {list(output.shape)}: a class is the largest of one row [N, classes]; compute "
                "with trace.output"
            )
        return np.asarray(np.argmax(output, axis=1), np.int64)

    def accuracy(self, labels: npt.ArrayLike) -> float:
        """Share of the images whose class is the one in ``labels``, integers [N]. Raises ``DataError`` for labels that
        are not one class of the network for each image, and as :attr:`predictions` does.

        >>> 0 <= trace.accuracy(labels) <= 1
        True
        """
        return float((self.predictions == self.classes_of(labels)).mean())

    def confusion(self, labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """How many images of each class were taken for each class, int64 [classes, classes]: a row for each class of
        ``labels``, a column for each class that the network says. Raises ``DataError`` as :meth:`accuracy` does.

        >>> matrix = trace.confusion(labels)
        >>> bool(matrix.trace() / matrix.sum() == trace.accuracy(labels))
        True
        """
        given, classes = self.classes_of(labels), self.output.shape[1]
        found = np.zeros((classes, classes), np.int64)
        np.add.at(found, (given, self.predictions), 1)
        return found

    def classes_of(self, labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """``labels`` as int64 [N]. Raises ``DataError`` where they are not one class of the network for each image, and
        as :attr:`predictions` does."""
        predictions, given = self.predictions, np.asarray(labels)
        if given.shape != predictions.shape or given.dtype.kind not in "iu":
            raise DataError(
                f"labels are {given.dtype} of shape {list(given.shape)}: give the class of each image, integers "
                f"[{len(predictions)}]"
            )
        classes = self.output.shape[1]
        wrong = given[(given < 0) | (given >= classes)]
        if len(wrong):
            raise DataError(f"labels hold {wrong[0]}; the classes of the network are the numbers 0 to {classes - 1}")
        return given.astype(np.int64)

    def _headline(self) -> str:
        shapes = ", ".join(f"{name} {list(output.shape[1:])}" for name, output in self.outputs.items())
        kept = [word for word, held in (("spikes", self.spikes), ("membranes", self.membranes)) if held]
        recorded = f", with {' and '.join(kept)}" if kept else ""
        steps = f"T {self.timesteps}" + (f" + {self.extra_steps}" if self.extra_steps else "")
        layers = len(self.count_totals) or len(self.counts)
        return f"{self.images:,} images, {steps}, {layers} layers on {self.target}; {shapes}{recorded}"

    def _table(self) -> Table:
        columns = (
            Column("layer", "layer", left=True),
            Column("neurons", "neurons", count),
            Column("spikes", "spikes", count),
            Column("spikes_per_image", "per image", count),
            Column("spikes_per_neuron_step", "per neuron and step", "{:.4f}".format),
            Column("silent_neurons", "never fired", count),
        )
        totals = self.event_totals or {name: each.sum(axis=0, dtype=np.int64) for name, each in self.events.items()}
        ran = self.images * (self.timesteps + self.extra_steps) if self.steps is None else int(self.steps.sum())
        rows = []
        for name, total in totals.items():
            spikes = int(total.sum())
            rate = spikes / (total.size * ran) if total.size * ran else 0.0
            rows.append((name, total.size, spikes, spikes / self.images, rate, int((total == 0).sum())))
        return Table(f"Trace: {self._headline()}", columns, tuple(rows))

    def _only(self) -> str:
        if len(self.outputs) != 1:
            raise DataError(
                f"the network has several outputs ({', '.join(self.outputs)}): read trace.outputs[name] and "
                "trace.logits_of(name)"
            )
        return next(iter(self.outputs))
