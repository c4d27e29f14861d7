"""From real numbers to the integers that a network reads, without a library."""

from __future__ import annotations

import math

from spikec.ir.coding import InputNode
from spikec.targets.c.code.text import Text


def write_encode(text: Text, prefix: str, node: InputNode) -> None:
    """The function ``NAME_encode``: as :func:`spikec.ir.coding.integers`, for float32."""
    size, ctype = math.prod(node.shape), f"{node.dtype}_t"
    text.verbatim(f"#ifndef {prefix}_NO_FLOATS")
    text.comment(f"The quotient needs double precision: define {prefix}_NO_FLOATS where double has 32 bits.")
    text.line(f"typedef char {prefix}_double_has_64_bits[sizeof(double) == 8 ? 1 : -1];")
    text.comment(
        f"to = clip(round_half_even(from / {node.scale!r}), {node.low}, {node.high}), the quotient in double precision"
    )
    with text.function(f"int32_t {prefix}_encode({prefix}_in *const to, const float *const from)"):
        text.line("int32_t missing = 0;")
        with text.loop("n", size):
            text.line(f"const double quotient = (double)from[n] / {node.scale.hex()};")
            text.line("int32_t whole = 0;")
            with text.block("if (!(from[n] - from[n] == 0.0f))"):
                text.line("++missing; /* not finite */")
            with text.block(f"else if (quotient >= {node.high})"):
                text.line(f"whole = {node.high};")
            with text.block(f"else if (quotient <= {node.low})"):
                text.line(f"whole = {node.low};")
            with text.block("else"):
                text.line("whole = (int32_t)quotient;")
                text.line("const double rest = quotient - whole;")
                text.line("if (rest > 0.5 || (rest == 0.5 && whole % 2 != 0)) ++whole;")
                text.line("else if (rest < -0.5 || (rest == -0.5 && whole % 2 != 0)) --whole;")
            text.line(f"to[n] = ({ctype})whole;")
        text.line("return missing;")
    text.verbatim("#endif\n")
