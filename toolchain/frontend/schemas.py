"""Arguments and results of operators by the names of their schemas."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map


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
