"""Does it fit: what the checks and the placement of each chip say, for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from toolchain.energy import Estimate, estimate
from toolchain.ir import IntegerGraph
from toolchain.report.charts import load_bars
from toolchain.report.html import Column, Html, join, prose, table, tag
from toolchain.report.numbers import grouped, percent, plural
from toolchain.report.value import Finding, Fit

if TYPE_CHECKING:
    from targets.loihi import Placement
    from toolchain.simulation.trace import Trace

#: Chips a report checks unless told otherwise, in the order of the page.
CHIPS = ("loihi2", "loihi1")
#: Energy profiles a report holds unless told otherwise, in the order of the page.
PROFILES = (*CHIPS, "cmos45")


def fits_of(net: IntegerGraph) -> tuple[tuple[Fit, ...], dict[str, Placement]]:
    """Every chip, and the placements by name where there is one."""
    from targets.loihi import check, load_limits, placed

    found, placements = [], {}
    for chip in CHIPS:
        placement = placed(net, chip)
        if placement is not None:
            placements[chip] = placement
        violations = check(net, chip, placement=placement)
        found.append(
            Fit(
                target=chip,
                title=load_limits(chip).title,
                cores=len(placement.cores) if placement else None,
                lower_bound=placement.lower_bound if placement else None,
                chips=placement.chips if placement else None,
                cores_of=dict(placement.cores_of) if placement else {},
                loads=tuple(core.load for core in placement.cores) if placement else (),
                violations=tuple(
                    Finding(v.rule, v.layer, str(v.actual), str(v.limit), v.severity, v.hint) for v in violations
                ),
            )
        )
    return tuple(found), placements


def estimates_of(net: IntegerGraph, trace: Trace, placements: Mapping[str, Placement]) -> list[Estimate]:
    """One per profile, with the cores of its placement; none for a chip the network cannot be placed on."""
    priced = [name for name in PROFILES if name not in CHIPS or name in placements]
    return [estimate(net, trace, profile=name, placement=placements.get(name)) for name in priced]


def sentence(fit: Fit) -> str:
    """``"46 cores on 1 chip, lower bound 43; 0 errors, 2 warnings"``."""
    errors = sum(finding.severity == "error" for finding in fit.violations)
    verdict = f"{plural(errors, 'error')}, {plural(len(fit.violations) - errors, 'warning')}"
    if fit.cores is None or fit.chips is None:
        return f"cannot be placed; {verdict}"
    return f"{plural(fit.cores, 'core')} on {plural(fit.chips, 'chip')}, lower bound {fit.lower_bound}; {verdict}"


def section(fits: tuple[Fit, ...]) -> Html:
    """Cores, their loads, and every violation, chip by chip."""
    note = (
        "Checks against published limits and an estimate of where neurons would go; Intel's mapper is not public. "
        "A load is the largest share of any resource of a core."
    )
    return join([*(_chip(fit) for fit in fits), tag("p", note, class_="note")])


def _chip(fit: Fit) -> Html:
    parts = [tag("h3", fit.title), tag("p", sentence(fit), ".")]
    if fit.loads:
        layers = ", ".join(f"{layer}: {grouped(cores)}" for layer, cores in fit.cores_of.items())
        mean, fullest = sum(fit.loads) / len(fit.loads), max(fit.loads)
        caption = f"Cores by load: mean {percent(mean, 0)}, fullest {percent(fullest, 0)}. Cores per layer: {layers}."
        parts.append(tag("figure", load_bars(fit.loads), tag("figcaption", caption)))
    if fit.violations:
        columns = [
            Column("", "word"),
            Column("Rule", "name"),
            Column("Layer", "text"),
            Column("Actual"),
            Column("Limit"),
            Column("What to do", "text"),
        ]
        rows: list[list[object]] = [
            [_severity(f.severity), f.rule, f.layer, _number(f.actual), _number(f.limit), prose(f.hint)]
            for f in fit.violations
        ]
        parts.append(table(f"Violations on {fit.title}", columns, rows))
    return tag("section", *parts, class_="bill")


def _severity(severity: str) -> object:
    return tag("strong", severity, class_="bad") if severity == "error" else severity


def _number(value: str) -> str:
    return f"{int(value):,}" if value.isdigit() else value
