"""What was measured when a network was deployed: which images the trained network, and each step from it to the
integers, classified correctly, or what another measure says of them. It travels in the file, so that whoever runs it
can say what the spikes cost."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikec.errors import GraphError

if TYPE_CHECKING:
    from spikec.ir.graph import IntegerGraph

#: The trained network, then what each further step of the deployment adds to it; not every one is always known.
STAGES = ("network", "clipping", "levels", "weights", "spiking")
_BYTES = 6  # of a digest: two of 10,000 images share one with a probability of 2e-7

Hits = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scores:
    """One measure of quality. ``values``: of each of :data:`STAGES` that was measured, on all images; ``network``: the
    numbers whose sums give that of the trained network, float64 [N, k] (:mod:`spikec.evidence.measures`)."""

    values: Mapping[str, float]
    network: npt.NDArray[np.float64] = field(repr=False)

    def document(self) -> dict[str, Any]:
        """JSON types."""
        packed = _text(np.ascontiguousarray(self.network, "<f8").tobytes())
        return {"network": packed, "numbers": self.network.shape[1], "values": dict(self.values)}

    @classmethod
    def read(cls, found: Mapping[str, Any], number: int) -> Scores:
        """From :meth:`document`; raises what :meth:`Measured.read` turns into a ``GraphError``."""
        network = np.frombuffer(base64.b64decode(found["network"], validate=True), "<f8")
        values = {str(stage): float(value) for stage, value in found["values"].items()}
        return cls(values, network.reshape(number, int(found["numbers"])).astype(np.float64))


@dataclass(frozen=True, eq=False)
class Measured:
    """``correct``: for each of :data:`STAGES` that was measured, whether each image was classified correctly, bool [N];
    empty for networks that do not classify. ``quality``: other measures, by their key.

    ``network``: the trained network; ``clipping``: its activations clipped at the thresholds; ``levels``: and rounded
    to what a neuron can send; ``weights``: and in integers; ``spiking``: the integer graph of the file. ``data``: name
    of the data set; ``images``: a digest of each image and its label, which tells whether others are the same.
    ``deployment_sha256`` (empty in files of older versions), ``content_sha256`` and ``timesteps``: those of the graph
    that was measured.
    """

    data: str
    images: tuple[bytes, ...] = field(repr=False)
    correct: Mapping[str, Hits] = field(repr=False)
    content_sha256: str
    timesteps: int
    quality: Mapping[str, Scores] = field(default_factory=dict, repr=False)
    deployment_sha256: str = ""

    def __post_init__(self) -> None:
        scores = list(self.quality.values())
        stages = [each.keys() for each in ([self.correct] if self.correct else [])]
        stages += [each.values.keys() for each in scores]
        if not self.images or not stages or not all({"network", "spiking"} <= keys <= set(STAGES) for keys in stages):
            raise GraphError(
                "metadata 'measured' must hold images, and the network's and the spiking network's results"
            )
        shapes = [hits.shape for hits in self.correct.values()]
        shapes += [each.network.shape[:1] for each in scores]
        if any(shape != (len(self.images),) for shape in shapes):
            raise GraphError("metadata 'measured' must hold one result for each image")
        finite = (np.isfinite([*each.values.values()]).all() and np.isfinite(each.network).all() for each in scores)
        if not all(finite):
            raise GraphError("metadata 'measured' must hold finite numbers")

    def of(self, graph: IntegerGraph) -> bool:
        """Whether ``graph`` is the one that was measured."""
        if self.deployment_sha256:
            return self.deployment_sha256 == graph.deployment_sha256
        return (self.content_sha256, self.timesteps) == (graph.content_sha256, graph.timesteps)

    def scores(self, key: str) -> Scores | None:
        """What was measured by the measure with this key; None where nothing was."""
        if key != "top-1" or not self.correct:
            return self.quality.get(key)
        values = {stage: float(hits.mean()) for stage, hits in self.correct.items()}
        return Scores(values, self.correct["network"].astype(np.float64)[:, None])

    def text(self) -> str:
        """JSON, as files hold it."""
        packed = {name: _text(np.packbits(self.correct[name]).tobytes()) for name in STAGES if name in self.correct}
        found: dict[str, Any] = {
            "content_sha256": self.content_sha256,
            "correct": packed,
            "data": self.data,
            "images": len(self.images),
            "digests": _text(b"".join(self.images)),
            "timesteps": self.timesteps,
        }
        if self.deployment_sha256:
            found["deployment_sha256"] = self.deployment_sha256
        if self.quality:
            found["quality"] = {key: scores.document() for key, scores in self.quality.items()}
        return json.dumps(found, sort_keys=True)

    @classmethod
    def read(cls, text: str) -> Measured:
        """From :meth:`text`. Raises :class:`GraphError` for anything else."""
        try:
            found = json.loads(text)
            number = int(found["images"])
            digests = base64.b64decode(found["digests"], validate=True)
            if number < 1 or len(digests) != number * _BYTES:
                raise ValueError
            correct = {
                str(name): np.unpackbits(np.frombuffer(base64.b64decode(bits, validate=True), np.uint8), count=number)
                for name, bits in found["correct"].items()
            }
            images = tuple(digests[i : i + _BYTES] for i in range(0, len(digests), _BYTES))
            hits = {name: bits.astype(bool) for name, bits in correct.items()}
            scores = {str(key): Scores.read(each, number) for key, each in found.get("quality", {}).items()}
            about = str(found["content_sha256"]), int(found["timesteps"])
            return cls(str(found["data"]), images, hits, *about, scores, str(found.get("deployment_sha256", "")))
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            raise GraphError("metadata 'measured' is not what spikec export writes") from error


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def digests(images: Iterable[npt.ArrayLike], labels: npt.ArrayLike) -> list[bytes]:
    """A digest of each image, float [N, ...] (taken as float32), or of each of N sequences of any length, with its
    label, [N, ...]: integers are taken as int64, numbers to predict as float32; of several outputs one after
    the other."""
    given = np.asarray(labels)
    fields = [given[name] for name in given.dtype.names] if given.dtype.names else [given]
    targets = [np.ascontiguousarray(each, dtype="<f4" if each.dtype.kind == "f" else "<i8") for each in fields]
    bytes_of = (np.ascontiguousarray(x, dtype="<f4").tobytes() for x in images)
    return [
        hashlib.sha256(x + b"".join(y.tobytes() for y in each)).digest()[:_BYTES]
        for x, *each in zip(bytes_of, *targets, strict=True)
    ]


__all__ = ["STAGES", "Hits", "Measured", "Scores", "digests"]
