"""Faults inside Lava's processes: each is an error within seconds, names the process, and leaves nothing behind."""

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from spikec.errors import ToolchainError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF
from spikec.ir.operations import Affine

pytestmark = pytest.mark.lava

FAULTY = """
import os, signal, time
from spikec.targets.lava.processes.stepping import PySoftResetIF
from spikec.targets.lava.processes.readout import PyIntegrator

class FaultyIF(PySoftResetIF):
    def __init__(self, proc_params):
        super().__init__(proc_params)
        if {where!r} == "init" and self.label == {layer!r}:
            {fault}

    def emit(self, step):
        if {where!r} == "step" and self.label == {layer!r} and self.time_step == 9:
            {fault}
        return super().emit(step)

class FaultyIntegrator(PyIntegrator):
    def integrate(self, image, step, synaptic):
        if {layer!r} == "readout" and image == 2:
            {fault}
        super().integrate(image, step, synaptic)
"""
RAISE = "raise ValueError('injected on purpose')"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
HANG = "time.sleep(600)"


def chain() -> IntegerGraph:
    """Three populations in a row, 4 inputs, 4 steps."""
    nodes = {"input": InputNode("input", (4,), "uint8", 1.0)}
    source = "input"
    for layer in ("first", "middle", "last"):
        weight, bias = np.eye(4, dtype=np.int64), np.zeros(4, np.int64)
        nodes[f"fc_{layer}"] = Affine(f"fc_{layer}", (source,), (4,), (4,), weight, bias)
        nodes[layer] = Population(layer, (f"fc_{layer}",), (4,), IF(), np.full(4, 2), np.ones(4, np.int64))
        source = layer
    nodes["fc"] = Affine("fc", (source,), (4,), (4,), np.eye(4, dtype=np.int64), np.zeros(4, np.int64))
    nodes["readout"] = Readout("readout", ("fc",), (4,), np.zeros(4, np.int64), 1.0)
    return IntegerGraph(nodes, 4, "pipelined")


@pytest.fixture
def run_faulty(lava, tmp_path, monkeypatch):
    """``run_faulty(layer, where, fault, **options)`` runs ``chain`` with one faulty process."""

    def run(layer, where, fault, **options):
        (tmp_path / "faulty_models.py").write_text(FAULTY.format(layer=layer, where=where, fault=fault))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        models = {"SoftResetIF": "faulty_models:FaultyIF", "Integrator": "faulty_models:FaultyIntegrator"}
        return lava.compile(chain(), models=models, **options).run(np.ones((5, 4)))

    return run


def log_of(error):
    return Path(str(error).rpartition("log: ")[2]).read_text()


@pytest.mark.parametrize(
    ("layer", "where"), [("first", "init"), ("middle", "step"), ("readout", "step")], ids=["init", "middle", "last"]
)
def test_exception(run_faulty, leftovers, layer, where):
    with pytest.raises(ToolchainError, match=f"{layer} failed: ValueError: injected on purpose") as caught:
        run_faulty(layer, where, RAISE)
    assert "Traceback" in log_of(caught.value)
    assert "faulty_models.py" in log_of(caught.value)
    assert leftovers() == ([], [])


def test_killed_process(run_faulty, leftovers):
    with pytest.raises(ToolchainError, match="middle died while running"):
        run_faulty("middle", "step", KILL, workers=2)
    assert leftovers() == ([], [])


def test_a_rerun_goes_on_after_the_last_finished_chunk(lava, oracle, tmp_path, monkeypatch):
    """The second chunk fails; in the rerun the first one comes from disk and the result is that of one run."""
    kept, graph = tmp_path / "kept", chain()
    images = np.array([[0, 1, 2, 3], [1, 1, 0, 0], [3, 3, 1, 0], [2, 0, 1, 1], [0, 0, 0, 2]], float)
    options = {"chunk": 2, "resume_dir": kept, "models": {"SoftResetIF": "resumed_models:SomeIF"}}
    model = tmp_path / "resumed_models.py"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    head = "from spikec.targets.lava.processes.stepping import PySoftResetIF\n"
    body = "class SomeIF(PySoftResetIF):\n    def __init__(self, p):\n        super().__init__(p)\n"
    runs = tmp_path / "runs"
    body += f"        with open({str(runs)!r}, 'a') as f: f.write('.')\n"
    fault = "        if self._currents[0].sum() == {}: 1 / 0\n"
    model.write_text(head + body + fault.format(images[2].sum()))
    with pytest.raises(ToolchainError, match="first failed: ZeroDivisionError"):
        lava.compile(graph, **options).run(images)
    assert len(list(kept.glob("*.npz"))) == 1
    before = len(runs.read_text())
    model.write_text(head + body)
    trace = lava.compile(graph, **options).run(images)
    assert len(runs.read_text()) - before == 2 * 3  # two chunks of three populations, not three
    expected = oracle(graph, images.astype(np.int64))
    np.testing.assert_array_equal(trace.output, expected.output)
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(trace.counts[name], counts)
    for other in ({"chunk": 2, "input": "graded"}, {"chunk": 2, "stock": True}):
        again = lava.compile(graph, resume_dir=kept, **other).run(images[:2])
        np.testing.assert_array_equal(again.output, expected.output[:2])
    assert len(list(kept.glob("*.npz"))) == 3 + 2  # other options, other results
    again = lava.compile(graph, resume_dir=kept, chunk=2, input="graded", abreast=1).run(images[:2])
    np.testing.assert_array_equal(again.output, expected.output[:2])
    assert len(list(kept.glob("*.npz"))) == 3 + 2  # side by side or not, the results are the same


@pytest.mark.parametrize("where", ["job", "results"])
def test_full_disk(lava, tmp_path, monkeypatch, where):
    """No space for the job, or for the results of a chunk: the folder is named."""

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "job":
        monkeypatch.setattr("os.posix_fallocate", full)
        named = tempfile.gettempdir()
    else:
        monkeypatch.setattr("numpy.savez_compressed", full)
        named = str(tmp_path / "kept")
    with pytest.raises(ToolchainError, match=f"no space left in {re.escape(named)};"):
        lava.compile(chain(), resume_dir=tmp_path / "kept").run(np.ones((2, 4)))
    assert not list(tmp_path.glob("kept/*"))


def test_hang(run_faulty, leftovers):
    started = time.monotonic()
    with pytest.raises(ToolchainError, match="stood still for 5 s while running, middle at step 8 of 23"):
        run_faulty("middle", "step", HANG, stall_seconds=5)
    assert time.monotonic() - started < 120  # a hanging Lava never ends by itself
    assert leftovers() == ([], [])


DRIVER = """
import signal
import sys
# A shell that runs this in the background has it ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = [{tests!r}]
import numpy as np
from test_failures import chain
from spikec.targets.lava import LavaTarget
LavaTarget().compile(chain(), models={{"SoftResetIF": "faulty_models:FaultyIF"}}).run(np.ones((5, 4)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "parent killed"])
def test_parent_ends(lava, leftovers, tmp_path, monkeypatch, number):
    (tmp_path / "faulty_models.py").write_text(FAULTY.format(layer="last", where="step", fault=HANG))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    script = DRIVER.format(tests=str(Path(__file__).parent))
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)
    try:
        wait_until(lambda: any(state.read_text() == "running" for state in tmp_path.glob("spikec_*/state")), 120)
        processes, blocks = leftovers()
        assert processes
        assert blocks  # what is looked for below is there now
        parent.send_signal(number)
        _, message = parent.communicate(timeout=30)
    finally:
        parent.kill()
    if number == signal.SIGINT:
        assert b"KeyboardInterrupt" in message
        assert not list(tmp_path.glob("spikec_*"))
        assert not list(tmp_path.glob("pymp-*"))  # the sockets of multiprocessing
    wait_until(lambda: leftovers() == ([], []) and not list(tmp_path.glob("spikec_*")), 20)


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
