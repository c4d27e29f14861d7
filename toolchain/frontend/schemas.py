"""Arguments and results of operators by the names of their schemas."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

#: Operators whose numbers follow from shapes and memory alone; how their names begin.
_OF_SHAPES = (
    "aten::sym_", "aten::is_same_size", "aten::size", "aten::stride", "aten::numel", "aten::dim", "aten::sparse_dim",
    "aten::dense_dim", "aten::is_pinned", "aten::is_set_to",
)  # fmt: skip


def results_of(value: Any, of: Callable[[Any], Any]) -> Any:
    """What a network returned with ``of`` applied to its tensors, in dicts, tuples and lists at any depth."""
    if isinstance(value, dict):
        return {key: results_of(each, of) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: results_of(each, of) for name, each in zip(value._fields, value, strict=True)}
    if isinstance(value, tuple | list):
        return [results_of(each, of) for each in value]
    if hasattr(value, "to_tuple") and hasattr(value, "items"):
        return {str(key): results_of(each, of) for key, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: results_of(getattr(value, each.name), of) for each in dataclasses.fields(value)}
    return of(value)


@functools.cache
def composite(func: Any) -> bool:
    """Whether an operator is defined as a composition of others for every device."""
    try:
        return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"))
    except RuntimeError:  # an operator that PyTorch dispatches in Python
        return False


def reads_values(func: Any, args: Any, tracked: Callable[[Tensor], bool]) -> bool:
    """Whether an operator gives plain numbers that follow from values, or as many results as values say. Operators say
    so themselves, by their tags and the types of their results. ``tracked``: whether a tensor depends on the image."""
    if torch.Tag.data_dependent_output in func.tags:
        return True
    name, returns = func._schema.name, {str(each.type) for each in func._schema.returns}
    if returns & {"int", "number", "bool", "float"}:
        return not name.startswith(_OF_SHAPES)
    if torch.Tag.dynamic_output_shape not in func.tags:
        return False
    if name != "aten::index":
        return True
    masks = (each for each in args[1] if isinstance(each, Tensor) and each.dtype in (torch.bool, torch.uint8))
    return any(tracked(each) for each in masks)


def out_arguments(func: Any) -> list[str]:
    """Names of the arguments that an operator writes into without reading what they held (``out=``)."""
    schema = getattr(func, "_schema", None)
    return [
        argument.name
        for argument in (() if schema is None else schema.arguments)
        if argument.kwarg_only and argument.alias_info is not None and argument.alias_info.is_write
    ]


def bound(func: Any, args: Any, kwargs: Any, of: Callable[[Any], Any]) -> dict[str, Any]:
    """Arguments by the names of the operator's schema, defaults included."""
    found: dict[str, Any] = {}
    unread = out_arguments(func)
    for position, argument in enumerate(func._schema.arguments):
        if argument.name in unread:
            continue
        if position < len(args) and not argument.kwarg_only:
            found[argument.name] = tree_map(of, args[position])
        elif argument.name in kwargs:
            found[argument.name] = tree_map(of, kwargs[argument.name])
        elif argument.has_default_value():
            found[argument.name] = argument.default_value
    return found


def written_by(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that an operator writes into."""
    found: list[Tensor] = []
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            found += [each for each in tree_flatten(value)[0] if isinstance(each, Tensor)]
    return found
