"""Labels against predictions, class by class: of images, or of the pixels of masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.reporting.choosing import spread
from spikec.reporting.details import ClassRow, Confusion, Mistake, Predicted
from spikec.reporting.proportion import Proportion
from spikec.words import shortened

#: Of a matrix that is written down and drawn.
MOST_CLASSES = 100
_MISTAKES = 12
_POINTS = 400
#: Letters of a class name that are shown: a name stands in every field of the matrix.
_LETTERS = 60

Ints = npt.NDArray[np.int64]


def naming(names: Any, classes: int) -> tuple[str, ...]:
    """Names of classes as they are shown: cut where they are long, the number in the place of an empty one, all
    different; none where they say no more than the numbers. Raises :class:`DataError` for what is no list of texts, or
    has fewer than ``classes``."""
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise DataError(f"class_names is a list of texts, one for each class, not {names!r:.80}")
    if len(names) < classes:
        raise DataError(f"class_names has {len(names)} entries, and there are {classes} classes")
    found = [shortened(name, _LETTERS) if name.strip() else str(number) for number, name in enumerate(names)]
    if found == [str(number) for number in range(len(found))]:
        return ()
    return _different(found)


def _different(names: Sequence[str]) -> tuple[str, ...]:
    """Names that occur once stay; the others get their number, again where that is somebody else's name."""
    times = Counter(names)
    taken = {name for name, number in times.items() if number == 1}
    found = []
    for number, name in enumerate(names):
        own = name
        if times[name] > 1:
            own = f"{name} ({number})"
            while own in taken:
                own += f" ({number})"
            taken.add(own)
        found.append(own)
    return tuple(found)


def confusion(
    labels: Ints, predicted: Ints, classes: int, unit: str = "images", names: Sequence[str] = ()
) -> Confusion:
    """``labels`` and ``predicted``: classes 0 to ``classes`` - 1, integers of one shape; ``names`` of them or of more,
    empty where they have none."""
    pairs = labels.reshape(-1) * classes + predicted.reshape(-1)
    matrix = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MISTAKES]
    mistakes = [Mistake(*divmod(int(at), classes), int(wrong.flat[at])) for at in order if wrong.flat[at]]
    return Confusion(
        unit=unit,
        classes=classes,
        matrix=tuple(tuple(map(int, row)) for row in matrix) if classes <= MOST_CLASSES else None,
        rows=tuple(_row(matrix, label) for label in range(classes)),
        mistakes=tuple(mistakes),
        names=tuple(names[:classes]),
    )


def _row(matrix: Ints, label: int) -> ClassRow:
    right, labelled, predicted = int(matrix[label, label]), int(matrix[label].sum()), int(matrix[:, label].sum())
    either = labelled + predicted - right
    return ClassRow(
        label=label,
        labelled=labelled,
        predicted=predicted,
        right=Proportion.of(right, labelled) if labelled else None,
        iou=right / either if either else None,
    )


def of_pixels(outputs: npt.NDArray[np.float64], masks: Ints, ignore: int, names: Sequence[str] = ()) -> Confusion:
    """``outputs`` [N, classes, H, W], or [N, 1, H, W] whose pixels above 0 are of class 1; ``masks`` [N, H, W];
    pixels of the mask with the label ``ignore`` are left out."""
    counts = masks != ignore
    return confusion(masks[counts], predicted_masks(outputs)[counts], max(outputs.shape[1], 2), "pixels", names)


def predicted_masks(outputs: npt.NDArray[np.float64]) -> Ints:
    """The class of each pixel, int64 [N, H, W]."""
    found = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0
    return found.astype(np.int64)


def of_numbers(outputs: npt.NDArray[np.float64], targets: npt.NDArray[np.float64], head: str) -> Predicted:
    """``outputs`` and ``targets``: [N, ...] with as many numbers."""
    wanted, found = targets.reshape(-1).astype(np.float64), outputs.reshape(-1)
    chosen = spread(len(wanted), _POINTS)
    points = tuple((float(wanted[i]), float(found[i])) for i in chosen)
    return Predicted(head, len(wanted), len(points), points)
