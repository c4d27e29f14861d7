"""Whether the processes of a network are connected, as Lava needs them: outputs may share nothing but the image, and
the current of an image connects nothing."""

from __future__ import annotations

from collections.abc import Iterable

from spikec.errors import DoesNotFit
from spikec.words import option


def check_connected(nodes: Iterable[str], connections: Iterable[tuple[str, str]]) -> None:
    """Raise ``DoesNotFit`` where ``nodes`` fall into parts without connections (source, target) between them."""
    group = {name: {name} for name in nodes}
    for source, target in connections:
        joined = group.get(source, {source}) | group.get(target, {target})
        group |= dict.fromkeys(joined, joined)
    parts = {id(part): part for part in group.values()}.values()
    if len(parts) > 1:
        shown = " and ".join(next(name for name in group if name in part) for part in parts)
        raise DoesNotFit(
            f"the network has parts that share nothing but the image ({shown}), and Lava runs connected processes: "
            f"let it send the image ({option('input', 'graded')})"
        )
