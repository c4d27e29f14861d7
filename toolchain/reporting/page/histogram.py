"""Histograms as inline SVG: how many are in each class of a number."""

from __future__ import annotations

from collections.abc import Sequence

from spikec.reporting.page.chart import chart, label, line, mark
from spikec.reporting.page.html import Html, tag

_LEFT, _TOP, _BOTTOM = 4.0, 16.0, 20.0


def histogram(
    title: str,
    counts: Sequence[int],
    spans: Sequence[str],
    ends: tuple[str, str],
    noun: str,
    width: float,
    height: float,
) -> Html:
    """``spans``: what each class holds, in words; ``ends``: the words below both ends of the axis; ``noun``: of what is
    counted."""
    base, most = height - _BOTTOM, max([1, *counts])
    step = (width - 2 * _LEFT) / len(counts)
    parts: list[Html] = [line(_LEFT, base, width - _LEFT, base, "axis")]
    for index, (number, span) in enumerate(zip(counts, spans, strict=True)):
        tall = number / most * (base - _TOP)
        tall = max(tall, 1.5) if number else 0.0  # one of ten thousand is still there
        left = round(_LEFT + index * step, 1)
        whole = tag("rect", x=left, y=_TOP, width=round(step, 1), height=round(base - _TOP, 1), class_="hit")
        bar = tag(
            "rect", x=round(left + 0.75, 2), y=round(base - tall, 1), width=round(step - 1.5, 2),
            height=round(tall, 1), class_="bar",
        )  # fmt: skip
        parts.append(mark(Html(whole + bar), f"{span}: {number:,} {noun}"))
    peak = max(range(len(counts)), key=lambda index: counts[index])
    parts.append(label(f"{counts[peak]:,}", _LEFT + (peak + 0.5) * step, _TOP - 4, _anchored(peak, len(counts))))
    parts += [label(ends[0], _LEFT, height - 5), label(ends[1], width - _LEFT, height - 5, "tick end")]
    told = "; ".join(f"{span}: {number:,}" for number, span in zip(counts, spans, strict=True) if number)
    return chart(title, told, width, height, parts, "small")


def _anchored(index: int, number: int) -> str:
    """So that the number above a bar stays inside."""
    return "tick" if index < 2 else "tick end" if index > number - 3 else "tick middle"
