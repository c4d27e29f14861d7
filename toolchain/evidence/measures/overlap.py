"""Mean intersection over union of masks."""

from __future__ import annotations

import numpy as np

from spikec.errors import DataError
from spikec.evidence.measures.base import Float64, Measure, Targets
from spikec.training.targets import IGNORED, kind_of
from spikec.words import option


class MeanIoU(Measure):
    """For each class, pixels that output and mask both give it over pixels that one of them does, summed over all
    inputs; the mean over the classes that occur in either (Everingham et al., IJCV 88, 2010).

    The class of a pixel is its largest output, the first of equal ones; where the network has one output, class 1 is
    an output above 0. Pixels of the mask with the label ``ignore`` count for nothing.
    """

    higher_is_better = True
    percent = True
    title = "mean IoU"
    undefined = "no pixel has a class"

    def __init__(self, ignore: int = IGNORED) -> None:
        self.ignore, self.name = ignore, "miou" if ignore == IGNORED else f"miou:ignore={ignore}"

    def check(self, shape: tuple[int, ...], targets: Targets) -> None:
        if kind_of(targets) != "masks":
            raise DataError(
                f"{self.name} compares masks, integers [N, H, W] in y, which holds {targets.dtype} of shape "
                f"{list(targets.shape)}"
            )
        if len(shape) != 3 or shape[1:] != targets.shape[1:]:
            raise DataError(
                f"{self.name} needs outputs [classes, H, W] as large as the masks, of {_by(targets.shape[1:])}; the "
                f"network puts out {_by(shape)}"
            )
        if self.ignore == IGNORED < shape[0]:
            raise DataError(
                f"{IGNORED} is a class of this network: name the label that counts for nothing, as miou:ignore=-1"
            )
        known, counted = max(shape[0], 2), targets[targets != self.ignore]
        wrong = counted[(counted < 0) | (counted >= known)]
        if len(wrong):
            raise DataError(
                f"masks hold {int(wrong[0])}, the network tells the classes 0 to {known - 1} apart; a label that "
                f"counts for nothing is named by {option('metric', f'miou:ignore={int(wrong[0])}')}"
            )

    def by_order(self, shape: tuple[int, ...]) -> bool:
        return shape[0] > 1

    def statistics(self, outputs: Float64, targets: Targets) -> Float64:
        found = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).astype(np.int64)
        known, counts = max(outputs.shape[1], 2), targets != self.ignore
        both = np.zeros((len(outputs), 2, known))
        for i in range(len(outputs)):
            mask, own = targets[i][counts[i]], found[i][counts[i]]
            same = np.bincount(mask[mask == own], minlength=known)
            both[i] = same, np.bincount(mask, minlength=known) + np.bincount(own, minlength=known) - same
        return both.reshape(len(outputs), -1)

    def of_sums(self, sums: Float64, inputs: int) -> Float64:
        intersection, union = np.split(sums, 2, axis=-1)
        occurs = union > 0
        shares = np.divide(intersection, union, out=np.zeros_like(union), where=occurs)
        classes = occurs.sum(axis=-1)
        return np.asarray(np.where(classes > 0, shares.sum(axis=-1) / np.maximum(classes, 1), np.nan))


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


__all__ = ["MeanIoU"]
