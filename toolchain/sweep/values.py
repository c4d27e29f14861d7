"""What each key of a grid file may be: checks that name the mistake and the nearest right name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from toolchain.cli.parser import unknown
from toolchain.conversion import methods
from toolchain.conversion.method import default_timesteps
from toolchain.energy import profile_names
from toolchain.errors import ToolchainError
from toolchain.ir.integer import Schedule
from toolchain.quantization.formats import format_names
from toolchain.quantization.scales import Scale

#: A check returns what is wrong with a value, or None.
Check = Callable[[Any], "str | None"]


def _number(low: int, high: int | None = None) -> Check:
    reach = f"between {low} and {high}" if high is not None else f"of at least {low}"

    def check(value: Any) -> str | None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        right = whole and low <= value and (high is None or value <= high)
        return None if right else f"must be a whole number {reach}, not {value!r}"

    return check


def _choice(names: Callable[[], Iterable[str]], file: bool = False) -> Check:
    """One of ``names()``, or where ``file`` the path of a .toml file."""

    def check(value: Any) -> str | None:
        if file and isinstance(value, str) and value.endswith(".toml"):
            return None if Path(value).is_file() else f"no file {value}"
        known = list(names())
        if isinstance(value, str):
            return None if value in known else unknown(value, known)
        return f"must be one of {', '.join(known)}, not {value!r}"

    return check


def _file(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return f"must be the path of a file, not {value!r}"
    return None if Path(value).is_file() else f"no file {value}"


def _folder(value: Any) -> str | None:
    return None if isinstance(value, str) and Path(value).is_dir() else f"{value!r} is not a folder"


def _model(value: Any) -> str | None:
    from models.zoo import REGISTRY

    if not isinstance(value, str) or not value:
        return f"must be the name of a network, not {value!r}"
    if value.endswith(".nir"):
        return f"{value} is a NIR file; a sweep takes trained networks"
    place, colon, _ = value.rpartition(":")
    if not colon:
        return None if value in REGISTRY else unknown(value, REGISTRY)
    return None if not place.endswith(".py") or Path(place).is_file() else f"no file {place}"


def _data(value: Any) -> str | None:
    from models.data import NAMES

    if not isinstance(value, str):
        return f"must be the name of a data set, not {value!r}"
    kind, _, path = value.partition(":")
    if kind in ("folder", "npz"):
        return None if path else f"{value!r} names no path: write {kind}:PATH"
    return None if value in NAMES else unknown(value, (*NAMES, "folder:PATH", "npz:PATH"))


def _override(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"must be a table such as {{'classifier.*' = 6}}, not {value!r}"
    wrong = [pattern for pattern, bits in value.items() if _number(2, 8)(bits)]
    return f"bits of {', '.join(wrong)} must be whole numbers between 2 and 8" if wrong else None


def _energy(value: Any) -> str | None:
    if not isinstance(value, list):
        return f"must be a list of profiles, not {value!r}"
    found = [mistake for profile in value if (mistake := _choice(profile_names, file=True)(profile))]
    return "; ".join(found) or None


def method_parts(value: Any) -> tuple[str, dict[str, Any]]:
    """Name and options of a method written ``"qcfs"`` or ``{name = "offset-spikes", rho = 8}``."""
    if isinstance(value, dict):
        options = dict(value)
        return str(options.pop("name", "")), options
    return str(value), {}


def _method(value: Any) -> str | None:
    if not isinstance(value, str | dict) or (isinstance(value, dict) and not isinstance(value.get("name"), str)):
        return f"must be a name or a table with a name and options, not {value!r}"
    name, options = method_parts(value)
    if name not in methods():
        return unknown(name, methods())
    known = {each.name for each in fields(methods()[name])} - {"timesteps", "schedule"}
    wrong = [unknown(option, sorted(known) or ["no option at all"]) for option in options if option not in known]
    if wrong:
        return f"{name}: {'; '.join(wrong)}"
    return _options_mistake(name, options)


def _options_mistake(name: str, options: dict[str, Any]) -> str | None:
    """Options no T makes right are a mistake of the file; what depends on T or the schedule is for each run to say."""
    first = None
    for timesteps in (default_timesteps(methods()[name]), 1, 2, 4, 8, 16, 32):
        try:
            methods()[name](timesteps=timesteps, **options)
        except (ToolchainError, TypeError, ValueError) as error:
            first = first or f"{name}: {error}"
        else:
            return None
    return first


CHECKS: dict[str, Check] = {
    "model": _model,
    "weights": _file,
    "data": _data,
    "data_root": _folder,
    "max_pool": _choice(lambda: ("average",)),
    "method": _method,
    "timesteps": _number(1),
    "schedule": _choice(lambda: get_args(Schedule)),
    "per": _choice(lambda: ("layer", "channel")),
    "bits": _number(2, 8),
    "override": _override,
    "scale": _choice(lambda: get_args(Scale)),
    "format": _choice(format_names, file=True),
    "limit": _number(1),
    "calibration": _number(1),
    "seed": _number(0),
    "energy": _energy,
}
