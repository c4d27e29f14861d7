"""What a network calls on images, in order: torch's own layers as they stand in it, and functions outside of these."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikec.errors import ConversionError
from spikec.frontend.sites import Site, failed_line, in_users_code, run, site, users_line

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.DataParallel, nn.parallel.DistributedDataParallel)

#: Where activations with thresholds come from.
_OURS = f"{__name__.partition('.')[0]}.training."


@dataclass(frozen=True, eq=False)
class Called:
    """A call of a layer (``module``) or of a function outside of one (``function``), and the tensors in it.

    ``name``: path of the layer, or name of the function with a number from its second call on. ``outputs`` holds what
    a function wrote into, too. ``line``: the user's ``path:line``, empty where none is known.
    """

    name: str
    module: nn.Module | None
    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    site: Site
    line: str
    recomputed: bool

    @property
    def function_name(self) -> str:
        return "" if self.function is None else name_of(self.function)

    @property
    def where(self) -> str:
        return f"{self.line} ({self.name})" if self.line else f"layer {self.name}"

    def reads(self, tensor: Tensor) -> bool:
        return any(each is tensor for each in self.inputs)

    def gives(self, tensor: Tensor) -> bool:
        return any(each is tensor for each in self.outputs)


def calls_of(
    network: nn.Module, *images: Tensor, names: Mapping[nn.Module, str] | None = None
) -> tuple[list[Called], Any]:
    """The calls of ``network`` on ``images`` in its present mode, without gradients, and its result.

    ``names``: paths of modules, by default those in ``network``. Every tensor of the pass is kept as long as the list
    is. Raises :class:`ConversionError` where the network fails.
    """
    names = dict(_named(network)) if names is None else names
    recorder = _Recorder(names)
    given = tuple(each.clone() for each in images)  # the network may write into it
    with recorder.watching(network), recorder, torch.no_grad():
        result = succeeding(network, *given)
    return recorder.calls, result


def succeeding(network: nn.Module, *images: Tensor) -> Any:
    """What ``network`` gives for ``images``. Raises :class:`ConversionError` where it fails."""
    try:
        return run(network, images, {})
    except ConversionError:
        raise
    except Exception as error:  # the user's code may raise anything
        shape = ", ".join(str(tuple(each.shape)) for each in images)
        text = str(error).strip()
        line = failed_line(error)
        place = f" at {line}" if line else ""
        said = text.splitlines()[0] if text else type(error).__name__
        raise ConversionError(f"the network fails on example images of shape {shape}{place}: {said}") from error


def is_layer(module: nn.Module) -> bool:
    """Whether a module counts as one call: a layer of torch or of the training room; not if its owner gave it a forward
    of its own."""
    if any(kind.__module__.startswith(_OURS) for kind in type(module).__mro__):
        return True
    return is_torchs(module) and "forward" not in vars(module) and not isinstance(module, _CONTAINERS)


def is_torchs(module: nn.Module) -> bool:
    """Whether a module's class is torch's own."""
    return type(module).__module__.startswith("torch.nn")


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in tuples, lists, dictionaries and data classes, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, tuple | list | set | frozenset):
        for each in value:
            yield from tensors_in(each)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from tensors_in([getattr(value, each.name) for each in dataclasses.fields(value)])


def name_of(function: Any) -> str:
    """The plain name of a function of torch: ``max_pool2d`` for ``torch.max_pool2d``, ``add`` for ``x + y``."""
    name = str(getattr(function, "__name__", ""))
    return name[2:-2] if name.startswith("__") and name.endswith("__") else name


def constants(network: nn.Module, calls: list[Called]) -> set[int]:
    """Indices of the calls that read nothing but weights and numbers, so that they do not depend on the images."""
    known = {id(tensor) for tensor in weights_of(network)}
    found: set[int] = set()
    for number, call in enumerate(calls):
        if all(id(tensor) in known for tensor in call.inputs):
            found.add(number)
            known.update(map(id, call.outputs))
        else:
            known.difference_update(map(id, call.outputs))
    return found


def unused(network: nn.Module, calls: list[Called]) -> frozenset[str]:
    """Names of weights that no call reads, and second names of those that some do."""
    read = {id(tensor) for call in calls for tensor in call.inputs}
    called = {module for call in calls if call.module is not None for module in call.module.modules()}
    used = {
        f"{path}.{name}" if path else name
        for path, module in network.named_modules()
        for name, tensor in (*module._parameters.items(), *module._buffers.items())
        if module in called or id(tensor) in read
    }
    weights = (
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    )
    return frozenset(name for name, _ in weights if name not in used)


def weights_of(network: nn.Module) -> Iterator[Tensor]:
    """Parameters, buffers, and tensors that modules keep as plain attributes."""
    yield from network.parameters()
    yield from network.buffers()
    for module in network.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))


def _named(network: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for name, module in network.named_modules():
        yield module, name


class _Recorder(TorchFunctionMode):
    def __init__(self, names: Mapping[nn.Module, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Called] = []
        self._names = names
        self._used: dict[str, int] = {}
        self._depth = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self._depth or in_users_code():
            written = args[:1] if name_of(func) == "setitem" else ()
            outputs = (*tensors_in(result), *written)
            if outputs:
                self._keep(self._numbered(name_of(func).strip("_")), None, func, args, kwargs, outputs)
        return result

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        """Inside, layers of ``network`` are calls of their own."""

        def enter(*_: Any) -> None:
            self._depth += 1

        def leave(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            self._depth -= 1
            if not self._depth and result is not None:
                name = self._names.get(module, type(module).__name__)
                self._keep(name, module, None, args, kwargs, tuple(tensors_in(result)))

        with ExitStack() as stack:
            for module in network.modules():
                if is_layer(module):
                    for handle in (
                        module.register_forward_pre_hook(enter),
                        module.register_forward_hook(leave, with_kwargs=True, always_call=True),
                    ):
                        stack.callback(handle.remove)
            yield

    def _numbered(self, name: str) -> str:
        self._used[name] = self._used.get(name, -1) + 1
        return f"{name}_{self._used[name]}" if self._used[name] else name

    def _keep(
        self, name: str, module: nn.Module | None, function: Any, args: Any, kwargs: Any, outputs: tuple[Tensor, ...]
    ) -> None:
        place, _, recomputed = site(self._names)
        inputs = tuple(tensors_in((args, kwargs)))
        self.calls.append(
            Called(name, module, function, args, kwargs, inputs, outputs, place, users_line(), recomputed)
        )
