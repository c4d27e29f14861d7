"""How many images go through the processes side by side.

Lava's own work in a step is the same for one image and for many: each process waits for a word of the runtime service,
and says when it is done. So processes carry several images, on a first axis of their ports and state.
"""

from __future__ import annotations

import os
import shutil

import numpy as np

import spikec.ir as ig
from spikec.targets.lava.options import LavaOptions
from spikec.targets.lava.paths import CONV, DENSE, LIF_RESET, OURS
from spikec.targets.lava.plan import Plan
from spikec.targets.lava.startup import COMPILE_SETTINGS
from spikec.targets.lava.system import SHARED_MEMORY

#: Bytes of state and of what is computed in a step, for each number that a process puts out.
_BYTES_EACH = 96
#: What all processes of an interpreter may take of these.
_BYTES = 256 * 2**20
_MESSAGE_BYTES = 4
_KNOWN = frozenset((CONV, DENSE, LIF_RESET))


def abreast(graph: ig.IntegerGraph, plan: Plan, options: LavaOptions, images: int) -> int:
    """Images side by side in a job of ``images``: all windows get as many, but for the last."""
    windows = -(-images // _most(graph, plan, options))
    return -(-images // windows)


def interpreters(graph: ig.IntegerGraph, plan: Plan, options: LavaOptions, images: int) -> int:
    """Interpreters that share the images: as many as are allowed and worth their start, which takes about as long as
    two full windows."""
    return min(options.workers, -(-images // (2 * _most(graph, plan, options))))


def _most(graph: ig.IntegerGraph, plan: Plan, options: LavaOptions) -> int:
    """Images that can go side by side."""
    if options.one_image_at_a_time or (options.models and options.abreast is None) or not _known(plan):
        return 1
    return max(1, options.abreast or _holding(graph, options))


def _known(plan: Plan) -> bool:
    """Whether all processes can have the axis; those of an extension need not."""
    return not plan.one_by_one and all(p.path in _KNOWN or p.path.startswith(f"{OURS}.") for p in plan.processes)


def _holding(graph: ig.IntegerGraph, options: LavaOptions) -> int:
    """As many images as memory holds, and half of the memory that processes can share."""
    numbers = sum(int(np.prod(node.output_shape)) for node in graph)
    found = _BYTES // (_BYTES_EACH * numbers)
    if os.path.isdir(SHARED_MEMORY):
        free = shutil.disk_usage(SHARED_MEMORY).free // 2 // options.workers
        found = min(found, free // (_MESSAGE_BYTES * COMPILE_SETTINGS["pypy_channel_size"] * numbers))
    return int(found)
