"""JSON and TOML of bounded size, depth and numbers."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections import Counter
from typing import Any

from spikec.errors import DataError
from spikec.guarded.files import read_text, reason

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Largest documents, in bytes: recipes, grids and profiles have some thousand.
TOML_MOST, JSON_MOST = 2**20, 2**27
#: Deepest nesting: whoever walks a document may recurse.
_DEPTH = 64
#: Digits of a whole number, which then fits what anybody computes with.
_DIGITS = 40
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
#: A key of more parts than may be nested; the parser's time grows with their square. It begins where a word begins, so
#: that the search looks at a long word once.
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*\.[ \t]*){{{_DEPTH}}}")


def read_json(path: str | os.PathLike[str], what: str, *, most: int = JSON_MOST) -> Any:
    """The content of a JSON file. Raises :class:`DataError` that names ``what`` and the file."""
    return parse_json(read_text(path, most=most), f"{what} {path}")


def parse_json(text: str | bytes, where: str, *, finite: bool = True) -> Any:
    """The value of a JSON text. Raises :class:`DataError`, which begins with ``where``, for what is no JSON, is nested
    deeper than 64 levels, holds a whole number of more than 40 digits, or gives one key twice, where readers differ;
    and, unless ``finite`` is false, for NaN, infinities and numbers that become one (JSON has none; Python reads them).
    """
    constant, real = (_no_number, _finite) if finite else (float, float)
    try:
        value = json.loads(text, parse_int=_whole, parse_float=real, parse_constant=constant, object_pairs_hook=_unique)
        _check(value)
    except (ValueError, RecursionError, MemoryError) as error:  # also UnicodeDecodeError
        raise DataError(f"{where} is no sound JSON: {reason(error)}") from error
    return value


def read_toml_file(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """The content of a TOML file. Raises :class:`DataError` that names ``what`` and the file."""
    try:
        text = read_text(path, most=TOML_MOST)
    except DataError as error:
        raise DataError(f"{what} {str(path)!r} cannot be read: {error}") from error
    return parse_toml(text, f"{what} {str(path)!r}")


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The value of a TOML text. Raises :class:`DataError`, which begins with ``where``; bounds: :func:`parse_json`."""
    try:
        if _LONG_KEY.search(text):
            raise ValueError(f"a key has more than {_DEPTH} parts")
        value: dict[str, Any] = tomllib.loads(text)
        _check(value)
    except (ValueError, RecursionError, MemoryError) as error:  # TOMLDecodeError is a ValueError
        raise DataError(f"{where} cannot be read: {reason(error)}") from error
    return value


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _no_number(f"{digits:.60}")


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no finite number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r:.60} stands twice in one object")
    return found


def _check(document: Any) -> None:
    """Raise ``ValueError`` for depth and numbers beyond the bounds, without recursion."""
    level, depth = [document], 0
    while level:
        if depth > _DEPTH:
            raise ValueError(f"it is nested deeper than {_DEPTH} levels")
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
            elif isinstance(each, int) and abs(each) >= 10**_DIGITS:
                raise ValueError(f"a whole number of more than {_DIGITS} digits")
        level, depth = inner, depth + 1
