"""Drops a last softmax or sigmoid: it changes no order over the classes, and a spiking network ends in its logits."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from spikec.frontend.tracing import where

#: These keep the order of the classes if they run over the classes.
_OVER_CLASSES = (nn.Softmax, nn.LogSoftmax, F.softmax, F.log_softmax, torch.softmax, torch.log_softmax)
_OVER_CLASSES_METHODS = ("softmax", "log_softmax")
_SINGLE = (nn.Sigmoid, nn.LogSigmoid, torch.sigmoid, torch.sigmoid_, F.sigmoid, F.logsigmoid)
_SINGLE_METHODS = ("sigmoid", "sigmoid_")
#: Grows too, but is undefined below zero: only behind one of the above.
_LOG, _LOG_METHODS = (torch.log, torch.log_), ("log", "log_")
#: Operations that hand on what they are given.
_PASSING = (nn.Identity, nn.Dropout, F.dropout, torch.dropout)
_PASSING_METHODS = ("contiguous", "clone")

#: The key of a graph's ``meta`` that says what was dropped, where; absent where nothing was.
DROPPED = "dropped"


def drop_final(traced: fx.GraphModule) -> list[str]:
    """Take softmax, log_softmax and sigmoid off the end of a traced graph, in place; returns what was dropped, such as
    ``"log_softmax at net.py:12"``, last one first.

    Only where no class overtakes another by it: a softmax over the classes of [N, classes] that nothing but the output
    reads. Everything else stays. Nodes must know their shapes (``spikec.frontend.tracing.trace``).
    """
    output = next(node for node in traced.graph.nodes if node.op == "output")
    found: list[str] = []
    pending: list[fx.Node] = []
    last: Any = output.args[0]
    ends = last
    while isinstance(last, fx.Node) and len(last.users) == 1:
        if _is(traced, last, _LOG, _LOG_METHODS):
            pending.append(last)
        elif _is_final(traced, last):
            source = _input(last)
            if not isinstance(source, fx.Node):
                break
            found += [_said(traced, node) for node in (*pending, last)]
            pending = []
            output.args = (source,)
            _erase(traced.graph, ends, source)
            ends = source
            last = source
            continue
        elif not _is(traced, last, _PASSING, _PASSING_METHODS):
            break
        last = _input(last)
    if found:
        traced.recompile()
        traced.meta[DROPPED] = found
    return found


def _erase(graph: fx.Graph, last: fx.Node, source: fx.Node) -> None:
    """Take the chain from ``last`` back to ``source`` out; not by dead code, since in-place operations look dead."""
    while last is not source:
        before = _input(last)
        graph.erase_node(last)
        last = before


def dropped(graph: fx.GraphModule) -> list[str]:
    """What :func:`drop_final` took off the network behind a canonical graph."""
    return list(graph.meta.get(DROPPED, []))


def _is(traced: fx.GraphModule, node: fx.Node, targets: tuple[Any, ...], methods: tuple[str, ...]) -> bool:
    if node.op == "call_module":
        module = traced.get_submodule(str(node.target))
        return isinstance(module, tuple(t for t in targets if isinstance(t, type)))
    return node.target in (methods if node.op == "call_method" else targets if node.op == "call_function" else ())


def _is_final(traced: fx.GraphModule, node: fx.Node) -> bool:
    if len(node.meta.get("full_shape", ())) != 2:
        return False  # over an image it is no last layer: the network is refused for its shape
    if _is(traced, node, _SINGLE, _SINGLE_METHODS):
        return True
    if not _is(traced, node, _OVER_CLASSES, _OVER_CLASSES_METHODS):
        return False
    if node.op == "call_module":
        dim: Any = traced.get_submodule(str(node.target)).dim
    else:
        dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return dim in (1, -1, None)  # without dim, torch takes the classes of [N, classes]


def _input(node: fx.Node) -> Any:
    return node.args[0] if node.args else node.kwargs.get("input")


def _said(traced: fx.GraphModule, node: fx.Node) -> str:
    if node.op == "call_module":
        name = type(traced.get_submodule(str(node.target))).__name__
    else:
        name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
    return f"{name.strip('_')} at {where(node)}"


__all__ = ["DROPPED", "drop_final", "dropped"]
