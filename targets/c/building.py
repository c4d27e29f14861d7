"""Builds C sources into a shared library, once for each text, compiler and processor, and loads it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from spikec.calls import outside
from spikec.errors import ToolchainError
from spikec.targets.c.cache import cache_folder, kept_as, trim, trusted, unusable, used
from spikec.targets.c.compilers import Compiler, cpu_features

NATIVE = "-march=native"
#: The loop vectoriser of gcc 12.2 computes one of some hundred random networks wrongly, at -O2 and at -O3; without it,
#: at -O0 and under its sanitizers gcc agrees with clang and with the golden model. The loops that matter are vectors
#: already; the others cost up to 1.8 times the run.
FLAGS = ("-std=c99", "-O2", "-fno-tree-vectorize", "-fPIC", "-shared", "-fvisibility=hidden")
#: The macro that tells a source the flags it is built with, a string.
FLAGS_MACRO = "SPIKEC_FLAGS"
_SECONDS, _SECONDS_PER_MB = 300.0, 60.0
_SHOWN_LINES = 3


def load(sources: Mapping[str, str], main: str, compiler: Compiler) -> ctypes.CDLL:
    """The library that ``main``, one of the ``sources`` (text by file name), compiles to.

    It comes from the cache of this user where it was built before. Where other users may write to the cache, or this
    one may not, a warning says so and the library is built in a private folder that is removed again.

    Raises ``ToolchainError`` where the compiler fails or does not finish, or where the library cannot be loaded.
    """
    folder = cache_folder()
    reason = unusable(folder)
    if reason is None:
        library = kept_as(folder, _key(sources, main, compiler))
        if trusted(library):
            used(library)
            with suppress(ToolchainError):  # damaged, or removed by another process meanwhile
                return _opened(library)
        _build_into(library, sources, main, compiler)
        trim(folder)
        return _opened(library)
    warnings.warn(
        f"built C libraries are not kept: {reason}; set SPIKEC_CACHE to a folder that only you can write to",
        stacklevel=outside(),
    )
    with tempfile.TemporaryDirectory(prefix="spikec-") as private:
        library = kept_as(Path(private), "library")
        _build_into(library, sources, main, compiler)
        return _opened(library)


def _key(sources: Mapping[str, str], main: str, compiler: Compiler) -> str:
    """A hash of everything that decides what the library is."""
    digest = hashlib.sha256()
    about = (main, *compiler.command, compiler.version, NATIVE, *FLAGS, cpu_features())
    for text in (*about, *(part for item in sorted(sources.items()) for part in item)):
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _build_into(library: Path, sources: Mapping[str, str], main: str, compiler: Compiler) -> None:
    """Compile and move the result to ``library``: other processes see all of it or nothing."""
    try:
        work = Path(tempfile.mkdtemp(prefix=".build-", dir=library.parent))
        try:
            for name, text in sources.items():
                (work / name).write_text(text, encoding="utf-8", newline="\n")
            built = _compiled(work, main, sum(map(len, sources.values())), compiler)
            built.chmod(0o700)
            os.replace(built, library)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        where = error.filename or library.parent
        raise ToolchainError(
            f"cannot build in {library.parent} ({where}: {error.strerror}); set SPIKEC_CACHE to another folder"
        ) from error


def _compiled(work: Path, main: str, characters: int, compiler: Compiler) -> Path:
    """The library, in ``work``. With the instructions of this processor where the compiler knows how, else without."""
    seconds = _SECONDS + _SECONDS_PER_MB * characters / 1e6
    said = ""
    for flags in ((*FLAGS, NATIVE), FLAGS):
        told = f'-D{FLAGS_MACRO}="{" ".join(flags)}"'
        done, said = _ran([*compiler.command, *flags, told, main, "-o", "library.so"], work, seconds, compiler)
        if done and os.path.isfile(work / "library.so"):
            return work / "library.so"
        said = said if not done else f"it says that it succeeded and wrote nothing: {said}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # Beside what is wrong, compilers say where it was included, quote it and point at it.
    shown = ([line for line in lines if "error" in line.lower()] or lines or ["it says nothing"])[:_SHOWN_LINES]
    raise ToolchainError(
        f"{compiler.name} ({compiler.version}) cannot compile {main}: {' | '.join(shown)}; another compiler can be "
        "named in the environment variable CC"
    )


def _ran(command: list[str], work: Path, seconds: float, compiler: Compiler) -> tuple[bool, str]:
    """Whether a command succeeded, and what it said. It and all it started end when the time is up, or on Ctrl-C."""
    try:
        process = subprocess.Popen(
            command,
            cwd=work,
            env={**os.environ, "LC_ALL": "C"},  # messages in one language: what is wrong is found by its word
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolchainError(f"{compiler.name} cannot be started: {error.strerror}") from error
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ToolchainError(
            f"{compiler.name} did not finish {command[-3]} in {seconds:.0f} s; name a faster compiler in the "
            "environment variable CC"
        ) from None
    finally:
        if process.returncode is None:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode == 0, said.decode(errors="replace")


def _opened(library: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise ToolchainError(
            f"cannot load {library} ({error}); set SPIKEC_CACHE to a folder from which programs may run"
        ) from error
