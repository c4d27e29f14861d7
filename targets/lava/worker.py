"""Builds and runs one job, in an interpreter of its own: ``python -m spikec.targets.lava.worker FOLDER PARENT TAG``.

Nothing of this package that imports torch may be imported here: Lava forks one system process per Lava process, and
torch in a forked process hangs.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spikec.targets.lava.paths import ATRLIF, CONV, CONV_ABREAST, DENSE, DENSE_ABREAST, LIF_RESET
from spikec.targets.lava.status import write_failure, write_state
from spikec.targets.lava.system import SHARED_MEMORY

#: Graded messages: with 0 bits Lava's synapses take every non-zero input as 1.
MESSAGE_BITS = 24
#: Seconds for a process to report its exception before the worker reports what followed from it.
_WORDS = 1.0
#: A refractory state no membrane of 24 bits exceeds.
_OUT_OF_REACH = 2**25


Build = Callable[[Path, dict[str, Any]], list[Any]]
Observe = Callable[[Path, dict[str, Any], list[Any], int], None]


def main(folder: Path, parent: int, tag: str, build: Build, observe: Observe | None = None) -> int:
    """Run the job in ``folder``; 0 when its results are complete. Lava's processes may then still live: whoever
    started this one ends the process group.

    ``build`` returns the processes; ``observe`` is called after each of the ``windows`` into which the job may divide
    its steps, with the number of the window.
    """
    from spikec.targets.lava import guard, startup

    gc.disable()  # what is imported and built stays
    guard.die_with(parent, tag, folder)
    document = json.loads((folder / "job.json").read_text())
    try:
        write_state(folder, "importing")
        if "Conv" in document["models"]:  # Lava's own model is the only one that needs it
            startup.import_when_used("scipy.signal")
        guard.install(folder, tag)
        processes = build(folder, document)
        write_state(folder, "building")
        run(folder, document, processes, observe)
        write_state(folder, "done")
    except Exception as error:
        traceback.print_exc()
        time.sleep(_WORDS)  # the failed process itself may report first: that says more
        write_failure(folder, "the worker", error)
        return 1
    return 0


def build(folder: Path, document: dict[str, Any]) -> list[Any]:
    """Lava processes of a job, connected."""
    precision, abreast = document["precision"], document["abreast"]
    entries = enumerate(document["processes"])
    processes = {entry["name"]: _process(folder, index, entry, precision, abreast) for index, entry in entries}
    lanes = int(abreast > 1)
    for source, target, views in document["connections"]:
        port = _out(processes[source])
        for shape in views:
            port = _reversed(_reversed(port, lanes).reshape((*port.shape[:lanes], *shape)), lanes)
        port.connect(_in(processes[target]))
    return list(processes.values())


def _reversed(port: Any, lanes: int) -> Any:
    """The port with its axes in the other order, but for the first ``lanes``."""
    axes = (*range(lanes), *reversed(range(lanes, len(port.shape))))
    return port if axes == tuple(range(len(axes))) else port.transpose(axes)


def _process(folder: Path, index: int, entry: dict[str, Any], precision: str, abreast: int) -> Any:
    arrays = {key: np.load(folder / f"{index}.{key}.npy") for key in entry["arrays"]}
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["settings"].items()}
    if entry["path"] in _STOCK:
        return _STOCK[entry["path"]](entry["name"], arrays, settings, precision, abreast)
    if entry["windowed"]:
        settings["job"] = str(folder)
    elif abreast > 1:
        settings["abreast"] = abreast
    return load(entry["path"])(**arrays, **settings, name=entry["name"])


def _conv(name: str, arrays: dict[str, Any], settings: dict[str, Any], precision: str, abreast: int) -> Any:
    conv = partial(load(CONV_ABREAST), abreast=abreast) if abreast > 1 else load(CONV)
    return conv(**arrays, **settings, name=name, num_message_bits=MESSAGE_BITS)


def _dense(name: str, arrays: dict[str, Any], settings: dict[str, Any], precision: str, abreast: int) -> Any:
    from lava.utils.weightutils import SignMode

    dense = partial(load(DENSE_ABREAST), abreast=abreast) if abreast > 1 else load(DENSE)
    if precision == "floating_pt":  # this model has no exponent
        weights = arrays["weights"] * 2.0 ** settings["weight_exp"]
        return dense(weights=weights, name=name, num_message_bits=MESSAGE_BITS)
    sign_mode = SignMode.MIXED  # detection takes an all-negative matrix for inhibitory and clips -256
    return dense(**arrays, **settings, name=name, num_message_bits=MESSAGE_BITS, num_weight_bits=8, sign_mode=sign_mode)


def _atrlif(name: str, arrays: dict[str, Any], settings: dict[str, Any], precision: str, abreast: int) -> Any:
    """Lava's own neuron without decays, as a soft reset: see ``spikec.targets.lava.atrlif``."""
    v, half_theta = arrays["v"], settings["half_theta"]
    no_decay = {"delta_v": 0, "delta_theta": 0, "delta_r": 0, "theta_step": 0}
    # Its decay of the current is (delta_i * 4096 + 1) / 4096; this makes it 1: no memory.
    return load(ATRLIF)(
        shape=v.shape, v=v, theta=half_theta, theta_0=half_theta, delta_i=4095 / 4096, bias_exp=0, **no_decay, name=name
    )


def _lif_reset(name: str, arrays: dict[str, Any], settings: dict[str, Any], precision: str, abreast: int) -> Any:
    """Lava's own leaky neuron: see ``spikec.targets.lava.lif``. Each lane is one more row of the same neurons."""
    if abreast > 1:
        shape = (abreast, *settings["shape"])
        settings, arrays = settings | {"shape": shape}, {k: np.broadcast_to(a, shape) for k, a in arrays.items()}
    return load(LIF_RESET)(**arrays, **settings, name=name)


#: Lava's own processes, which take their settings in their own way.
_STOCK: dict[str, Callable[[str, dict[str, Any], dict[str, Any], str, int], Any]] = {
    CONV: _conv,
    DENSE: _dense,
    ATRLIF: _atrlif,
    LIF_RESET: _lif_reset,
}


def reset_stock_neurons(folder: Path, document: dict[str, Any], processes: list[Any], window: int) -> None:
    """After an image, silence Lava's own neurons; after that, bring them to their initial membranes."""
    for index, (entry, process) in enumerate(zip(document["processes"], processes, strict=True)):
        if entry["path"] != ATRLIF:
            continue
        process.r.set(np.full(process.r.shape, _OUT_OF_REACH if window % 2 == 0 else 0))
        if window % 2:
            process.v.set(np.load(folder / f"{index}.v.npy"))


def _out(process: Any) -> Any:
    return process.s_out if hasattr(process, "s_out") else process.a_out


def _in(process: Any) -> Any:
    return process.s_in if hasattr(process, "s_in") else process.a_in


def run(folder: Path, document: dict[str, Any], processes: list[Any], observe: Observe | None) -> None:
    """Compile, run all steps. The processes are left waiting: to end each in Lava's way takes as long as its start."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from spikec.targets.lava import startup

    by_class = {type(process).__name__: type(process) for process in processes}
    chosen = {by_class[name]: load(path) for name, path in document["models"].items() if name in by_class}
    config = Loihi2SimCfg(select_tag=document["precision"], exception_proc_model_map=chosen)
    config.exception_proc_model_map |= startup.models_of(processes, config, chosen)
    root = processes[-1]
    if sys.modules.get("torch") is not None:
        raise RuntimeError("torch was imported into the Lava worker, where it would hang")
    with startup.without_pandas():
        executable = root.compile(config, dict(startup.COMPILE_SETTINGS))
    missing = {p.name for p in processes} - {p.name for p in executable.proc_builders}
    if missing:
        raise RuntimeError(f"not connected to the readout: {', '.join(sorted(missing))}")
    startup.before_forks()
    root.create_runtime(executable=executable)
    write_state(folder, "running")
    seconds = 0.0
    for window, steps in enumerate(document["windows"]):
        started = time.monotonic()
        root.run(RunSteps(num_steps=steps))
        seconds += time.monotonic() - started
        if observe is not None:
            observe(folder, document, processes, window)
    (folder / "seconds").write_text(str(seconds))
    if not os.path.isdir(SHARED_MEMORY):  # only Lava knows what it shared
        root.stop()


def end(code: int) -> None:
    """Exit at once: Python would wait for Lava's processes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def load(path: str) -> Any:
    """What ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    end(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], build, reset_stock_neurons))
