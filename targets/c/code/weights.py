"""Weights as constants: int8, or packed below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikec.ir.types import Int64
from spikec.targets.c.code.context import Context

#: Up to so many weights are stored in 16 bits for processors with vectors, which spares them the conversion.
_WIDENED = 2**21
#: From so many outputs of a tap on, vectors pay.
_FEWEST = 4
#: Numbers of 16 bits in a vector of 256.
LANES = 16


@dataclass(frozen=True)
class Weights:
    """For each kernel row and input a row of the mantissas of all its taps, ``width`` of each tap, for the outputs of a
    group.

    ``apart``: distance of taps in memory, ``stride``: of rows, in numbers of ``ctype``. ``bits``: 8, 4 or 2 for each;
    ``factor``: 2^e that all are multiplied by. ``reach``: the largest magnitude of a mantissa; ``total``: of a sum
    of as many as one input place adds to one output at a time. ``vectors``: each tap ends on a full vector.
    """

    array: str
    ctype: str
    width: int
    apart: int
    stride: int
    bits: int
    factor: int
    reach: int
    total: int
    vectors: bool

    @classmethod
    def of(cls, code: Context, name: str, rows: Int64, exponent: int, together: int) -> Weights:
        """Write the ``rows`` [kernel rows, inputs, taps of a row, outputs of a group] of the node ``name``;
        ``together`` inputs are added at a time."""
        low, high, width = int(rows.min()), int(rows.max()), rows.shape[-1]
        least = 8 if code.choices.vectors or width == 1 else 2  # bits
        bits = next(n for n in (2, 4, 8) if n >= least and -(2 ** (n - 1)) <= low and high < 2 ** (n - 1))
        per_byte = 8 // bits
        stored = rows
        vectors = code.choices.vectors and width >= _FEWEST
        if vectors:  # the numbers of a tap end on a full vector
            stored = np.pad(rows, (*[(0, 0)] * 3, (0, -width % LANES)))
        elif bits < 8:
            padded = np.pad(rows, (*[(0, 0)] * 3, (0, -width % per_byte))) & (2**bits - 1)
            fields = padded.reshape(*rows.shape[:3], -1, per_byte) << (bits * np.arange(per_byte))
            stored = fields.sum(axis=-1)
            code.packed.add(bits)
        about = f"{name}: weights [kernel row][input][kernel column][output]"
        about += f", {bits} bits each, the first in the lowest" if bits < 8 else ""
        about += f"; they stand for {2**exponent} times as much" if exponent else ""
        ctype = "int8_t" if bits == 8 else "uint8_t"
        if vectors and stored.size <= _WIDENED:
            ctype = "int16_t"
        full, _ = code.tables.array(f"w_{code.ids[name]}", stored, about, ctype=ctype)
        total = int(np.add.reduceat(np.abs(rows), np.arange(0, rows.shape[1], together), axis=1).max())
        apart = stored.shape[-1]
        return cls(full, ctype, width, apart, apart * rows.shape[2], bits, 2**exponent, max(-low, high), total, vectors)

    @classmethod
    def kept(
        cls, code: Context, key: tuple[object, ...], name: str, rows: Int64, exponent: int, together: int
    ) -> Weights:
        """The same, written once for each ``key``."""
        if key not in code.kept:
            code.kept[key] = cls.of(code, name, rows, exponent, together)
        found = code.kept[key]
        assert isinstance(found, cls)
        return found

    def at(self, row: str, index: str) -> str:
        """The mantissa ``index`` of the row that the C expression ``row`` points to."""
        if self.bits == 8:
            return f"{row}[{index}]"
        return f"BITS{self.bits}({row}, {index})"


def times(expression: str, factor: int, ctype: str) -> str:
    """An expression multiplied by a constant, in numbers of ``ctype``."""
    if factor == 1:
        return expression
    wide = {"int32_t": f"INT32_C({factor})", "int64_t": f"INT64_C({factor})"}
    return f"({expression}) * {wide.get(ctype, str(factor))}"


#: Reading packed numbers with a sign, by how many bits each has.
UNPACKING = {
    4: "#define BITS4(w, o) (((((w)[(o) / 2] >> ((o) % 2 * 4)) & 15) ^ 8) - 8)",
    2: "#define BITS2(w, o) (((((w)[(o) / 4] >> ((o) % 4 * 2)) & 3) ^ 2) - 2)",
}
