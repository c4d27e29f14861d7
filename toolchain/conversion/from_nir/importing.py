"""Plain NIR files from elsewhere: float weights and IF nodes become a spiking network that can be lowered.

NIR does not say how a neuron resets, where its membrane starts, how many steps an image takes and how long a step is.
None of it is guessed; the caller says it.
"""

from __future__ import annotations

import os
from typing import Literal

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import fx

from spikec.arguments import whole_number
from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.naming import legal_names
from spikec.conversion.from_nir.translating import Translator
from spikec.conversion.network import Provenance, SpikingNetwork
from spikec.conversion.to_spiking import as_images, input_range
from spikec.errors import ConversionError, DataError, GraphError
from spikec.ir.coding import InputRange
from spikec.ir.metadata import metadata_of
from spikec.ir.profile.reading import read_nir
from spikec.ir.profile.hashes import content_sha256
from spikec.ir.profile.portable import NOTE
from spikec.ir.profile.rules_graph import topological_order

VInit = Literal["half", "zero"]
_KNOWN = (
    nir.Input,
    nir.Output,
    nir.Conv2d,
    nir.Affine,
    nir.Linear,
    nir.SumPool2d,
    nir.AvgPool2d,
    nir.Flatten,
    nir.IF,
    nir.I,
)
_SHOWN = 5
_KEPT_EXAMPLES = 32


def import_nir(
    source: nir.NIRGraph | str | os.PathLike[str],
    *,
    reset: Literal["subtract"],
    v_init: VInit,
    timesteps: int,
    example: npt.ArrayLike | torch.Tensor,
    coding: InputRange | None = None,
    dt: float | None = None,
) -> SpikingNetwork:
    """The spiking network of a plain NIR graph of Conv2d, Affine, Linear, SumPool2d, AvgPool2d, Flatten and IF nodes.

    ``reset``: "subtract", the only reset the integer neurons have. ``v_init``: membranes start at half the threshold
    ("half") or at 0 ("zero"). ``timesteps``: steps per image; the image is the input at each of them. ``example``:
    images, float [N, *input shape], in the units the file expects; they fix the 8-bit ``coding`` of the input if it
    is not given. ``dt``: the length of a step, needed if r is not 1; a step adds ``r * dt`` times the input.

    IF nodes emit 1 per spike. A network that ends in IF nodes is read out by counting their spikes. Raises
    :class:`GraphError`, naming every node that stands in the way, ``ConversionError`` and ``DataError``.
    """
    if reset != "subtract":
        raise ConversionError(f"reset must be 'subtract', not {reset!r}: the integer neurons know no other reset")
    if v_init not in ("half", "zero"):
        raise ConversionError(f"v_init must be 'half' or 'zero', not {v_init!r}")
    timesteps = whole_number("timesteps", timesteps, 1, 2**20)
    if dt is not None and not (np.isfinite(dt) and dt > 0):
        raise ConversionError(f"dt must be a positive number, not {dt!r}")
    graph = source if isinstance(source, nir.NIRGraph) else read_nir(source)
    found = image_obstacles(graph, dt)
    if found:
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        raise GraphError(f"{REFUSED}{'; '.join(found[:_SHOWN])}{more}")
    images = as_images(example, "example")
    translator = translated(graph, Translator(timesteps=timesteps, half=v_init == "half", dt=dt))
    if tuple(images.shape[1:]) != translator.input_shape:
        raise DataError(
            f"example has images of shape {tuple(images.shape[1:])}, the NIR graph takes {translator.input_shape}"
        )
    settings = {"method": "nir", "reset": reset, "v_init": v_init, "timesteps": str(timesteps)}
    return SpikingNetwork(
        fx.GraphModule(translator.modules, translator.graph),
        timesteps=timesteps,
        schedule="pipelined",
        drain=0,
        input_range=coding or input_range(images),
        example=images[-_KEPT_EXAMPLES:],
        provenance=Provenance("nir", content_sha256(graph), settings),
    ).eval()


def translated(graph: nir.NIRGraph, translator: Translator) -> Translator:
    """``translator``, with every node of a graph without :func:`image_obstacles` added. Raises :class:`GraphError`."""
    order = topological_order(graph)
    assert order is not None  # a cycle is an obstacle
    names = legal_names(graph.nodes)
    for name in order:
        sources = [str(a) for a, b in graph.edges if str(b) == name]
        translator.add(name, names[name], graph.nodes[name], sorted(sources, key=order.index))
    return translator


def image_obstacles(graph: nir.NIRGraph, dt: float | None) -> list[str]:
    """What keeps a graph from being imported for images, one phrase each."""
    if metadata_of(graph):
        return ["it is a deployment file already; load it with tc.load"]
    if NOTE in graph.metadata:
        return ["it is the portable form of a deployment, for other simulators; load the deployment with tc.load"]
    found = []
    for kind in (nir.Input, nir.Output):
        count = sum(isinstance(node, kind) for node in graph.nodes.values())
        if count != 1:
            found.append(f"it has {count} {kind.__name__} nodes, it must have one")
    if not any(isinstance(node, nir.IF) for node in graph.nodes.values()):
        found.append("it has no IF node, so there is nothing that spikes")
    for name, node in graph.nodes.items():
        if not isinstance(node, _KNOWN):
            found.append(f"{name}: {_why_unknown(node)}")
        elif isinstance(node, nir.IF):
            found += [f"{name}: {phrase}" for phrase in _neuron_obstacles(node, dt)]
        elif isinstance(node, nir.I):
            readers = [graph.nodes.get(str(b)) for a, b in graph.edges if str(a) == name]
            if not all(isinstance(reader, nir.Output) for reader in readers) or (np.asarray(node.r) != 1).any():
                found.append(f"{name}: an integrator (I) can only be the readout: r = 1, read by the Output node alone")
        sources = [str(a) for a, b in graph.edges if str(b) == name]
        found += [f"{name}: its source {a!r} does not exist" for a in sources if a not in graph.nodes]
        if bool(sources) == isinstance(node, nir.Input):
            found.append(f"{name}: an Input node has sources" if sources else f"{name}: nothing feeds this node")
    if topological_order(graph) is None:
        found.append("its edges form a cycle: recurrent networks cannot be imported")
    return found


def _why_unknown(node: nir.NIRNode) -> str:
    kind = type(node).__name__
    if isinstance(node, nir.NIRGraph):
        return "a graph inside the graph; write the file flat"
    if isinstance(node, nir.LIF | nir.CubaLIF | nir.CubaLI | nir.LI):
        return f"{kind} neurons leak, the integer neurons do not; train with IF neurons"
    return f"{kind} has no counterpart here"


def _neuron_obstacles(node: nir.IF, dt: float | None) -> list[str]:
    threshold, resistance, v_reset = (np.asarray(getattr(node, field)) for field in ("v_threshold", "r", "v_reset"))
    found = []
    if not np.isfinite(threshold).all() or (threshold <= 0).any():
        found.append("its thresholds are not all positive")
    if v_reset.any():
        found.append("v_reset is not 0, which contradicts reset='subtract'")
    if np.unique(resistance).size != 1:
        found.append("r differs between neurons")
    elif dt is None and (resistance != 1).any():
        found.append(f"r is {resistance.flat[0]:g}; give dt, so that a step adds r * dt times the input")
    elif not (np.isfinite(resistance).all() and (resistance > 0).all()):
        found.append("r is not positive")
    return found
