"""The target ``c``: the generated C code, built and run here; what it makes of a graph is in ``program``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from spikec.errors import DataError, TargetUnavailable
from spikec.processors import check_number
from spikec.targets.c.compilers import find_compiler
from spikec.targets.options import Option, Options, early_exit

if TYPE_CHECKING:
    import nir

    from spikec.ir import IntegerGraph
    from spikec.targets.c.program import CProgram


class CTarget:
    """Self-contained C99, built by a compiler of this machine and run on its processor."""

    name: ClassVar[str] = "c"
    images_at_once: ClassVar[int] = 256
    options: ClassVar[Options] = Options(
        "options of the target c",
        (
            Option("threads", "threads that run images side by side (default: all usable cores)", least=1, metavar="N"),
            early_exit(at="compile"),
            Option(
                "compiler", "the C compiler (default: $CC, else gcc, clang, cc, ziglang)", parse=str, metavar="COMMAND"
            ),
        ),
    )

    @classmethod
    def available(cls) -> str | None:
        """None where there is a C compiler, else one sentence that says how to get one."""
        try:
            find_compiler()
        except TargetUnavailable as error:
            return str(error)
        return None

    def compile(
        self,
        graph: nir.NIRGraph | IntegerGraph,
        *,
        threads: int | None = None,
        early_exit: str | float | None = None,
        compiler: str | None = None,
    ) -> CProgram:
        """Write, build and load the code of a graph.

        ``threads``: how many run images side by side, by default all usable cores. ``early_exit``: as for
        :func:`spikec.simulation.simulate`. ``compiler``: a command, such as ``clang`` or ``ccache gcc``.

        Raises ``TargetUnavailable`` without a compiler, ``DataError`` for options that it cannot use, ``DoesNotFit`` or
        ``RangeError`` where there is no code for the graph, ``ToolchainError`` where the compiler fails.
        """
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise DataError(f"threads={threads!r} is not possible; use a whole number, at least 1")
        check_number("threads", threads)
        found = find_compiler(compiler)
        # A command line lists the options of this target; it can do without all that the rest imports.
        from spikec.ir import as_integer
        from spikec.targets.c.code import Choices
        from spikec.targets.c.naming import lead_of
        from spikec.targets.c.program import CProgram

        integer = as_integer(graph)
        program = CProgram(integer, Choices(vectors=True, early_exit=lead_of(integer, early_exit)), found, threads)
        program.library()
        return program
