"""Where and how torch computes during a run: the device, and settings under which integers stay exact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from spikec.analysis.ranges import Ranges
from spikec.errors import DataError, RangeError, TargetUnavailable
from spikec.ir.operations.exact import exact_floats
from spikec.words import option

_FLOAT64_EXACT = 2**53
_LARGEST_HINT = 2**25 - 2**13  # bytes; see keep_freed_memory


def checked_device(name: str, ranges: Ranges) -> torch.device:
    """The torch device called ``name``, after a check that it exists and holds every number of a graph exactly.

    Raises ``DataError`` for another name than "cpu" or "cuda", ``TargetUnavailable`` without a GPU and ``RangeError``
    where float64 might round: GPUs have no integer convolutions.
    """
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise DataError(f"{option('device', str(name))} is not known; use cpu or cuda")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise TargetUnavailable(
                f"{option('device', str(name))}: torch sees no GPU here; leave it out to run on the CPU"
            )
        largest = max(ranges.magnitudes.values())
        if largest >= _FLOAT64_EXACT:
            raise RangeError(f"a sum may reach {largest}, beyond float64: run on the CPU, or use smaller weights")
    return device


def keep_freed_memory() -> None:
    """Let glibc keep the memory that operators free for later ones, instead of returning it to the system: blocks of up
    to 32 MB, 64 MB in all, for the whole process.

    Freeing one large block is enough: glibc then expects blocks up to that size to be needed again (mallopt(3),
    M_MMAP_THRESHOLD). New pages for every intermediate result can take longer than computing it.
    """
    torch.empty(_LARGEST_HINT, dtype=torch.uint8, device="cpu")  # never written to, and freed at once


@contextmanager
def exact_arithmetic(threads: int | None, device: torch.device) -> Iterator[None]:
    """Inside the block: no gradients, no reduced-precision or transform-based kernels, ``threads`` torch threads (None:
    as many as before), and new tensors on ``device``."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with exact_floats(device.type), device if device.type != "cpu" else nullcontext():
            yield
    finally:
        torch.set_num_threads(before)
