"""Integers against NIR's own equations in float, on the user's own sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from spikec.calls import named_arguments
from spikec.conversion.from_nir.running import run_float
from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.display import Column, Shown, Table, count, share
from spikec.errors import DataError
from spikec.ir import IntegerGraph, Population, as_integer
from spikec.ir.graph import leak_of
from spikec.ir.leak import UNIT
from spikec.ir.outputs import has_classes
from spikec.simulation.encode import as_sequences
from spikec.simulation.golden import simulate

Float64 = npt.NDArray[np.float64]
Raster = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LayerAgreement:
    """How far the spikes of one layer agree, over all sequences, steps and neurons.

    ``spikes``: those of the float network, ``integer_spikes`` those of the deployment. ``differ``: neuron-steps in
    which only one of the two fires; ``shifted``: those of them that are one spike, a step earlier or later. ``first``:
    the first step in which any neuron of any sequence differs, None if none does. ``membrane``: mean difference of the
    membranes before the first spike that differs in a sequence, as a fraction of the threshold.
    """

    layer: str
    neuron_steps: int
    spikes: int
    integer_spikes: int
    differ: int
    shifted: int
    first: int | None
    membrane: float

    @property
    def share(self) -> float:
        """Neuron-steps that differ, as a fraction of the float network's spikes; 0 where neither fires."""
        return self.differ / max(self.spikes, 1)


@dataclass(frozen=True, repr=False)
class SequenceFidelity(Shown):
    """All layers that fire, in network order, and the ``output``: mean difference after the last step, as a fraction of
    the mean size of the float network's output, the largest of several outputs. ``classes``: sequences with the same
    largest output; None unless there is one output of shape [classes]."""

    sequences: int
    layers: tuple[LayerAgreement, ...]
    output: float
    classes: int | None

    def text(self) -> str:
        """The table that ``spikec export --fidelity`` prints."""
        width = max([5, *(len(layer.layer) for layer in self.layers)])
        columns = ("spikes", "in integers", "differ", "of them shifted", "first at step", "membrane")
        lines = [f"{'layer':<{width}}  " + "  ".join(f"{c:>15}" for c in columns)]
        for a in self.layers:
            first = "-" if a.first is None else str(a.first)
            cells = (f"{a.spikes:,}", f"{a.integer_spikes:,}", f"{a.differ:,}", f"{a.shifted:,}", first)
            lines.append(f"{a.layer:<{width}}  " + "  ".join(f"{c:>15}" for c in (*cells, f"{a.membrane:.2%}")))
        head = f"NIR's equations in float64 against integers, {self.sequences} sequences"
        tail = f"output differs by {self.output:.2%}"
        if self.classes is not None:
            tail += f"; {self.classes} of {self.sequences} have the same largest output"
        return "\n".join([head, *lines, tail])

    def _headline(self) -> str:
        same = "" if self.classes is None else f", {self.classes} of {self.sequences} with the same class"
        return f"{self.sequences} sequences, {len(self.layers)} layers; output differs by {self.output:.2%}{same}"

    def _table(self) -> Table:
        columns = (
            Column("layer", "layer", left=True),
            Column("neuron_steps", "neuron-steps", count),
            Column("spikes", "spikes", count),
            Column("integer_spikes", "in integers", count),
            Column("differ", "differ", count),
            Column("shifted", "of them shifted", count),
            Column("first", "first at step"),
            Column("membrane", "membrane", share),
        )
        rows = tuple(tuple(getattr(layer, column.name) for column in columns) for layer in self.layers)
        return Table(f"NIR's equations in float64 against integers: {self._headline()}", columns, rows)

    def __str__(self) -> str:
        return self.text()


@named_arguments
def sequence_fidelity(
    network: SequenceNetwork, graph: nir.NIRGraph | IntegerGraph, sequences: npt.ArrayLike
) -> SequenceFidelity:
    """Compare a deployment with the float network that it was lowered from.

    ``sequences``: numbers [N, steps, *input shape]. Both get the input in its 8 bits. A network that amplifies small
    differences, as recurrent ones do, soon has other spikes at other steps; counts and outputs say more of it then.
    Raises ``DataError`` for sequences that the network cannot take.

    >>> network = tc.import_sequences("leaky.nir", example=frames, dt=1e-4)
    >>> tc.sequence_fidelity(network, tc.lower(network), frames).output < 0.05
    True
    """
    integer = as_integer(graph)
    frames, lengths = as_sequences(integer.input, sequences)
    if lengths is not None:
        raise DataError("sequences differ in length; compare those of one length at a time")
    layers_of = {p.name: p.shape for p in integer.populations}
    if layers_of != {name: n.shape for name, n in network.neurons.items() if n.threshold is not None}:
        raise DataError("the deployment has other layers than the network: it was not lowered from it")
    given = frames.astype(np.float64)
    exact = run_float(network, given)
    found = simulate(integer, given, record="membranes")
    layers = []
    for name, raster in exact.spikes.items():
        node = integer.nodes[name]
        assert isinstance(node, Population)
        membranes = _real(node, found.membranes[name], network)
        layers.append(_agreement(name, raster, found.spikes[name] == 1, exact.membranes[name], membranes, network))
    outputs = {name: curve[:, -1] for name, curve in exact.outputs.items()}
    off, same = 0.0, None
    for name, output in outputs.items():
        logits, size = found.logits_of(name).astype(np.float64), float(np.abs(output).mean())
        off = max(off, float(np.abs(output - logits).mean()) / size if size else 0.0)
        if has_classes(integer):
            same = int((output.argmax(1) == logits.argmax(1)).sum())
    return SequenceFidelity(len(given), tuple(layers), off, same)


def _real(node: Population, membranes: npt.NDArray[np.int64], network: SequenceNetwork) -> Float64:
    """Membranes in the units of the float network: the threshold, from the reset on, is what the integers call it."""
    neurons = network.neurons[node.name]
    assert neurons.threshold is not None
    unit = (neurons.threshold - neurons.reset) / (node.theta * (1 if leak_of(node) is None else UNIT))
    real: Float64 = membranes * unit + neurons.reset
    return real


def _agreement(
    name: str, exact: Raster, found: Raster, membranes: Float64, integers: Float64, network: SequenceNetwork
) -> LayerAgreement:
    neurons: Any = network.neurons[name]
    differ = exact != found
    any_neuron = differ.reshape(*differ.shape[:2], -1).any(axis=2)
    steps = np.flatnonzero(any_neuron.any(axis=0))
    same = np.cumsum(any_neuron, axis=1) == 0  # before the first difference of a sequence
    error = np.abs(membranes - integers) / (neurons.threshold - neurons.reset)
    kept = error[same]
    return LayerAgreement(
        layer=name,
        neuron_steps=differ.size,
        spikes=int(exact.sum()),
        integer_spikes=int(found.sum()),
        differ=int(differ.sum()),
        shifted=shifted(exact, found),
        first=int(steps[0]) if len(steps) else None,
        membrane=float(kept.mean()) if kept.size else 0.0,
    )


def shifted(exact: Raster, found: Raster) -> int:
    """Neuron-steps that differ because one spike comes a step earlier or later. Each spike is paired once."""
    lacking, extra = (exact & ~found), (found & ~exact)
    early = lacking[:, 1:] & extra[:, :-1]  # the integers fire a step before
    lacking[:, 1:] &= ~early
    late = lacking[:, :-1] & extra[:, 1:] & ~np.pad(early, ((0, 0), (0, 1), *[(0, 0)] * (early.ndim - 2)))[:, 1:]
    return 2 * int(early.sum() + late.sum())
