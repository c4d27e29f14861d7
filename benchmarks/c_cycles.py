"""Cycles of what an emulated Cortex-M4 executed: each instruction at ARM's documented timing. Needs capstone (PyPI)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from benchmarks.c_firmware import FLASH
from benchmarks.c_machines import Firmware, Run

#: Table 3-1 of ARM's technical reference manual 100166_0001. Refilling the pipeline takes 1 to 3 cycles.
_REFILL = (1, 3)
_DIVISION = (2, 12)
_SINGLE = (1, 2)  # a load or store: 1 where it follows another one


def cycles(firmware: Firmware, run: Run) -> tuple[int, int] | None:
    """(lowest, highest) of the image that took most instructions, without wait states; None without capstone."""
    if importlib.util.find_spec("capstone") is None:
        return None
    low = high = 0
    for (address, size), times in run.blocks.items():
        least, most = _block(firmware, address, size)
        turned = run.taken[address, size]
        low += least * times + _REFILL[0] * turned
        high += most * times + _REFILL[1] * turned
    return low, high


def _block(firmware: Firmware, address: int, size: int) -> tuple[int, int]:
    """A stretch of code that is run through once; refilling after its end is not among it."""
    low = high = 0
    for mnemonic, operands in _instructions(firmware, address, size):
        least, most = _timing(mnemonic, operands)
        low, high = low + least, high + most
    return low, high


def _instructions(firmware: Firmware, address: int, size: int) -> Iterator[tuple[str, str]]:
    import capstone

    reader: Any = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    segment = next(s for s in firmware.program.segments if s.address <= address < s.address + len(s.data))
    start = address - segment.address
    assert segment.address >= FLASH
    found = list(reader.disasm_lite(segment.data[start : start + size], address))
    assert sum(each[1] for each in found) == size, f"code at {address:#x} cannot be read"
    yield from ((mnemonic, operands) for _, _, mnemonic, operands in found)


def _timing(mnemonic: str, operands: str) -> tuple[int, int]:
    word = mnemonic.split(".")[0]
    if word.startswith(("ldm", "stm", "push", "pop", "vldm", "vstm")):
        count = len(operands.partition("{")[2].rstrip("}").split(","))
        return 1 + count, 1 + count
    if word.startswith(("ldrd", "strd")):
        return 3, 3
    if word.startswith(("ldr", "str")):
        return _SINGLE
    if word.startswith(("sdiv", "udiv")):
        return _DIVISION
    if word.startswith("it") and set(word[2:]) <= set("te"):
        return 0, 1  # folded into the instruction before it, where that has 16 bits
    return 1, 1
