"""The target ``lava``; what it makes of a graph is in ``program``."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from spikec.calls import check_call
from spikec.errors import TargetUnavailable
from spikec.targets.lava.options import LavaOptions
from spikec.targets.options import Options, options_of

if TYPE_CHECKING:
    import nir

    from spikec.ir import IntegerGraph
    from spikec.targets.lava.program import LavaProgram


def not_here(package: str) -> str:
    """One sentence on Lava, or lava-dl, that is missing; its advice is for the Python that runs here."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if version == "3.10":
        return f"{package} is not installed: run pip install 'spikec[lava]'"
    return (
        f"{package} needs Python 3.10 and this is {version}: run python3.10 -m venv lava && lava/bin/pip install "
        "'spikec[lava]' and use lava/bin/spikec; golden and c need no Lava"
    )


class LavaTarget:
    """Intel's Lava on the CPU, every process in its own system process."""

    name: ClassVar[str] = "lava"
    options: ClassVar[Options] = options_of(LavaOptions, "options of the target lava, none of which changes a result")

    @classmethod
    def available(cls) -> str | None:
        """None when Lava can run here, else one sentence with the command that installs it. Imports nothing."""
        spec = importlib.util.find_spec("lava")
        if spec is not None and any(os.path.isdir(Path(p) / "magma") for p in spec.submodule_search_locations or ()):
            return None
        return not_here("Lava")

    def compile(self, graph: nir.NIRGraph | IntegerGraph, **options: Any) -> LavaProgram:
        """Map a graph to Lava processes; ``options`` are the fields of :class:`LavaOptions`.

        Raises ``ArgumentError`` for an option that there is not, ``TargetUnavailable``, ``DoesNotFit`` (Lava has no
        process for it) or ``RangeError`` (a sum could leave the integers of a Lava process).
        """
        check_call("compile for lava", LavaOptions, **options)
        missing = self.available()
        if missing is not None:
            raise TargetUnavailable(missing)
        chosen = LavaOptions(**options)
        # A command line lists the options of this target; it can do without all that the rest imports.
        from spikec.ir import as_integer
        from spikec.targets.lava.program import mapped

        return mapped(as_integer(graph), chosen)
