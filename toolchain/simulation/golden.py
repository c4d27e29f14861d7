"""The integer golden model: what a deployment computes, exactly, for whole data sets.

The graph is evaluated node by node in topological order, with all steps of a chunk of images at once: with no synaptic
delay, a layer at step t needs nothing but its sources at step t. The linear part of the graph is split by
superposition into a part that is the same for every image (biases), a part that is the same at every step (the constant
image) and a part driven by spikes; only the last is computed per step. Numbers are exact by construction: the range
analysis picks float32, float64 or int64 per node so that no partial sum can be rounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from toolchain.errors import DataError
from toolchain.ir.decode import as_integer
from toolchain.ir.integer import IntegerGraph
from toolchain.quantization.ranges import bounds
from toolchain.simulation.collect import Collector
from toolchain.simulation.encode import as_images, encode
from toolchain.simulation.network import Network
from toolchain.simulation.trace import Trace

if TYPE_CHECKING:
    import nir

Images = npt.ArrayLike | torch.Tensor | Iterator[npt.ArrayLike | torch.Tensor]
Progress = Callable[[int, int | None], None]

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_LARGEST_BATCH = 128


def simulate(
    graph: nir.NIRGraph | IntegerGraph,
    images: Images,
    *,
    record: str | None = None,
    counts: bool | Literal["totals"] = True,
    batch: int | None = None,
    memory: str | int = "1GB",
    threads: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> Trace:
    """Run a deployment on ``images`` in exact integers.

    ``images``: float [N, *input shape] as the trained network takes them, or an iterator of such batches (streamed).
    ``record="spikes"`` keeps every raster. ``counts=False`` keeps no spike counts per image and ``counts="totals"``
    only their sums over the images (``Trace.count_totals``, ``Trace.event_totals``, which are always filled
    otherwise): the trace of a whole test set then stays small. ``memory`` ("500MB", "2GB", or bytes) bounds the working
    set of one chunk of images, ``batch`` sets the chunk directly. ``threads`` is the number of torch threads during the
    run. ``progress(done, total)`` is called after every chunk; total is None for an iterator.

    The model never wraps. Membranes beyond 24 bits are counted in ``Trace.overflows``; ``strict=True`` raises
    ``RangeError`` at the first one instead. Raises ``DataError`` for images or options it cannot use and ``GraphError``
    for a graph that breaks the profile.
    """
    if record not in (None, "spikes"):
        raise DataError(f"record={record!r} is not known; leave it out or use record='spikes'")
    if counts not in (True, False, "totals"):
        raise DataError(f"counts={counts!r} is not known; use True, False or 'totals'")
    if batch is not None and batch < 1:
        raise DataError(f"batch={batch} is not possible; use at least 1")
    integer = as_integer(graph)
    started = time.perf_counter()
    network = Network(integer, bounds(integer), strict=strict)
    size = batch or max(1, min(_LARGEST_BATCH, parse_memory(memory) // network.bytes_per_image))
    collector = Collector(integer, spikes=record == "spikes", counts=counts)
    stream, total = _batches(integer, images)
    done = 0
    with _exact_arithmetic(threads):
        for part in stream:
            for first in range(0, len(part), size):
                integers = torch.from_numpy(encode(integer.input, part[first : first + size]))
                collector.add(network.run(integers, done), integers)
                done += len(integers)
                if progress is not None:
                    progress(done, total)
    if done == 0:
        raise DataError("the iterator of images gave no batch; give at least one image")
    return collector.trace(network.watches, time.perf_counter() - started)


def parse_memory(memory: str | int) -> int:
    """Bytes in "500MB", "2 GB" or a plain number; decimal units. Raises ``DataError`` for anything else."""
    text = str(memory).strip().lower()
    factor = next((f for unit, f in _UNITS.items() if text.endswith(unit)), 1)
    try:
        value = float(text[:-2] if factor > 1 else text) * factor
    except ValueError:
        value = 0.0
    if not 1 <= value < float("inf"):
        raise DataError(f"memory={memory!r} is not a size; write for example '500MB' or '2GB'")
    return int(value)


def _batches(graph: IntegerGraph, images: Images) -> tuple[Iterator[npt.NDArray[np.floating[Any]]], int | None]:
    if isinstance(images, Iterator):
        return (as_images(graph.input, part) for part in images), None
    array = as_images(graph.input, images)
    return iter([array]), len(array)


@contextmanager
def _exact_arithmetic(threads: int | None) -> Iterator[None]:
    """No gradients, no reduced-precision or transform-based kernels, and ``threads`` torch threads for the while."""
    if threads is not None and threads < 1:
        raise DataError(f"threads={threads} is not possible; use at least 1")
    before = torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(threads or before)
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", enabled=False),
            torch.backends.nnpack.flags(enabled=False),  # its Winograd kernels are not exact on integers
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(before)
