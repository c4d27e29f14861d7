"""Size of the instructions and of the stack, from a compiler for the microcontroller where there is one."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from spikec.errors import TargetUnavailable
from spikec.targets.c.code import Source
from spikec.targets.c.cross import CORTEX_M4, Processor, compile_for
from spikec.targets.c.elf import read_elf

_CLANG = re.compile(r"stack frame size \((\d+)\) exceeds limit \(1\) in '(\w+)'")
_GNU_FUNCTION = re.compile(r"In function .(\w+).:")
_GNU_SIZE = re.compile(r"the frame size of (\d+) bytes is larger than 1 bytes")


@dataclass(frozen=True)
class Compiled:
    """``instructions``: bytes of code, every public function included. ``stack``: bytes that a call takes at most, in
    functions of this code; ``words``: what the ``compiler`` was given."""

    processor: str
    compiler: str
    words: str
    instructions: int
    stack: int


def compiled(source: Source, processor: Processor = CORTEX_M4, words: tuple[str, ...] = ("-O2",)) -> Compiled | None:
    """``words``: what decides between speed and size. None where there is no compiler for the processor."""
    texts = {f"{source.name}.h": source.header, f"{source.name}.c": source.body}
    with tempfile.TemporaryDirectory() as folder:
        try:
            said: list[str] = []
            file = compile_for(
                processor, Path(folder), texts, "net.o", (*words, "-c", "-Wframe-larger-than=1"), heard=said.append
            )
        except TargetUnavailable:
            return None
        program = read_elf(file)
    return Compiled(
        processor.title, processor.compiler_name, " ".join(words), program.code, _stack(frames(said[0]), source.name)
    )


def frames(said: str) -> dict[str, int]:
    """Bytes on the stack by function, from what clang or the GNU compiler warns of."""
    found = {name: int(size) for size, name in _CLANG.findall(said)}
    function = ""
    for line in said.splitlines():
        named, sized = _GNU_FUNCTION.search(line), _GNU_SIZE.search(line)
        function = named.group(1) if named else function
        if sized:
            found[function] = int(sized.group(1))
    return found


def _stack(sizes: dict[str, int], prefix: str) -> int:
    """The longest chain of calls: classify, run, then one of init, input and step, then functions of this file alone,
    of which one calls another at most."""
    public = {name: sizes.get(f"{prefix}_{name}", 0) for name in ("classify", "run", "init", "input", "step")}
    others = ("output", "encode")
    inner = [
        size
        for name, size in sizes.items()
        if name.removeprefix(f"{prefix}_") not in public and not name.removeprefix(f"{prefix}_").startswith(others)
    ]
    deepest = sum(sorted(inner)[-2:])
    return public["classify"] + public["run"] + max(public["init"], public["input"], public["step"]) + deepest
