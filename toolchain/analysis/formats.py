"""Number formats of targets, as data: what lowering may write."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np

from spikec.analysis.ranges import Ranges
from spikec.data_files import chip_files, read_toml
from spikec.errors import DoesNotFit, ToolchainError
from spikec.ir.graph import IntegerGraph, Population, Readout, leak_of
from spikec.ir.integers import magnitude
from spikec.ir.operations import Synapse
from spikec.ir.types import Int64
from spikec.words import aligned, did_you_mean, option

_SCHEMA = "spikec.format/1"
_OPTIONAL = {"fine_bias"}
#: Numbers are computed with in int64.
_MOST_BITS = 62
_EXPONENTS = ("weight_exponent_max", "bias_exponent_max")
_CHOICES = {
    "threshold_per": ("layer", "neuron"),
    "membrane_overflow": ("saturate", "wrap"),
    "accumulator_overflow": ("saturate", "wrap"),
}
_FOLDER = Path(__file__).parent / "number_formats"


@dataclass(frozen=True)
class NumberFormat:
    """What a target can hold, in units of its weights.

    ``weight_bits`` of the mantissa (sign included), ``weight_exponent_max`` of one exponent per synapse node;
    thresholds up to ``threshold_max``, one per ``layer`` or per ``neuron``; membranes within +-``membrane_max``, the
    input of one step within +-``accumulator_max``. What goes beyond these saturates or wraps, as ``membrane_overflow``
    and ``accumulator_overflow`` say.
    Biases are mantissa * 2**e, |mantissa| <= ``bias_max`` and 0 <= e <= ``bias_exponent_max``, one e per population.
    ``fine_bias``: leaky neurons take biases in 64ths of a unit, with an exponent each; else whole units, as others do.
    A file may leave it out.
    """

    name: str
    title: str
    weight_bits: int
    weight_exponent_max: int
    threshold_max: int
    threshold_per: Literal["layer", "neuron"]
    membrane_max: int
    membrane_overflow: Literal["saturate", "wrap"]
    accumulator_max: int
    accumulator_overflow: Literal["saturate", "wrap"]
    bias_max: int
    bias_exponent_max: int
    source: str
    grade: str
    fine_bias: bool = True


def format_names() -> list[str]:
    """Names :func:`load_format` knows, sorted."""
    return sorted(chip_files("format", _FOLDER))


def load_format(name: str | Path) -> NumberFormat:
    """The number format called ``name``, or in the TOML file ``name``."""
    name = str(name)
    file = Path(name) if name.endswith(".toml") else chip_files("format", _FOLDER).get(name)
    if file is None or not os.path.isfile(file):
        raise ToolchainError(f"no number format is called {name!r}; {did_you_mean(name, format_names())}")
    data = read_toml(file, "number format")
    wanted = {field.name for field in fields(NumberFormat)}
    if data.pop("schema", None) != _SCHEMA or set(data) | _OPTIONAL != wanted:
        odd = sorted(wanted ^ (set(data) | _OPTIONAL))
        raise ToolchainError(f"number format {name!r} is not of schema {_SCHEMA}: check {', '.join(odd) or 'schema'}")
    if type(data.setdefault("fine_bias", True)) is not bool:
        raise ToolchainError(f"number format {name!r}: fine_bias must be true or false, not {data['fine_bias']!r}")
    for field in fields(NumberFormat):
        value, choices = data[field.name], _CHOICES.get(field.name)
        if choices and value not in choices:
            raise ToolchainError(f"number format {name!r}: {field.name} must be {' or '.join(choices)}, not {value!r}")
        least = 2 if field.name == "weight_bits" else 0 if field.name in ("bias_max", *_EXPONENTS) else 1
        if field.type == "int" and (type(value) is not int or value < least):
            raise ToolchainError(
                f"number format {name!r}: {field.name} must be a whole number of at least {least}, not {value!r}"
            )
        most = _MOST_BITS if field.name in ("weight_bits", *_EXPONENTS) else 2**_MOST_BITS
        if field.type == "int" and value > most:
            raise ToolchainError(f"number format {name!r}: {field.name} must be at most {most}, not {value}")
        if field.type == "str" and not isinstance(value, str):
            raise ToolchainError(f"number format {name!r}: {field.name} must be a text, not {value!r}")
    return NumberFormat(**data)


def round_bias(bias: Int64, form: NumberFormat) -> Int64:
    """Biases as the format can hold them: rounded to the smallest common power of two that makes mantissas fit.

    Where even the largest exponent is not enough the biases are returned unrounded, for :func:`misfits` to list.
    """
    largest = magnitude(bias)
    for exponent in range(form.bias_exponent_max + 1):
        rounded = np.rint(bias / 2**exponent).astype(np.int64)
        if magnitude(rounded) <= form.bias_max:
            return np.asarray(rounded << exponent)
    assert largest > form.bias_max
    return bias


def misfits(graph: IntegerGraph, form: NumberFormat, ranges: Ranges) -> list[str]:
    """Every number of a graph that a format cannot hold, one sentence each, in network order.

    The input of one step must fit for every image. Membranes are not checked here: no image reaches their worst case,
    so they are measured instead.
    """
    found = []
    for node in graph:
        if isinstance(node, Synapse):
            found += _synapse_misfits(node, form)
        if isinstance(node, Population):
            if form.threshold_per == "layer" and np.unique(node.theta).size > 1:
                how = option("calibrate", "full,per=layer")
                where = f", also in what calibrates: {how}" if "calibrate" in graph.info else ""
                several = f"{np.unique(node.theta).size} thresholds; one per layer"
                found.append(f"{node.name}: {several} (use {option('per', 'layer')}{where})")
            found += _over(f"{node.name}: threshold", int(node.theta.max()), form.threshold_max)
        if isinstance(node, Population | Readout) and leak_of(node) is None:  # leaky: the rules of the chip warn
            found += _input_misfits(node.name, form, ranges)
    return found


def _over(what: str, value: int, limit: int) -> list[str]:
    return [f"{what} {value}, limit {limit}"] if value > limit else []


def _synapse_misfits(node: Synapse, form: NumberFormat) -> list[str]:
    mantissa = magnitude(node.narrow_mantissas)
    found = _over(f"{node.name}: weight mantissa", mantissa, 2 ** (form.weight_bits - 1) - 1)
    found += _over(f"{node.name}: weight exponent", node.weight_exp, form.weight_exponent_max)
    largest = magnitude(node.bias)
    if largest > form.bias_max << form.bias_exponent_max:
        found.append(f"{node.name}: bias {largest}, limit {form.bias_max << form.bias_exponent_max}")
    return found


def _input_misfits(name: str, form: NumberFormat, ranges: Ranges) -> list[str]:
    bound = ranges.accumulators[name]
    return _over(f"{name}: input of one step may reach", max(bound.high, -bound.low), form.accumulator_max)


def require(graph: IntegerGraph, form: NumberFormat, ranges: Ranges) -> None:
    """Raise :class:`DoesNotFit` with every misfit of a graph."""
    found = misfits(graph, form, ranges)
    if found:
        listed = "\n".join(f"  {line}" for line in aligned([line.partition(": ")[::2] for line in found]))
        count = "1 number does" if len(found) == 1 else f"{len(found)} numbers do"
        raise DoesNotFit(f"{count} not fit {form.title}:\n{listed}")
