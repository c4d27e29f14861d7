"""What it takes to deploy a plain NIR file with spikec: the command, and what stands in the way."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikec.errors import GraphError, ToolchainError
from spikec.nir.as_nir import as_nir
from spikec.nir.graph import RawNode
from spikec.nir.nodes import LEAKY, TAUS

#: Numbers in a graph up to which its translation is tried.
_TRIED = 2**27


@dataclass(frozen=True)
class Deployment:
    """``command``: to run, with the values NIR does not say in capitals or as alternatives. ``obstacles``: why it would
    be refused; empty where nothing is known to stand in the way."""

    command: str
    obstacles: tuple[str, ...]


def deployment(graph: RawNode, path: str) -> Deployment:
    """How a plain graph is exported, and what :func:`spikec.conversion.from_nir.obstacles.obstacles` has against it."""
    dt = trial_dt(graph)
    sequences, found = _asked(graph, dt)
    words = ["spikec", "export", shlex.quote(path)]
    words += [] if sequences else ["--reset subtract", "--v-init half|zero", "--timesteps T"]
    # For images only a resistance counts: time constants then belong to nodes that are left out.
    words += ["--dt SECONDS"] if dt is not None and (sequences or resists(graph)) else []
    words += ["--data npz:FILE.npz", "-o", shlex.quote(f"{Path(path).stem}-deployed.nir")]
    return Deployment(" ".join(words), tuple(found))


def trial_dt(graph: RawNode) -> float | None:
    """A step that suits the graph's time constants, to ask with; None where the length of a step does not matter."""
    inside = [inner for _, inner in graph.graphs()]
    if not any(needs_dt(inner) for inner in inside):
        return None
    taus = [node.array(key) for inner in inside for node in inner.nodes.values() for key in TAUS]
    least = [float(tau.min()) for tau in taus if tau is not None and tau.size and tau.dtype.kind in "iuf"]
    shortest = min(least, default=10.0)
    return shortest / 10 if np.isfinite(shortest) and shortest > 0 else 1.0


def needs_dt(graph: RawNode) -> bool:
    """Whether the length of a step enters the numbers: a time constant, a delay, or a resistance other than 1."""
    for node in graph.nodes.values():
        delay = node.array("delay")
        if node.kind in LEAKY or (delay is not None and delay.any()):
            return True
    return resists(graph)


def resists(graph: RawNode) -> bool:
    """Whether a neuron without a leak has a resistance other than 1."""
    held = [node.array("r") for node in graph.nodes.values() if node.kind in ("I", "IF")]
    return any(r is not None and bool((r != 1).any()) for r in held)


def _asked(graph: RawNode, dt: float | None) -> tuple[bool, list[str]]:
    """Whether a graph runs on sequences, and what stands in its way."""
    try:
        made = as_nir(graph)
    except GraphError:
        return False, ["nir cannot build this graph; the errors come first"]
    # They bring torch with them, which a file that nir refuses does not need.
    from spikec.conversion.from_nir.obstacles import obstacles
    from spikec.conversion.from_nir.sequences import needs_sequences

    small = sum(v.data.size for n in graph.nodes.values() for v in n.fields.values() if isinstance(v.data, np.ndarray))
    sequences = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, of numbers that other findings name
            sequences = needs_sequences(made)
            return sequences, obstacles(made, dt, whole=small <= _TRIED)
    except ToolchainError as error:
        return sequences, [str(error)]
    except Exception as error:  # a graph with wrong numbers may fail anywhere; that is an obstacle too
        return sequences, [f"its nodes hold values that cannot be used ({type(error).__name__})"]
