"""The measures that a deployment and its trained network are compared by when it is exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from spikec.deployment.deploying import Deployment
from spikec.errors import DataError
from spikec.evidence.endings import before_the_end
from spikec.evidence.measures import Wanted, measures_of
from spikec.evidence.quality import output_shapes
from spikec.ir.measured import Measured
from spikec.ir.outputs import lacks_classes
from spikec.training.targets import kind_of


def called(metric: Sequence[str] | None) -> str:
    """What is measured, in words."""
    return " and ".join(metric) if metric else "accuracy"


def wanted_measures(
    made: Deployment, labels: npt.NDArray[Any], name: str, metric: Sequence[str] | None
) -> tuple[tuple[Wanted, ...], list[str]]:
    """The measures of ``metric``, or those that the ``labels`` of the data called ``name`` ask for; and remarks on what
    is not measured. Raises ``DataError`` for a metric that was asked for and does not fit."""
    shapes = output_shapes(made.graph)
    if not metric and kind_of(labels) == "classes":
        lacking = lacks_classes(made.graph, "accuracy is not measured: it")
        if lacking:
            return (), [lacking]
        if made.graph.readout.shape == (1,):
            return (), ["accuracy is not measured: the network has one output, where accuracy needs one for each class"]
    try:
        wanted = measures_of(metric, shapes, labels)
    except DataError as error:
        if metric:
            raise
        return (), [f"quality is not measured on {name}: {error}"]
    return _comparable(made, wanted)


def _comparable(made: Deployment, wanted: tuple[Wanted, ...]) -> tuple[tuple[Wanted, ...], list[str]]:
    """The measures for which the deployment's outputs stand for the network's."""
    other = before_the_end(made.graph, wanted)
    return tuple(one for one in wanted if one not in other), [
        f"{one.name} is not measured: {last} is left out of the deployment, whose outputs are those before it"
        for one, last in other.items()
    ]


def not_kept(found: Measured | None, wanted: Sequence[Wanted]) -> list[str]:
    """Remarks on measures that no file can hold."""
    return [
        f"{one.name} is not kept in the file: it is no mean over inputs, or not defined on these"
        for one in wanted
        if found is None or found.scores(one.key) is None
    ]


__all__ = ["called", "not_kept", "wanted_measures"]
