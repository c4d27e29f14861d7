"""Weights as constants: int8, or packed below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikec.ir.types import Int64
from spikec.targets.c.code.context import Context


@dataclass(frozen=True)
class Weights:
    """A row of ``width`` mantissas for each input that a tap meets; ``stride``: distance of rows in memory, in bytes.
    ``bits``: 8, 4 or 2 for each; ``factor``: 2^e that all are multiplied by. ``reach``: the largest magnitude of a
    mantissa."""

    array: str
    width: int
    stride: int
    bits: int
    factor: int
    reach: int

    @classmethod
    def of(cls, code: Context, name: str, rows: Int64, exponent: int) -> Weights:
        """Write the rows [inputs of all taps, outputs of a group] of the node ``name``."""
        low, high, width = int(rows.min()), int(rows.max()), rows.shape[1]
        least = 2 if code.choices.packed and width > 1 else 8
        bits = next(n for n in (2, 4, 8) if n >= least and -(2 ** (n - 1)) <= low and high < 2 ** (n - 1))
        per_byte = 8 // bits
        stored = rows
        if bits < 8:
            padded = np.pad(rows, ((0, 0), (0, -width % per_byte))) & (2**bits - 1)
            fields = padded.reshape(len(rows), -1, per_byte) << (bits * np.arange(per_byte))
            stored = fields.sum(axis=2)
        about = f"{name}: weights{f', {bits} bits each, the first in the lowest' if bits < 8 else ''}"
        about += f"; they stand for {2**exponent} times as much" if exponent else ""
        ctype = "int8_t" if bits == 8 else "uint8_t"
        full, _ = code.tables.array(f"w_{code.ids[name]}", stored, about, ctype=ctype)
        return cls(full, width, stored.shape[1], bits, 2**exponent, max(-low, high))

    @classmethod
    def kept(cls, code: Context, key: tuple[object, ...], name: str, rows: Int64, exponent: int) -> Weights:
        """The same, written once for each ``key``."""
        if key not in code.kept:
            code.kept[key] = cls.of(code, name, rows, exponent)
        found = code.kept[key]
        assert isinstance(found, cls)
        return found

    def at(self, row: str, index: str) -> str:
        """The mantissa ``index`` of the row that the C expression ``row`` points to."""
        if self.bits == 8:
            return f"{row}[{index}]"
        per_byte, mask, sign = 8 // self.bits, 2**self.bits - 1, 2 ** (self.bits - 1)
        shift = f"({index} % {per_byte}) * {self.bits}"
        return f"((((int32_t){row}[{index} / {per_byte}] >> ({shift})) & {mask}) ^ {sign}) - {sign}"

    @property
    def ctype(self) -> str:
        return "int8_t" if self.bits == 8 else "uint8_t"


def times(expression: str, factor: int, ctype: str) -> str:
    """An expression multiplied by a constant, in numbers of ``ctype``."""
    if factor == 1:
        return expression
    wide = {"int32_t": f"INT32_C({factor})", "int64_t": f"INT64_C({factor})"}
    return f"({expression}) * {wide.get(ctype, str(factor))}"
