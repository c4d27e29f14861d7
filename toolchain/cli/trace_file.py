"""Write traces of any length as one ``.npz``, batch after batch, without holding them in memory."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.ir import IntegerGraph
from spikec.simulation import Trace
from spikec.training.targets import each_head
from spikec.whole_files import place_of, temporary_folder

Array = npt.NDArray[np.generic]


class TraceFile:
    """Arrays over all images: ``output``, ``logits``, ``labels``, ``counts/<layer>``, ``events/<layer>`` and, where
    there are, ``coding/values``, ``coding/clipped`` and ``coding/zeroed``, ``output_curve``, ``steps`` and
    ``spikes/<layer>``, as in :class:`spikec.simulation.Trace`. With several outputs, ``output/<name>``,
    ``logits/<name>`` and ``output_curve/<name>``; with several targets ``labels/<name>``. Counts are stored in the
    smallest integer type that holds every count the graph allows. Use as a context: the file appears at ``path`` when
    the block ends without an error, complete, and not at all otherwise. Equal traces give equal bytes.
    """

    def __init__(self, path: Path, graph: IntegerGraph, images: int) -> None:
        self.path, self.images = place_of(path), images
        emitted = (abs(number) for population in graph.populations for number in population.neuron.emission)
        largest = graph.emission_steps * max(emitted, default=1)
        self.count_type = np.min_scalar_type(-largest - 1)
        self._temporary = ExitStack()
        self._folder = self.path.parent  # until the block begins
        self._parts: dict[str, Path] = {}

    def append(self, trace: Trace, labels: Array) -> None:
        """The next images' trace and labels."""
        for name, output in trace.outputs.items():
            ending = f"/{name}" if len(trace.outputs) > 1 else ""
            self._write(f"output{ending}", output)
            self._write(f"logits{ending}", trace.logits_of(name))
            if name in trace.output_curves:
                self._write(f"output_curve{ending}", trace.output_curves[name])
        for name, values in each_head(labels).items():
            self._write(f"labels/{name}" if name else "labels", values)
        if trace.steps is not None:
            self._write("steps", trace.steps)
        if trace.coding is not None:
            self._write("coding/values", trace.coding.values_by_image)
            self._write("coding/clipped", trace.coding.clipped_by_image)
            self._write("coding/zeroed", trace.coding.zeroed_by_image)
        for layer in trace.counts:
            self._write(f"counts/{layer}", trace.counts[layer].astype(self.count_type))
            self._write(f"events/{layer}", trace.events[layer].astype(self.count_type))
        for layer, spikes in trace.spikes.items():
            self._write(f"spikes/{layer}", spikes)

    def _write(self, name: str, array: Array) -> None:
        part = self._folder / f"{len(self._parts)}.npy"
        with self._named(), open(self._parts.setdefault(name, part), "ab") as stream:
            if stream.tell() == 0:
                npy: Any = np.lib.format
                shape = (self.images, *array.shape[1:])
                header = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
                npy.write_array_header_1_0(stream, header)
            stream.write(np.ascontiguousarray(array).tobytes())

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # a full disk: say what could not be written
            error.filename = str(self.path)
            raise

    def _finish(self) -> None:
        archive = self._folder / "archive"
        with self._named(), zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
            for name, part in self._parts.items():
                # By its name: that of the file would bring the time at which it was written.
                with part.open("rb") as read, out.open(f"{name}.npy", "w", force_zip64=True) as written:
                    shutil.copyfileobj(read, written, 2**20)
                part.unlink()
        os.replace(archive, self.path)

    def __enter__(self) -> TraceFile:
        self._folder = self._temporary.enter_context(temporary_folder(self.path.parent, self.path.name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._temporary.close()
