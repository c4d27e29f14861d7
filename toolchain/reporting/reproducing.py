"""The commands that lead to the numbers of a report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from spikec.evidence.crosscheck import Crosscheck
from spikec.ir.metadata import EXPORT
from spikec.reporting.details import Reproduction
from spikec.terminal import shown
from spikec.words import shortened

#: Words of callables that do not tell one network from another.
_GENERIC = {"", "build", "create", "get", "load", "main", "make", "model", "module", "net", "network", "new"}
#: Letters of a name in a title.
_LETTERS = 80


def reproduction(
    info: Mapping[str, str], command: str | None, version: str, verified: Crosscheck | None, data: str
) -> tuple[Reproduction, ...]:
    """``info``: the settings in the file, among them the command that exported it, where it was one; ``command``: what
    made the report; ``version``: of spikec."""
    found = [Reproduction("the same version", f"pip install spikec=={version}", True)]
    words = shlex.split(command, comments=False) if command and _splits(command) else []
    file = next((word for word in words if word.endswith(".nir")), None)
    exported = _exported(info)
    if exported:
        found.append(Reproduction("the deployment", shlex.join([*exported, "-o", file or "net.nir"]), True))
    elif "method" in info and (file is not None or command is None):
        made = ["spikec", "export", "MODEL", "--weights", "WEIGHTS", "--method", info["method"]]
        for key in ("schedule", "timesteps"):
            made += [f"--{key}", info[key]] if key in info else []
        made += ["-o", file or "net.nir"]
        purpose = "the deployment, from your network and its weights; the other options are those of its settings above"
        found.append(Reproduction(purpose, shlex.join(made), False))
    if command:
        found.append(Reproduction("this report", command, True))
    if file is not None and verified is not None:
        check = ["spikec", "verify", file, "--target", verified.target]
        check += [*(["--data", data] if data else []), "--limit", str(verified.images)]
        found.append(Reproduction("the comparison with the target", shlex.join(check), True))
    return tuple(found)


def network_name(info: Mapping[str, str]) -> str:
    """What the file says it was exported from, as titles have it: the name of a network, of a callable, or of a file;
    empty where it says nothing, or an option first. A callable whose name fits any network, such as ``make``, has that
    of its module."""
    words = _exported(info)
    model = words[2] if len(words) > 2 and not words[2].startswith("-") else ""
    place, colon, word = model.rpartition(":")
    if not colon:
        return in_title(Path(model).stem)
    module = Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    return in_title(module if module and set(word.lower().split("_")) <= _GENERIC else word)


def in_title(name: str) -> str:
    """A name that may come from a file: on one line, without control characters, never long."""
    return shortened(shown(" ".join(name.split())), _LETTERS)


def _exported(info: Mapping[str, str]) -> list[str]:
    """The words of the command that exported the file. What a file says may be anything: it is this command, or
    nothing."""
    stated = info.get(EXPORT, "")
    words = shlex.split(stated, comments=False) if _splits(stated) else []
    return words if words[:2] == ["spikec", "export"] else []


def _splits(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True
