"""Results side by side: rows, ``summary.csv`` and a table for a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikec.deployment.configuration import DEFAULTS, SETTINGS, own
from spikec.display import Column, Table
from spikec.reporting.numbers import engineering, grouped, percent
from spikec.sweeping.shape import DONE
from spikec.sweeping.store import Result
from spikec.whole_files import write_text
from spikec.words import columns

_SETTINGS = [name for name, about in SETTINGS.items() if about.column]
_SHORT = {"timesteps": "T"}
_REASON = 60


def row(result: Result) -> dict[str, Any]:
    """Flat: a setting or a number per column; None where there is none."""
    configuration = result["configuration"]
    settings = {name: flat(configuration.get(name, DEFAULTS.get(name))) for name in _SETTINGS}
    low, high = result.get("interval") or (None, None)
    energy: dict[str, Any] = {}
    for profile, found in result.get("energy", {}).items():
        energy |= {f"{stem(profile)}_{quantile}_joule": found[quantile] for quantile in ("p5", "p50", "p95")}
        energy[f"{stem(profile)}_lower_bound"] = found["lower_bound"]
    return {
        "id": result["id"],
        "state": result["state"],
        **settings,
        "images": result.get("images"),
        "ann_accuracy": (result.get("ann") or {}).get("accuracy"),
        "accuracy": result.get("accuracy"),
        "accuracy_low": low,
        "accuracy_high": high,
        "spikes_per_image": result.get("spikes_per_image"),
        "synops_per_image": result.get("synops_per_image"),
        "neurons": result.get("neurons"),
        "weight_count": result.get("weights"),
        "overflows": sum(result["overflows"].values()) if "overflows" in result else None,
        **energy,
        "deployment_sha256": result.get("deployment_sha256"),
        "seconds": result.get("seconds"),
        "error": (result["error"] or {}).get("message"),
    }


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """One row per result, in the order given; it has every column that any of them has."""
    rows = [row(result) for result in results]
    columns = dict.fromkeys(name for each in rows for name in each if name not in ("seconds", "error"))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, "seconds", "error"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def table(results: Sequence[Result]) -> str:
    """What all runs share in one line, then a line per run with what differs and what came out."""
    if not results:
        return "no results"
    shared, lines, words = _laid_out(results)
    # Numbers are aligned right, so that they can be compared; words left.
    text = columns(lines, range(words, len(lines[0]) - 1))
    return "\n".join([f"all: {', '.join(shared)}", "", *text] if shared else text)


def shown(results: Sequence[Result], title: str) -> Table:
    """The same for notebooks."""
    if not results:
        return Table(f"{title}; no results", (), ())
    shared, (heads, *lines), words = _laid_out(results)
    last = len(heads) - 1
    columns = tuple(Column(head, head, left=n < words or n == last) for n, head in enumerate(heads))
    notes = (f"all: {', '.join(shared)}",) if shared else ()
    return Table(title, columns, tuple(map(tuple, lines)), notes)


def _laid_out(results: Sequence[Result]) -> tuple[list[str], list[list[str]], int]:
    """What all runs share; the head and a line per run; how many columns of words stand first."""
    rows = [row(result) for result in results]
    for each, result in zip(rows, results, strict=True):
        configuration = result["configuration"]
        each["options"] = flat(own(configuration["method"], configuration["options"]))
    differing = [name for name in _SETTINGS if len({each[name] for each in rows}) > 1]
    shared = [f"{name}={rows[0][name]}" for name in _SETTINGS if name not in differing and rows[0][name] is not None]
    profiles = list(dict.fromkeys(profile for result in results for profile in result.get("energy", {})))
    header = [*(_SHORT.get(name, name) for name in differing), "accuracy", "95 % interval", "ANN", "spikes", "SynOps"]
    lines = [[*header, *(_energy_header(profile, results) for profile in profiles), ""]]
    for result, each in zip(results, rows, strict=True):
        settings = ["" if each[name] is None else str(each[name]) for name in differing]
        lines.append([*settings, *_numbers(result, profiles)])
    return shared, lines, len(differing)


def _numbers(result: Result, profiles: list[str]) -> list[str]:
    if result["state"] != DONE:
        reason = " ".join(str(result["error"]["message"]).split())
        short = reason if len(reason) <= _REASON else f"{reason[: _REASON - 3]}..."
        return [*[""] * (5 + len(profiles)), f"{result['state']}: {short}"]
    energies = [result["energy"].get(profile) for profile in profiles]
    return [
        percent(result["accuracy"], 2),
        f"{100 * result['interval'][0]:.2f} to {100 * result['interval'][1]:.2f}",
        percent(result["ann"]["accuracy"], 2),
        grouped(result["spikes_per_image"]),
        grouped(result["synops_per_image"]),
        *("" if found is None else engineering(found["p50"], "J") for found in energies),
        "overflow" if result["overflows"] else "",
    ]


def _energy_header(profile: str, results: Sequence[Result]) -> str:
    bound = any(result.get("energy", {}).get(profile, {}).get("lower_bound") for result in results)
    return f"{stem(profile)}, at least" if bound else stem(profile)


def flat(value: Any) -> Any:
    """A table of options as words; everything else as it is."""
    if isinstance(value, dict):
        return " ".join(f"{name}={item}" for name, item in value.items() if item is not None) or None
    return value


def stem(profile: str) -> str:
    """The name of a profile, without the folder and suffix of a file."""
    return Path(profile).stem if profile.endswith(".toml") else profile
