"""The report as a value: plain frozen dataclasses of numbers, strings and tuples. ``schema.json`` describes it.

Units are SI throughout (joule, second); counts are totals over the images and steps measured unless a field says
"per image". ``None`` means "not known here", never zero.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolchain.energy import Constant, EnergyItem, Quantiles, Sensitivity
from toolchain.errors import DataError

SCHEMA = "spikec.report/1"
#: Spikes per synapse and inference at which a spiking network can win over its non-spiking counterpart, depending on
#: the assumed data reuse: Dampfhoffer and others, IEEE TETCI 7(3), 2023 (read in the abstract only).
SPIKES_PER_SYNAPSE_BAND = (0.15, 1.38)


@dataclass(frozen=True)
class Proportion:
    """``count`` of ``total`` with its 95 % Wilson interval."""

    count: int
    total: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Accuracy:
    """Integer network, and the ANN beside it where known. ``only_snn``: images only the integer network gets right."""

    snn: Proportion
    ann: Proportion | None = None
    ann_stated: float | None = None  # an accuracy handed over as a number: its sample is unknown here
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
    """What is deployed. ``synapses`` are existing connections (padding excluded), ``weights`` stored values."""

    timesteps: int
    schedule: str
    drain: int
    extra_steps: int
    input_shape: tuple[int, ...]
    classes: int
    neurons: int
    weights: int
    weights_nonzero: int
    weight_low: int
    weight_high: int


@dataclass(frozen=True)
class PopulationRow:
    """One population, or the readout (``kind="integrator"``, no threshold and no events).

    ``rate`` is events per neuron, step and image; ``dead`` and ``saturated`` count the neurons that fire never, and in
    every step of every image. ``membrane`` was seen before reset, ``bound`` can never be left (lowest, highest);
    ``membrane_bits`` and ``bound_bits`` are the two's complement widths that hold them, of 24.
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
    """One set of synapses. ``events`` arrive, ``synops`` are their meetings with existing connections (``synapses``);
    ``from_input``: fed by the image, whose non-zero pixels count as events at every step."""

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
class ReferencePoint:
    """The quantised network when every value it fetches serves ``reuse`` operations. ``ratio``: spiking over
    reference; ``s_star``: spikes per synapse and inference at which both cost the same, None where never."""

    reuse: int
    joules: Quantiles
    ratio: Quantiles
    s_star: Quantiles | None


@dataclass(frozen=True)
class BreakEven:
    """Spikes per synapse and inference at which both networks cost the same at that ``reuse``; negative: never."""

    reuse: int
    s_star: Quantiles


@dataclass(frozen=True)
class Reference:
    """One pass of the non-spiking network with ``bits``-bit activations on the same memories. ``spikes_per_synapse``
    was measured; ``curve`` is where both would cost the same, empty where no spike meets a synapse."""

    bits: int
    weight_bits: int
    spikes_per_synapse: float
    points: tuple[ReferencePoint, ...]
    curve: tuple[BreakEven, ...] = ()


@dataclass(frozen=True)
class Energy:
    """Estimate of one profile, joule and second per inference. A non-empty ``unpriced`` makes ``total`` a lower bound.

    ``nominal``: the total with every constant at its nominal value, from which ``sensitivities`` start. ``images``: how
    many stand behind the counts. ``cores`` and ``chips`` are None for profiles without cores.
    """

    profile: str
    title: str
    book: str
    evidence: str
    images: int
    first_layer: str
    total: Quantiles
    nominal: float
    items: tuple[EnergyItem, ...]
    sensitivities: tuple[Sensitivity, ...]
    step_seconds: Quantiles | None
    inference_seconds: Quantiles | None
    latency_seconds: Quantiles | None
    bound_by: str
    cores: int | None
    chips: int | None
    mapping_assumed: bool
    assumed: tuple[str, ...]
    unpriced: tuple[str, ...]
    warnings: tuple[str, ...]
    constants: tuple[Constant, ...]
    draws: int
    seed: int
    reference: Reference | None


@dataclass(frozen=True)
class Finding:
    """One violation of a chip's limits; ``layer`` is empty where the whole network is meant."""

    rule: str
    layer: str
    actual: str
    limit: str
    severity: str
    hint: str


@dataclass(frozen=True)
class Fit:
    """One chip: ``cores``, ``lower_bound`` and ``chips`` of the placement, None where a neuron exceeds a core;
    ``loads``: largest share of any resource, core by core."""

    target: str
    title: str
    cores: int | None
    lower_bound: int | None
    chips: int | None
    cores_of: dict[str, int]
    loads: tuple[float, ...]
    violations: tuple[Finding, ...]


@dataclass(frozen=True)
class Verification:
    """Golden model against another target: what was compared, and the first difference or None."""

    target: str
    images: int
    layers: int
    timesteps: int
    difference: str | None = None

    @property
    def identical(self) -> bool:
        return self.difference is None


@dataclass(frozen=True)
class LayerMismatch:
    """Spike counts of one layer against the levels of the quantised network, over all images and neurons."""

    layer: str
    compared: int
    differing: int
    largest: int


@dataclass(frozen=True)
class Lossless:
    """Spiking against quantised network with the same integers (``tc.certify``) on ``images`` images: ``outputs`` of
    them end differently. ``proof`` says why it holds for every image, or is empty where it was only measured."""

    images: int
    lossless: bool
    proof: str
    statement: str
    outputs: int
    layers: tuple[LayerMismatch, ...]


@dataclass(frozen=True)
class Provenance:
    """Enough to make the same bytes again. ``date`` is handed in, never read from the clock."""

    date: str | None
    command: str | None
    seed: int | None
    graph_sha256: str
    source_sha256: str
    data_sha256: str
    producer: str
    target: str
    versions: dict[str, str]
    info: dict[str, str]


@dataclass(frozen=True)
class Report:
    """Everything said about one deployment on one data set. ``print`` it, ``to_json`` it, ``write`` it."""

    title: str
    simulated: str
    data_name: str
    images: int
    network: Network
    accuracy: Accuracy
    curve: tuple[CurvePoint, ...]
    populations: tuple[PopulationRow, ...]
    synapses: tuple[SynapseRow, ...]
    fits: tuple[Fit, ...]
    energies: tuple[Energy, ...]
    verification: Verification | None
    certificate: Lossless | None
    provenance: Provenance

    @property
    def synops_per_image(self) -> float:
        return sum(row.synops for row in self.synapses) / self.images

    @property
    def synops_nonzero_per_image(self) -> float:
        return sum(row.synops_nonzero for row in self.synapses) / self.images

    def to_json(self) -> dict[str, Any]:
        """The document ``report.json`` holds: JSON types only, no NaN or infinity (``DataError`` names the field)."""
        document: dict[str, Any] = {"schema": SCHEMA, **asdict(self)}
        if self.verification is not None:
            document["verification"]["identical"] = self.verification.identical
        document["synops_per_image"] = self.synops_per_image
        document["synops_nonzero_per_image"] = self.synops_nonzero_per_image
        document["spikes_per_synapse_band"] = SPIKES_PER_SYNAPSE_BAND
        plain: dict[str, Any] = _plain(document, "report")
        return plain

    def text(self) -> str:
        """Summary for a terminal."""
        from toolchain.report.text import summary

        return summary(self)

    def html(self) -> str:
        """The page ``report.html`` holds: self-contained, no script, nothing loaded from elsewhere."""
        from toolchain.report.page import page

        return page(self)

    def write(self, path: str | Path = "report.html", json_path: str | Path | None = None) -> tuple[Path, Path]:
        """Write the page and, beside it unless told otherwise, the JSON document; return both paths."""
        from toolchain.report.write import write

        return write(self, path, json_path)

    def __str__(self) -> str:
        return self.text()


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{where} is {value}; a report holds finite numbers only, so check what was measured there")
    return value
