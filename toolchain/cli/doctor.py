"""``spikec doctor``: what is installed, what works, and what to do about the rest."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from spikec.cli import parser
from spikec.cli.names import known
from spikec.cli.output import emit
from spikec.cli.parser import Parser
from spikec.words import reason

if TYPE_CHECKING:
    from spikec.ir import IntegerGraph

REQUIRED = ("torch", "numpy", "nir", "h5py", "safetensors", "scikit-learn", "pillow")
LAVA = ("lava-nc", "lava-dl")
WORKS = "works"


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "doctor",
        "what is installed, what works, what to do",
        "spikec doctor",
        "spikec doctor --target lava --quick",
    )
    command.add_argument("--target", metavar="TARGET", help="exit with code 4 if this target cannot run here")
    command.add_argument("--quick", action="store_true", help="look only, run nothing")
    return command


def run(args: argparse.Namespace) -> int:
    import platform

    from spikec.targets.base import target_names

    if args.target is not None:
        known("--target", "executor", args.target)
    packages = {name: _version(name) for name in ("spikec", *REQUIRED, *LAVA)}
    compiler = _compiler()
    absent = [name for name in REQUIRED if packages[name] is None]
    states = {name: _state(name, run_it=not args.quick and not absent) for name in target_names()}
    advice = [f"pip install {name}" for name in absent]
    advice += [f"{name}: {state}" for name, state in states.items() if state != WORKS]
    document = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "c_compiler": compiler,
        "targets": states,
        "to_do": advice,
    }
    lines = [f"python        {platform.python_version()} ({sys.executable})"]
    lines += [f"{name:<13} {found or 'not installed'}" for name, found in packages.items()]
    lines += [f"C compiler    {compiler or 'none'}"]
    lines += [f"target {name:<6} {'works' if state == WORKS else 'does not work'}" for name, state in states.items()]
    lines += [f"to do: {sentence}" for sentence in advice] or ["nothing to do"]
    emit(args, document, "\n".join(lines))
    return 4 if args.target and states[args.target] != WORKS else 0


def _state(name: str, run_it: bool) -> str:
    """``works``, or what is wrong; with ``run_it``, a network of one neuron is compared with the golden model."""
    from spikec.targets.base import get_target

    try:
        target = get_target(name)
        missing = target.available()
        if missing or not run_it:
            return missing or WORKS
        import numpy as np

        from spikec.ir import build
        from spikec.simulation import compare, simulate

        graph = build(_one_neuron())
        images = np.full((1, 1, 1, 1), 3, np.float32)
        difference = compare(simulate(graph, images), target.compile(graph).run(images))
        return WORKS if difference is None else f"differs from the golden model, {difference}"
    except Exception as error:  # whatever a broken installation raises is the finding
        return reason(error)


def _one_neuron() -> IntegerGraph:
    import numpy as np

    from spikec.ir import Affine, Convolution, Flatten, InputNode, IntegerGraph, Population, Readout
    from spikec.ir.kinds import IF

    def integers(*values: int, shape: tuple[int, ...]) -> Any:
        return np.array(values, np.int64).reshape(shape)

    pixel = (1, 1, 1)
    nodes = (
        InputNode("input", pixel, "uint8", 1.0),
        Convolution(
            "conv",
            ("input",),
            pixel,
            pixel,
            integers(2, shape=(1, 1, 1, 1)),
            integers(1, shape=(1,)),
            (1, 1),
            (0, 0),
            (1, 1),
        ),
        Population("fire", ("conv",), pixel, IF(), theta=integers(10, shape=pixel), v_init=integers(5, shape=pixel)),
        Flatten("flat", ("fire",), pixel, (1,)),
        Affine("head", ("flat",), (1,), (2,), integers(3, -3, shape=(2, 1)), integers(0, 1, shape=(2,))),
        Readout("readout", ("head",), (2,), integers(0, 0, shape=(2,)), 1.0),
    )
    return IntegerGraph({node.name: node for node in nodes}, timesteps=3, schedule="pipelined")


def _compiler() -> str | None:
    """The first line of its ``--version``."""
    from spikec.errors import TargetUnavailable
    from spikec.targets.c.compilers import find_compiler

    try:
        return find_compiler().version
    except TargetUnavailable:
        return None


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
