"""Which C compiler there is: the environment variable CC, then gcc, clang and cc, then ziglang from PyPI."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spikec.errors import TargetUnavailable

NAMES = ("gcc", "clang", "cc")
_ASK_SECONDS = 60.0
_WAYS_OUT = (
    "install one (apt install gcc, brew install gcc, or pip install 'spikec[c]' for any system), or name one in the "
    "environment variable CC"
)


@dataclass(frozen=True)
class Compiler:
    """``command``: the words that start it; ``version``: the first line of what ``--version`` prints."""

    command: tuple[str, ...]
    version: str

    @property
    def name(self) -> str:
        """How it is called in messages: ``gcc``, or ``ziglang``."""
        return "ziglang" if "ziglang" in self.command else Path(self.command[0]).name


def find_compiler(given: str | None = None) -> Compiler:
    """The compiler that ``given`` names, a command such as ``clang-17`` or ``ccache gcc``; without it, the one that the
    environment variable CC names, else the first that works.

    Raises ``TargetUnavailable`` where it does not work, or where there is none.
    """
    for named, what in ((given, "the compiler"), (os.environ.get("CC"), "the environment variable CC")):
        if named:
            return _named(named, what)
    for command in _candidates():
        version = _version(command)
        if version is not None:
            return Compiler(command, version)
    raise TargetUnavailable(f"there is no C compiler: {_WAYS_OUT}")


def cpu_features() -> str:
    """What the processor can do, in words that differ where code for one does not run on the other."""
    features = f"{platform.system()} {platform.machine()} {platform.processor()}"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return features
    # x86 says flags and family, ARM says Features and part; those of the first core stand for all of them.
    keys = ("flags", "Features", "cpu family", "model", "CPU part", "isa")
    first: dict[str, str] = {}
    for key, _, value in (line.partition(":") for line in lines):
        if key.strip() in keys:
            first.setdefault(key.strip(), value.strip())
    return " ".join([features, *first.values()])


def _named(text: str, what: str) -> Compiler:
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    found = shutil.which(words[0]) if words else None
    if found is None:
        raise TargetUnavailable(f"{what} is {text!r}, which is no program that can be found here: {_WAYS_OUT}")
    command = (found, *words[1:])
    version = _version(command)
    if version is None:
        raise TargetUnavailable(f"{what} is {text!r}, which does not answer to --version as a C compiler does")
    return Compiler(command, version)


def _candidates() -> Iterator[tuple[str, ...]]:
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            yield (found,)
    if importlib.util.find_spec("ziglang") is not None:
        yield (sys.executable, "-m", "ziglang", "cc")


@lru_cache(maxsize=16)
def _version(command: tuple[str, ...]) -> str | None:
    """The first line of ``--version``; None where the command does not work, such as the cc of a Mac without tools."""
    try:
        said = subprocess.run([*command, "--version"], capture_output=True, timeout=_ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = said.stdout.decode(errors="replace").strip().splitlines()
    return lines[0].strip() if said.returncode == 0 and lines else None
