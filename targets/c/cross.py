"""Compilers for processors that are not this one: ziglang from PyPI, or the GNU compiler for ARM without a system."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spikec.errors import TargetUnavailable, ToolchainError
from spikec.words import reason

_SECONDS = 600.0
#: What code for a microcontroller is compiled with. Undefined behaviour is not trapped: that costs instructions, and
#: the generated code has none.
FLAGS = (
    "-std=c99",
    "-Wall",
    "-ffreestanding",
    "-fno-sanitize=undefined",
    "-ffunction-sections",
    "-fdata-sections",
    "-g",
)
WAY_OUT = "pip install 'spikec[c]' brings one"


@dataclass(frozen=True)
class Processor:
    """``zig``: the words that make ziglang compile for it; ``gnu``: a compiler for it alone and its words, if any."""

    name: str
    title: str
    zig: tuple[str, ...]
    gnu: tuple[str, ...] = ()

    @property
    def compiler_name(self) -> str:
        """``ziglang`` or ``arm-none-eabi-gcc``. Raises ``TargetUnavailable`` where there is none."""
        words = self.compiler()
        return "ziglang" if "ziglang" in words else Path(words[0]).name

    def compiler(self) -> tuple[str, ...]:
        """The words that start a compiler. Raises ``TargetUnavailable`` where there is none."""
        if importlib.util.find_spec("ziglang") is not None:
            return (sys.executable, "-m", "ziglang", "cc", *self.zig)
        if self.gnu and shutil.which(self.gnu[0]):
            return (*self.gnu, "-fno-sanitize=all")
        other = f", or install {self.gnu[0]}" if self.gnu else ""
        raise TargetUnavailable(f"there is no compiler for {self.title}: {WAY_OUT}{other}")


CORTEX_M4 = Processor(
    "cortex-m4",
    "ARM Cortex-M4",
    ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4"),
    ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"),
)


def compile_for(
    processor: Processor,
    folder: Path,
    texts: Mapping[str, str],
    out: str,
    words: Sequence[str] = ("-O2",),
    heard: Callable[[str], object] | None = None,
) -> Path:
    """Write ``texts`` (by file name) to ``folder``, and compile those that end in .c to the file ``out`` beside them.

    ``words``: further words for the compiler; ``-c`` makes an object file. ``heard`` is given all that the compiler
    says. Raises ``TargetUnavailable`` without a compiler, ``ToolchainError`` with the first line of what it says.
    """
    compiler = processor.compiler()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = [name for name in texts if name.endswith(".c")]
    command = [*compiler, *FLAGS, *words, *sources, "-o", out]
    try:
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        message = f"the compiler for {processor.title} does not end within {_SECONDS:g} s: try another, {WAY_OUT}"
        raise TargetUnavailable(message) from error
    except OSError as error:
        raise TargetUnavailable(f"the compiler for {processor.title} does not start: {reason(error)}") from error
    if said.returncode:
        lines = [line for line in said.stderr.splitlines() if "error" in line] or said.stderr.splitlines()
        first = lines[0].strip() if lines else f"it ended with status {said.returncode}"
        raise ToolchainError(f"the compiler for {processor.title} refuses the code: {first}")
    if heard is not None:
        heard(said.stderr)
    return folder / out
