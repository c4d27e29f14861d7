"""Runs generated C on processors that are not this one: ziglang compiles, Unicorn emulates (both from PyPI).

Unicorn executes the machine code of the target, instruction by instruction, in a memory of the size that the part has.
So results, sizes and numbers of instructions are those of the processor. Its clock is not emulated. MIPS is not among
the machines, since Unicorn 2.1.4 sometimes crashes on it.
"""

from __future__ import annotations

import importlib.util
import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks.c_firmware import FLASH, RAM, application, linker_script
from spikec.errors import TargetUnavailable, ToolchainError
from spikec.targets.c.cross import CORTEX_M4, Processor, compile_for
from spikec.targets.c.elf import Program, read_elf

if TYPE_CHECKING:
    from spikec.targets.c.code import Source

_RETURN = 0x3000_0000
_PATTERN = b"\xa5"  # of stack that nothing was written to
WAY_OUT = "pip install ziglang unicorn"


@dataclass(frozen=True)
class Machine:
    """A processor and how Unicorn calls it: architecture, mode, model; registers for the stack, the first argument, the
    return address and the result; ``thumb``: 1 where addresses of code say that it is Thumb."""

    processor: Processor
    arch: str
    mode: tuple[str, ...]
    registers: tuple[str, str, str, str]
    order: str
    thumb: int = 0
    model: str = ""

    @property
    def title(self) -> str:
        return f"{self.processor.title}, {'little' if self.order == '<' else 'big'}-endian"


def _processor(name: str, title: str, *words: str) -> Processor:
    return Processor(name, title, ("-target", *words))


_ARM = ("ARM_REG_SP", "ARM_REG_R0", "ARM_REG_LR", "ARM_REG_R0")
MACHINES = {
    machine.processor.name: machine
    for machine in (
        Machine(CORTEX_M4, "ARM", ("THUMB", "MCLASS"), _ARM, "<", 1, "CPU_ARM_CORTEX_M4"),
        Machine(
            _processor("armeb", "ARMv7", "armeb-freestanding-eabi", "-mcpu=cortex_a8"), "ARM", ("ARMBE8",), _ARM, ">"
        ),
        Machine(
            _processor("powerpc", "PowerPC", "powerpc-freestanding-none"),
            "PPC",
            ("PPC32", "BIG_ENDIAN"),
            ("PPC_REG_1", "PPC_REG_3", "PPC_REG_LR", "PPC_REG_3"),
            ">",
        ),
        Machine(
            _processor("riscv32", "RISC-V 32", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c"),
            "RISCV",
            ("RISCV32",),
            ("RISCV_REG_SP", "RISCV_REG_A0", "RISCV_REG_RA", "RISCV_REG_A0"),
            "<",
        ),
    )
}


def lacking() -> str | None:
    """None if machines can be compiled for and emulated here. Otherwise one sentence: what is missing."""
    missing = [name for name in ("ziglang", "unicorn") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed: {WAY_OUT}" if missing else None


@dataclass(frozen=True)
class Part:
    """Sizes of the memories in bytes."""

    flash: int = 512 * 1024
    ram: int = 128 * 1024


#: Room for any network of this repository, where its size is not the question.
ROOMY = Part(64 << 20, 16 << 20)


@dataclass(frozen=True)
class Firmware:
    """A linked program without a system: ``app_run(steps)`` takes the input from ``app_input`` and leaves outputs in
    ``app_output_K``."""

    machine: Machine
    part: Part
    program: Program
    source: Source

    @property
    def buffers(self) -> int:
        """Bytes of RAM for input and outputs, which belong to the application."""
        found = self.program.symbols
        return sum(found[name][1] for name in found if name.startswith(("app_input", "app_output")))


@dataclass
class Run:
    """``outputs``: by output, [*shape] of each image; ``instructions``: executed for the image that took most;
    ``stack``: bytes of it that were written; ``blocks``: how often each stretch of code was entered, by address and
    size, and ``taken``: how often what follows it in memory did not follow."""

    outputs: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    instructions: int = 0
    stack: int = 0
    blocks: Counter[tuple[int, int]] = field(default_factory=Counter)
    taken: Counter[tuple[int, int]] = field(default_factory=Counter)


def build(source: Source, machine: Machine, part: Part = ROOMY, words: tuple[str, ...] = ("-O2",)) -> Firmware:
    """Compile and link. Raises ``TargetUnavailable`` without a compiler, ``ToolchainError`` where it does not fit."""
    texts = {f"{source.name}.h": source.header, "app.c": application(source), f"{source.name}.c": source.body}
    texts["part.ld"] = linker_script(part.flash, part.ram)
    with tempfile.TemporaryDirectory() as folder:
        linked = ("-T", "part.ld", "-Wl,--gc-sections", "-Wl,--entry=app_run")
        file = compile_for(machine.processor, Path(folder), texts, "app.elf", (*words, *linked))
        return Firmware(machine, part, read_elf(file), source)


def run(firmware: Firmware, images: npt.NDArray[Any], steps: npt.NDArray[np.integer] | None = None) -> Run:
    """Run coded inputs [N, *input shape] (sequences: [N, T, *input shape], of ``steps`` [N] each), one by one."""
    if importlib.util.find_spec("unicorn") is None:
        raise TargetUnavailable(f"unicorn is not installed: {WAY_OUT}")
    found, machine, source = Run(), firmware.machine, firmware.source
    rows: dict[str, list[npt.NDArray[np.int64]]] = {reader.output: [] for reader in source.readers}
    for index, image in enumerate(images):
        cpu = _Cpu(firmware)
        given = np.ascontiguousarray(image, source.input_dtype)
        cpu.write("app_input", given.tobytes())
        cpu.call("app_run", int(steps[index]) if steps is not None else 0)
        for k, reader in enumerate(source.readers):
            wire = reader.dtype.newbyteorder(machine.order)
            raw = cpu.read(f"app_output_{k}", math.prod(reader.shape) * wire.itemsize)
            rows[reader.output].append(np.frombuffer(raw, wire).astype(np.int64).reshape(reader.shape))
        if cpu.instructions > found.instructions:
            found.instructions, found.blocks, found.taken = cpu.instructions, cpu.blocks, cpu.taken
        found.stack = max(found.stack, cpu.stack())
        cpu.close()
    found.outputs = {name: np.stack(values) for name, values in rows.items()}
    return found


class _Cpu:
    """A fresh processor with the firmware in its memory."""

    def __init__(self, firmware: Firmware) -> None:
        import unicorn

        machine = self._machine = firmware.machine
        self._part, self._program = firmware.part, firmware.program
        mode = 0
        for word in machine.mode:
            mode |= getattr(unicorn, f"UC_MODE_{word}")
        self._uc = unicorn.Uc(getattr(unicorn, f"UC_ARCH_{machine.arch}"), mode)
        if machine.model:
            self._uc.ctl_set_cpu_model(_constant(machine, machine.model))
        self._uc.mem_map(FLASH, _pages(self._part.flash), unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._uc.mem_map(RAM, _pages(self._part.ram), unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        self._uc.mem_map(_RETURN, 4096)
        for segment in self._program.segments:
            self._uc.mem_write(segment.address, segment.data)
        self._low = max((at + size for at, size in self._program.symbols.values() if at >= RAM and size), default=RAM)
        self._high = RAM + self._part.ram
        self._uc.mem_write(self._low, _PATTERN * (self._high - self._low))
        self.instructions, self.blocks, self.taken = 0, Counter(), Counter()
        self._last = (0, 0)
        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, self._entered)

    def close(self) -> None:
        """Give back the memory at once: the hook and the emulator hold each other."""
        del self._uc

    def _entered(self, _: Any, address: int, size: int, __: Any) -> None:
        if self._last != (0, 0) and sum(self._last) != address:
            self.taken[self._last] += 1
        self._last = (address, size)
        self.blocks[self._last] += 1

    def write(self, symbol: str, data: bytes) -> None:
        at, room = self._program.symbols[symbol]
        assert len(data) <= room, f"{symbol}: {len(data)} bytes, room for {room}"
        self._uc.mem_write(at, data)

    def read(self, symbol: str, size: int) -> bytes:
        return bytes(self._uc.mem_read(self._program.symbols[symbol][0], size))

    def call(self, function: str, argument: int) -> None:
        import unicorn

        stack, first, back, result = (_constant(self._machine, name) for name in self._machine.registers)
        thumb = self._machine.thumb
        self._uc.reg_write(stack, self._high - 64)
        self._uc.reg_write(first, argument)
        self._uc.reg_write(back, _RETURN | thumb)
        try:
            self._uc.emu_start(self._program.symbols[function][0] | thumb, _RETURN)
        except unicorn.UcError as error:
            raise ToolchainError(f"the program stopped on {self._machine.title}: {error}") from error
        if self._uc.reg_read(result):
            raise ToolchainError(f"the network refused its input on {self._machine.title}")
        self.instructions = sum(self._in_block(*block) * times for block, times in self.blocks.items())

    def _in_block(self, address: int, size: int) -> int:
        """Instructions of a stretch of code. Those of Thumb and of compressed RISC-V have 2 or 4 bytes."""
        if self._machine.processor.name not in (CORTEX_M4.name, "riscv32"):
            return size // 4
        halves = np.frombuffer(bytes(self._uc.mem_read(address, size)), "<u2")
        return sum(1 for _ in lengths(halves.tolist(), arm=self._machine.arch == "ARM"))

    def stack(self) -> int:
        """Bytes from the lowest place that was written up to the top."""
        memory = np.frombuffer(bytes(self._uc.mem_read(self._low, self._high - self._low)), np.uint8)
        touched = np.flatnonzero(memory != _PATTERN[0])
        return int(len(memory) - touched[0]) if len(touched) else 0


def lengths(halves: list[int], *, arm: bool) -> Iterator[int]:
    """Sizes in half words of the instructions that follow each other."""
    at = 0
    while at < len(halves):
        long = halves[at] >> 11 >= 0b11101 if arm else halves[at] & 3 == 3
        yield 2 if long else 1
        at += 2 if long else 1


def _constant(machine: Machine, name: str) -> int:
    from importlib import import_module

    return int(getattr(import_module(f"unicorn.{machine.arch.lower()}_const"), f"UC_{name}"))


def _pages(size: int) -> int:
    return -(-size // 4096) * 4096
