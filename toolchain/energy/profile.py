"""Energy profiles: constants as data, each with its interval and its source.

A profile is a TOML file ``energy_<name>.toml``. Those of chips are in the folders of the ``targets`` package, others in
``profiles`` beside this file. The path of a file of your own can be given wherever a name can.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikec.data_files import chip_files, read_toml
from spikec.errors import ToolchainError

SCHEMA = "spikec.energy-profile/1"
_FOLDER = Path(__file__).parent / "profiles"


#: Top level entries with a choice, and those that are numbers.
_CHOICES = {"model": ("event_driven", "memory_hierarchy"), "charges": ("all", "nonzero")}
_NUMBERS = (
    "neurons_per_core",
    "synapse_bits_per_core",
    "cores_per_chip",
    "cores_per_tile",
    "weight_bits",
    "state_bits",
    "accumulator_bits",
    "output_reuse",
)
_TEXTS = ("unit", "scope", "basis", "voltage", "node", "grade", "source")
#: No number of a chip is larger.
_LARGEST = 2.0**63
_SIZES = ("on_chip_bytes", "fifo_bytes")  # 0: everything lies off the chip, or there is no queue


class Held(dict[str, Any]):
    """The content of a profile. A key that it lacks is a mistake in the file: asking for one raises ToolchainError."""

    def __init__(self, profile: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._profile = profile

    def __missing__(self, key: str) -> Any:
        raise ToolchainError(f"energy profile {self._profile!r} lacks {key!r}")


@dataclass(frozen=True)
class Constant:
    """A number with its 90 % interval ``low`` to ``high``.

    ``scope``: incremental (one more operation) or all-in; ``basis``: measured, simulated, derived, vendor or assumed;
    ``grade``: how the number was checked (code, secondary, derived, recalled, assumed).
    """

    key: str
    value: float
    low: float
    high: float
    unit: str
    scope: str
    basis: str
    voltage: str
    node: str
    grade: str
    source: str
    quote: str = ""


@dataclass(frozen=True)
class Profile:
    """One chip (or process) and one book of constants; ``data`` is the file's top level."""

    name: str
    title: str
    book: str
    model: str
    evidence: str
    constants: dict[str, Constant]
    data: Mapping[str, Any]

    @property
    def calibration(self) -> Mapping[str, Any] | None:
        """Coefficients of the plane that the book's terms lie on, if it was fitted to one measurement; else None."""
        found: Mapping[str, Any] | None = self.data["books"][self.book].get("calibration")
        return None if found is None else Held(self.name, found)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.data.get("notes", ()))

    @property
    def unpriced(self) -> tuple[str, ...]:
        return tuple(self.data.get("unpriced", ()))


def profile_names() -> list[str]:
    """Names :func:`load_profile` knows, sorted."""
    return sorted(chip_files("energy", _FOLDER))


def load_profile(name: str | Path, book: str | None = None) -> Profile:
    """The profile called ``name``, or in the TOML file ``name``, with one of its books (default: the file's choice)."""
    name = str(name)
    file = Path(name) if name.endswith(".toml") else chip_files("energy", _FOLDER).get(name)
    if file is None or not os.path.isfile(file):
        known = ", ".join(profile_names())
        raise ToolchainError(f"no energy profile is called {name!r}; known: {known}, or the path of a .toml file")
    data = read_toml(file, "energy profile")
    if data.get("schema") != SCHEMA:
        raise ToolchainError(f"energy profile {name!r} has schema {data.get('schema')!r}; this version reads {SCHEMA}")
    data = _checked(name, data)
    chosen = book or data["default_book"]
    if chosen not in data["books"]:
        raise ToolchainError(f"profile {name!r} has no book {chosen!r}; it has {', '.join(sorted(data['books']))}")
    tables = {**data.get("common", {}), **data["books"][chosen]}
    profile = Profile(
        name=data["name"],
        title=data["title"],
        book=chosen,
        model=data["model"],
        evidence=data["evidence"],
        constants={key: _constant(name, key, t) for key, t in tables.items() if isinstance(t, dict) and "unit" in t},
        data=data,
    )
    if not isinstance(data["books"][chosen].get("calibration", {}), dict):
        raise ToolchainError(f"energy profile {name!r}: calibration must be a table")
    plane = profile.calibration or {}
    if plane and plane["solves"] not in list(profile.constants):
        raise ToolchainError(f"energy profile {name!r}: solves must name a constant, not {plane['solves']!r}")
    if plane:
        _positive(name, [(key, plane[key]) for key in ("energy", "synops")])
        _positive(name, [(key, plane[key]) for key in ("updates", "spikes")], or_zero=True)
    return profile


def _checked(name: str, read: dict[str, Any]) -> Held:
    """The top level of a profile file, its entries of the type they must have."""
    data = Held(name, read)
    for key in ("name", "title", "model", "evidence", "default_book", "first_layer", "charges"):
        if not isinstance(data[key], str):
            raise ToolchainError(f"energy profile {name!r}: {key} must be a text, not {data[key]!r}")
    for key, known in _CHOICES.items():
        if data[key] not in known:
            raise ToolchainError(f"energy profile {name!r}: {key} must be {' or '.join(known)}, not {data[key]!r}")
    books = data["books"]
    if not isinstance(books, dict) or not all(isinstance(table, dict) for table in books.values()):
        raise ToolchainError(f"energy profile {name!r}: books must be tables, [books.NAME]")
    for key in ("notes", "unpriced", "assumed", "reuse"):
        if not isinstance(data.get(key, []), list):
            raise ToolchainError(f"energy profile {name!r}: {key} must be a list, not {data[key]!r}")
        if key != "reuse" and not all(isinstance(each, str) for each in data.get(key, [])):
            raise ToolchainError(f"energy profile {name!r}: {key} must be a list of texts")
    if not isinstance(data.get("common", {}), dict):
        raise ToolchainError(f"energy profile {name!r}: common must be a table, [common]")
    numbers = [(key, data[key]) for key in _NUMBERS if key in data]
    _positive(name, numbers + [("reuse", each) for each in data.get("reuse", [])])
    _positive(name, [(key, data[key]) for key in _SIZES if key in data], or_zero=True)
    return data


def _positive(name: str, numbers: list[tuple[str, Any]], *, or_zero: bool = False) -> None:
    for key, value in numbers:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (value > 0 or (or_zero and value == 0)) or value > _LARGEST:
            kind = "positive number or 0" if or_zero else "positive number"
            raise ToolchainError(f"energy profile {name!r}: {key} must be a {kind}, not {value!r}")


def _constant(profile: str, key: str, table: Mapping[str, Any]) -> Constant:
    try:
        constant = Constant(
            key=key,
            value=float(table["value"]),
            low=float(table["lo"]),
            high=float(table["hi"]),
            quote=table.get("quote", ""),
            **{f: table[f] for f in _TEXTS},
        )
    except KeyError as error:
        raise ToolchainError(f"constant {key!r} of energy profile {profile!r} lacks {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise ToolchainError(f"constant {key!r} of energy profile {profile!r}: value, lo and hi are numbers") from error
    wrong = [f for f in ("quote", *_TEXTS) if not isinstance(getattr(constant, f), str)]
    if wrong:
        raise ToolchainError(f"constant {key!r} of energy profile {profile!r}: {', '.join(wrong)} must be a text")
    if not 0 <= constant.low <= constant.value <= constant.high <= _LARGEST:
        raise ToolchainError(f"constant {key!r} of energy profile {profile!r} must have 0 <= lo <= value <= hi")
    return constant
