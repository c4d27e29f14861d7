"""Currents and membranes that decay: the arithmetic of Loihi's leaky neuron."""

from __future__ import annotations

from spikec.ir.leak import CURRENT_MAX, UNIT, Leak
from spikec.ir.types import MEMBRANE_MAX
from spikec.targets.c.code.context import Sink
from spikec.targets.c.code.layer import Layer
from spikec.targets.c.code.numbers import holding
from spikec.targets.c.code.tables import Table
from spikec.targets.c.code.text import Text


class Leaking:
    """Current ``u`` and membrane ``v`` of a layer before anything fires; the line that ends with ``m``."""

    equation = (
        "u = toward0(u (4095 - du) / 4096) + 64 z, wrapped once at +-2^23; "
        "v = toward0(v (4096 - dv) / 4096) + u + bias, held within +-(2^23 - 1)"
    )

    def __init__(self, layer: Layer, leak: Leak) -> None:
        self.layer = layer
        kept_u, kept_v = leak.kept
        self._kept_u = layer.table("keep_u", kept_u, "4095 - du, what is left of a current in 4096ths")
        self._kept_v = layer.table("keep_v", kept_v, "4096 - dv, what is left of a membrane in 4096ths")
        self._bias = layer.table("leak_bias", leak.bias, "biases of the membranes")
        (least, most), (low, high) = layer.driven, layer.steady
        reach = UNIT * (max(-least, most) + max(-low, high)) + CURRENT_MAX
        self._u_type = holding(-reach, reach)
        self._z_type = holding(least, most, signed=True)
        self._u = layer.keep("u", self._u_type, "currents")
        self._v = layer.keep("v", "int32_t", "membranes")
        self._z = layer.pass_by("z", self._z_type, "what spikes add in this step") if layer.has_driven else None

    @property
    def sink(self) -> Sink | None:
        return None if self._z is None else Sink(self._z, self._z_type, self.layer.node.shape)

    @property
    def membranes(self) -> str:
        return self._v

    @property
    def tables(self) -> tuple[Table | None, ...]:
        return self._kept_u, self._kept_v, self._bias, self.layer.bias_table

    def pointers(self, text: Text) -> None:
        text.line(f"{self._u_type} *restrict const u = {self._u};")
        text.line(f"int32_t *restrict const v = {self._v};")
        if self._z is not None:
            text.line(f"const {self._z_type} *restrict const z = {self._z};")
        if self.layer.x is not None:
            text.line(f"const {self.layer.x_type} *restrict const x = {self.layer.x};")
        if self.layer.code.graph.drain and not self.layer.arriving_steadily():
            text.line("(void)on; /* nothing arrives here but spikes */")

    def charge(self, text: Text) -> None:
        """Lines that end with ``m``, the membrane before it fires; ``u[n]`` is up to date."""
        layer, wide = self.layer, CURRENT_MAX
        steady = layer.arriving_steadily()
        terms = [*(["z[n]"] if self._z is not None else []), *([steady] if steady else [])]
        came = " + ".join(f"(int64_t){term}" for term in terms) or "0"
        text.line(f"int64_t current = (int64_t)u[n] * {self._kept_u.at} / 4096 + ({came}) * {UNIT};")
        text.line(f"if (current > {wide}) current -= {2 * wide};")
        text.line(f"else if (current <= -{wide}) current += {2 * wide};")
        text.line(f"u[n] = ({self._u_type})current;")
        text.line(f"int64_t held = (int64_t)v[n] * {self._kept_v.at} / 4096 + current + {self._bias.at};")
        text.line(f"if (held > {MEMBRANE_MAX}) held = {MEMBRANE_MAX};")
        text.line(f"if (held < -{MEMBRANE_MAX}) held = -{MEMBRANE_MAX};")
        text.line("const int32_t m = (int32_t)held;")
