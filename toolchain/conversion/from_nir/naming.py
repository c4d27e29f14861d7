"""Names of foreign nodes as a deployment may hold them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping

import nir

from spikec.ir.metadata import INPUT, OUTPUT

_READOUT = "readout"


def legal_names(nodes: Mapping[str, nir.NIRNode], attributes: frozenset[str] = frozenset()) -> dict[str, str]:
    """Unique legal names, by the name in the file. Dots stay unless the part before one is a node's name. Several
    Output nodes keep their names like other nodes. No part is one of ``attributes``."""
    taken = {INPUT, OUTPUT, _READOUT}
    chosen = {}
    only = sum(isinstance(node, nir.Output) for node in nodes.values()) == 1
    for name, node in sorted(nodes.items()):
        if isinstance(node, nir.Input) or (isinstance(node, nir.Output) and (only or name == OUTPUT)):
            chosen[name] = INPUT if isinstance(node, nir.Input) else OUTPUT
            continue
        plain = re.sub(r"[^A-Za-z0-9_.]", "_", name) or "_"
        # Names become attributes in the code of the traced graph.
        parts = [f"{part}_" if keyword.iskeyword(part) or part in attributes else part for part in plain.split(".")]
        plain = ".".join(parts)
        prefixes = {".".join(parts[:i]) for i in range(1, len(parts))}
        if "" in parts or prefixes & set(nodes):
            plain = plain.replace(".", "_")
        candidate, number = plain, 1
        while candidate in taken:
            candidate, number = f"{plain}_{number}", number + 1
        taken.add(candidate)
        chosen[name] = candidate
    return chosen
