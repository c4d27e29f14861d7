"""Names of nodes: which ones a file may hold, and handing them out."""

from __future__ import annotations

import re
from collections.abc import Iterable


def legal(name: str) -> str:
    """A name as node names may be: letters, digits, ``_`` and ``.`` only."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", name) or "_"


class Names:
    """Hands out node names, each once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)

    def free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name
