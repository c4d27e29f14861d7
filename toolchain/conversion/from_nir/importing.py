"""Plain NIR files from elsewhere: float weights and IF nodes become a spiking network that can be lowered.

NIR does not say how a neuron resets, where its membrane starts, how many steps an image takes and how long a step is.
None of it is guessed; the caller says it.
"""

from __future__ import annotations

import os
import warnings
from typing import Literal

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import fx

from spikec.arguments import whole_number
from spikec.calls import named_arguments, outside
from spikec.conversion.from_nir.connections import (
    Connected,
    connected,
    end_obstacles,
    in_order,
    opened,
    refuse,
)
from spikec.conversion.from_nir.dynamics import not_numbers
from spikec.conversion.from_nir.feedback import feedback_edges
from spikec.conversion.from_nir.naming import legal_names
from spikec.conversion.from_nir.shapes import LINEAR, output_shapes, stated_shape
from spikec.conversion.from_nir.translating import Translator
from spikec.conversion.input_scale import choose_range
from spikec.conversion.network import Provenance, SpikingNetwork
from spikec.conversion.to_spiking import as_images
from spikec.errors import ConversionError, DataError, InputWarning
from spikec.ir.coding import InputRange
from spikec.ir.profile.hashes import content_sha256
from spikec.ir.types import TIMESTEPS_MAX, Shape, lifted
from spikec.words import either, option

VInit = Literal["half", "zero"]
_KNOWN = (nir.Input, nir.Output, *LINEAR, nir.IF, nir.I)
_KEPT_EXAMPLES = 32

#: What a module of a traced graph cannot be called, since the graph has it itself.
ATTRIBUTES = frozenset(dir(fx.GraphModule(torch.nn.Module(), fx.Graph())))


@named_arguments
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
    """The spiking network of a plain NIR graph of IF nodes and everything linear that NIR has between them.

    ``reset``: "subtract", the only reset the integer neurons have. ``v_init``: membranes start at half the threshold
    ("half") or at 0 ("zero"). ``timesteps``: steps per image; the image is the input at each of them. ``example``:
    images, signals or vectors, float [N, *input shape], in the units the file expects; they fix the 8-bit ``coding`` of
    the input if it is not given. An axis of 1 that the file's input has for the batch is no part of its shape. ``dt``:
    the length of a step, needed if r is not 1; a step adds ``r * dt`` times the input.

    IF nodes emit 1 per spike. A network that ends in IF nodes is read out by counting their spikes. Nodes that no
    output depends on are left out, with a warning. Raises ``GraphError``, naming every node that stands in the
    way, ``ConversionError`` and ``DataError``.

    >>> import nir
    >>> neurons = nir.IF(r=np.ones(2), v_threshold=np.ones(2), v_reset=np.zeros(2))
    >>> plain = nir.NIRGraph.from_list(nir.Affine(weight=np.eye(2), bias=np.zeros(2)), neurons)
    >>> tc.import_nir(plain, reset="subtract", v_init="zero", timesteps=4, example=np.eye(2)).timesteps
    4
    """
    if reset != "subtract":
        raise ConversionError(f"reset must be 'subtract', not {reset!r}: the integer neurons know no other reset")
    if v_init not in ("half", "zero"):
        raise ConversionError(f"v_init must be 'half' or 'zero', not {v_init!r}")
    timesteps = whole_number("timesteps", timesteps, 1, TIMESTEPS_MAX)
    if dt is not None and not (np.isfinite(dt) and dt > 0):
        raise ConversionError(f"dt must be a positive number, not {dt!r}")
    graph = opened(source)
    part = connected(graph)
    refuse(_obstacles(part, dt))
    images = as_images(example, "example")
    given = tuple(images.shape[1:])
    translator = _translated(part, given, timesteps=timesteps, half=v_init == "half", dt=dt)
    if part.remark:
        warnings.warn(part.remark, stacklevel=outside())
    chosen = choose_range(images)
    if coding is None:
        for sentence in chosen.remarks:
            warnings.warn(sentence, InputWarning, stacklevel=outside())
        images = chosen.held(images)
    settings = {"method": "nir", "reset": reset, "v_init": v_init, "timesteps": str(timesteps)}
    return SpikingNetwork(
        fx.GraphModule(translator.modules, translator.graph),
        timesteps=timesteps,
        schedule="pipelined",
        drain=0,
        input_range=coding or chosen.coding,
        calibrated=chosen.statistics if coding is None else None,
        example=images[-_KEPT_EXAMPLES:],
        provenance=Provenance("nir", content_sha256(graph), settings),
    ).eval()


def image_obstacles(graph: nir.NIRGraph, dt: float | None, *, whole: bool = True) -> list[str]:
    """What keeps a graph from being imported for images, one phrase each. ``whole``: translate it too where
    nothing else is in the way, which finds shapes that do not fit; raises ``GraphError`` for the first."""
    part = connected(graph)
    found = _obstacles(part, dt)
    if whole and not found:
        _translated(part, None, timesteps=1, half=False, dt=dt)
    return found


def _translated(part: Connected, given: Shape | None, *, timesteps: int, half: bool, dt: float | None) -> Translator:
    """A part without :func:`_obstacles` as traced graph, for images of shape ``given``, or any.

    Raises ``GraphError``, and ``DataError`` for images of another shape than that of the input.
    """
    order = in_order(part.nodes, part.edges)
    sources = {name: tuple(sorted((a for a, b in part.edges if b == name), key=order.index)) for name in order}
    nodes = {name: part.nodes[name] for name in order}
    shapes = output_shapes(nodes, sources)
    (start,) = (name for name, node in nodes.items() if isinstance(node, nir.Input))
    wanted = shapes[start]
    if given is not None and lifted(given) != wanted:
        known = stated_shape(nodes[start], wanted)
        raise DataError(f"example has images of shape {given}, the NIR graph takes {known}")
    names = legal_names(nodes, attributes=ATTRIBUTES)
    translator = Translator(timesteps=timesteps, half=half, dt=dt, names=names, shapes=shapes)
    for name in order:
        translator.add(name, nodes[name], sources[name], lift=given is not None and given != wanted)
    translator.end()
    return translator


def _obstacles(part: Connected, dt: float | None) -> list[str]:
    nodes, edges = part.nodes, part.edges
    found = end_obstacles(nodes, edges)
    if not any(isinstance(node, nir.IF) for node in nodes.values()):
        found.append("it has no IF node, so there is nothing that spikes")
    for name, node in nodes.items():
        if not isinstance(node, _KNOWN):
            found.append(f"{name}: {_why_unknown(node)}")
            continue
        found += [f"{name}: {phrase}" for phrase in not_numbers(node)]
        if isinstance(node, nir.IF):
            found += [f"{name}: {phrase}" for phrase in _neuron_obstacles(node, dt)]
        elif isinstance(node, nir.I):
            readers = [nodes.get(b) for a, b in edges if a == name]
            if not all(isinstance(reader, nir.Output) for reader in readers) or (np.asarray(node.r) != 1).any():
                found.append(f"{name}: an integrator (I) can only be the readout: r = 1, read by Output nodes alone")
    firing = {name for name, node in nodes.items() if isinstance(node, nir.IF)}
    if feedback_edges(list(nodes), edges, firing) != frozenset():
        found.append("its edges form a cycle: recurrent networks cannot be imported for images; " + _sequences())
    return found


def _sequences() -> str:
    return either("use tc.import_sequences", "give it sequences as --data")


def _why_unknown(node: nir.NIRNode) -> str:
    kind = type(node).__name__
    if isinstance(node, nir.LIF | nir.CubaLIF | nir.CubaLI | nir.LI):
        return f"{kind} neurons leak, the neurons of images do not; train with IF neurons, or {_sequences()}"
    return f"{kind} has no counterpart for images; {_sequences()}, which may take it"


def _neuron_obstacles(node: nir.IF, dt: float | None) -> list[str]:
    threshold, resistance, v_reset = (np.asarray(getattr(node, field)) for field in ("v_threshold", "r", "v_reset"))
    found: list[str] = []
    if any(values.dtype.kind not in "biuf" for values in (threshold, resistance, v_reset)):
        return found  # said already
    if not np.isfinite(threshold).all() or (threshold <= 0).any():
        found.append("its thresholds are not all positive")
    if v_reset.any():
        found.append(f"v_reset is not 0, which contradicts {option('reset', 'subtract')}")
    if np.unique(resistance).size != 1:
        found.append("r differs between neurons")
    elif dt is None and (resistance != 1).any():
        found.append(f"r is {resistance.flat[0]:g}; give dt, so that a step adds r * dt times the input")
    elif not (np.isfinite(resistance).all() and (resistance > 0).all()):
        found.append("r is not positive")
    return found
