"""What a report shows of single classes, single inputs, single neurons and single cores: frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.reporting.proportion import Proportion


@dataclass(frozen=True)
class ClassRow:
    """One class. ``labelled`` and ``predicted``: how often labels and network name it; ``right``: share of those
    labelled that the network names too, None where there are none; ``iou``: those that both name over those that
    either names, None where neither does."""

    label: int
    labelled: int
    predicted: int
    right: Proportion | None
    iou: float | None


@dataclass(frozen=True)
class Mistake:
    """``count`` of class ``label`` were taken for ``predicted``."""

    label: int
    predicted: int
    count: int


@dataclass(frozen=True)
class Confusion:
    """Labels against predictions, counted in ``unit`` ("images" or "pixels"). ``matrix`` [label][predicted] is None
    where there are more than ``MOST_CLASSES`` classes; ``mistakes``: the most frequent ones, first the largest;
    ``names`` of the classes, all different, empty where they have none."""

    unit: str
    classes: int
    matrix: tuple[tuple[int, ...], ...] | None
    rows: tuple[ClassRow, ...]
    mistakes: tuple[Mistake, ...]
    names: tuple[str, ...] = ()

    def named(self, label: int) -> str:
        """The name of a class, or its number."""
        return self.names[label] if self.names else str(label)


@dataclass(frozen=True)
class Predicted:
    """Numbers to predict against those predicted, in the units of the trained network. ``points``: (wanted, predicted)
    of ``shown`` of all ``total`` numbers, evenly spread over them."""

    head: str
    total: int
    shown: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Picture:
    """What a person sees of an input: ``png``, base64; ``width`` and ``height`` in pixels of it; ``about`` says what
    was done for it."""

    png: str
    width: int
    height: int
    about: str


@dataclass(frozen=True)
class Raster:
    """What some neurons of a layer emitted. ``neurons``: their places in the flattened layer of ``of`` neurons;
    ``rows``: for each, what it emitted in each step, numbers with a blank between."""

    layer: str
    of: int
    neurons: tuple[int, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """One input looked at closely.

    ``index``: its place among the inputs; ``why``: why this one; ``right``: whether its class is that of the label,
    None where there are no classes. ``target`` and ``answer``: what was wanted and what came out, in words.
    ``tracks``: names of the outputs followed (classes, or numbers to predict), and of each the value after every
    step, in the units of the trained network, scaled to T as everywhere; one value where the schedule reads out only
    at the end. ``pictures``: of the input; of masks also what was wanted and what came out.
    """

    index: int
    why: str
    right: bool | None
    target: str
    answer: str
    pictures: tuple[Picture, ...]
    tracks: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    rasters: tuple[Raster, ...]


@dataclass(frozen=True)
class Rates:
    """How the rates of a layer's neurons are spread: ``counts[i]`` neurons between ``edges[i]`` and ``edges[i + 1]``,
    in events per neuron and step; ``silent`` of them never fired."""

    layer: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    silent: int


@dataclass(frozen=True)
class DiagramNode:
    """One node of the graph: ``role`` is input, synapse, operation, neurons or readout; ``about`` says what it does."""

    name: str
    role: str
    about: str
    shape: tuple[int, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class PlacedCore:
    """One core: its ``chip`` and place there, the fullest resource and its share, and the neurons of each layer."""

    chip: int
    column: int
    row: int
    load: float
    fullest: str
    neurons: dict[str, int]


@dataclass(frozen=True)
class AtExport:
    """The accuracy of the trained network as the file holds it, on images of ``data`` that need not be those here."""

    data: str
    accuracy: Proportion


@dataclass(frozen=True)
class Reproduction:
    """One command on the way to these numbers. ``complete``: it can be typed as it stands."""

    purpose: str
    command: str
    complete: bool
