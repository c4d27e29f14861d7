"""``tc.advise(model, images, labels)`` and what ``spikec advise`` calls."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from spikec import defaults
from spikec.advising.advice import Advice, Recommendation, Row
from spikec.advising.bench import Bench
from spikec.advising.budget import Budget, seconds_of
from spikec.advising.checks import Array, check_fields, check_model, check_numbers, check_portfolio, dataset_of
from spikec.advising.choosing import joules, loss, usable
from spikec.advising.commands import export_command, train_command
from spikec.advising.portfolio import PORTFOLIO, one_threshold_per_layer
from spikec.advising.racing import Race, Tell
from spikec.advising.subject import Subject, subject_of
from spikec.advising.trials import PURPOSES, Trial, trials_of
from spikec.arguments import file_path
from spikec.calls import named_arguments
from spikec.errors import ConversionError
from spikec.reporting.front import front
from spikec.sweeping.shape import DONE
from spikec.sweeping.store import Store
from spikec.targets.chips import Chip, get_chip
from spikec.whole_files import temporary_folder

#: Training is suggested where a recommendation loses more than this.
_POINT = 0.01
_ARRAYS = "images given as arrays"


@named_arguments
def advise(
    model: nn.Module,
    images: Array,
    labels: Array,
    *,
    test: tuple[Array, Array] | None = None,
    chip: str = defaults.CHIP,
    budget: str | float = defaults.BUDGET,
    tolerance: float = defaults.TOLERANCE,
    out: str | Path | None = None,
    calibration: int = defaults.CALIBRATION_IMAGES,
    seed: int = defaults.SEED,
    limit: int | None = None,
    portfolio: Sequence[Mapping[str, Any]] | None = None,
    progress: Tell | None = None,
    **fields: Any,
) -> Advice:
    """Which deployment of a trained network to take: measured without training, within a budget of time.

    ``images``: training images as the network takes them, float [N, ...]; ``labels``: int [N]. Some of them calibrate,
    the choice is made on others. ``test``: images and labels for the final figures; without it, a part of ``images``
    is kept apart for that. ``tolerance``: loss against the network, in points, up to which the fastest deployment is
    chosen. ``out``: folder of the results, with which the same call goes on where it stopped. ``calibration`` and
    ``seed``: number and choice of the images that calibrate. ``limit``: test images (default: as many as the budget
    allows). ``portfolio``: what is tried, see :mod:`spikec.advising.portfolio`. ``fields``: further fields of
    :class:`spikec.deployment.Configuration` for all deployments, such as ``bits=4``.
    ``progress``: see :data:`spikec.advising.racing.Tell`.

    Raises ``UnsupportedOperation`` where the network cannot be converted, ``DataError`` for images and labels that do
    not go together, ``ToolchainError`` for an unknown chip or field, and for numbers that make no sense.

    >>> advice = tc.advise(model, images, labels, budget="5min")
    >>> graph = tc.load(advice.export("net.nir"))
    """
    spent = Budget(seconds_of(budget))
    check_model(model)
    check_numbers(tolerance, limit)
    check_fields({**fields, "calibration": calibration, "seed": seed}, "advise")
    training = dataset_of(_ARRAYS, images, labels)
    tested = None if test is None else dataset_of(_ARRAYS, *test)
    kind = type(model)
    given = {**fields, "model": f"{kind.__module__}:{kind.__qualname__}", "data": _ARRAYS}
    given |= {"calibration": calibration, "seed": seed}
    found = get_chip(chip)
    subject = subject_of(given, copy.deepcopy(model).eval(), training, tested)
    return _advise(
        subject, found, spent, tolerance, out, limit=limit, portfolio=portfolio, progress=progress, named=False
    )


def advise_on(
    given: Mapping[str, Any],
    *,
    chip: str = defaults.CHIP,
    budget: Budget,
    tolerance: float = defaults.TOLERANCE,
    out: str | Path | None = None,
    limit: int | None = None,
    portfolio: Sequence[Mapping[str, Any]] | None = None,
    progress: Tell | None = None,
) -> Advice:
    """:func:`advise` on a network and data named by ``given`` fields of a configuration, as ``spikec export`` takes
    them."""
    found = get_chip(chip)
    subject = subject_of(given)
    return _advise(
        subject, found, budget, tolerance, out, limit=limit, portfolio=portfolio, progress=progress, named=True
    )


def _advise(
    subject: Subject,
    chip: Chip,
    budget: Budget,
    tolerance: float,
    out: str | Path | None,
    *,
    limit: int | None,
    portfolio: Sequence[Mapping[str, Any]] | None,
    progress: Tell | None,
    named: bool,
) -> Advice:
    shared = {**_for_chip(subject.given, chip), **subject.given}
    lines = PORTFOLIO if portfolio is None else portfolio
    check_portfolio(lines)
    if chip.form.threshold_per == "layer":
        lines = [one_threshold_per_layer(line) for line in lines]
    trials = trials_of(lines, shared)
    with _folder(out) as folder:
        store = Store(folder)
        store.prepare()
        bench = Bench(subject, store, chip)
        race = Race(bench, trials, budget, tolerance / 100, progress or (lambda *_: None))
        race.run(limit)
    if not any(result["state"] == DONE for result in race.standing.values()):
        reasons = dict.fromkeys(str(result["error"]["message"]) for result in race.standing.values())
        raise ConversionError(f"no deployment of {subject.name} could be measured: {'; '.join(reasons)}")
    return Advice(
        model=subject.name,
        data=subject.training.name,
        chip=chip.name,
        title=chip.title,
        precision=_precision(trials),
        calibration=subject.calibration,
        held_out=len(subject.held_out),
        test=len(subject.test),
        apart=subject.apart,
        tolerance=tolerance / 100,
        budget=budget.seconds,
        spent=budget.spent,
        folder=None if out is None else file_path(out, "the folder of the results"),
        rows=_rows(race),
        recommendations={
            purpose: _recommended(race, purpose, trial, named) for purpose, trial in race.chosen().items()
        },
        _deploy=bench.deployment,
        _test=None if named else subject.test,
    )


def _for_chip(given: Mapping[str, Any], chip: Chip) -> dict[str, Any]:
    """Format and units of weights that suit the chip. Weights that were fine-tuned for a precision keep theirs."""
    from spikec.deployment.filling import fill

    if fill(given)[0].as_trained:
        return {}
    return {"format": chip.form.name, "per": "channel" if chip.form.threshold_per == "neuron" else "layer"}


@contextlib.contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    if out is not None:
        yield file_path(out, "the folder of the results")
        return
    with temporary_folder() as folder:
        yield folder


def _rows(race: Race) -> tuple[Row, ...]:
    on_front: set[str] = set()
    for purpose in PURPOSES:
        measured = [t for t in race.trials if t.purpose == purpose and usable(race.standing.get(t.id))]
        results = [race.standing[t.id] for t in measured]
        best = front([(loss(found), found["latency_steps"], joules(found)) for found in results])
        on_front |= {trial.id for trial, flag in zip(measured, best, strict=True) if flag}
    rows = []
    for trial in race.trials:
        result = race.standing.get(trial.id)
        why = race.untried.get(trial.id, "") if result is None else ""
        if result is not None and result["state"] != DONE:
            why = f"{result['state']}: {' '.join(str(result['error']['message']).split())}"
        rows.append(Row(trial, result, why, trial.id in on_front))
    return tuple(rows)


def _recommended(race: Race, purpose: str, trial: Trial, named: bool) -> Recommendation:
    chosen, tested = race.standing[trial.id], race.tested.get(trial.id)
    lost = loss(tested or chosen)
    more = lost > _POINT
    return Recommendation(
        purpose,
        trial,
        chosen,
        tested,
        command=export_command(trial.given, f"{purpose}.nir") if named else None,
        train=train_command(trial, f"{purpose}.safetensors") if named and more else None,
        gain=lost if more else None,
    )


def _precision(trials: Sequence[Trial]) -> str:
    first = trials[0].configuration
    return f"int{first.bits} weights per {first.per}, format {first.format}"
