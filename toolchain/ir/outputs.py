"""What a network puts out, and what needs it to be one row of classes."""

from __future__ import annotations

from spikec.errors import DataError
from spikec.ir.graph import IntegerGraph


def described(graph: IntegerGraph) -> str:
    """The outputs of a graph in words, such as ``"boxes (4), masks (2, 8, 8)"``."""
    return ", ".join(f"{readout.output} ({', '.join(map(str, readout.returned))})" for readout in graph.readouts)


def has_classes(graph: IntegerGraph) -> bool:
    """Whether the network has one output of shape [classes], so that its largest value names a class."""
    return len(graph.readouts) == 1 and len(graph.readout.shape) == 1


def left_out_key(output: str | None) -> str:
    """Under what the settings of a file say what it leaves out behind an output of several; None: the only one."""
    return "left_out" if output is None else f"left_out.{output}"


def left_out(graph: IntegerGraph, output: str) -> str:
    """What the trained network computes last for an output and its deployment leaves out, such as "softmax"; empty
    where that is nothing."""
    return graph.info.get(left_out_key(None if len(graph.readouts) == 1 else output), "")


def lacks_classes(graph: IntegerGraph, what: str) -> str:
    """Why ``what`` cannot be had of a network, in one sentence; empty where it has one output of shape [classes]."""
    if has_classes(graph):
        return ""
    return f"{what} needs one output of shape (classes), and the network puts out {described(graph)}"


def classes_of(graph: IntegerGraph, what: str) -> int:
    """Number of classes. Raises ``DataError`` for a network that has not one output of shape [classes]; ``what`` needs
    it, for the message."""
    lacking = lacks_classes(graph, what)
    if lacking:
        raise DataError(
            f"{lacking}: compute with trace.outputs and trace.logits_of(name), or give it a network that returns its "
            "classes alone"
        )
    return graph.readout.shape[0]
