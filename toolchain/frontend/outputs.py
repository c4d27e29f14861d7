"""The outputs of a canonical graph by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import fx

from spikec.errors import ConversionError
from spikec.ir.metadata import OUTPUT


def named_outputs(value: Any) -> dict[str, Any] | None:
    """What a network returns, by name: the keys of a dictionary, the fields of a named tuple, ``output_0``, ... of
    another tuple or list, without those that are None; None for anything else. Raises ``ConversionError`` for keys that
    read the same, or as nothing."""
    if isinstance(value, Mapping):
        pairs = [(str(name), each) for name, each in value.items()]
    elif isinstance(value, tuple | list):
        names = getattr(value, "_fields", None) or [f"output_{place}" for place in range(len(value))]
        pairs = list(zip(names, value, strict=True))
    else:
        return None
    found = {name: each for name, each in pairs if each is not None}
    if len(found) < sum(each is not None for _, each in pairs):
        raise ConversionError(f"the network returns two outputs of one name ({', '.join(name for name, _ in pairs)})")
    if not all(map(str.strip, found)):
        raise ConversionError("the network returns an output without a name (an empty key): give it one, such as 'y'")
    return found


def only_output(value: Any) -> Any:
    """What a network with one output returns, taken out of the tuple, list or dictionary that may be around it; of a
    network with several, what it returns."""
    named = named_outputs(value)
    return next(iter(named.values())) if named is not None and len(named) == 1 else value


def output_nodes(graph: fx.GraphModule) -> dict[str, fx.Node]:
    """The nodes that a canonical graph returns, by the name of the output; a network that returns one tensor calls it
    ``output``."""
    value = next(node for node in graph.graph.nodes if node.op == "output").args[0]
    return {OUTPUT: value} if isinstance(value, fx.Node) else dict(cast(Mapping[str, fx.Node], value))


def has_classes(graph: fx.GraphModule) -> bool:
    """Whether a canonical graph returns one tensor of shape [N, classes]."""
    outputs = output_nodes(graph)
    return len(outputs) == 1 and all(len(node.meta["shape"]) == 1 for node in outputs.values())
