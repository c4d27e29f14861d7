"""A network that runs the user's own code, but with other layers in place of some of its calls."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikec.errors import ConversionError
from spikec.frontend.averages import PoolError, average_of
from spikec.frontend.calls import is_layer, is_torchs, name_of
from spikec.frontend.copying import Copied, copy_of
from spikec.frontend.ending import COUNTED
from spikec.frontend.obstacles import Obstacle, refuse
from spikec.frontend.parts import Part
from spikec.frontend.rectifiers import clipped, in_place, rectifier_of_function, rectifier_of_layer
from spikec.frontend.sites import Site, in_users_code, run, site, users_line

_DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")


@dataclass
class Plan:
    """What a twin does in place of what its network calls.

    ``layers``: names of the twin's layers that stand in for an activation layer of the network, one for each of its
    uses in a pass, in order. ``functions``: the same for activation functions, by the place of the call; None where the
    call is no activation of the network, since it does not depend on the image. ``dropped``: which calls of functions
    at a place give their input unchanged. ``averages``: whether functions that pool maxima pool means. ``in_place``:
    whether activations that write into their input still do.
    """

    layers: dict[nn.Module, list[str]] = field(default_factory=dict)
    functions: dict[Site, list[str | None]] = field(default_factory=dict)
    dropped: dict[Site, set[int]] = field(default_factory=dict)
    averages: bool = False
    in_place: bool = False


class Twin(Part):
    """Runs a network under a :class:`Plan`. Holds its layers and weights under the names they have there (see
    :class:`Part`), and layers of its own.

    A pass in which the network does not call what it called when the plan was made raises :class:`ConversionError`
    where a call could be taken for another one. ``evaluation``: in training mode only layers of torch, functional
    dropout and activations with thresholds train; the network's own code stays in eval mode. ``unused``: names of
    weights that no result depends on; they are not in the state.
    """

    def __init__(self, copy: Copied, plan: Plan, own: set[nn.Module], unused: frozenset[str]) -> None:
        names = {module: name for name, module in copy.runs.named_modules()}
        vars(self).update(runs=copy.runs, plan=plan, evaluation=False, unused=unused, sites=names, shared=copy.shared)
        super().__init__(copy.network, own)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        # Compiled code would not see the functions.
        start = _uncompiled() if "torch._dynamo" in sys.modules else started
        return start(self, self.plan, args, kwargs)

    def train(self, mode: bool = True) -> Twin:
        """The modes of the network, as its own ``train`` sets them, and of the twin's layers."""
        if not self.evaluation:
            self.runs.train(mode)
        else:
            self.runs.eval()
            for module in self.runs.modules():
                if is_layer(module):
                    module.train(mode)
        self.own_layers(mode)
        vars(self)["mode"] = mode
        return self

    def own_layers(self, mode: bool) -> None:
        """Bring the layers that only the twin has into a mode."""
        theirs = set(self.runs.modules())
        for module in self.modules():
            if not isinstance(module, Part) and module not in theirs:
                module.training = mode

    def add_layer(self, path: str, layer: nn.Module, *, instead: bool) -> str:
        """A layer of the twin's own, ``instead`` of the hidden one at ``path``; or at ``path``, with ``_`` behind it
        where that is taken. Returns its path."""
        prefix, _, name = path.rpartition(".")
        part = self.get_submodule(prefix)
        assert isinstance(part, Part)
        while not instead and not part.takes(name):
            name += "_"
        part.add(name, layer)
        return f"{prefix}.{name}" if prefix else name

    @property
    def training(self) -> bool:
        return bool(vars(self)["mode"]) if self.evaluation else bool(self.original.training)

    @training.setter
    def training(self, mode: bool) -> None:
        vars(self)["mode"] = mode
        if not self.evaluation:
            self.original.training = mode

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The state of everything that results depend on."""
        state = super().state_dict(*args, **kwargs)
        prefix = kwargs.get("prefix", args[1] if len(args) > 1 else "")
        for name in self.unused:
            state.pop(f"{prefix}{name}", None)
        return state

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """As for any module; what :attr:`unused` names may be missing."""
        state = OrderedDict((name, value) for name, value in super().state_dict().items() if name in self.unused)
        state.update(state_dict)
        if hasattr(state_dict, "_metadata"):
            state._metadata = state_dict._metadata  # type: ignore[attr-defined]
        return super().load_state_dict(state, *args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Twin:
        if self.shared:
            raise ConversionError(
                "this network cannot be copied: something in it, such as a forward set on the instance, refers to its "
                "layers from outside; write it as a class, or train without an average of weights (ema=0)"
            )
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        vars(made).update(copy_of(vars(self), self.runs, memo))
        return made


@lru_cache(maxsize=1)
def _uncompiled() -> Callable[[Twin, Plan, Any, Any], Any]:
    disabled: Callable[[Twin, Plan, Any, Any], Any] = torch.compiler.disable(started)  # type: ignore[no-untyped-call]
    return disabled


def started(twin: Twin, plan: Plan, args: Any, kwargs: Any, *, whole: bool = False) -> Any:
    """What the network of ``twin`` gives under ``plan``. ``whole``: raise :class:`ConversionError` where an activation
    of the plan is not used."""
    one = _Pass(twin, plan)
    result = one.run(args, kwargs)
    if whole:
        one.require_all()
    return result


class _Pass(TorchFunctionMode):
    """One pass of a twin."""

    def __init__(self, twin: Twin, plan: Plan) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._twin, self._plan = twin, plan
        self._layers: dict[nn.Module, int] = {}
        self._functions: dict[Site, int] = {}
        self._finals: dict[Site, int] = {}
        self._inside = False
        self._problem: ConversionError | None = None

    def run(self, args: Any, kwargs: Any) -> Any:
        with self._standing_in(), self:
            result = run(self._twin.runs, args, kwargs)
        if self._problem is not None:  # the network caught it
            raise self._problem
        uses: list[tuple[Sequence[str | None], int]] = [(self._plan.layers[key], n) for key, n in self._layers.items()]
        uses += [(self._plan.functions[place], n) for place, n in self._functions.items()]
        for names, used in uses:
            if used != len(names):
                raise self._refuse(f"{_listed(names)}: {used} of {len(names)} were used in this pass")
        return result

    def require_all(self) -> None:
        unused: list[Sequence[str | None]] = [
            names for layer, names in self._plan.layers.items() if layer not in self._layers
        ]
        unused += [names for place, names in self._plan.functions.items() if place not in self._functions]
        if unused:
            raise self._refuse(f"{_listed(unused[0])}: not used in this pass")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._inside:
            return func(*args, **kwargs)
        name, plan = name_of(func).strip("_"), self._plan
        if plan.dropped and name in COUNTED and self._drops():
            return clipped(args, kwargs)
        if plan.averages and (average := self._average(func, args, kwargs)) is not None:
            return average()
        if self._twin.evaluation and self._twin.training and name in _DROPOUTS:
            return _dropped_out(func, args, kwargs)
        if (plan.layers or plan.functions) and rectifier_of_function(func, args, kwargs) is not None:
            return self._rectify(func, args, kwargs)
        return func(*args, **kwargs)

    def _average(self, func: Any, args: Any, kwargs: Any) -> Callable[[], Tensor] | None:
        try:
            return average_of(func, args, kwargs)
        except PoolError as error:
            refuse([Obstacle(users_line() or name_of(func), *error.obstacle)])
            raise

    def _drops(self) -> bool:
        place, _, _ = site(self._twin.sites)
        number = self._finals.get(place, 0)
        self._finals[place] = number + 1
        return number in self._plan.dropped.get(place, ())

    def _rectify(self, func: Any, args: Any, kwargs: Any) -> Any:
        place, modules, recomputed = site(self._twin.sites)
        if not in_users_code() and any(self._is_layer(module) for module in modules):
            strange = next((m for m in modules if m not in self._plan.layers and rectifier_of_layer(m)), None)
            if strange in self._twin.sites:
                raise self._refuse(f"{self._twin.sites[strange]} is used, which it was not on the example")
            return func(*args, **kwargs)  # part of a layer
        if recomputed:
            raise self._refuse(
                "activations are recomputed in the backward pass (torch.utils.checkpoint); turn that off"
            )
        names = self._plan.functions.get(place)
        if names is None:
            raise self._refuse(f"{name_of(func)} is called at {_told(place)}, which it was not on the example")
        layer = self._next(self._functions, place, names)
        if layer is None:
            return func(*args, **kwargs)
        return self._call(layer, clipped(args, kwargs), in_place(func, kwargs))

    def _is_layer(self, module: nn.Module) -> bool:
        """Whether a module was a call of its own when the plan was made, or came into the network later."""
        return is_layer(module) and (module in self._twin.sites or not is_torchs(module))

    def _next(self, used: dict[Any, int], key: Any, names: list[Any]) -> Any:
        number = used.get(key, 0)
        used[key] = number + 1
        if number >= len(names):
            raise self._refuse(f"{_listed(names)}: used more often than on the example")
        return names[number]

    def _call(self, name: str, x: Tensor, writes: bool) -> Tensor:
        writes = writes and self._plan.in_place
        self._inside = True
        try:
            result: Tensor = self._twin.get_submodule(name)(x.clone() if writes else x)
            return x.copy_(result) if writes else result
        finally:
            self._inside = False

    @contextmanager
    def _standing_in(self) -> Iterator[None]:
        """Inside, activation layers of the network call those of the twin; hooks of theirs still act."""

        def forward(layer: nn.Module, names: list[str]) -> Callable[[Tensor], Tensor]:
            def call(input: Tensor) -> Tensor:
                return self._call(self._next(self._layers, layer, names), input, bool(getattr(layer, "inplace", False)))

            return call

        with ExitStack() as stack:
            for layer, names in self._plan.layers.items():
                layer.forward = forward(layer, names)
                stack.callback(vars(layer).pop, "forward", None)
            yield

    def _refuse(self, what: str) -> ConversionError:
        self._problem = self._problem or ConversionError(
            f"the network does not call its activations as it did on the example images: {what}. Write them as layers "
            "(nn.ReLU), one for each place"
        )
        return self._problem


def _dropped_out(func: Any, args: Any, kwargs: Any) -> Any:
    """A call of dropout as in training. ``torch.dropout(x, p, train)`` and ``F.dropout(x, p=p, training=...)``."""
    if "training" in kwargs:
        return func(*args, **{**kwargs, "training": True})
    return func(*args[:2], *[True] * (len(args) > 2), **{**kwargs, **({"train": True} if "train" in kwargs else {})})


def _listed(names: Sequence[str | None]) -> str:
    return ", ".join(str(name) for name in names if name is not None) or "an activation of weights"


def _told(place: Site) -> str:
    return next((part for part in place if ":" in part), place[0] if place else "an unknown line")


__all__ = ["Part", "Plan", "Twin", "started"]
