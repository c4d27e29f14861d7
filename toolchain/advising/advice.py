"""Advice as a value: what was tried, what came out, and one recommendation for each purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikec import defaults
from spikec.advising import document, page, picture, tables, text
from spikec.advising.choosing import counted, disagreement, usable
from spikec.advising.trials import PURPOSES, Trial
from spikec.deployment import Deployment
from spikec.display import Shown, Table
from spikec.errors import ToolchainError
from spikec.evidence.loss import Progress
from spikec.models.data import Dataset
from spikec.sweeping.store import Result
from spikec.words import unknown


@dataclass(frozen=True)
class Row:
    """A line of the portfolio. ``result``: on held-out training images, None where it was not tried; ``why`` then says
    why, and also where it was refused or failed. ``best``: no other for the same purpose is at least as good in
    accuracy, latency and energy and better in one."""

    trial: Trial
    result: Result | None
    why: str
    best: bool

    @property
    def usable(self) -> bool:
        return usable(self.result)


@dataclass(frozen=True)
class Recommendation:
    """``chosen``: the result on held-out images that decided; ``tested``: on test images, None where that failed.

    ``command``: the ``spikec export`` that writes exactly this deployment; None for a network given as an object.
    ``train``: a command, and ``gain``: the most that training can win back, a share of the images; both only where more
    than a point is lost.
    """

    purpose: str
    trial: Trial
    chosen: Result
    tested: Result | None
    command: str | None
    train: str | None = None
    gain: float | None = None

    @property
    def final(self) -> Result:
        """The result that its figures are taken from: on test images where there is one."""
        return self.tested or self.chosen


@dataclass(frozen=True, repr=False)
class Advice(Shown):
    """Which deployment of ``model`` to take. ``str()`` gives the table and the recommendations.

    ``calibration``, ``held_out``, ``test``: numbers of images in the three parts; ``apart``: the test images are
    training images kept apart, since the data have no test set. ``tolerance``: share of the images. ``folder``: of the
    results, None where they were not kept. ``seconds``: ``budget`` and ``spent``.
    """

    model: str
    data: str
    chip: str
    title: str
    precision: str
    calibration: int
    held_out: int
    test: int
    apart: bool
    tolerance: float
    budget: float
    spent: float
    folder: Path | None
    rows: tuple[Row, ...]
    recommendations: Mapping[str, Recommendation]
    _deploy: Callable[[Trial], Deployment] = field(repr=False)
    _test: Dataset | None = field(repr=False)  # where no data set is named

    @property
    def best(self) -> Recommendation | None:
        """The recommendation for whoever has no purpose in mind: the fastest of those within the tolerance, or else
        that which agrees with the network most often. Decided on held-out images; None where nothing was measured."""
        found = list(self.recommendations.values())
        fits = [each for each in found if each.chosen["chip"]["fits"]] or found
        within = [each for each in fits if counted(each.chosen) <= self.tolerance]
        if within:
            return min(within, key=lambda each: each.chosen["latency_steps"])
        return min(fits, key=lambda each: disagreement(each.chosen), default=None)

    def recommendation(self, purpose: str | None = None) -> Recommendation:
        """That for ``purpose``, by default :attr:`best`. Raises ``ToolchainError`` where there is none."""
        if purpose is not None and purpose not in PURPOSES:
            raise ToolchainError(f"purpose: {unknown(purpose, PURPOSES)}")
        found = self.best if purpose is None else self.recommendations.get(purpose)
        if found is None:
            what = "nothing" if purpose is None else f"nothing for {purpose}"
            raise ToolchainError(f"there is {what} to recommend: no deployment could be measured; the table says why")
        return found

    def export(self, path: str | Path, purpose: str | None = None, progress: Progress | None = None) -> Path:
        """Write the deployment recommended for ``purpose`` (default: :attr:`best`) as a NIR file, with what it and the
        network get right of the test images: the file that its command writes. ``progress``: see
        :data:`spikec.evidence.loss.Progress`."""
        from spikec.advising.commands import written_down
        from spikec.deployment.measuring import measured
        from spikec.ir import save
        from spikec.ir.profile.build import with_export, with_measured

        recommended = self.recommendation(purpose)
        made = self._deploy(recommended.trial)
        found, _ = measured(made, defaults.MEASURED_IMAGES, progress or (lambda *_: None), self._test)
        written = made.nir if found is None else with_measured(made.nir, found)
        if recommended.command is not None:  # as `spikec export` writes it down, without the name of the file
            written = with_export(written, written_down(recommended.trial.given))
        return save(written, path)

    def text(self) -> str:
        """Table, picture and recommendations for a terminal."""
        return text.written(self)

    def svg(self) -> str:
        """The table as a drawing: accuracy against latency and against energy."""
        return picture.drawn(self)

    def html(self) -> str:
        """All of it on one page, self-contained."""
        return page.page(self)

    def to_json(self) -> dict[str, Any]:
        """JSON types only; ``docs/advice.schema.json``."""
        return document.document(self)

    def __str__(self) -> str:
        return self.text()

    def _headline(self) -> str:
        best = self.best
        take = "nothing could be measured" if best is None else f"take {best.trial.label}"
        return f"{self.model} on {self.data}, for {self.title}: {take}"

    def _table(self) -> Table:
        return tables.shown(self, self._headline())

    def _frame(self) -> Table:
        return tables.frame(self)
