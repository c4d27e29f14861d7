"""What changed between two reports, from their JSON documents alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikec.arguments import file_path
from spikec.errors import DataError
from spikec.guarded import parse_json, read_text
from spikec.reporting.document import SCHEMA
from spikec.reporting.numbers import engineering, grouped, percent
from spikec.words import columns

_MOST_BYTES = 256 * 2**20
_ABSENT = "-"

Write = Callable[[Any], str]


@dataclass(frozen=True)
class Change:
    """One value that differs. ``a`` and ``b`` as JSON has them, None where there is none; ``text``: the three columns
    of the table; ``note``: how far apart they are, or whether their intervals overlap."""

    part: str
    name: str
    a: Any
    b: Any
    text: tuple[str, str]
    note: str = ""


def read_report(path: str | Path) -> dict[str, Any]:
    """The document in ``path``. Raises ``DataError`` for a file that is none."""
    file = file_path(path, "a report")
    text = read_text(file, most=_MOST_BYTES)
    try:
        found = parse_json(text, str(file))
    except DataError as error:
        hint = " (give the .json that lies beside the page)" if file.suffix == ".html" else ""
        raise DataError(f"{error}{hint}") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise DataError(f"{file} is no report: its schema is not {SCHEMA!r}")
    return found


def compare_reports(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Change]:
    """Every value that differs, in the order of the page; empty where all that is compared is equal. Raises
    ``DataError`` for a document that lacks what a report has."""
    try:
        return [change for part in _PARTS for change in part(a, b)]
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, ArithmeticError) as error:
        raise DataError(f"one of them lacks what a report holds: {type(error).__name__} {error}") from error


def _changed(part: str, name: str, pair: Iterable[Any], write: Write = str, note: str = "") -> Iterator[Change]:
    a, b = pair
    if a != b:
        one, other = (_ABSENT if value is None else write(value) for value in (a, b))
        yield Change(part, name, a, b, (one, other), note)


def _about(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    for name in ("title", "data_name", "images", "method"):
        yield from _changed("about", name, (a.get(name), b.get(name)))
    for name in ("timesteps", "schedule", "drain", "neurons", "weights", "weights_nonzero"):
        yield from _changed("network", name, (a["network"].get(name), b["network"].get(name)), _number)


def _accuracy(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    one, other = ((each.get("accuracy") or {}).get("snn") for each in (a, b))
    if one != other:
        note = "" if one is None or other is None else _points(one, other)
        values = [None if each is None else each["value"] for each in (one, other)]
        yield from _changed("accuracy", "integer network", values, _percent, note)
    rows = [_by((each.get("confusion") or {}).get("rows", []), "label") for each in (a, b)]
    for label in dict.fromkeys([*rows[0], *rows[1]]):
        shares = [(row.get(label) or {}).get("right") for row in rows]
        values = [None if share is None else share["value"] for share in shares]
        note = _points(shares[0], shares[1]) if shares[0] and shares[1] else ""
        yield from _changed("accuracy", f"class {label}", values, _percent, note)
    points = [_by(each.get("curve", []), "timesteps") for each in (a, b)]
    for step in sorted({*points[0], *points[1]}):
        values = [(point.get(step) or {}).get("accuracy", {}).get("value") for point in points]
        yield from _changed("accuracy", f"after {step} steps", values, _percent)
    ratings = [_by(each.get("quality", []), "measure") for each in (a, b)]
    for name in dict.fromkeys([*ratings[0], *ratings[1]]):
        if name != "top-1":
            values = [(rating.get(name) or {}).get("value") for rating in ratings]
            yield from _changed("quality", name, values, _real)


def _points(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    apart = a["high"] < b["low"] or b["high"] < a["low"]
    verdict = "intervals lie apart" if apart else "intervals overlap"
    return f"{100 * (b['value'] - a['value']):+.2f} points, {verdict}"


def _cost(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    for name in ("synops_per_image", "synops_nonzero_per_image"):
        yield from _changed("work", name.replace("_", " "), (a[name], b[name]), grouped, _times(a[name], b[name]))
    energies = [_by(each["energies"], "profile") for each in (a, b)]
    for profile in dict.fromkeys([*energies[0], *energies[1]]):
        found = [energy.get(profile) for energy in energies]
        values = [None if each is None else each["total"]["p50"] for each in found]
        note = _times(values[0], values[1])
        yield from _changed("energy", profile, values, lambda value: engineering(value, "J"), note)
    fits = [_by(each["fits"], "target") for each in (a, b)]
    for target in dict.fromkeys([*fits[0], *fits[1]]):
        for name in ("cores", "chips"):
            yield from _changed("fit", f"{target}, {name}", ((fit.get(target) or {}).get(name) for fit in fits))
        errors = [
            None if target not in fit else sum(v["severity"] == "error" for v in fit[target]["violations"])
            for fit in fits
        ]
        yield from _changed("fit", f"{target}, errors", errors)


def _layers(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    rows = [_by(each["populations"], "name") for each in (a, b)]
    for layer in dict.fromkeys([*rows[0], *rows[1]]):
        found = [row.get(layer) or {} for row in rows]
        for name, write in (("rate", _percent), ("dead", _number), ("saturated", _number), ("overflows", _number)):
            yield from _changed("layers", f"{layer}, {name}", (each.get(name) for each in found), write)


def _checked(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    found = [(each.get("verification") or {}).get("identical") for each in (a, b)]
    yield from _changed("verification", "identical", found)
    found = [(each.get("certificate") or {}).get("lossless") for each in (a, b)]
    yield from _changed("quantised network", "lossless", found)


def _origin(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    for name in (
        "deployment_sha256",
        "graph_sha256",
        "source_sha256",
        "data_sha256",
        "producer",
        "command",
        "seed",
        "date",
    ):
        write = _short if name.endswith("sha256") else str
        yield from _changed("provenance", name, (a["provenance"].get(name), b["provenance"].get(name)), write)
    for part in ("versions", "info"):
        one, other = a["provenance"][part], b["provenance"][part]
        for name in sorted({*one, *other}):
            yield from _changed("provenance", name, (one.get(name), other.get(name)))


_PARTS = (_about, _accuracy, _cost, _layers, _checked, _origin)


def table(changes: list[Change], a: str, b: str) -> str:
    """Aligned, for a terminal."""
    if not changes:
        return "no difference"
    lines = [("", "", a, b, "")]
    part = None
    for change in changes:
        lines.append((change.part if change.part != part else "", change.name, *change.text, change.note))
        part = change.part
    return "\n".join(columns(lines))


def _by(rows: list[dict[str, Any]], key: str) -> dict[Any, dict[str, Any]]:
    return {row[key]: row for row in rows}


def _times(a: float | None, b: float | None) -> str:
    return f"{b / a:.2f} times" if a and b is not None else ""


def _percent(value: float) -> str:
    return percent(value, 2)


def _number(value: Any) -> str:
    return grouped(value) if isinstance(value, int | float) else str(value)


def _real(value: float) -> str:
    return f"{value:.4g}"


def _short(value: str) -> str:
    return str(value)[:12]
