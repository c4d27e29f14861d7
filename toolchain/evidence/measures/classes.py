"""Share of inputs whose class is right, or among the k largest outputs."""

from __future__ import annotations

import numpy as np

from spikec.errors import DataError
from spikec.evidence.measures.base import Float64, Measure, Targets
from spikec.training.targets import kind_of


class TopK(Measure):
    """The class is among the ``k`` largest outputs. Of equal outputs the first counts as larger, as in
    ``numpy.argmax``."""

    higher_is_better = True
    percent = True
    proportion = True

    def __init__(self, k: int = 1) -> None:
        self.k, self.name = k, f"top-{k}"
        self.title = "accuracy" if k == 1 else f"top-{k} accuracy"

    def check(self, shape: tuple[int, ...], targets: Targets) -> None:
        if kind_of(targets) != "classes":
            raise DataError(
                f"{self.name} compares classes, integers [N] in y, which holds {targets.dtype} of shape "
                f"{list(targets.shape)}"
            )
        if len(shape) != 1:
            raise DataError(f"{self.name} needs one output per class, the network puts out {'x'.join(map(str, shape))}")
        wrong = targets[(targets < 0) | (targets >= shape[0])]
        if len(wrong):
            raise DataError(f"the network knows {shape[0]} classes, y has label {int(wrong.max())}")
        if self.k > shape[0]:
            raise DataError(f"{self.name}: the network knows {shape[0]} classes only")

    def by_order(self, shape: tuple[int, ...]) -> bool:
        return True

    def statistics(self, outputs: Float64, targets: Targets) -> Float64:
        own = np.take_along_axis(outputs, targets[:, None], axis=1)
        before = np.arange(outputs.shape[1]) < targets[:, None]
        ahead = ((outputs > own) | ((outputs == own) & before)).sum(axis=1)
        return np.asarray(ahead < self.k, np.float64)[:, None]

    def of_sums(self, sums: Float64, inputs: int) -> Float64:
        return np.asarray(sums[..., 0] / inputs)


__all__ = ["TopK"]
