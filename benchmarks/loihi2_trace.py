"""A leaky neuron against recorded traces: 1,000 steps on a Loihi 2, and in Lava's fixed-point model on a CPU.

    python -m benchmarks.loihi2_trace FOLDER

FOLDER holds ``lif_norse.nir``, ``lif_lava_loihi_fixed.csv`` and ``lif_lava_cpu_fixed.csv`` of the NIR paper (Pedersen
et al., Nature Communications 2024; repository neuromorphs/NIR, folder ``paper``, BSD-3-Clause). The neuron has the
numbers of that repository's ``nir_to_lava.py``: weight 10, du 4095, dv 163, threshold 25. Exit code 1 where a spike
differs, or a membrane outside the steps of a spike.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import spikec as tc
from spikec.conversion.from_nir.running import run_float
from spikec.conversion.from_nir.sequences import import_sequences
from spikec.ir import Affine, IntegerGraph, Population, Readout
from spikec.ir.coding import InputNode
from spikec.ir.kinds import CubaLIF

Int64 = npt.NDArray[np.int64]

#: The step of the recordings in seconds, and the steps from an input spike to the current it makes: one synapse.
STEP, DELAY = 1e-4, 1
TRACES = {"Loihi 2": "lif_lava_loihi_fixed.csv", "Lava on a CPU": "lif_lava_cpu_fixed.csv"}


@dataclass(frozen=True)
class Recording:
    """Input spikes, membranes and output spikes, int64 [steps] each."""

    given: Int64
    membranes: Int64
    spikes: Int64


@dataclass(frozen=True)
class Agreement:
    """How many of the steps differ from a recording. ``at_spikes``: membranes that differ in steps with a spike, with
    the recorded values there; ``elsewhere``: in all other steps."""

    steps: int
    fired: int
    spikes: int
    at_spikes: int
    elsewhere: int
    recorded: tuple[int, ...]
    before_reset: tuple[int, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found = {title: agreement(read(folder / name)) for title, name in TRACES.items()}
    print(table(found))
    for title, about in found.items():
        print(
            f"\nAt its spikes {title} records {about.recorded}; the membranes before the reset: {about.before_reset}."
        )
    differ, spikes = lowered_spikes(folder)
    print(
        f"\nLowered by spikec from lif_norse.nir (int8, 0.1 ms): {differ} steps differ from float64; {spikes} spikes."
    )
    return int(any(about.spikes or about.elsewhere for about in found.values()))


def table(found: dict[str, Agreement]) -> str:
    """One row for each recording, in Markdown."""
    head = "| recording | steps | spikes | spikes that differ | membranes that differ, at a spike | elsewhere |"
    rows = [
        f"| {title} | {a.steps:,} | {a.fired} | {a.spikes} | {a.at_spikes} of {a.fired} | {a.elsewhere} of "
        f"{a.steps - a.fired} |"
        for title, a in found.items()
    ]
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def read(path: Path) -> Recording:
    """Columns: input spike, membrane, output spike; one row for each step."""
    rows = np.loadtxt(path, delimiter=",").astype(np.int64)
    return Recording(*(np.ascontiguousarray(column) for column in rows.T))


def the_neuron() -> IntegerGraph:
    """One leaky neuron behind one synapse."""
    one = np.zeros(1, np.int64)
    kind = CubaLIF(du=np.array([4095]), dv=np.array([163]))
    size = {"input_shape": (1,), "output_shape": (1,)}
    nodes = (
        InputNode("input", (1,), "uint8", 1.0, encoding="sequence"),
        Affine("synapse", ("input",), weight=np.array([[10]]), bias=one, **size),
        Population("neuron", ("synapse",), (1,), kind, np.array([25]), one),
        Affine("count", ("neuron",), weight=np.array([[1]]), bias=one, **size),
        Readout("readout", ("count",), (1,), one, 1.0),
    )
    return IntegerGraph({node.name: node for node in nodes}, 1, "pipelined")


def agreement(recorded: Recording) -> Agreement:
    """The golden model's spikes and membranes against a recording, in which a membrane is what the reset left."""
    given = np.concatenate([np.zeros(DELAY, np.int64), recorded.given])[: len(recorded.given)]
    trace = tc.simulate(the_neuron(), given[None, :, None], record="membranes")
    fired = trace.spikes["neuron"][0, :, 0] == 1
    before_reset = trace.membranes["neuron"][0, :, 0]
    differ = np.where(fired, 0, before_reset) != recorded.membranes
    return Agreement(
        steps=len(given),
        fired=int(fired.sum()),
        spikes=int((fired != (recorded.spikes == 1)).sum()),
        at_spikes=int((differ & fired).sum()),
        elsewhere=int((differ & ~fired).sum()),
        recorded=tuple(recorded.membranes[fired].tolist()),
        before_reset=tuple(before_reset[fired].tolist()),
    )


def lowered_spikes(folder: Path) -> tuple[int, int]:
    """Steps in which the neuron as spikec lowers it from ``lif_norse.nir`` and NIR's equations in float64 differ, and
    the spikes of the latter."""
    given = read(folder / TRACES["Loihi 2"]).given[None, :, None].astype(np.float64)
    network = import_sequences(folder / "lif_norse.nir", example=given, dt=STEP)
    integers = tc.simulate(tc.lower(network), given, record="spikes")
    (exact,), (found,) = run_float(network, given).spikes.values(), integers.spikes.values()
    return int((exact != (found == 1)).sum()), int(exact.sum())


if __name__ == "__main__":
    sys.exit(main())
