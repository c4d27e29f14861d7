"""Findings and differences as lines for people."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from spikec.words import either, printable, shown

if TYPE_CHECKING:
    from spikec.nir.diagnosing import Diagnosis


def diagnosis_text(found: Diagnosis) -> str:
    """A summary, every finding, what importers do, how to deploy."""
    lines = [f"{shown(found.path)}: {_summary(found)}"]
    if found.reads is not None:
        lines.append("nir.read takes it" if found.reads else f"nir.read refuses it: {found.nir_says}")
    counts = [(sum(f.severity == one for f in found.findings), one) for one in ("error", "warning", "note")]
    lines.append(", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts))
    for finding in found.findings:
        where = f"{finding.where}: " if finding.where else ""
        lines.append(f"  {finding.severity:<7}  {finding.rule}: {where}{finding.message}")
        if finding.mendable or finding.hint:
            advice = "; ".join(
                [
                    *([finding.hint] if finding.hint else []),
                    *([f"{either('tc.nir.repair', 'spikec nir repair')} does it"] * finding.mendable),
                ]
            )
            lines.append(f"           -> {advice}")
    if found.importers:
        lines.append("importers ([run] tried, [code] read, [issue] said by maintainers):")
        for name, entries in groupby(found.importers, key=lambda entry: entry.importer):
            lines.append(f"  {name}")
            lines += [f"    {entry.effect:<7}  {entry.says} ({entry.nodes}) [{entry.grade}]" for entry in entries]
    if found.deploy is not None:
        lines.append("to deploy it:")
        lines.append(f"  {found.deploy.command}")
        lines += [f"  in the way: {obstacle}" for obstacle in found.deploy.obstacles]
        lines += [] if found.deploy.obstacles else ["  nothing is in the way"]
    return printable("\n".join(lines))


def _summary(found: Diagnosis) -> str:
    if not found.kinds:
        return "no NIR graph"
    by = f"written by nir {shown(found.version)}" if found.version else "version unknown"
    kinds = ", ".join(f"{count} {shown(kind)}" for kind, count in found.kinds.items())
    return f"NIR graph, {by}; {sum(found.kinds.values())} nodes ({kinds}), {found.edges} edges"
