"""``repair``: a corrected copy of a NIR file, where the correction is certain, and what was changed."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nir

from spikec.calls import named_arguments
from spikec.errors import GraphError
from spikec.hdf5.opening import named
from spikec.hdf5.process import LIMIT, SECONDS
from spikec.nir.as_nir import content
from spikec.nir.diagnosing import Diagnosis, examine, open_file
from spikec.nir.findings import Finding
from spikec.nir.mending import mend
from spikec.whole_files import replacing, temporary_folder
from spikec.words import listed, printable

#: Findings after which the file is not known well enough to be written anew.
_LOSING = (
    "damaged",
    "not_hdf5",
    "unreadable_object",
    "external_link",
    "soft_link",
    "link_cycle",
    "too_large",
    "edges",
    "root",
    "not_nir",
)
_OURS = ("deployment", "deployment_edited", "portable")


@dataclass(frozen=True)
class Repair:
    """``changes``: one sentence each. ``before`` and ``after``: what the doctor says to the file and to its copy."""

    path: str
    out: str
    changes: tuple[str, ...]
    before: Diagnosis
    after: Diagnosis

    @property
    def left(self) -> tuple[Finding, ...]:
        """Errors that no certain correction removes."""
        return self.after.errors

    def __str__(self) -> str:
        lines = [f"changed: {change}" for change in self.changes] or ["nothing to correct with certainty"]
        lines += [f"left: {finding}" for finding in self.left]
        reads = "nir.read takes it" if self.after.reads else f"nir.read refuses it: {self.after.nir_says}"
        lines.append(f"{self.out}: {reads}")
        return printable("\n".join(lines))


@named_arguments
def repair(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    in_place: bool = False,
    limit: int = LIMIT,
    seconds: float = SECONDS,
) -> Repair:
    """Write a corrected copy of the NIR file ``path`` to ``out``, through a temporary file, and say what was changed.

    Only what is certain is corrected (:mod:`spikec.nir.mending`); the copy means the same network. ``out`` may be the
    file itself with ``in_place`` only. Raises :class:`GraphError` where the file cannot be read whole, so that a copy
    would lose something, and where it is a deployment of spikec.
    """
    source, target = named(path), named(out)
    try:
        itself = os.path.exists(source) and os.path.exists(target) and source.samefile(target)
    except OSError as error:  # a name that is too long
        raise GraphError(f"cannot read {source}: {error.strerror}") from error
    if itself and not in_place:
        raise GraphError(f"{target} is the file itself: give the copy another name, or ask for it to be replaced")
    opened = open_file(source, limit=limit, seconds=seconds)
    before = examine(opened, str(source))
    losing = [f for f in before.findings if f.rule in _LOSING and not f.mendable and f.severity != "note"]
    if losing or opened.graph is None:
        raise GraphError(f"{source} cannot be repaired, since it was not read whole: {losing[0].message}")
    ours = [finding for finding in before.findings if finding.rule in _OURS]
    if ours:
        raise GraphError(f"{source} cannot be repaired: {ours[0].message}; export it again")
    graph = deepcopy(opened.graph)
    changes = [f"{f.message}; left out" for f in opened.findings if f.rule == "root"]
    changes += [f"{f.where}: a link, written out" for f in opened.findings if f.rule == "soft_link"]
    changes += mend(graph)
    if opened.version != nir.version:
        changes.append(f"written in the form of nir {nir.version}")
    if opened.tree.extra:
        changes.append(f"left out what lies outside of /node: {listed(opened.tree.extra)}")
    try:
        written = content(graph)
    except GraphError as error:
        raise GraphError(f"{source} cannot be repaired: {error}") from error
    after = _diagnosed(written, target, limit, seconds)
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(written)
    except OSError as error:
        raise GraphError(f"cannot write {target}: {error.strerror or error}") from error
    return Repair(str(source), str(target), tuple(changes), before, after)


def _diagnosed(written: bytes, target: Path, limit: int, seconds: float) -> Diagnosis:
    """What the doctor says to the copy, before anything is replaced."""
    with temporary_folder() as folder:
        copy = folder / "copy.nir"
        copy.write_bytes(written)
        return examine(open_file(copy, limit=limit, seconds=seconds), str(target))
