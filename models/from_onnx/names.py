"""Names of nodes as paths of modules."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

_NOT_IN_NAMES = re.compile(r"[^0-9A-Za-z_]+")
#: Modules cannot be called what every module has already.
_NETWORK = nn.Module()
_OWN = ("source", "steps", "outputs", "run", "channels_last")


class Paths:
    """A path for each node: its name with ``/`` as ``.``; for nodes without a name, operator and number."""

    def __init__(self) -> None:
        self._modules: set[str] = set()
        self._folders: set[str] = set()

    def of(self, proto: Any, number: int) -> str:
        wanted = re.split(r"[./]", proto.name)
        parts = [cleaned for part in wanted if (cleaned := _NOT_IN_NAMES.sub("_", part).strip("_"))]
        path = ".".join(parts) or f"{proto.op_type}_{number}"
        folders = _folders(path)
        first = folders[0] if folders else path
        taken = path in self._modules | self._folders or self._modules & set(folders)
        if taken or first in _OWN or hasattr(_NETWORK, first):
            path, folders = f"{path.replace('.', '_')}_{number}", []
        self._modules.add(path)
        self._folders |= set(folders)
        return path


def _folders(path: str) -> list[str]:
    parts = path.split(".")[:-1]
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
