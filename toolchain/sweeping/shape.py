"""What a result must have for those who read it: a file in the folder may come from anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DONE, REFUSED, FAILED = "done", "refused", "failed"
STATES = (DONE, REFUSED, FAILED)

Check = Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _table(values: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(map(values, value.values()))


def _with(**held: Check) -> Check:
    return lambda value: (
        isinstance(value, dict) and all(key in value and right(value[key]) for key, right in held.items())
    )


def _interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_number, value))


#: Every result has these; one that is done, or that is not, has those of its table too.
_ALWAYS: Mapping[str, Check] = {
    "id": _text,
    "state": lambda value: value in STATES,
    "configuration": lambda value: _with(method=_text, options=_table(lambda _: True), model=_text)(value),
    "versions": _table(lambda _: True),
}
_DONE: Mapping[str, Check] = {
    "error": lambda value: value is None,
    "images": _number,
    "accuracy": _number,
    "interval": _interval,
    "ann": _with(accuracy=_number),
    "spikes_per_image": _number,
    "synops_per_image": _number,
    "neurons": _number,
    "weights": _number,
    "overflows": _table(_number),
    "energy": _table(_with(p5=_number, p50=_number, p95=_number, lower_bound=lambda value: isinstance(value, bool))),
}
_NOT_DONE: Mapping[str, Check] = {"error": _with(message=_text)}


def has_shape(result: Mapping[str, Any]) -> bool:
    """Whether the fields that tables, summaries and advice read are there and of their types."""
    if not all(key in result and right(result[key]) for key, right in _ALWAYS.items()):
        return False
    more = _DONE if result["state"] == DONE else _NOT_DONE
    return all(key in result and right(result[key]) for key, right in more.items())
