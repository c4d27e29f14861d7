"""How numbers are printed: never with more digits than they have."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikec.energy import Quantiles
    from spikec.reporting.proportion import Proportion

TIMES = "\N{MULTIPLICATION SIGN}"
UNKNOWN = "\N{EN DASH}"

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def engineering(value: float, unit: str = "", digits: int = 2) -> str:
    """``value`` at ``digits`` significant digits with an SI prefix: ``engineering(9.96e-7, "J") == "1.0 µJ"``."""
    exponent = _exponent(value, digits)
    return f"{_mantissa(value, exponent, digits)} {_PREFIXES[exponent]}{unit}".rstrip()


def engineering_range(low: float, high: float, unit: str = "", digits: int = 2) -> str:
    """``low`` to ``high`` under one common prefix where that keeps both readable: ``"60 to 130 µJ"``."""
    lower, upper = _exponent(low, digits), _exponent(high, digits)
    if lower == upper:
        return f"{_mantissa(low, lower, digits)} to {engineering(high, unit, digits)}"
    return f"{engineering(low, unit, digits)} to {engineering(high, unit, digits)}"


def quantiles(value: Quantiles, unit: str) -> str:
    """``"90 µJ (60 to 130 µJ)"``: median and the range from p5 to p95."""
    return f"{engineering(value.p50, unit)} ({engineering_range(value.p5, value.p95, unit)})"


def percent(value: float, decimals: int = 1) -> str:
    return f"{100 * value:.{decimals}f} %"


def proportion(value: Proportion) -> str:
    """The percentage alone, with as many decimals as the sample size justifies."""
    return percent(value.value, _decimals(value))


def interval(value: Proportion) -> str:
    decimals = _decimals(value)
    return f"{100 * value.low:.{decimals}f} to {percent(value.high, decimals)}"


def grouped(value: float) -> str:
    """A count with thousands separators; means over images keep one decimal below 100."""
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) < 100 else f"{round(value):,}"


def significant(value: float, digits: int = 2) -> str:
    """Plain decimal notation if it is short, else with a power of ten: 0.057, 24, 110, 4.1e-05."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if 10 <= abs(rounded) < 1e6 and rounded.is_integer() else f"{value:.{digits}g}"


def ratio(value: float) -> str:
    """Two significant digits, a trailing zero included: 0.94, 1.0, 58."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:.1f}" if 1 <= rounded < 10 else significant(value)


def scaled(values: tuple[float, ...], unit: str, digits: int = 3) -> tuple[list[str], str]:
    """Values under the SI prefix that suits the first: ``scaled((2.4e-11, 0.0), "J/synop")`` is ``24, 0`` pJ/synop."""
    if re.match(r"[JsW]\b", unit) is None:
        return [significant(value, digits) for value in values], unit
    exponent = _exponent(values[0], digits)
    return [significant(value / 10.0**exponent, digits) for value in values], _PREFIXES[exponent] + unit


def prefixed(largest: float, unit: str) -> tuple[float, str]:
    """What to divide values of up to ``largest`` by, and the unit they then have: ``(1e-06, "µJ")``."""
    exponent = _exponent(largest, 2)
    return 10.0**exponent, _PREFIXES[exponent] + unit


def span(pair: tuple[int, int]) -> str:
    """``"12"`` or ``"12 to 40"``."""
    low, high = (f"{bound:,}".replace("-", "\N{MINUS SIGN}") for bound in pair)
    return low if low == high else f"{low} to {high}"


def shape(dimensions: tuple[int, ...]) -> str:
    return f" {TIMES} ".join(str(size) for size in dimensions)


def _decimals(value: Proportion) -> int:
    return max(1, len(str(value.total - 1)) - 2)  # so that one image more or less is visible


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _exponent(value: float, digits: int) -> int:
    """The power of ten, a multiple of three, whose prefix suits ``value`` once it is rounded."""
    rounded = _rounded(value, digits)
    if rounded == 0:
        return 0
    return min(max(math.floor(math.log10(abs(rounded)) + 1e-12) // 3 * 3, -15), 12)


def _mantissa(value: float, exponent: int, digits: int) -> str:
    scaled = _rounded(value, digits) / 10.0**exponent
    if scaled == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(scaled)) + 1e-12)
    return f"{scaled:.{max(0, digits - 1 - magnitude)}f}"
