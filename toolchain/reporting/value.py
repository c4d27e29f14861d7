"""The report as a value: frozen dataclasses. The estimates, the certificate and the violations in it are those that
``tc.estimate``, ``tc.certify`` and ``tc.check`` return.

Units are SI throughout (joule, second); counts are totals over the images and steps measured unless a field says
"per image". ``None`` means "not known here", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikec.analysis.violations import Violation
from spikec.energy import Estimate
from spikec.evidence.certificate import Certificate
from spikec.evidence.crosscheck import Crosscheck
from spikec.evidence.fidelity import Fidelity
from spikec.evidence.loss import Loss
from spikec.evidence.quality import Rating
from spikec.reporting.details import (
    AtExport,
    Confusion,
    DiagramNode,
    Example,
    PlacedCore,
    Predicted,
    Rates,
    Reproduction,
)
from spikec.reporting.proportion import Proportion
from spikec.simulation.input_warning import InputLoss


@dataclass(frozen=True)
class Accuracy:
    """Integer network, and the ANN beside it where known. ``only_snn``: images only the integer network gets right."""

    snn: Proportion
    ann: Proportion | None = None
    ann_stated: float | None = None  # an accuracy given as a number: its sample is unknown
    agreement: Proportion | None = None  # same class from both
    only_snn: int | None = None
    only_ann: int | None = None


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy when the readout is taken after ``timesteps`` steps."""

    timesteps: int
    accuracy: Proportion


@dataclass(frozen=True)
class Network:
    """What is deployed. ``synapses`` are existing connections (padding excluded), ``weights`` stored values;
    ``classes``: None unless there is one output of shape [classes]; ``extra_steps``: what each layer costs beyond T,
    the drain or the steps of its calibration (rho)."""

    timesteps: int
    schedule: str
    drain: int
    extra_steps: int
    input_shape: tuple[int, ...]
    classes: int | None
    neurons: int
    weights: int
    weights_nonzero: int
    weight_low: int
    weight_high: int


@dataclass(frozen=True)
class OutputRow:
    """One output in the units of the trained network: real value of one integer unit, and the range seen."""

    name: str
    shape: tuple[int, ...]
    scale: float
    low: float
    high: float


@dataclass(frozen=True)
class PopulationRow:
    """One population, or the readout (``kind="integrator"``, no threshold and no events).

    ``rate`` is events per neuron, step and image. ``dead`` counts the neurons that never fire, ``saturated`` those that
    fire in every step of every image. ``membrane`` is the range seen before reset, ``bound`` the one that can never be
    left (lowest, highest); ``membrane_bits`` and ``bound_bits`` are the two's complement widths that hold them, of 24.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    neurons: int
    theta: tuple[int, int] | None
    v_init: tuple[int, int]
    events: int | None
    rate: float | None
    dead: int | None
    saturated: int | None
    membrane: tuple[int, int] | None
    membrane_bits: int | None
    bound: tuple[int, int] | None
    bound_bits: int | None
    overflows: int | None


@dataclass(frozen=True)
class SynapseRow:
    """One set of synapses. ``events`` arrive; ``synops`` counts how often they meet one of the existing connections, of
    which there are ``synapses``. ``from_input``: fed by the image; its non-zero pixels are events at every step."""

    name: str
    kind: str
    weight_shape: tuple[int, ...]
    synapses: int
    weights: int
    weights_nonzero: int
    events: int
    synops: int
    synops_nonzero: int
    spikes_per_synapse: float  # per inference
    from_input: bool


@dataclass(frozen=True)
class Fit:
    """One chip: ``cores``, ``lower_bound`` and ``chips`` of the placement, None where a neuron exceeds a core;
    ``loads``: largest share of any resource, core by core. ``placed``: the cores one by one, in the same order; empty
    where there are more than a drawing shows. ``assumptions``: what the placement takes for granted."""

    target: str
    title: str
    cores: int | None
    lower_bound: int | None
    chips: int | None
    cores_of: dict[str, int]
    loads: tuple[float, ...]
    violations: tuple[Violation, ...]
    placed: tuple[PlacedCore, ...] = ()
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """Enough to make the same bytes again. ``date`` is handed in, never read from the clock."""

    date: str | None
    command: str | None
    seed: int | None
    deployment_sha256: str
    graph_sha256: str
    source_sha256: str
    data_sha256: str
    producer: str
    target: str
    versions: dict[str, str]
    info: dict[str, str]


@dataclass(frozen=True)
class Report:
    """Everything said about one deployment on one data set. ``print`` it, ``to_json`` it, ``write`` it.

    ``accuracy`` is None, and ``curve`` empty, where it is not among the measures; ``quality`` holds all of them.
    ``outputs``: what the network puts out.
    ``certificate`` is None where the quantised network cannot be written down, ``loss`` where the trained network was
    not measured on any of these images when it was exported, ``coding`` where the target does not say what the input
    coding lost. ``method``: the conversion, as the file names it, empty where it does not. ``confusion`` is that of
    classes, of images or of the pixels of masks; ``predicted`` stands in its place for numbers; ``fidelity`` is what
    was handed in. ``at_export`` is known where the file says what its trained network got right.
    """

    title: str
    simulated: str
    data_name: str
    images: int
    network: Network
    outputs: tuple[OutputRow, ...]
    accuracy: Accuracy | None
    curve: tuple[CurvePoint, ...]
    populations: tuple[PopulationRow, ...]
    synapses: tuple[SynapseRow, ...]
    fits: tuple[Fit, ...]
    energies: tuple[Estimate, ...]
    verification: Crosscheck | None
    certificate: Certificate | None
    provenance: Provenance
    loss: Loss | None = None
    quality: tuple[Rating, ...] = ()
    coding: InputLoss | None = None
    method: str = ""
    confusion: Confusion | None = None
    predicted: tuple[Predicted, ...] = ()
    examples: tuple[Example, ...] = ()
    rates: tuple[Rates, ...] = ()
    diagram: tuple[DiagramNode, ...] = ()
    fidelity: Fidelity | None = None
    at_export: AtExport | None = None
    reproduction: tuple[Reproduction, ...] = ()

    @property
    def surprises(self) -> tuple[str, ...]:
        """Sentences on results that a reader would not expect."""
        from spikec.reporting.surprises import surprises

        return surprises(self)

    @property
    def other_quality(self) -> tuple[Rating, ...]:
        """All measures but accuracy."""
        return tuple(rating for rating in self.quality if rating.name != "top-1")

    @property
    def synops_per_image(self) -> float:
        return sum(row.synops for row in self.synapses) / self.images

    @property
    def synops_nonzero_per_image(self) -> float:
        return sum(row.synops_nonzero for row in self.synapses) / self.images

    def to_json(self) -> dict[str, Any]:
        """The document ``report.json`` holds: JSON types only, no NaN or infinity (``DataError`` names the field)."""
        from spikec.reporting.document import document

        return document(self)

    def text(self) -> str:
        """Summary for a terminal."""
        from spikec.reporting.text import summary

        return summary(self)

    def html(self) -> str:
        """The page ``report.html`` holds: self-contained, nothing loaded from elsewhere."""
        from spikec.reporting.page.page import page

        return page(self)

    def write(self, path: str | Path = "report.html", json_path: str | Path | None = None) -> tuple[Path, Path]:
        """Write the page and, beside it unless told otherwise, the JSON document; return both paths."""
        from spikec.reporting.write import write

        return write(self, path, json_path)

    def __str__(self) -> str:
        return self.text()
