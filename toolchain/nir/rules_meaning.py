"""Rules about what a file means: numbers that cannot be meant, and what NIR leaves to the reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikec.hdf5.tree import Tree, Value
from spikec.ir.metadata import KEY
from spikec.ir.profile.portable import NOTE
from spikec.nir.findings import Finding
from spikec.nir.graph import RawNode
from spikec.nir.nodes import SPIKING, TAUS
from spikec.nir.shapes import Shapes
from spikec.words import listed, shown

#: Metadata of ours, whose form is known.
_OWN = {KEY, NOTE}


def time_constants(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    for name, node in graph.nodes.items():
        for key in TAUS:
            values = _finite(node, key)
            if values is not None and (values <= 0).any():
                message = f"{key} is {_range(values)}; a time constant must be positive"
                yield Finding("time_constant", shown(name), "error", message, "export the file again")
        delay = _finite(node, "delay")
        if delay is not None and (delay < 0).any():
            message = f"delay is {_range(delay)}; nothing can arrive before it is sent"
            yield Finding("time_constant", shown(name), "error", message, "export the file again")


def thresholds(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    for name, node in graph.nodes.items():
        threshold, reset = _finite(node, "v_threshold"), _finite(node, "v_reset")
        if threshold is None:
            continue
        try:
            stuck = (threshold <= (0 if reset is None else reset)).any()
        except ValueError:  # shapes that do not go together; another rule says so
            stuck = False
        if stuck:
            message = (
                f"v_threshold ({_range(threshold)}) is not above the reset: the neuron fires without input, for ever"
            )
            yield Finding("threshold", shown(name), "error", message, "export the file again")
        elif (threshold <= 0).any():
            message = f"v_threshold is {_range(threshold)}: a soft reset then raises the membrane"
            yield Finding("threshold", shown(name), "warning", message, "shift v_leak, v_reset and the threshold")


def resets(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    spiking = [name for name, node in graph.nodes.items() if node.kind in SPIKING]
    if spiking:
        message = (
            f"after a spike NIR sets the membrane of {listed(spiking)} to v_reset (hard); Sinabs, Spyx and networks "
            "that were trained with soft reset subtract the threshold"
        )
        yield Finding("reset", "", "warning", message, "ask who wrote the file; --reset of spikec export says it")
    for name in spiking:
        values = _finite(graph.nodes[name], "v_reset")
        if values is not None and values.any():
            message = f"v_reset is {_range(values)}; Norse ignores v_reset of an IF, and soft resets have none"
            yield Finding("v_reset", shown(name), "warning", message, "shift v_leak, v_threshold and v_reset to 0")


def unsaid_time(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """Time constants without the length of a step: what their values are."""
    taus, others = {}, {}
    for name, node in graph.nodes.items():
        for key in TAUS:
            values = _finite(node, key)
            if values is not None and values.size:
                taus[f"{shown(name)}.{key}"] = values
        delay, r = _finite(node, "delay"), _finite(node, "r") if node.kind in ("I", "IF") else None
        if delay is not None and delay.any():
            others[f"{shown(name)}.delay"] = delay
        if r is not None and (r != 1).any():
            others[f"{shown(name)}.r"] = r
    if not taus and not others:
        return
    told = ", ".join(f"{key} {_range(values)}" for key, values in [*taus.items(), *others.items()][:6])
    more = f" and {len(taus) + len(others) - 6} more" if len(taus) + len(others) > 6 else ""
    hint = "ask who wrote the file, and say it to each tool (--dt)"
    if taus:
        least = float(min(values.min() for values in taus.values()))
        if least > 0:
            hint = f"it must be well below the smallest time constant, {least:g}; ask who wrote the file (--dt)"
            if least >= 1:
                hint = (
                    f"time constants of {least:g} and more look like steps (dt = 1) or milliseconds; ask who wrote it"
                )
    stated = _stated_dt(graph)
    said = f"; metadata say dt = {stated:g}, which no reader has to follow" if stated is not None else ""
    message = f"the length of a step is not in the file: {told}{more}{said}"
    yield Finding("dt_unknown", "", "warning", message, hint)


def _stated_dt(graph: RawNode) -> float | None:
    """A dt that the metadata of the graph or of one of its nodes state."""
    for metadata in (graph.metadata, *(node.metadata for node in graph.nodes.values())):
        found = _find(metadata, "dt")
        if found is not None:
            return found
    return None


def _find(tree: Tree, key: str) -> float | None:
    for name, value in tree.items():
        if isinstance(value, dict):
            found = _find(value, key)
            if found is not None:
                return found
        elif name == key and not value.text and value.data is not None and value.data.size == 1:
            number = value.data.reshape(-1)[0]
            return float(number) if value.data.dtype.kind in "iuf" and np.isfinite(number) else None
    return None


def unsaid(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    if any(node.kind in SPIKING for node in graph.nodes.values()):
        message = (
            "NIR does not say where membranes start, whether a membrane equal to its threshold fires (NIR: no; "
            "SpikingJelly and Sinabs: yes), nor how many steps an input takes"
        )
        yield Finding("not_in_nir", "", "note", message, "each tool has to be told")


def metadata(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """Values that nir gives back as something else, or cannot write again."""
    for name, node in (("", graph), *graph.nodes.items()):
        for key, value in _values(node.metadata):
            if value.data is None:
                message = f"metadata {shown(key)} cannot be used: {value.why}"
                yield Finding("metadata_value", shown(name) if name else "", "warning", message, "leave it out")
            elif value.text and not isinstance(value.data, str):
                message = (
                    f"metadata {shown(key)} is a list of text: it reads back as bytes and nir cannot write it again"
                )
                hint = "store one text, such as JSON"
                yield Finding("metadata_value", shown(name) if name else "", "warning", message, hint)
    deep = sorted(
        {key for node in (graph, *graph.nodes.values()) for key, v in node.metadata.items() if isinstance(v, dict)}
        - _OWN
    )
    if deep:
        message = f"metadata {listed(deep)} are groups: dictionaries, or keys that held a '/'"
        yield Finding("metadata_value", "", "note", message)


def _values(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Value]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _values(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def _finite(node: RawNode, key: str) -> Any:
    """The numbers of a field, None where it has none or where other rules report them."""
    values = node.array(key)
    if values is None or values.dtype.kind not in "iuf" or not np.isfinite(values).all() or not values.size:
        return None
    return values


def _range(values: Any) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


RULES = (time_constants, thresholds, resets, unsaid_time, unsaid, metadata)
