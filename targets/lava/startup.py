"""What keeps the start of a worker short: it imports no more than a job needs, and Lava searches for no models.

For each process Lava's compiler executes every file beside the process, and beside its neighbours, to find models: for
a network of 58 processes 7,000 files. The worker names the model of each process instead, as ``RunConfig`` allows.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spikec.targets.lava.paths import OURS

#: Where our processes have their models for ``floating_pt``.
_FLOATING = f"{OURS}.floating"

#: Messages that a channel between two processes holds. All processes of a step have received before the next begins, so
#: there is one at a time; the second place lets the sender go on while the first is given back. Lava takes 64.
COMPILE_SETTINGS = {"pypy_channel_size": 2}


def import_when_used(name: str) -> None:
    """Let ``import name`` load the module only when something of it is used; without effect if it is loaded."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    spec.loader = loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)


@contextlib.contextmanager
def without_pandas() -> Iterator[None]:
    """networkx imports pandas when it copies a graph, to see whether the graph is one of its tables."""
    if "pandas" in sys.modules:
        yield
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["pandas"]


def before_forks() -> None:
    """Keep the garbage collector away from what the forks share: to look at an object is to copy its page."""
    gc.freeze()


def in_fork() -> None:
    """Collect garbage again, of what this fork makes."""
    gc.enable()


def models_of(processes: Iterable[Any], config: Any, chosen: Mapping[type, type]) -> dict[Any, type]:
    """The model of each process, by the rules of the run configuration. Left out: processes whose models are
    elsewhere, for which Lava searches.

    ``chosen``: models by class of process, which come first.
    """
    found: dict[type, type | None] = dict(chosen)
    for process in processes:
        kind = type(process)
        if kind not in found:
            found[kind] = _model(process, config)
    return {p: model for p in processes if (model := found[type(p)]) is not None}


def _model(process: Any, config: Any) -> type | None:
    from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs

    home = type(process).__module__
    places = [home]
    if home.startswith(f"{OURS}.") and config.select_tag == "floating_pt":
        places.append(_FLOATING)
    elif home.startswith("lava.") and home.endswith(".process"):
        places.append(home.removesuffix("process") + "models")
    modules = [importlib.import_module(place) for place in places]
    known = [m for module in modules for m in ProcGroupDiGraphs._find_proc_models_in_module(process, module)]
    tagged = [m for m in known if config.select_tag in m.tags]
    return None if not tagged else config.select(process, known)
