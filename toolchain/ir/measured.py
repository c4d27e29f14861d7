"""What was measured when a network was deployed: which images the trained network, and each step from it to the
integers, classified correctly. It travels in the file, so that whoever runs it can say what the spikes cost."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spikec.errors import GraphError

#: The trained network, then what each further step of the deployment adds to it; not every one is always known.
STAGES = ("network", "clipping", "levels", "weights", "spiking")
_BYTES = 6  # of a digest: two of 10,000 images share one with a probability of 2e-7

Hits = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Measured:
    """``correct``: for each of :data:`STAGES` that was measured, whether each image was classified correctly, bool [N].

    ``network``: the trained network; ``clipping``: its activations clipped at the thresholds; ``levels``: and rounded
    to what a neuron can send; ``weights``: and in integers; ``spiking``: the integer graph of the file. ``data``: name
    of the data set; ``images``: a digest of each image and its label, which tells whether others are the same.
    ``content_sha256`` and ``timesteps``: those of the graph that was measured.
    """

    data: str
    images: tuple[bytes, ...] = field(repr=False)
    correct: Mapping[str, Hits] = field(repr=False)
    content_sha256: str
    timesteps: int

    def __post_init__(self) -> None:
        if not self.images or not {"network", "spiking"} <= self.correct.keys() <= set(STAGES):
            raise GraphError(
                "metadata 'measured' must hold images, and the network's and the spiking network's results"
            )
        if any(hits.shape != (len(self.images),) for hits in self.correct.values()):
            raise GraphError("metadata 'measured' must hold one result for each image")

    def text(self) -> str:
        """JSON, as files hold it."""
        packed = {name: _text(np.packbits(self.correct[name]).tobytes()) for name in STAGES if name in self.correct}
        return json.dumps(
            {
                "content_sha256": self.content_sha256,
                "correct": packed,
                "data": self.data,
                "images": len(self.images),
                "digests": _text(b"".join(self.images)),
                "timesteps": self.timesteps,
            },
            sort_keys=True,
        )

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
            return cls(str(found["data"]), images, hits, str(found["content_sha256"]), int(found["timesteps"]))
        except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
            raise GraphError("metadata 'measured' is not what spikec export writes") from error


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def digests(images: Iterable[npt.ArrayLike], labels: npt.ArrayLike) -> list[bytes]:
    """A digest of each image, float [N, ...] (taken as float32), or of each of N sequences of any length, with its
    label, [N]."""
    classes = np.ascontiguousarray(np.asarray(labels), dtype="<i8")
    bytes_of = [np.ascontiguousarray(x, dtype="<f4").tobytes() for x in images]
    return [hashlib.sha256(x + y.tobytes()).digest()[:_BYTES] for x, y in zip(bytes_of, classes, strict=True)]


__all__ = ["STAGES", "Hits", "Measured", "digests"]
