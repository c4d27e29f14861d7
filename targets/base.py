"""What an executor is: a target that turns a deployment graph into a :class:`Program`.

Other packages add one by an entry point in the group ``spikec.targets`` whose value is a class with the :class:`Target`
interface. Chips, on which nothing runs here, are in ``chips.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from spikec.calls import check_call
from spikec.errors import ToolchainError
from spikec.targets import told_apart
from spikec.targets.registry import Registry

if TYPE_CHECKING:
    import nir
    import numpy.typing as npt

    from spikec.ir import IntegerGraph
    from spikec.simulation.trace import Trace


@runtime_checkable
class Program(Protocol):
    """An executable of one graph on one target."""

    def run(self, images: npt.ArrayLike, *, record: str | None = None) -> Trace:
        """Run float images [N, *input shape], as the ANN takes them; ``record="spikes"`` keeps the rasters."""
        ...


class Target(Protocol):
    """An executor: something that graphs can run on.

    A class may have ``options`` (:mod:`spikec.targets.options`) and ``images_at_once``: how many images commands give
    it in one run where memory allows (few without it, since a slow target should show progress).
    """

    name: ClassVar[str]

    @classmethod
    def available(cls) -> str | None:
        """None if the target can run here. Otherwise one sentence: what is missing, and how to get it."""
        ...

    def compile(self, graph: nir.NIRGraph | IntegerGraph, **options: Any) -> Program:
        """Prepare a graph to run on this target. Raises ``TargetUnavailable`` or ``DoesNotFit``."""
        ...


#: Executors by name.
TARGETS: Registry[Target] = Registry("spikec.targets")


def target_names() -> list[str]:
    """Names of all registered targets, sorted."""
    return TARGETS.names()


def compiled(target: Target, graph: nir.NIRGraph | IntegerGraph, options: Mapping[str, Any]) -> Program:
    """``graph`` on ``target``. Raises ``ArgumentError`` for options that the target does not have, and what its
    ``compile`` raises."""
    check_call(f"compile for {target.name}", target.compile, graph, **options)
    return target.compile(graph, **options)


def get_target(name: str) -> Target:
    """The target registered under ``name``. Raises ``ToolchainError`` for an unknown one."""
    if not isinstance(name, str):
        raise ToolchainError(f"an executor is given by its name, not by {type(name).__name__}")
    found = TARGETS.get(name)
    if found is None:
        raise ToolchainError(told_apart.wrong(name, "executor"))
    return found
