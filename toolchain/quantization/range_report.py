"""What is known of every membrane: proven, measured, or seen to overflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from toolchain.errors import RangeError
from toolchain.ir import MEMBRANE_MAX, IntegerGraph, as_integer
from toolchain.quantization.ranges import bounds

if TYPE_CHECKING:
    import nir

Status = Literal["proven", "measured", "unproven", "overflows"]


@dataclass(frozen=True)
class LayerRange:
    """The membrane of one population or of the readout, before reset.

    ``low`` and ``high``: worst case over every possible image. ``measured``: range on ``images`` images, None where the
    proof made measuring needless. ``margin``: how many times the measured range fits into ``limit`` (proven: the worst
    case). ``detail`` names layer, neuron, value and image of the first overflow.
    """

    layer: str
    status: Status
    low: int
    high: int
    limit: int
    measured: tuple[int, int] | None = None
    images: int = 0
    detail: str = ""

    @property
    def margin(self) -> float:
        low, high = self.measured or (self.low, self.high)
        return self.limit / max(high, -low, 1)

    def __str__(self) -> str:
        worst = f"[{self.low}, {self.high}]"
        match self.status:
            case "proven":
                return f"{self.layer}: proven, worst case {worst}, {self.margin:.1f} times within {self.limit}"
            case "measured":
                return (
                    f"{self.layer}: measured {list(self.measured or ())} on {self.images} images, margin "
                    f"{self.margin:.1f}; worst case {worst} exceeds {self.limit}"
                )
            case "unproven":
                return f"{self.layer}: worst case {worst} exceeds {self.limit}; give images to measure"
            case _:
                return f"{self.layer}: overflows {self.limit}: {self.detail}"


def check_ranges(
    graph: nir.NIRGraph | IntegerGraph, images: Any = None, *, limit: int = MEMBRANE_MAX
) -> tuple[LayerRange, ...]:
    """Every membrane of a deployment against a symmetric ``limit`` (default 24 bits), in network order.

    ``images``: float [N, *input shape] to measure what is not proven. Membranes are measured before reset.
    """
    from toolchain.simulation import simulate

    integer = as_integer(graph)
    proven = bounds(integer).membranes
    loose = [name for name, b in proven.items() if max(b.high, -b.low) > limit]
    trace = simulate(integer, images, counts=False, measure=True) if loose and images is not None else None
    layers = []
    for name, bound in proven.items():
        if name not in loose:
            layers.append(LayerRange(name, "proven", bound.low, bound.high, limit))
        elif trace is None:
            layers.append(LayerRange(name, "unproven", bound.low, bound.high, limit))
        else:
            low, high = trace.membrane[name]
            over = max(high, -low) > limit
            detail = _first_overflow(integer, images, name, (low, high), limit) if over else ""
            status: Status = "overflows" if over else "measured"
            layers.append(LayerRange(name, status, bound.low, bound.high, limit, (low, high), trace.images, detail))
    return tuple(layers)


def _first_overflow(graph: IntegerGraph, images: Any, name: str, seen: tuple[int, int], limit: int) -> str:
    """Which image did it: the golden model's own sentence for 24 bits, the range for other limits."""
    from toolchain.simulation import simulate

    if limit == MEMBRANE_MAX:
        try:
            simulate(graph, images, counts=False, measure=True, strict=True)
        except RangeError as error:
            return str(error)
    return f"it reaches [{seen[0]}, {seen[1]}]"
