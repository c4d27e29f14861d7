"""Public NIR files of leaky neurons as integers: spikes against NIR's equations in float64, Lava, fit and energy.

    python -m benchmarks.nir_files FOLDER [--write docs/sequences.md]

FOLDER holds ``braille_noDelay_bias_zero.nir``, ``two_lif_neurons.nir`` and ``lif_norse.nir`` of the NIR paper (Pedersen
et al., Nature Communications 2024; repository neuromorphs/NIR, folder ``paper``). Inputs are random: spikes of one in
ten for the files that read spikes, currents for the other; those that lowering measures on are others than those of
the tables. The rows "weights off by" show how
much the float network itself changes when every weight is multiplied by 1 + that share of a normal number: what
differs no more than that is the network's own sensitivity, and no rounding of membranes or decays.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import spikec as tc
from benchmarks.marked import write
from spikec.conversion.from_nir.running import run_float
from spikec.conversion.from_nir.sequences import SequenceNetwork, import_sequences
from spikec.evidence.sequence_fidelity import shifted
from spikec.targets.base import get_target

Float64 = npt.NDArray[np.float64]

#: The step of these recordings in seconds, sequences, and the seed of inputs and changed weights.
STEP, SEQUENCES, SEED = 1e-4, 40, 0
CHANGES = (0.001, 0.004, 0.01)


@dataclass(frozen=True)
class Case:
    """A file, the shape of its frames, steps, and whether it reads spikes or currents."""

    file: str
    shape: tuple[int, ...]
    steps: int
    spikes: bool

    def sequences(self, seed: int) -> Float64:
        """Random inputs [N, steps, *shape]."""
        rng = np.random.default_rng(seed)
        size = (SEQUENCES, self.steps, *self.shape)
        return (rng.random(size) < 0.1).astype(np.float64) if self.spikes else 2 * rng.random(size)


CASES = (
    Case("lif_norse", (1,), 1000, spikes=True),
    Case("two_lif_neurons", (1,), 1000, spikes=False),
    Case("braille_noDelay_bias_zero", (12,), 256, spikes=True),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the table in this page")
    args = parser.parse_args()
    spikes = [
        (
            "file",
            "network",
            "layer",
            "spikes",
            "of these in both",
            "differ",
            "of them shifted by a step",
            "first at step",
        )
    ]
    deployed = [("file", "weights", "golden and Lava", "fits Loihi 2", "same largest output", "energy per sequence")]
    different = False
    for case in CASES:
        chosen_on, sequences = case.sequences(SEED), case.sequences(SEED + 1)
        network = import_sequences(args.folder / f"{case.file}.nir", example=chosen_on, dt=STEP)
        for per in ("layer", "channel"):
            graph = tc.lower(network, tc.Int8(per=per))
            found = tc.sequence_fidelity(network, graph, sequences)
            for a in found.layers:
                both = a.spikes + a.integer_spikes - a.differ
                spikes.append(_row(case, f"int8 per {per}", a.layer, a.spikes, both // 2, a.differ, a.shifted, a.first))
            same, row = _deployed(graph, sequences)
            different |= not same
            share = f"{found.classes} of {found.sequences}"
            deployed.append((f"`{case.file}`", f"int8 per {per}", row[0], row[1], share, row[2]))
        for change in CHANGES:
            spikes += _changed(case, network, sequences, change)
    text = f"{_table(spikes)}\n\n{_table(deployed)}"
    print(text)
    if args.write:
        write(args.write, "nir-files", text)
    return int(different)


def _deployed(graph: object, sequences: Float64) -> tuple[bool, tuple[str, str, str]]:
    """Whether Lava agrees with the golden model, and in words: that, whether it fits, its energy."""
    sample = sequences[:4]
    missing = get_target("lava").available()
    same, said = True, "Lava is not installed"
    if missing is None:
        result = tc.crosscheck(graph, "lava", sample)
        same, said = result.identical, "identical" if result.identical else str(result.difference)
    errors = [violation for violation in tc.check(graph, target="loihi2") if violation.severity == "error"]
    total = tc.estimate(graph, tc.simulate(graph, sequences), profile="loihi2").total
    energy = f"{1e6 * total.p5:.0f} to {1e6 * total.p95:.0f} µJ"
    return same, (said, "yes" if not errors else f"no: {errors[0]}", energy)


def _changed(case: Case, network: SequenceNetwork, sequences: Float64, change: float) -> list[tuple[str, ...]]:
    """Rows of the float network with slightly other weights."""
    rng = np.random.default_rng(SEED)
    nodes = {name: copy.copy(node) for name, node in network.nodes.items()}
    for node in nodes.values():
        if hasattr(node, "weight"):
            node.weight = np.asarray(node.weight) * (1 + change * rng.standard_normal(np.shape(node.weight)))
    before, after = run_float(network, sequences), run_float(replace(network, nodes=nodes), sequences)
    rows = []
    for name, exact in before.spikes.items():
        found = after.spikes[name]
        differ = exact != found
        steps = np.flatnonzero(differ.reshape(*differ.shape[:2], -1).any(axis=(0, 2)))
        first = int(steps[0]) if len(steps) else None
        both = int((exact & found).sum())
        label = f"float, weights off by {100 * change:g} %"
        rows.append(_row(case, label, name, int(exact.sum()), both, int(differ.sum()), shifted(exact, found), first))
    return rows


def _row(
    case: Case, network: str, layer: str, spikes: int, both: int, differ: int, moved: int, first: int | None
) -> tuple[str, ...]:
    numbers = (f"{spikes:,}", f"{both:,}", f"{differ:,}", f"{moved:,}", "-" if first is None else str(first))
    return (f"`{case.file}`", network, layer, *numbers)


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


if __name__ == "__main__":
    raise SystemExit(main())
