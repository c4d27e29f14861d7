"""Runs networks in one way, in the environment where that way is installed; orders come as lines of JSON.

    python -m benchmarks.golden_worker ROW FOLDER THREADS

An order names a case, the number of images, the batch and, once, a file for counts and outputs. The answer holds wall
clock and CPU seconds of one pass over the images, and the peak memory beyond what the process held before its first
order.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch

import spikec as tc
from benchmarks.golden_peers import PEERS, PeerNetwork
from spikec.ir import IntegerGraph, as_integer, load
from spikec.simulation import GoldenModel, encode
from spikec.simulation.kernels.int8 import Int8Synapse
from spikec.simulation.paths import Reason
from spikec.simulation.registers import EXACT
from spikec.targets.c import CTarget
from spikec.targets.c.library import Library

#: Runs of each image in one call of the generated code.
COPIES = 8
#: From images float32 [N, *shape] of one batch to "output", and counts by layer where they are asked for.
Run = Callable[[npt.NDArray[np.float32], bool], dict[str, npt.NDArray[np.int64]]]


def main(row: str, folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    at_start, ready = memory("VmRSS"), ""
    clock = {"golden-kernels": kernel_clock, "c-bare": bare_clock}.get(row, lambda: seconds)()
    run: Run | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if order["case"] != ready:
            run = None  # frees the last network before the next is built
            run, ready = build(row, folder, order["case"]), order["case"]
        images = np.load(folder / f"{order['network']}.npy", mmap_mode="r")[: order["images"]]
        Path("/proc/self/clear_refs").write_text("5")  # starts the peak anew
        assert run is not None
        results, (wall, cpu) = [], clock()
        for first in range(0, len(images), order["batch"]):
            results.append(run(np.array(images[first : first + order["batch"]]), "save" in order))
        wall, cpu = (after - before for after, before in zip(clock(), (wall, cpu), strict=True))
        if "save" in order:
            np.savez(order["save"], **{key: np.concatenate([r[key] for r in results]) for key in results[0]})
        answer = {"wall": wall, "cpu": cpu, "megabytes": (memory("VmHWM") - at_start) / 1000}
        print(json.dumps(answer), flush=True)


def seconds() -> tuple[float, float]:
    """Wall clock and CPU time of this process."""
    return time.perf_counter(), time.process_time()


def kernel_clock() -> Callable[[], tuple[float, float]]:
    """Like :func:`seconds`, but runs inside the 8-bit kernels alone."""
    return clock_inside(Int8Synapse, "_run")


def bare_clock() -> Callable[[], tuple[float, float]]:
    """Like :func:`seconds`, but runs for one of the copies of an image inside the generated code alone."""
    clock = clock_inside(Library, "start")
    return lambda: (clock()[0] / COPIES, clock()[1] / COPIES)


def clock_inside(owner: type, name: str) -> Callable[[], tuple[float, float]]:
    """Like :func:`seconds`, but runs inside the method ``name`` alone."""
    inside, run = [0.0, 0.0], getattr(owner, name)

    def timed(*arguments: Any) -> Any:
        before = seconds()
        result = run(*arguments)
        inside[:] = [total + after - start for total, after, start in zip(inside, seconds(), before, strict=True)]
        return result

    setattr(owner, name, timed)
    return lambda: (inside[0], inside[1])


def memory(field: str) -> float:
    """A line of ``/proc/self/status``, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field))


def build(row: str, folder: Path, case: str) -> Run:
    """What one row of the table runs."""
    if row == "ann":
        from benchmarks.golden_cases import model

        network = model(case.rsplit("-", 2)[0])

        def forward(images: npt.NDArray[np.float32], _: bool) -> dict[str, npt.NDArray[np.int64]]:
            with torch.inference_mode():
                return {"output": network(torch.from_numpy(images)).numpy()}

        return forward
    graph = as_integer(load(folder / f"{case}.nir"))
    if row == "c":
        program = CTarget().compile(graph, threads=torch.get_num_threads())
        return lambda images, counts: results_of(program.run(images, counts=counts or "totals"))
    if row == "c-bare":
        return bare(graph)
    if row in PEERS:
        peer = PeerNetwork(graph, PEERS[row])
        return lambda images, _: run_peer(peer, images)
    if row == "golden-float32":  # 8-bit kernels refused, but for the layer that reads the image
        with patch("spikec.simulation.engines.ways.exact_synapse", return_value=Reason("refused")):
            model_ = GoldenModel(graph)
    else:
        model_ = GoldenModel(graph, measure=row == "golden-measured")

    def golden(images: npt.NDArray[np.float32], counts: bool) -> dict[str, npt.NDArray[np.int64]]:
        return results_of(model_.run(images, batch=len(images), counts=counts or "totals"))

    return golden


def results_of(trace: tc.Trace) -> dict[str, npt.NDArray[np.int64]]:
    """Counts, where there are any, and the output."""
    return {**trace.counts, "output": trace.output}


def bare(graph: IntegerGraph) -> Run:
    """The generated ``NAME_run``, called from C: each image :data:`COPIES` times, so that the call from Python does not
    count. The output is what it leaves behind; counts are those of another run, which keeps them."""
    program = CTarget().compile(graph, threads=1)
    library = program.library()
    rows = library.rows(COPIES, graph.timing.counted_steps, totals=False, events=False, rasters=False)

    def run(images: npt.NDArray[np.float32], counts: bool) -> dict[str, npt.NDArray[np.int64]]:
        integers, outputs = encode(graph.input, images).astype(library.source.input_dtype), []
        for image in integers:
            copies = np.repeat(image[None], COPIES, axis=0)
            library.start(copies, rows, None, None, 1)
            outputs.append(rows.readers[graph.readout.name][0, -1].astype(np.int64))
        return {**(program.run(images).counts if counts else {}), "output": np.stack(outputs)}

    return run


def run_peer(peer: PeerNetwork, images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.int64]]:
    integers = torch.from_numpy(encode(peer.graph.input, images))
    with torch.no_grad(), torch.backends.nnpack.flags(enabled=False):
        result = peer.run(integers, EXACT.watches(peer.graph), events=False, spikes=False)
    counts = {name: emission.counts.numpy() for name, emission in result.emissions.items()}
    return {**counts, "output": next(iter(result.readouts.values()))[-1].numpy()}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
