"""Says when the input coding loses much of the images, or when these are unlike the images of the calibration."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from spikec.calls import outside
from spikec.errors import InputWarning
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph
from spikec.ir.input_statistics import CodedInput, InputStatistics
from spikec.ir.types import Int64

#: Shares beyond which a sentence is due: clipped values; further empty images.
_CLIPPED, _EMPTY = 0.001, 0.01
#: Zeroed values, of those that are not zero: so many times those of the calibration, and this share more.
_ZEROED_TIMES, _ZEROED_MORE = 2.0, 0.05
#: The same for files that do not say what their calibration lost.
_ZEROED = 0.5
#: Images are in other units where their deviations are beyond this factor outside of where 90 % of the calibration's
#: lie; or, for so many images, beyond this factor of the calibration's in the median.
_OTHER_UNITS, _MANY = 2.0, 16
#: Part of the images that may be broken, where only they are clipped.
_BROKEN = 0.1
#: Share of negative values that says that images are normalised, and images that are enough to miss them in.
_SIGNED, _ENOUGH = 0.05, 4


@dataclass(frozen=True)
class InputLoss:
    """What commands and the report say of the input coding: values that were ``clipped`` to its range or ``zeroed``
    (not zero, but coded as 0) of all ``values``, and ``empty_images``: not black, but all zero when coded. ``mean``,
    ``deviation``, ``low`` and ``high`` of the values as given. ``warning``: one sentence where something is wrong."""

    values: int
    clipped: int
    zeroed: int
    clipped_share: float
    zeroed_share: float
    empty_images: int
    mean: float
    deviation: float
    low: float
    high: float
    warning: str | None

    def __str__(self) -> str:
        lost = f"{portion(self.clipped_share)} clipped, {portion(self.zeroed_share)} rounded to 0"
        return f"input coding: of {self.values:,} values {lost}"


_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def unsaid() -> Iterator[None]:
    """Inside, :func:`told` says nothing: for runs on images that are spoken of elsewhere, or batch by batch."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def told(graph: IntegerGraph, coding: CodedInput | None) -> None:
    """Warn with an :class:`InputWarning` where :func:`warning` has something to say."""
    sentence = None if coding is None or _silent.get() else warning(graph, coding)
    if sentence is not None:
        warnings.warn(sentence, InputWarning, stacklevel=outside())


def warning(graph: IntegerGraph, coding: CodedInput) -> str | None:
    """One sentence on what is wrong with images for ``graph``; None where nothing is.

    It speaks of more than 0.1 % clipped values (of sequences: of any), of images that become all zero, of many more
    values rounded to zero than in the calibration images, and of a normalisation that was forgotten, or applied twice.
    """
    seen, known = coding.total, graph.calibrated
    what = "sequence" if graph.sequences else "image"
    node = graph.input
    held = f"{node.low * node.scale:.4g} to {node.high * node.scale:.4g}"
    hit = coding.clipped_by_image.nonzero()[0]
    found = [*_clipped(graph, seen, held, hit), *_lost(node, seen, known, what)]
    unlike = None if known is None or graph.sequences else _unlike(seen, known)
    if unlike is not None:
        found.append(unlike)
    if not found:
        return None
    way_out = f"give {what}s in the units of the calibration, or calibrate on {what}s such as these"
    if unlike is not None:
        way_out = f"give {what}s normalised and scaled as those of the calibration"
    elif 0 < len(hit) <= _BROKEN * seen.images:
        way_out = f"look whether these {what}s are broken; if not, calibrate on {what}s such as these"
    return f"input range {held}: {'; '.join(found)}; {way_out}"


def _clipped(graph: IntegerGraph, seen: InputStatistics, held: str, hit: Int64) -> list[str]:
    """``hit``: numbers of the images that hold clipped values."""
    spans = f"they run from {seen.low:.4g} to {seen.high:.4g}"
    if graph.sequences and seen.clipped:
        return [
            f"the network was made for values from {held}; sequences hold others, which are cut "
            f"({portion(seen.clipped_share)} clipped, {spans})"
        ]
    if seen.clipped_share <= _CLIPPED:
        return []
    images = "" if len(hit) > _BROKEN * seen.images else f" in {len(hit):,} of {seen.images:,} images, {hit[0]} first,"
    return [f"{portion(seen.clipped_share)} of the values are clipped{images or ','} {spans}"]


def _lost(node: InputNode, seen: InputStatistics, known: InputStatistics | None, what: str) -> list[str]:
    """Values and images that become zero."""
    found = []
    usual = 0.0 if known is None else known.empty / known.images
    if seen.empty / seen.images > 2 * usual + (_EMPTY if usual else 0.0):
        verb = "becomes" if seen.empty == 1 else "become"
        found.append(f"{seen.empty:,} of {seen.images:,} {what}s {verb} all zero")
    allowed = _ZEROED if known is None else _ZEROED_TIMES * known.lost_share + _ZEROED_MORE
    cut = 0 if node.low else min(seen.negative, seen.zeroed)  # negative values: said to be clipped
    lost = (seen.zeroed - cut) / max(seen.nonzero, 1)
    if lost > allowed:
        beside = "" if known is None else f" ({portion(known.lost_share)} in the calibration)"
        found.append(f"{portion(lost)} of the values that are not zero become 0{beside}")
    return found


def _unlike(seen: InputStatistics, known: InputStatistics) -> str | None:
    """What the statistics say of a normalisation; None where both may be of one kind."""
    moments = (
        f"mean {seen.mean:.3g}, deviation {seen.deviation:.3g}; in the calibration "
        f"{known.mean:.3g} and {known.deviation:.3g}"
    )
    (low, middle, high), (least, usual, most) = seen.deviations, known.deviations
    other_units = high > 0 and (high * _OTHER_UNITS < least or low > most * _OTHER_UNITS)
    if seen.images >= _MANY and high > 0 and usual > 0:
        other_units = other_units or not 1 / _OTHER_UNITS <= middle / usual <= _OTHER_UNITS
    signed, was_signed = seen.negative / seen.values, known.negative / known.values
    if was_signed >= _SIGNED and not seen.negative and seen.nonzero and (other_units or seen.images >= _ENOUGH):
        return (
            "a normalisation seems to be missing: no value is negative, "
            f"{portion(was_signed)} of the calibration's were ({moments})"
        )
    if signed >= _SIGNED and not known.negative:
        return (
            "the images seem to be normalised, those of the calibration were not: "
            f"{portion(signed)} of the values are negative ({moments})"
        )
    return f"the images seem to be in other units ({moments})" if other_units else None


def portion(share: float) -> str:
    """A share in percent, with the digits that small ones need."""
    return f"{100 * share:.3g} %"


def input_loss(graph: IntegerGraph, coding: CodedInput | None) -> InputLoss | None:
    """What the input coding lost of the images of a run of ``graph``; None where that is not known."""
    if coding is None:
        return None
    seen = coding.total
    return InputLoss(
        values=seen.values,
        clipped=seen.clipped,
        zeroed=seen.zeroed,
        clipped_share=seen.clipped_share,
        zeroed_share=seen.zeroed_share,
        empty_images=seen.empty,
        mean=seen.mean,
        deviation=seen.deviation,
        low=seen.low,
        high=seen.high,
        warning=warning(graph, coding),
    )


__all__ = ["InputLoss", "input_loss", "portion", "told", "unsaid", "warning"]
