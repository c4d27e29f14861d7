"""Measures of numbers to predict: mean absolute error, root mean square error, correlation."""

from __future__ import annotations

import numpy as np

from spikec.errors import DataError
from spikec.evidence.measures.base import Float64, Measure, Targets
from spikec.training.targets import kind_of


class _OfNumbers(Measure):
    """Outputs [N, *shape] against as many numbers: targets float [N, *shape], or [N] where there is one output."""

    def check(self, shape: tuple[int, ...], targets: Targets) -> None:
        if kind_of(targets) != "numbers":
            raise DataError(f"{self.name} compares with numbers to predict, and y holds integers: store it as floats")
        given = targets.shape[1:]
        if given != shape and not (given == () and int(np.prod(shape)) == 1):
            raise DataError(
                f"the network puts out {_by(shape)} for each input and y holds {_by(given)}: {self.name} compares "
                "number with number; if y holds classes, store it as integers"
            )


def _by(shape: tuple[int, ...]) -> str:
    total = int(np.prod(shape))
    return f"{total} number{'' if total == 1 else 's'}" + (f" ({'x'.join(map(str, shape))})" if len(shape) > 1 else "")


def _paired(outputs: Float64, targets: Targets) -> tuple[Float64, Float64]:
    return outputs, targets.astype(np.float64).reshape(outputs.shape)


class MeanAbsoluteError(_OfNumbers):
    """Mean of |output - target| over outputs and inputs."""

    name, title, higher_is_better = "mae", "mean absolute error", False

    def statistics(self, outputs: Float64, targets: Targets) -> Float64:
        x, y = _paired(outputs, targets)
        return np.asarray(np.abs(x - y).reshape(len(x), -1).mean(axis=1, keepdims=True))

    def of_sums(self, sums: Float64, inputs: int) -> Float64:
        return np.asarray(sums[..., 0] / inputs)


class RootMeanSquareError(_OfNumbers):
    """Square root of the mean of (output - target)^2 over outputs and inputs."""

    name, title, higher_is_better = "rmse", "root mean square error", False

    def statistics(self, outputs: Float64, targets: Targets) -> Float64:
        x, y = _paired(outputs, targets)
        return np.asarray(((x - y) ** 2).reshape(len(x), -1).mean(axis=1, keepdims=True))

    def of_sums(self, sums: Float64, inputs: int) -> Float64:
        return np.asarray(np.sqrt(sums[..., 0] / inputs))


class Correlation(_OfNumbers):
    """Pearson's correlation of output and target, for each output (of outputs with places: for each channel, over all
    places); the mean of these. Not defined where an output, or its target, is the same for all inputs."""

    name, title, higher_is_better = "correlation", "correlation", True
    undefined = "an output, or what it should be, is the same for all inputs"

    def statistics(self, outputs: Float64, targets: Targets) -> Float64:
        x, y = (v.reshape(len(v), outputs.shape[1], -1) for v in _paired(outputs, targets))
        # Means over places, so that sums over N inputs are N times means.
        moments = [v.mean(axis=2) for v in (x, y, x * x, y * y, x * y)]
        return np.asarray(np.concatenate(moments, axis=1))

    def of_sums(self, sums: Float64, inputs: int) -> Float64:
        x, y, xx, yy, xy = np.split(sums / inputs, 5, axis=-1)
        vx, vy = xx - x * x, yy - y * y
        # What rounding leaves of the variance of equal numbers is no variance.
        varies = (vx > 1e-12 * xx) & (vy > 1e-12 * yy)
        with np.errstate(invalid="ignore", divide="ignore"):
            each = np.where(varies, (xy - x * y) / np.sqrt(np.where(varies, vx * vy, np.nan)), np.nan)
        return np.asarray(np.clip(each, -1, 1).mean(axis=-1))


__all__ = ["Correlation", "MeanAbsoluteError", "RootMeanSquareError"]
