"""A copy of the user's network that runs what the network runs: hooks, wrappers and a forward of its own included."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikec.errors import ConversionError
from spikec.frontend.calls import succeeding, tensors_in, weights_of
from spikec.frontend.modes import evaluating
from spikec.frontend.running import require_module

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)
_DISTRIBUTING = (nn.DataParallel, nn.parallel.DistributedDataParallel)


@dataclass(frozen=True)
class Copied:
    """``runs``: what to call, with the wrappers that have hooks. ``network``: what they wrap; its weights have the
    names that files use. ``shared``: whether these are the user's own modules, since no copy can stand for them.
    ``source``: what was copied, the user's own network with the wrappers that have hooks."""

    runs: nn.Module
    network: nn.Module
    shared: bool
    source: nn.Module


class Passing(nn.Module):
    """In place of a wrapper that only distributes or compiles a network: has its hooks and passes calls on."""

    def __init__(self, wrapper: nn.Module, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.training = wrapper.training
        for name in _HOOKS:
            if name in vars(wrapper):
                vars(self)[name] = vars(wrapper)[name]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


class DetachedCopies(TorchFunctionMode):
    """Inside, ``copy.deepcopy`` takes tensors with a history, which hooks may have kept, without their history."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            return memo.setdefault(id(tensor), tensor.detach().clone())
        return func(*args, **(kwargs or {}))


def require_network(model: nn.Module) -> None:
    """Raises :class:`ConversionError` for what is no network, has no Python code that could run under our eyes, or has
    no weights yet."""
    require_module(model)
    if isinstance(model, torch.jit.ScriptModule):
        raise ConversionError("a scripted module has no Python code to trace; pass the network it was made from")


def copied(model: nn.Module, example: Tensor | None = None) -> Copied:
    """``model`` as a copy, or itself where it cannot be copied or where the copy would use layers or weights of
    ``model`` on ``example`` (float [N, C, H, W]): a forward set on the instance may refer to them."""
    require_network(model)
    runs, network = _without_wrappers(model)
    memo: dict[int, Any] = {}
    try:
        own = copy_of(runs, runs, memo)
    except Exception:  # a module may define how it is copied, and refuse
        return Copied(runs, network, True, runs)
    made = Copied(own, own if runs is network else memo[id(network)], False, runs)
    for module in made.runs.modules():
        if isinstance(module, nn.DataParallel):
            module.device_ids = []  # on one device, in this thread
    if example is not None and _reaches(made, runs, example):
        return Copied(runs, network, True, runs)
    return made


def copy_of(value: Any, network: nn.Module, memo: dict[int, Any]) -> Any:
    """A deep copy of ``value``, which holds ``network``. Attributes of its modules that cannot be copied, such as a
    lock or a module of Python, are shared. ``memo``: as of ``copy.deepcopy``."""
    given = dict(memo)
    try:
        return _copy(value, memo)
    except Exception:  # they may refuse in any way
        memo.clear()
        memo.update(given | _uncopyable(network))
        return _copy(value, memo)


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    with DetachedCopies():  # type: ignore[no-untyped-call]
        return copy.deepcopy(value, memo)


def _uncopyable(network: nn.Module) -> dict[int, Any]:
    """Attributes of modules that cannot be copied, by id: a copy of the network shares them."""
    found: dict[int, Any] = {}
    for module in network.modules():
        for name, value in vars(module).items():
            if name not in ("_modules", "_parameters", "_buffers"):
                try:
                    _copy(value, {id(each): each for each in network.modules()})
                except Exception:
                    found[id(value)] = value
    return found


def _without_wrappers(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The network as it is called and the network itself. A wrapper without hooks is left out of both."""
    inner = model._modules.get("_orig_mod")  # torch.compile
    if inner is None and isinstance(model, _DISTRIBUTING) and type(model).forward in [w.forward for w in _DISTRIBUTING]:
        inner = model.module
    if inner is None:
        return model, model
    runs, network = _without_wrappers(inner)
    hooks = any(vars(model).get(name) for name in _HOOKS)
    return (Passing(model, runs) if hooks else runs), network


def _reaches(made: Copied, model: nn.Module, example: Tensor) -> bool:
    """Whether the copy calls layers or reads weights of ``model``."""
    own = {id(tensor) for tensor in weights_of(made.runs)}
    theirs = {id(tensor) for tensor in weights_of(model)} - own
    modules = set(model.modules()) - set(made.runs.modules())
    watch = _Watch(theirs)

    def entered(module: nn.Module, _: Any) -> None:
        watch.reached = watch.reached or module in modules

    handle = nn.modules.module.register_module_forward_pre_hook(entered)
    try:
        with evaluating(made.runs), torch.random.fork_rng(devices=[]), torch.no_grad(), watch:
            succeeding(made.runs, example.clone())
    except ConversionError:
        pass  # whoever runs it for its result will say so
    finally:
        handle.remove()
    return watch.reached


class _Watch(TorchFunctionMode):
    def __init__(self, tensors: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tensors = tensors
        self.reached = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.reached:
            self.reached = any(id(tensor) in self.tensors for tensor in tensors_in((args, kwargs)))
        return func(*args, **(kwargs or {}))
