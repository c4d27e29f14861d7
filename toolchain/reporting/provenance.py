"""Where a report comes from."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timezone
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.ir import IntegerGraph
from spikec.ir.profile.build import settings_of
from spikec.reporting.value import Provenance
from spikec.simulation.trace import Trace
from spikec.training.targets import each_head
from spikec.versions import versions

#: Images that are hashed together.
_AT_ONCE = 256


class Images(Protocol):
    """Images that are read part by part."""

    def __len__(self) -> int: ...

    def images(self, indices: slice = ...) -> Any: ...


def provenance(
    graph: IntegerGraph,
    trace: Trace,
    images: Images,
    labels: npt.ArrayLike | None,
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
        deployment_sha256=graph.deployment_sha256,
        graph_sha256=graph.content_sha256,
        source_sha256=graph.source_sha256,
        data_sha256=data_sha256(images, labels),
        producer=graph.producer,
        target=trace.target,
        versions=versions(),
        info=settings_of(graph),
    )


def data_sha256(images: Images, labels: npt.ArrayLike | None) -> str:
    """Hash of both arrays, or of the images alone: type, shape and bytes in C order, images as float32, labels as int64
    or, where they are numbers to predict, as float32; of several targets one after the other."""
    digest = hashlib.sha256()
    first = np.asarray(images.images(slice(1)))
    digest.update(f"<f4{(len(images), *first.shape[1:])}".encode())
    for start in range(0, len(images), _AT_ONCE):
        part = np.asarray(images.images(slice(start, start + _AT_ONCE)))
        digest.update(np.ascontiguousarray(part, dtype="<f4").tobytes())
    targets = [] if labels is None else list(each_head(np.asarray(labels)).values())
    kinds = [np.dtype("<f4" if values.dtype.kind == "f" else "<i8") for values in targets]
    for array, dtype in zip(targets, kinds, strict=True):
        values = np.ascontiguousarray(array, dtype=dtype)
        digest.update(f"{dtype.str}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _source_date() -> str | None:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return None
    try:
        return datetime.fromtimestamp(int(epoch), tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        raise DataError(f"SOURCE_DATE_EPOCH is {epoch!r}; it must be a number of seconds since 1970") from None
