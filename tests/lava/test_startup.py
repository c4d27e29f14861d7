"""The start of a worker: the models it names are those that Lava's own search finds, and it imports little."""

import os
import subprocess
import sys

import numpy as np
import pytest

from spikec.targets.lava import launch

pytestmark = pytest.mark.lava


def in_a_process_of_its_own(code):
    """What a fresh interpreter prints."""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


MODELS = """
import importlib, inspect, pkgutil, warnings
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg
from spikec.targets.lava import paths, processes, startup
from spikec.targets.lava.worker import load

warnings.simplefilter("ignore")
classes = {load(path) for name, path in vars(paths).items() if name.isupper() and ":" in path}
for _, name, _ in pkgutil.iter_modules(processes.__path__, processes.__name__ + "."):
    module = importlib.import_module(name)
    classes |= {c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == name
                and issubclass(c, AbstractProcess) and c.__name__ != "Population"}

def all_models(process):
    # Lava's own search where that is quick, else every model of every module beside the process.
    if type(process).__name__ in ("Conv", "Dense", "LIFReset", "SumPool"):
        return ProcGroupDiGraphs._find_proc_models(process)
    package = importlib.import_module(type(process).__module__.rpartition(".")[0])
    modules = [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    return [m for module in modules for m in ProcGroupDiGraphs._find_proc_models_in_module(process, module)]

for made in sorted(classes, key=str):
    process = object.__new__(made)
    process._runtime, process.name = None, made.__name__
    models = all_models(process)
    for tag in ("fixed_pt", "floating_pt"):
        config = Loihi2SimCfg(select_tag=tag)
        named = startup.models_of([process], config, {}).get(process)
        try:
            searched = config.select(process, models)
        except AssertionError:  # there is none with this tag
            searched = None
        assert named is searched, (tag, made, named, searched)
        print(made.__name__, tag, named is not None)
"""


@pytest.mark.thorough
def test_models_are_those_that_lava_finds(lava):
    said = in_a_process_of_its_own(MODELS)
    rows = list(zip(said[::3], said[1::3], said[2::3], strict=True))
    assert len({name for name, _, _ in rows}) >= 20
    assert all(found == "True" for _, tag, found in rows if tag == "fixed_pt")


LEAN = """
import sys
from spikec.targets.lava import startup
startup.import_when_used("scipy.signal")
import lava.proc.conv.models
print("scipy.signal._signaltools" in sys.modules)
from scipy import signal
print(signal.convolve2d([[2]], [[3]])[0, 0], "scipy.signal._signaltools" in sys.modules)
with startup.without_pandas():
    try:
        import pandas
    except ImportError:
        print("none")
print("pandas" in sys.modules)
startup.import_when_used("there_is_none")
"""


def test_modules_that_no_job_needs_are_not_imported(lava):
    assert in_a_process_of_its_own(LEAN) == ["False", "6", "True", "none", "False"]


def test_nothing_is_left_of_a_run_that_ended_well(lava, leftovers, random_graph):
    graph = random_graph(np.random.default_rng(0), small=True)
    trace = lava.compile(graph).run(np.ones((5, *graph.input.shape)))
    assert trace.info["abreast"] == "5"
    assert leftovers() == ([], [])


TOLD = """
import os
print(os.getsid(0) == os.getpid(), os.getcwd(), *(os.environ[f"{x}_NUM_THREADS"] for x in ("OMP", "OPENBLAS", "MKL")))
"""


def test_a_worker_has_a_session_a_folder_and_one_thread(tmp_path, monkeypatch):
    (tmp_path / "telling.py").write_text(TOLD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    job = tmp_path / "job"
    job.mkdir()
    assert launch._start(job, "tag", "telling").wait(timeout=60) == 0
    assert (job / "log.txt").read_text().split() == ["True", str(job), "1", "1", "1"]
