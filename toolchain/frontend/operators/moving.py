"""Operators that only move values: views, slices, permutations, concatenation, padding, repetition."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from spikec.frontend.builder import Builder, Call, handles
from spikec.frontend.memory import rewritten, taken
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.recorder import REWRITTEN, TAKEN
from spikec.frontend.values import Value, moved, reshaped


@handles("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze")
def same_order(b: Builder, call: Call) -> Any:
    return reshaped(call.value(), call.full_shape)


@handles(
    "alias",
    "clone",
    "contiguous",
    "detach",
    "lift_fresh",
    "dropout",
    "positive",
    "_conj",
    "resolve_conj",
    "resolve_neg",
)
def unchanged(b: Builder, call: Call) -> Any:
    return call.given.get("self", call.given.get("input"))


@handles("_to_copy", "to")
def converted(b: Builder, call: Call) -> Any:
    """A change of dtype or device: floats stay what they are."""
    wanted = call.given.get("dtype")
    if wanted is not None and wanted not in (torch.float32, torch.float64):
        raise RefusalError(f"computing in {wanted}", "convert a float32 network")
    return call.value()


@handles("copy")
def copied(b: Builder, call: Call) -> Any:
    """``a.copy_(b)``: ``b``, broadcast."""
    return _moved(b, call, [call["src"]], lambda given, _: given[0].expand(call.full_shape))


@handles(REWRITTEN)
def written_elsewhere(b: Builder, call: Call) -> Any:
    """A tensor of which another view was written into."""
    at, of = call["at"], call["of"]
    return _moved(b, call, [call["self"], call["source"]], lambda given, _: rewritten(given[0], given[1], at, of))


@handles(TAKEN)
def restrided(b: Builder, call: Call) -> Any:
    """A view of the memory of a tensor."""
    places: Tensor = call["places"]
    if bool((places < 0).any()):
        raise RefusalError("as_strided beyond the tensor", "use slices and views")
    return _moved(b, call, [call.value()], lambda given, _: taken(given[0], places))


def _moved(b: Builder, call: Call, operands: list[Any], run: Any) -> Value:
    (found,) = moved(operands, run, b.batch)
    return found


@handles(
    "permute", "transpose", "t", "numpy_T", "movedim", "expand", "repeat", "slice", "select", "split",
    "split_with_sizes", "chunk", "unbind", "index", "index_select", "flip", "roll", "rot90", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "unfold", "diagonal", "narrow", "tile", "gather", "take_along_dim", "im2col",
    "native_channel_shuffle",
    "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d",
    "upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
    "slice_scatter", "select_scatter", "cat", "stack",
)  # fmt: skip
def general(b: Builder, call: Call) -> Any:
    """Run on the numbers of the elements instead of their values."""
    if call.step.name == "index" and not isinstance(call["self"], Value):
        raise RefusalError("looking up by places that are computed", "use constant indices")
    flat, structure = tree_flatten(call.given)
    operands = [k for k, each in enumerate(flat) if isinstance(each, Value)]
    joined = call.step.name in ("cat", "stack")
    if joined:
        operands = [k for k, each in enumerate(flat) if isinstance(each, Value | Tensor)]

    def run(given: list[Tensor], kind: str) -> Any:
        filled = list(flat)
        for place, tensor in zip(operands, given, strict=True):
            filled[place] = tensor
        return call.step.function(**tree_unflatten(filled, structure))

    plain = _concatenated(b, call) if call.step.name == "cat" else None
    if plain is not None:
        return plain
    found = moved([flat[k] for k in operands], run, b.batch)
    return found if len(call.step.results) > 1 else found[0]


def _concatenated(b: Builder, call: Call) -> Value | None:
    """Whole nodes along the channels, without looking at their elements."""
    parts = call["tensors"]
    whole = all(
        isinstance(p, Value) and p.plain and b.shape(p.sources[0])[0] == p.shape[1] for p in parts if len(p.shape) > 1
    )
    ranks = {len(p.shape) for p in parts}
    if not whole or len(ranks) != 1 or ranks == {1} or call["dim"] % max(ranks) != 1:
        return None
    nodes = [part.sources[0] for part in parts]
    if len({b.shape(node)[1:] for node in nodes}) > 1:
        return None
    return b.whole(call, b.function(call, torch.cat, (nodes, 1), call.shape))


@handles("constant_pad_nd")
def padded(b: Builder, call: Call) -> Any:
    pad = [int(p) for p in call["pad"]]
    if not math.isfinite(float(call["value"])):
        raise RefusalError(f"padding with {call['value']}", "pad with 0 behind a ReLU, or give a max pool its padding")

    def run(given: list[Tensor], kind: str) -> Tensor:
        filling = {"index": 0.0, "scale": 1.0, "shift": float(call["value"])}[kind]
        return torch.constant_pad_nd(given[0], pad, filling)

    value = call.value()
    if float(call["value"]) and value.shift is None:  # what is filled in is a summand
        value = Value(value.shape, value.sources, value.index, value.scale, torch.zeros(value.shape).double())
    return _moved(b, call, [value], run)


@handles("where")
def where(b: Builder, call: Call) -> Any:
    condition = call.constant("condition", "a selection by values", "select with ReLU or a clip instead")
    assert condition is not None
    operands = [_tensor(call[name]) for name in ("self", "other")]
    run = lambda given, _: torch.where(condition, *given)  # noqa: E731
    return _moved(b, call, operands, run)


@handles("masked_fill")
def masked(b: Builder, call: Call) -> Any:
    mask = call.constant("mask", "a selection by values", "select with ReLU or a clip instead")
    assert mask is not None
    operands = [_tensor(call["value"]), call.value()]
    return _moved(b, call, operands, lambda given, _: torch.where(mask, *given))


@handles("tril", "triu")
def triangle(b: Builder, call: Call) -> Any:
    value = call.value()
    kept = call.step.function(torch.ones(value.shape), call["diagonal"]) > 0
    return _moved(b, call, [value, torch.zeros(())], lambda given, _: torch.where(kept, *given))


@handles("fill", "zero")
def filled(b: Builder, call: Call) -> Any:
    """Overwritten with a number: a constant from here on."""
    number = call.given.get("value", 0.0)
    if isinstance(number, Value):
        return _moved(b, call, [number], lambda given, _: given[0].expand(call.full_shape))
    return torch.zeros(call.full_shape) + number


@handles("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty")
def made(b: Builder, call: Call) -> Any:
    """A constant of the shape of something else."""
    name = call.step.name
    number = 1.0 if "ones" in name else float(call.given.get("fill_value", 0.0))
    return torch.full(call.full_shape, number)


def _tensor(value: Any) -> Any:
    return value if isinstance(value, Value | Tensor) else torch.tensor(float(value))
