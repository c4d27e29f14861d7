"""A sweep as one page: accuracy against steps, work and energy, every run in a table, and what was refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from spikec.deployment.configuration import DEFAULTS, SETTINGS
from spikec.reporting.front import front
from spikec.reporting.numbers import UNKNOWN, engineering, grouped, percent
from spikec.reporting.page.chart import figure
from spikec.reporting.page.curve import shares
from spikec.reporting.page.html import Column, Html, table, tag
from spikec.reporting.page.pareto import Mark, legend, pareto
from spikec.reporting.page.shell import SIMULATED, header, whole
from spikec.sweeping.shape import DONE
from spikec.sweeping.store import Result
from spikec.sweeping.summary import flat, stem
from spikec.words import plural

_SETTINGS = [name for name, about in SETTINGS.items() if about.column]
#: Accuracies further below the best one of a chart are drawn at its lower edge.
_DEEPEST = 0.3

Cost = Callable[[Result], Any]


def page(results: Sequence[Result]) -> str:
    """Each network and data set has its own charts."""
    results = sorted(results, key=lambda result: (result["configuration"]["model"], _label(result)))
    done = [result for result in results if result["state"] == DONE and _sound(result)]
    subjects: dict[str, list[Result]] = {}
    for result in done:
        configuration = result["configuration"]
        data = f" on {configuration['data']}" if configuration.get("data") else ""
        subjects.setdefault(f"{configuration['model']}{data}", []).append(result)
    others = [result for result in results if result["state"] != DONE]
    parts: list[tuple[str, list[Html]]] = [(name, _charts(own)) for name, own in subjects.items()]
    if done:
        parts.append(("Runs", [_table(done)]))
    if others:
        parts.append(("Refused and failed", [_others(others)]))
    title = f"Sweep of {next(iter(subjects))}" if len(subjects) == 1 else "Sweep"
    count = f"{plural(len(results), 'run')}: {len(done)} done, {len(others)} refused or failed."
    return whole(title, [header("spikec sweep", title, SIMULATED, f"{count} {_best(done)}")], parts)


def _best(done: Sequence[Result]) -> str:
    if not done:
        return ""
    best = max(done, key=lambda result: float(result["accuracy"]))
    told = f"{percent(best['accuracy'], 2)}, its network {percent(best['ann']['accuracy'], 2)}"
    return f"The most accurate run is {_label(best)}: {told}."


def _label(result: Result) -> str:
    configuration = result["configuration"]
    options = flat(configuration["options"])
    steps = configuration.get("timesteps")
    words = [configuration["method"], options, f"T = {steps}" if steps else None, configuration.get("schedule")]
    bits = configuration.get("bits", DEFAULTS["bits"])
    return " ".join(str(word) for word in (*words, f"int{bits}" if bits else None) if word)


def _charts(results: Sequence[Result]) -> list[Html]:
    """One for each cost that all runs have."""
    costs: dict[str, tuple[Cost, Callable[[float], str]]] = {
        "latency, steps from image to answer": (lambda r: r.get("latency_steps"), lambda v: f"{v:g}"),
        "SynOps per image": (lambda r: r["synops_per_image"], lambda v: engineering(v, digits=1)),
    }
    for profile in dict.fromkeys(name for result in results for name in result["energy"]):
        costs[f"energy per image, {stem(profile)}"] = (_energy(profile), lambda v: engineering(v, "J", 1))
    methods = list(dict.fromkeys(str(result["configuration"]["method"]) for result in results))
    drawn = []
    for name, (cost, written) in costs.items():
        with_cost = [(r, float(found)) for r in results if _positive(found := cost(r))]
        if with_cost:
            drawn.append(_chart(name, with_cost, written, methods))
    note = "Bars are 95 % intervals; the dashed lines join what no other run of the method beats in both."
    return [legend(methods), tag("div", *drawn, class_="beside"), tag("p", note, class_="note")]


def _positive(value: Any) -> bool:
    """A result may come from anybody, and a logarithmic axis has no place for anything else."""
    return isinstance(value, int | float) and 0 < value < math.inf


def _sound(result: Result) -> bool:
    shares_of = (result["accuracy"], result["ann"]["accuracy"], *result["interval"])
    return all(0 <= value <= 1 for value in shares_of)


def _energy(profile: str) -> Cost:
    return lambda result: (result["energy"].get(profile) or {}).get("p50")


def _chart(
    name: str, found: Sequence[tuple[Result, float]], written: Callable[[float], str], methods: Sequence[str]
) -> Html:
    top = max(float(result["accuracy"]) for result, _ in found)
    ann = float(found[0][0]["ann"]["accuracy"])
    lows = [max(float(result["interval"][0]), top - _DEEPEST) for result, _ in found]
    best = {method: _front([(r, c) for r, c in found if r["configuration"]["method"] == method]) for method in methods}
    marks = [
        Mark(
            cost=float(cost),
            value=float(result["accuracy"]),
            low=float(result["interval"][0]),
            high=float(result["interval"][1]),
            told=f"{_label(result)}: {percent(result['accuracy'], 2)}, {written(float(cost))} ({name})",
            group=methods.index(result["configuration"]["method"]),
            best=result["id"] in best[result["configuration"]["method"]],
        )
        for result, cost in found
    ]
    scale = shares([*lows, max(ann, top - _DEEPEST)])
    drawn = pareto(f"Accuracy against {name}", marks, scale, ("accuracy", name), written, (ann, "network"))
    return figure(drawn, "", f"pareto-{name.split(',')[0].replace(' ', '-')}")


def _front(found: Sequence[tuple[Result, float]]) -> set[str]:
    ahead = front([(-float(result["accuracy"]), float(cost)) for result, cost in found])
    return {str(result["id"]) for (result, _), best in zip(found, ahead, strict=True) if best}


def _table(done: Sequence[Result]) -> Html:
    """What differs between runs, and what came out."""
    rows = [{name: _setting(result, name) for name in _SETTINGS} for result in done]
    differing = [name for name in _SETTINGS if len({row[name] for row in rows}) > 1]
    profiles = list(dict.fromkeys(name for result in done for name in result["energy"]))
    columns = [
        Column("Run", "name"),
        *(Column(name, "word") for name in differing if name not in ("method", "options")),
        Column("Accuracy"),
        Column("95 % interval"),
        Column("Network"),
        Column("Latency"),
        Column("Spikes / image"),
        Column("SynOps / image"),
        *(Column(stem(profile), hint="energy per image, median") for profile in profiles),
        Column("Overflows"),
    ]
    body = []
    for result, row in zip(done, rows, strict=True):
        settings = [_word(row[name]) for name in differing if name not in ("method", "options")]
        energies = [_energy(profile)(result) for profile in profiles]
        low, high = result["interval"]
        body.append(
            [
                _label(result),
                *settings,
                percent(result["accuracy"], 2),
                f"{100 * low:.2f} to {100 * high:.2f}",
                percent(result["ann"]["accuracy"], 2),
                grouped(result["latency_steps"]) if "latency_steps" in result else UNKNOWN,
                grouped(result["spikes_per_image"]),
                grouped(result["synops_per_image"]),
                *(engineering(found, "J") if _positive(found) else UNKNOWN for found in energies),
                grouped(sum(result["overflows"].values())),
            ]
        )
    return table("Every run that was measured", columns, body)


def _setting(result: Result, name: str) -> Any:
    return flat(result["configuration"].get(name, DEFAULTS.get(name)))


def _word(value: Any) -> str:
    return UNKNOWN if value is None else str(value)


def _others(others: Sequence[Result]) -> Html:
    columns = [Column("Run", "name"), Column("State", "word"), Column("Why", "text")]
    rows = [[_label(result), result["state"], result["error"]["message"]] for result in others]
    return table("Runs without a result", columns, rows)
