"""The generated C on microcontrollers, emulated: results against the golden model, flash, RAM, stack, instructions.

    python -m benchmarks.c_embedded [--only NAME ...] [--images N] [--machines NAME ...]
                                    [--write docs/microcontrollers.md]

Networks with shipped weights are built for a Cortex-M4 and run there on test images (noise where the data set is not
installed); every output must equal the golden model's. Those on which that is fast also run on processors of the other
byte order. Needs ziglang and unicorn, and capstone for cycles: pip install ziglang unicorn capstone
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import spikec as tc
from benchmarks.c_cycles import cycles
from benchmarks.c_machines import MACHINES, Firmware, Machine, Run, build, lacking, run
from benchmarks.marked import write
from spikec.deployment import deploy_network
from spikec.errors import DataError
from spikec.ir import IntegerGraph
from spikec.models import pretrained
from spikec.models.data import open_dataset
from spikec.models.weights import index
from spikec.models.zoo import REGISTRY
from spikec.simulation.encode import encode
from spikec.targets.c.code import Choices, generate

#: A small part, to see what fits it: 64 KiB of flash and 16 KiB of RAM.
SMALL = (64 * 1024, 16 * 1024)
MAIN = "cortex-m4"
CALIBRATION = 64
_FAST = 10_000_000  # instructions of one image, up to which the other processors run it too


@dataclass(frozen=True)
class Case:
    """One deployment: a network of the zoo, its schedule and the bits of its weights; ``small``: code that needs less
    memory."""

    network: str
    schedule: str
    bits: int
    small: bool = False

    @property
    def title(self) -> str:
        return f"{self.network}, {self.schedule}, {self.bits} bits{', --small' if self.small else ''}"


def cases(names: list[str]) -> list[Case]:
    """Each network in both schedules with 8 bits; the smallest with 4 bits too, and with less memory."""
    found = [Case(name, schedule, 8) for name in names for schedule in ("pipelined", "layerwise")]
    more = [Case("digits-cnn", "pipelined", 8, small=True), Case("digits-cnn", "layerwise", 4)]
    return [*found, *(case for case in more if case.network in names)]


def images(network: str, count: int, split: str) -> torch.Tensor:
    """Of the network's data set, noise where it is not installed."""
    entry = index()[network]
    try:
        return open_dataset(entry["data"], split=split).images(slice(count))
    except DataError:
        return torch.rand(count, *REGISTRY[network].input_shape, generator=torch.Generator().manual_seed(0))


def deployment(case: Case) -> IntegerGraph:
    """The network with its shipped weights, QCFS at the levels it was trained for."""
    method = tc.QCFS(timesteps=int(index()[case.network].get("levels", 4)), schedule=case.schedule)
    calibration = images(case.network, CALIBRATION, "train")
    return deploy_network(pretrained(case.network), method, calibration, tc.Int8(bits=case.bits)).graph


def checked(firmware: Firmware, graph: IntegerGraph, given: torch.Tensor) -> Run:
    """Run images and compare every output with the golden model. Raises ``AssertionError`` at a difference."""
    found = run(firmware, encode(graph.input, given))
    expected = tc.simulate(graph, given).outputs
    for name, values in expected.items():
        differs = np.flatnonzero((found.outputs[name] != values).reshape(len(values), -1).any(axis=1))
        assert not len(differs), f"{firmware.machine.title}: image {differs[0]} differs at output {name}"
    return found


def row(case: Case, count: int, others: list[Machine]) -> list[str]:
    """A row of the table, for code that is compiled for speed and for size."""
    graph = deployment(case)
    source, given, found = generate(graph, "net", Choices(small=case.small)), images(case.network, count, "test"), []
    for words in (("-O2",), ("-Os",)):
        firmware = build(source, MACHINES[MAIN], words=words)
        ran = checked(firmware, graph, given)
        same = [MACHINES[MAIN].processor.title]
        if ran.instructions <= _FAST and words == ("-O2",):
            for machine in others:
                checked(build(source, machine, words=words), graph, given[:1])
                same.append(machine.processor.title)
        program, span = firmware.program, cycles(firmware, ran)
        ram = program.ram + ran.stack
        fits = "yes" if program.flash <= SMALL[0] and ram <= SMALL[1] else "no"
        cells = [
            case.title, words[0], f"{program.flash:,}", f"{program.flash - source.memory.flash:,}", f"{ram:,}",
            f"{ran.stack:,}", fits, f"{ran.instructions / 1e6:.2f}",
            "" if span is None else f"{span[0] / 1e6:.2f} to {span[1] / 1e6:.2f}", ", ".join(same),
        ]  # fmt: skip
        found.append(f"| {' | '.join(cells)} |")
        print(found[-1], file=sys.stderr, flush=True)
    return found


def table(chosen: list[Case], count: int, others: list[Machine]) -> str:
    """All rows, with what the columns are."""
    lines = [
        "| network | built | flash | of which code | RAM | of which stack | 64 KiB, 16 KiB | instructions, million "
        "| cycles, million | equal on |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(line for case in chosen for line in row(case, count, others))])


def main() -> None:
    parser = argparse.ArgumentParser(description="the generated C on emulated microcontrollers")
    parser.add_argument("--only", nargs="*", help="these networks (default: digits-cnn; all: every one with weights)")
    parser.add_argument("--images", type=int, default=5, help="test images of each (default 5)")
    parser.add_argument("--machines", nargs="*", default=[name for name in MACHINES if name != MAIN])
    parser.add_argument("--write", type=Path, help="replace the table between the marks of this file")
    args = parser.parse_args()
    missing = lacking()
    if missing is not None:
        print(f"nothing is run: {missing}")
        return
    names = list(index()) if args.only == ["all"] else args.only or ["digits-cnn"]
    text = table(cases(names), args.images, [MACHINES[name] for name in args.machines])
    print(text)
    if args.write is not None:
        write(args.write, "c-embedded", text)


if __name__ == "__main__":
    main()
