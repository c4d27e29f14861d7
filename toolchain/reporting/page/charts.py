"""Inline SVG. Colours come from the style sheet, so one drawing serves light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spikec.reporting.numbers import percent
from spikec.reporting.page.html import Html, tag


def _strip(*parts: Html, described: str, class_: str = "strip") -> Html:
    """A drawing for a table cell: 100 x 10 units, stretched to the cell, no text in it."""
    return tag(
        "svg",
        tag("title", described),
        *parts,
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        role="img",
        class_=class_,
    )


def _box(start: float, end: float, class_: str, top: float = 0.0, height: float = 10.0, least: float = 0.0) -> Html:
    width = max(end - start, least)
    start = min(start, 100.0 - width)
    return tag("rect", x=f"{start:.2f}", y=f"{top:g}", width=f"{width:.2f}", height=f"{height:g}", class_=class_)


def fraction_bar(value: float, described: str) -> Html:
    """A bar from 0 to ``value`` of 1."""
    return _strip(
        _box(0, 100, "track", 2, 6), _box(0, 100 * min(max(value, 0.0), 1.0), "fill", 2, 6), described=described
    )


def log_position(value: float, low: float, high: float) -> float:
    """Position of ``value``, 0 to 100, on a logarithmic axis from ``low`` to ``high``; clipped to the axis."""
    clipped = min(max(value, low), high)
    return 100 * math.log(clipped / low) / math.log(high / low)


def band_strip(value: float, band: tuple[float, float], axis: tuple[float, float], described: str) -> Html:
    """A mark on a logarithmic axis with ``band`` shaded."""
    at = log_position(value, *axis)
    return _strip(
        _box(0, 100, "track", 4.5, 1),
        _box(log_position(band[0], *axis), log_position(band[1], *axis), "shade"),
        _box(at - 1, at + 1, "mark"),
        described=described,
    )


def range_strip(low: float, middle: float, high: float, axis: tuple[float, float], slot: int, described: str) -> Html:
    """p5 to p95 as a bar and p50 as a mark, on a logarithmic axis."""
    at = log_position(middle, *axis)
    return _strip(
        _box(0, 100, "track", 4.5, 1),
        _box(log_position(low, *axis), log_position(high, *axis), f"s{slot} soft", 2, 6, least=1),
        _box(at - 0.8, at + 0.8, "mark"),
        described=described,
    )


def stacked_bar(shares: Sequence[tuple[str, float, int]], described: str) -> Html:
    """A bar of parts side by side, each given as (name, share of the whole, colour slot)."""
    parts, start = [], 0.0
    for name, share, slot in shares:
        piece = _box(start, start + 100 * share, f"s{slot}")
        parts.append(tag("g", tag("title", f"{name}: {percent(share, 0)}"), piece, class_="mark"))
        start += 100 * share
    return _strip(*parts, described=described, class_="stack")


def tornado_strip(low: float, middle: float, high: float, axis: tuple[float, float], described: str) -> Html:
    """A bar between the totals at both ends of a constant's interval, on a linear axis, with a mark at ``middle``."""

    def at(value: float) -> float:
        return 100 * (value - axis[0]) / (axis[1] - axis[0])

    ends = sorted((at(low), at(high)))
    return _strip(
        _box(ends[0], max(ends[0], min(at(middle), ends[1])), "fill soft", 1.5, 7),
        _box(max(ends[0], min(at(middle), ends[1])), ends[1], "fill", 1.5, 7),
        _box(at(middle) - 0.3, at(middle) + 0.3, "mark"),
        described=described,
    )


def bits_strip(seen: tuple[int, int] | None, proven: tuple[int, int] | None, bits: int, described: str) -> Html:
    """Ranges on a symmetric axis of ``bits`` bits, each half logarithmic: ``proven`` shaded, ``seen`` filled."""

    def at(value: int) -> float:
        share = math.log2(1 + abs(value)) / (bits - 1)
        return 50 + math.copysign(50 * min(share, 1.0), value) if value else 50.0

    parts = [_box(0, 100, "track", 4.5, 1)]
    if proven is not None:
        parts.append(_box(at(proven[0]), at(proven[1]), "shade", least=1))
    if seen is not None:
        parts.append(_box(at(seen[0]), at(seen[1]), "fill", 2.5, 5, least=1))
    return _strip(*parts, _box(49.8, 50.2, "mark"), described=described)


def parts_strip(shares: Sequence[float], described: str) -> Html:
    """Parts side by side, as shares of the whole width, each in its own colour."""
    parts, start = [_box(0, 100, "track", 4.5, 1)], 0.0
    for slot, share in enumerate(shares):
        if share > 0:
            parts.append(_box(start, start + 100 * share, f"s{slot}", 1.5, 7))
            start += 100 * share
    return _strip(*parts, described=described)
