"""Turns a grid file into the runs it describes; every mistake in it is found before anything runs.

[defaults]                 # single values for all runs
limit = 1000
energy = ["loihi2"]

[grid]                     # a list is an axis; the runs are the cross product. [[grid]] for several grids
model = "digits-cnn"
method = ["qcfs", {name = "error-compensation", drain = [0, 4]}]
timesteps = [2, 4, 8]

[[exclude]]                # leaves out what matches every key
method = "qcfs"
timesteps = [2, 8]

[[run]]                    # one more run, single values
model = "digits-cnn"
method = "error-free"
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from spikec.conversion import methods
from spikec.data_files import read_toml
from spikec.deployment.checks import method_parts
from spikec.deployment.configuration import SETTINGS, Configuration
from spikec.deployment.filling import ON_FRAMES, fill, with_files
from spikec.errors import DataError
from spikec.words import unknown

#: Runs of a grid, excluded ones too.
RUNS_MOST = 100_000
_TABLES = ("defaults", "grid", "run", "exclude")
#: The keys a grid may hold, and those of them whose single value is a list: for these, an axis is a list of lists.
_KEYS = {name: about for name, about in SETTINGS.items() if about.grid}
_LISTS = [name for name, about in _KEYS.items() if about.many]


@dataclass(frozen=True)
class Run:
    """A configuration, and why its method refuses it (None: it does not)."""

    configuration: Configuration
    refused: str | None = None


@dataclass(frozen=True)
class Plan:
    """The runs of a grid in its order, without repetitions. ``remarks``: what is odd but no mistake."""

    runs: tuple[Run, ...]
    excluded: int = 0
    remarks: tuple[str, ...] = ()


def read_grid(source: str | Path | Mapping[str, Any], *, limit: int | None = None) -> Plan:
    """The plan of a grid file, or of a dictionary with the same content. ``limit`` overrides that of every run.

    Raises ``DataError`` that lists every mistake.
    """
    name = "the grid" if isinstance(source, Mapping) else str(source)
    if not isinstance(source, Mapping | str | os.PathLike):
        raise DataError(f"expected a grid file or the same as a dictionary, got {type(source).__name__}")
    tables = _plain(source) if isinstance(source, Mapping) else read_toml(Path(source), "the grid")
    mistakes: list[str] = []
    defaults, grids, runs, excludes = _tables(tables, mistakes)
    for where, table in [*defaults, *runs]:
        mistakes += _mistakes(where, table, axes=False)
    for where, table in [*grids, *excludes]:
        mistakes += _mistakes(where, table, axes=True)
    for where, table in excludes:
        if not table or "energy" in table:
            mistakes.append(f"{where}: give keys to match; energy cannot be matched")
    shared = defaults[0][1] if defaults else {}
    for where, table in [*grids, *runs]:
        if "model" not in {**shared, **table}:
            mistakes.append(f"{where}: no model")
    if not grids and not runs and not mistakes:
        mistakes.append("no [grid] and no [[run]]")
    if not mistakes:
        mistakes += _without_weights(shared, [table for _, table in [*grids, *runs]])
    if mistakes:
        counted = f", {len(mistakes)} mistakes" if len(mistakes) > 1 else ""
        raise DataError.listing(f"{name}{counted}", mistakes)
    override = {} if limit is None else {"limit": limit}
    return _plan(shared, [table | override for _, table in grids], [table | override for _, table in runs], excludes)


def _plain(value: Any) -> Any:
    """A dictionary as a file would give it: paths as text, numpy numbers as Python numbers, sequences as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return [_plain(held) for held in value] if isinstance(value, list | tuple | range) else value


Tables = list[tuple[str, dict[str, Any]]]


def _tables(data: dict[str, Any], mistakes: list[str]) -> tuple[Tables, Tables, Tables, Tables]:
    """Defaults, grids, runs and excludes with their names in the file."""
    found: dict[str, Tables] = {kind: [] for kind in _TABLES}
    for kind, value in data.items():
        if kind not in _TABLES:
            hint = f"{kind} belongs into [grid]" if kind in _KEYS else unknown(kind, [f"[{t}]" for t in _TABLES])
            mistakes.append(hint)
            continue
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(table, dict) for table in listed):
            mistakes.append(f"{kind} must be a table")
        elif kind == "defaults" and len(listed) > 1:
            mistakes.append("[defaults] may stand once only")
        else:
            for number, table in enumerate(listed, 1):
                where = f"[{kind}]" if isinstance(value, dict) else f"[[{kind}]] {number}"
                found[kind].append((where, dict(table)))
    return found["defaults"], found["grid"], found["run"], found["exclude"]


def _mistakes(where: str, table: dict[str, Any], axes: bool) -> Iterator[str]:
    for key, value in table.items():
        if key not in _KEYS:
            yield f"{where}: {unknown(key, _KEYS)}"
        elif not axes and _is_axis(key, value):
            yield f"{where}: {key} is a list; only [grid] has axes"
        elif isinstance(value, list) and not value and key not in _LISTS:
            yield f"{where}: {key} is an empty list"
        else:
            for each in _values(key, value):
                wrong = _KEYS[key].wrong(each)
                if wrong:
                    yield f"{where}: {key}: {wrong}"


def _is_axis(key: str, value: Any) -> bool:
    return len(_values(key, value)) > 1 or (isinstance(value, list) and key not in _LISTS)


def _values(key: str, value: Any) -> list[Any]:
    """The points of an axis; lists among a method's options are axes too, and every combination becomes a point."""
    if key in _LISTS:
        nested = isinstance(value, list) and any(isinstance(each, list) for each in value)
        return value if nested else [value]
    points = value if isinstance(value, list) else [value]
    if key != "method":
        return points
    spread: list[Any] = []
    for point in points:
        if isinstance(point, dict):
            choices = [each if isinstance(each, list) else [each] for each in point.values()]
            _bounded(len(spread) + math.prod(map(len, choices)), "combinations of a method's options")
            spread += [dict(zip(point, chosen, strict=True)) for chosen in itertools.product(*choices)]
        else:
            spread.append(point)
    return spread


def _bounded(number: int, what: str) -> None:
    """Raise ``DataError`` for more runs than anybody waits for: listing them would take all memory first."""
    if number > RUNS_MOST:
        raise DataError(
            f"the grid has {number:,} {what}, and at most {RUNS_MOST:,} are taken: split it, or leave some out"
        )


def _without_weights(shared: dict[str, Any], tables: list[dict[str, Any]]) -> list[str]:
    """Zoo networks that neither come with weights nor are given any."""
    from spikec.models.weights import index
    from spikec.models.zoo import REGISTRY

    bare: dict[str, None] = {}
    for table in ({**shared, **table} for table in tables):
        if "weights" not in table:
            bare |= {m: None for m in _values("model", table["model"]) if m in REGISTRY and m not in index()}
    return [f"{model} comes without weights: give weights" for model in bare]


def _plan(shared: dict[str, Any], grids: list[dict[str, Any]], runs: list[dict[str, Any]], excludes: Tables) -> Plan:
    found: dict[str, Run] = {}
    used: set[str] = set()
    excluded = repeated = 0
    sizes = [math.prod(len(_values(key, value)) for key, value in {**shared, **grid}.items()) for grid in grids]
    _bounded(sum(sizes) + len(runs), "runs")
    for grid in grids:
        table = {**shared, **grid}
        axes = {key: _values(key, table[key]) for key in [*grid, *table]}  # in the order of the file
        for point in itertools.product(*axes.values()):
            run = _run(dict(zip(axes, point, strict=True)))
            matching = [where for where, rule in excludes if _matches(rule, run.configuration)]
            used.update(matching)
            excluded += bool(matching)
            if not matching:
                repeated += run.configuration.id in found
                found.setdefault(run.configuration.id, run)
    for table in runs:
        run = _run({**shared, **table})
        repeated += run.configuration.id in found
        found.setdefault(run.configuration.id, run)
    remarks = [f"{where} leaves nothing out" for where, _ in excludes if where not in used]
    if repeated:
        remarks.append(f"{repeated} repeated runs are made once")
    return Plan(tuple(found.values()), excluded, tuple(remarks))


def _run(point: dict[str, Any]) -> Run:
    """One point of a grid with everything filled in; ``refused`` is set if the method refuses its settings."""
    values = dict(point)
    if "method" in values:
        values["method"], values["options"] = method_parts(values["method"])
    values["energy"] = tuple(dict.fromkeys(values.get("energy", ())))
    configuration, refused = fill(values)
    if configuration.frames:
        refused = DataError(f"a sweep measures images: {ON_FRAMES}")
    return Run(with_files(configuration), None if refused is None else str(refused))


def _all_options(configuration: Configuration) -> dict[str, Any]:
    """All options of its method, those with their default value included."""
    return {each.name: each.default for each in fields(methods()[configuration.method])} | dict(configuration.options)


def _matches(rule: dict[str, Any], configuration: Configuration) -> bool:
    def among(key: str, allowed: Any) -> bool:
        if key != "method":
            return getattr(configuration, key) in _values(key, allowed)
        for name, options in map(method_parts, _values(key, allowed)):
            if name == configuration.method and options.items() <= _all_options(configuration).items():
                return True
        return False

    return all(among(key, allowed) for key, allowed in rule.items())
