"""Where a report comes from."""

from __future__ import annotations

import hashlib
import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import numpy.typing as npt

from toolchain.errors import DataError
from toolchain.ir import IntegerGraph
from toolchain.report.value import Provenance
from toolchain.simulation.trace import Trace

_PACKAGES = ("spikec", "torch", "numpy", "nir", "lava-nc", "lava-dl")


def provenance(
    graph: IntegerGraph,
    trace: Trace,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    seed: int | None,
    command: str | None,
    date: str | None,
) -> Provenance:
    """``date`` is printed as given; without one, ``SOURCE_DATE_EPOCH`` decides, and without that there is none."""
    return Provenance(
        date=date if date is not None else _source_date(),
        command=command,
        seed=seed,
        graph_sha256=graph.content_sha256,
        source_sha256=graph.source_sha256,
        data_sha256=data_sha256(images, labels),
        producer=graph.producer,
        target=trace.target,
        versions=versions(),
        info=dict(graph.info),
    )


def data_sha256(images: npt.ArrayLike, labels: npt.ArrayLike) -> str:
    """Hash of both arrays: type, shape and bytes in C order, images as float32 and labels as int64."""
    digest = hashlib.sha256()
    for array, dtype in ((images, np.dtype("<f4")), (labels, np.dtype("<i8"))):
        values = np.ascontiguousarray(np.asarray(array), dtype=dtype)
        digest.update(f"{dtype.str}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Interpreter, machine and packages, read without importing any of them; absent packages are left out."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _source_date() -> str | None:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return None
    try:
        return datetime.fromtimestamp(int(epoch), tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        raise DataError(f"SOURCE_DATE_EPOCH is {epoch!r}; it must be a number of seconds since 1970") from None
