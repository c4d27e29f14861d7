"""The part of a checkpoint that fits a network: which dictionary, and behind which prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from spikec.errors import DataError
from spikec.models.checkpoints.names import bare, common_lead, hints, is_counter, no_part, observed, prefixes, some
from spikec.models.checkpoints.reading import Checkpoint
from spikec.words import option

#: Prefixes of one dictionary that are looked at closely: those with the most names in common.
_MOST = 16


@dataclass(frozen=True)
class Fit:
    """``state``: a value for every name of the network's own state dictionary. ``left_out``: names that are no part of
    the network. ``problems``: what does not fit, ``wrong`` of them; empty for a fit. ``name``: how people choose it,
    ``state_dict_ema`` or ``state_dict/ema_model``."""

    name: str
    state: Mapping[str, Any] = field(repr=False)
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    wrong: int = 0


def fit(module: nn.Module, checkpoint: Checkpoint, entry: str | None = None) -> Fit:
    """The one fit of the checkpoint for ``module``; of several that differ, the one called ``entry``.

    Raises :class:`DataError`: where nothing fits, with all differences of what comes nearest; where several do, with
    their names.
    """
    tried = _tried(module, checkpoint)
    chosen = tried if entry is None else [each for each in tried if entry in (each.name, each.name.partition("/")[0])]
    exact = [each for each in chosen if each.name == entry]
    fitting = _different([each for each in exact or chosen if not each.problems])
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DataError(
            f"{checkpoint.path} holds {len(fitting)} sets of weights that fit and differ: "
            f"{', '.join(each.name for each in fitting)}; choose one with {option('entry', flag='--weights-entry')}"
        )
    if entry is not None and not chosen:
        raise DataError(f"{checkpoint.path} has no entry {entry!r}; {_entries([each.name for each in tried])}")
    nearest = min(exact or chosen, key=lambda each: each.wrong)
    where = "" if nearest.name == TOP else f" ({nearest.name})"
    raise DataError.listing(f"{checkpoint.path}{where} does not fit the network", nearest.problems)


def holds(checkpoint: Checkpoint, last: str) -> bool:
    """Whether a tensor whose name ends in ``last`` is among the weights."""
    return any(name.rpartition(".")[2] == last for state in checkpoint.states.values() for name in state)


#: The name of what stands in the file itself, without prefix.
TOP = "."


def _entries(names: Sequence[str]) -> str:
    """Which entries there are to choose from, in words."""
    inside = [name for name in dict.fromkeys(names) if name != TOP]
    if not inside:
        left_out = option("entry", flag="--weights-entry")
        return f"it holds one set of weights, which has no name: leave {left_out} out"
    return f"it has {', '.join(inside)}" + (f", and {TOP!r}, the weights beside these" if TOP in names else "")


def _tried(module: nn.Module, checkpoint: Checkpoint) -> list[Fit]:
    own = dict(module.state_dict())
    ties = _ties(own)
    tried = [each for place, state in checkpoint.states.items() for each in _in_one(own, ties, place, state)]
    if len(checkpoint.states) > 1 and all(each.problems for each in tried):
        # A dictionary for each part of the network: {"backbone": ..., "head": ...}
        parts = {".".join((*place, name)): value for place, s in checkpoint.states.items() for name, value in s.items()}
        tried += [each for each in _in_one(own, ties, (), parts) if not each.problems]
    return tried


def _in_one(
    own: Mapping[str, Any], ties: Mapping[str, str], place: tuple[str, ...], state: Mapping[str, Any]
) -> list[Fit]:
    """Every prefix of one dictionary that is worth a look. Where none fits, also without what the network's own names
    begin with: it may be wrapped, and the weights not."""
    found, wanted, tried = bare(state), bare({name: name for name in own}), list[Fit]()
    for dropped in range(len(common_lead(wanted)) + 1):
        names = {".".join(short.split(".")[dropped:]): name for short, name in wanted.items()}
        mine = {short: own[name] for short, name in names.items()}
        layers = {short.rpartition(".")[0] for short in names}
        for prefix in prefixes(mine, found)[:_MOST] or ([] if dropped else [""]):
            at = _at(mine, _renamed(ties, names), found, prefix, _name(place, prefix))
            # Under other names on both sides, all of the file has to be this network, and more than one layer.
            if not dropped or not prefix or (len(layers) > 1 and all(map(no_part, at.left_out))):
                tried.append(replace(at, state={names[short]: value for short, value in at.state.items()}))
        if any(not each.problems for each in tried):
            break
    return tried


def _at(own: Mapping[str, Any], ties: Mapping[str, str], found: Mapping[str, Any], prefix: str, name: str) -> Fit:
    inside = _unpruned({key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}, own)
    beside = [key for key in found if not key.startswith(prefix)]
    for key, twin in ties.items():  # files keep one of several names of the same tensor
        if key not in inside and twin in inside:
            inside[key] = inside[twin]
    missing = [key for key in own if key not in inside and not is_counter(key)]
    extra = [key for key, value in inside.items() if key not in own and isinstance(value, Tensor)]
    unexpected = [prefix + key for key in extra if not no_part(key)]
    left_out = [prefix + key for key in extra if no_part(key) and not is_counter(key)]
    left_out += [key for key in beside if isinstance(found[key], Tensor) and not is_counter(key)]
    both = {key: (own[key], inside[key]) for key in own if key in inside}
    shapes = [
        f"{key} {_shape(new)} for {_shape(old)}"
        for key, (old, new) in both.items()
        if not observed(key) and _other_shape(old, new)
    ]
    types = [f"{key} {_dtype(new)} for {_dtype(old)}" for key, (old, new) in both.items() if _other_type(old, new)]
    untied = [f"{key} and {twin}" for key, twin in ties.items() if _differ(inside.get(key), inside.get(twin))]
    lists = {
        "missing": missing,
        "unexpected": unexpected,
        "other shape": shapes,
        "numbers without their scale": types,
        "one tensor in the network, two in the file": untied,
    }
    problems = [f"{title}: {some(names)}" for title, names in lists.items() if names]
    if problems:
        problems += hints(key for key in inside if key not in own)
    counters = {key: value for key, value in own.items() if is_counter(key)}
    state = {**counters, **{key: new for key, (_, new) in both.items()}}
    wrong = sum(map(len, lists.values()))
    return Fit(name, state, tuple(left_out), tuple(problems), wrong)


def _different(fits: Sequence[Fit]) -> list[Fit]:
    """Without those that hold the numbers of an earlier one."""
    kept: list[Fit] = []
    for each in fits:
        names = [name for name in each.state if not is_counter(name)]
        if not any(all(not _differ(each.state[name], other.state[name]) for name in names) for other in kept):
            kept.append(each)
    return kept


def _name(place: tuple[str, ...], prefix: str) -> str:
    return "/".join(part for part in (*place, prefix.rstrip(".")) if part) or TOP


def _ties(own: Mapping[str, Any]) -> dict[str, str]:
    """Each further name of a tensor, with its first name."""
    first: dict[tuple[int, torch.Size, tuple[int, ...]], str] = {}
    ties: dict[str, str] = {}
    for name, value in own.items():
        if isinstance(value, Tensor) and not is_lazy(value) and value.layout is torch.strided and value.numel():
            same = first.setdefault((value.data_ptr(), value.shape, value.stride()), name)
            ties |= {name: same} if same != name else {}
    return ties


def _renamed(ties: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    short = {name: key for key, name in names.items()}
    return {short[key]: short[twin] for key, twin in ties.items()}


def _unpruned(state: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``torch.nn.utils.prune`` keeps a weight as the original and a mask of zeros and ones."""
    for key in [key for key in state if key.endswith("_mask")]:
        name = key.removesuffix("_mask")
        if name in own and name not in state and f"{name}_orig" in state and key not in own:
            state[name] = state.pop(f"{name}_orig") * state.pop(key)
    return state


def _shape(value: Any) -> list[int] | str:
    return list(value.shape) if isinstance(value, Tensor) else type(value).__name__


def _dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.") if isinstance(value, Tensor) else type(value).__name__


def _other_shape(old: Any, new: Any) -> bool:
    if isinstance(old, Tensor) and is_lazy(old):
        return False  # takes its shape from the file
    if isinstance(old, Tensor) != isinstance(new, Tensor):
        return True
    return isinstance(old, Tensor) and old.shape != new.shape


def _other_type(old: Any, new: Any) -> bool:
    """Whole numbers, eight-bit floats and quantised tensors stand for real ones only together with a scale."""
    if not isinstance(old, Tensor) or not isinstance(new, Tensor) or old.is_quantized:
        return False
    return old.is_floating_point() and (not new.is_floating_point() or new.element_size() < 2)


def _differ(a: Any, b: Any) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return False
    if a is b or a.shape != b.shape:
        return a is not b
    a, b = dense(a), dense(b)
    if a.dtype == b.dtype:
        return not torch.equal(a, b)
    first, second = (each.dequantize() if each.is_quantized else each for each in (a, b))
    return not torch.equal(first.double(), second.double())


def dense(value: Tensor) -> Tensor:
    """As a tensor that stores every number in its place."""
    return value if value.layout is torch.strided else value.to_dense()
