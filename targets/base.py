"""What a target is, and how one is found.

A target turns a deployment graph into a :class:`Program`. Third parties add one by an entry point in the group
``spikec.targets`` whose value is a class with the :class:`Target` interface.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    import nir
    import numpy.typing as npt

    from toolchain.simulation import Trace


@runtime_checkable
class Program(Protocol):
    """An executable of one graph on one target."""

    def run(self, images: npt.ArrayLike, *, record: str | None = None) -> Trace:
        """Run float images [N, *input shape], as the ANN takes them; ``record="spikes"`` keeps the rasters."""
        ...


class Target(Protocol):
    """A place where graphs run."""

    name: ClassVar[str]

    @classmethod
    def available(cls) -> str | None:
        """None when the target can run here, else one sentence that says what is missing and how to get it."""
        ...

    def compile(self, graph: nir.NIRGraph, **options: Any) -> Program:
        """Map a graph; raises ``TargetUnavailable`` or ``DoesNotFit``."""
        ...


def target_names() -> list[str]:
    """Names of all registered targets, sorted."""
    return sorted({entry.name for entry in entry_points(group="spikec.targets")})


def get_target(name: str) -> Target:
    """The target registered under ``name``."""
    for entry in entry_points(group="spikec.targets"):
        if entry.name == name:
            loaded: type[Target] = entry.load()
            return loaded()
    raise ToolchainError(f"no target is called {name!r}; known targets: {', '.join(target_names()) or 'none'}")
