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

from benchmarks.golden_peers import PEERS, PeerNetwork
from spikec.ir import as_integer, load
from spikec.simulation import GoldenModel, encode
from spikec.simulation.kernels.int8 import Int8Synapse
from spikec.simulation.registers import EXACT

#: From images float32 [N, *shape] of one batch to "output", and counts by layer where they are asked for.
Run = Callable[[npt.NDArray[np.float32], bool], dict[str, npt.NDArray[np.int64]]]


def main(row: str, folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    at_start, ready = memory("VmRSS"), ""
    clock = kernel_clock() if row == "golden-kernels" else seconds
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
    inside, run = [0.0, 0.0], Int8Synapse._run

    def timed(*arguments: Any) -> torch.Tensor:
        before = seconds()
        result = run(*arguments)
        inside[:] = [total + after - start for total, after, start in zip(inside, seconds(), before, strict=True)]
        return result

    Int8Synapse._run = timed  # type: ignore[method-assign,assignment]
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
    if row in PEERS:
        peer = PeerNetwork(graph, PEERS[row])
        return lambda images, _: run_peer(peer, images)
    if row == "golden-float32":  # 8-bit kernels refused, as on a processor that has none
        with patch("spikec.simulation.engines.counts_by_step.exact_synapse", return_value=None):
            model_ = GoldenModel(graph)
    else:
        model_ = GoldenModel(graph, measure=row == "golden-measured")

    def golden(images: npt.NDArray[np.float32], counts: bool) -> dict[str, npt.NDArray[np.int64]]:
        trace = model_.run(images, batch=len(images), counts=counts or "totals")
        return {**trace.counts, "output": trace.output}

    return golden


def run_peer(peer: PeerNetwork, images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.int64]]:
    integers = torch.from_numpy(encode(peer.graph.input, images))
    with torch.no_grad(), torch.backends.nnpack.flags(enabled=False):
        result = peer.run(integers, EXACT.watches(peer.graph), events=False, spikes=False)
    counts = {name: emission.counts.numpy() for name, emission in result.emissions.items()}
    return {**counts, "output": next(iter(result.readouts.values()))[-1].numpy()}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
