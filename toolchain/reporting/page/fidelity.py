"""Fidelity: the error of every layer against the trained network, by cause."""

from __future__ import annotations

from spikec.evidence.fidelity import Fidelity, LayerFidelity
from spikec.reporting.numbers import percent
from spikec.reporting.page.charts import parts_strip
from spikec.reporting.page.html import Column, Html, table, tag

_CAUSES = {
    "clipping": "activations beyond the threshold",
    "quantisation": "rounding to the levels that T steps can send",
    "unevenness": "when spikes come, and the rounding of weights",
    "propagation": "what earlier layers handed down",
}
_MISSING = (
    "Not measured: it needs the trained network, which a deployment file does not hold. In Python, "
    "tc.report(..., fidelity=tc.fidelity(model, graph, images)); spikec export --fidelity prints the table."
)


def fidelity(found: Fidelity | None) -> list[Html]:
    """The causes as parts of a bar, all layers on one axis."""
    if found is None:
        return [tag("p", _MISSING, class_="note")]
    most = max([1e-9, *(_sum(layer) for layer in found.layers)])
    columns = [
        Column("Layer", "name"),
        *(Column(cause.capitalize(), hint=about) for cause, about in _CAUSES.items()),
        Column("Total", hint="of activation against emitted rate; at most the sum of the others"),
        Column("", "drawing wide"),
    ]
    rows = [_row(layer, most) for layer in found.layers]
    lead = f"{found.stage[0].upper()}{found.stage[1:]}, {found.images:,} images, as shares of the mean activation."
    keys = [
        tag("li", tag("span", class_=f"swatch b{slot}", aria_hidden="true"), f"{cause}: {about}")
        for slot, (cause, about) in enumerate(_CAUSES.items())
    ]
    return [tag("p", lead), table("Error of every layer, by cause", columns, rows), tag("ul", *keys, class_="legend")]


def _sum(layer: LayerFidelity) -> float:
    return sum(float(getattr(layer, cause)) for cause in _CAUSES)


def _row(layer: LayerFidelity, most: float) -> list[object]:
    values = {cause: float(getattr(layer, cause)) for cause in _CAUSES}
    told = "; ".join(f"{cause} {percent(value)}" for cause, value in values.items())
    strip = parts_strip([value / most for value in values.values()], f"{layer.layer}: {told}")
    return [tag("code", layer.layer), *(percent(value) for value in values.values()), percent(layer.total), strip]
