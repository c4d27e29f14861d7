"""Where the numbers come from, and how to make them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.reporting.numbers import grouped
from spikec.reporting.page.html import Html, command, tag

if TYPE_CHECKING:
    from spikec.reporting.value import Report


def provenance(report: Report) -> list[Html]:
    """Hashes, versions and settings."""
    made = report.provenance
    facts: list[tuple[str, object]] = [
        ("Date", made.date or "not recorded"),
        ("Command", tag("code", made.command) if made.command else "not recorded"),
        ("Seed", made.seed if made.seed is not None else "none used"),
        ("Data", f"{report.data_name or 'unnamed'}, {grouped(report.images)} images"),
        ("Data sha256", tag("code", made.data_sha256)),
        *_identity(report),
        ("Source sha256", tag("code", made.source_sha256 or "unknown")),
        ("Producer", made.producer or "unknown"),
        ("Executed by", made.target),
        *((f"{name}", version) for name, version in made.versions.items()),
        *((name, value) for name, value in made.info.items()),
    ]
    entries = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    return [tag("dl", *entries, class_="facts")]


def _identity(report: Report) -> list[tuple[str, object]]:
    """What tells this deployment from another one: the one place of the page that says so."""
    made = report.provenance
    return [
        ("Deployment sha256", tag("code", made.deployment_sha256)),
        ("Content sha256 (weights and thresholds)", tag("code", made.graph_sha256 or "unknown")),
    ]


def reproduction(report: Report) -> list[Html]:
    """Commands; those with words in capitals are to be completed."""
    items = [
        tag(
            "li",
            f"{each.purpose[0].upper()}{each.purpose[1:]}{'' if each.complete else ' (words in capitals are yours)'}:",
            command(each.command),
        )
        for each in report.reproduction
    ]
    return [tag("ul", *items, class_="commands")] if items else []
