"""Records the operators that a user's module executes: the module runs, nothing is traced symbolically.

A ``TorchDispatchMode`` sees every ATen operator with its tensors, also those of scripted modules, hooks and wrappers; a
``TorchFunctionMode`` sees operators of our own (:func:`one_operator`) and what leaves PyTorch (``numpy()``,
``tolist()``).
"""

from __future__ import annotations

import inspect
import itertools
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from spikec.errors import ConversionError
from spikec.frontend.memory import geometry, places_in, positions, rewritten, shared_with, storage, taken
from spikec.frontend.module_names import module_names
from spikec.frontend.obstacles import Obstacle
from spikec.frontend.own_operators import OWN
from spikec.frontend.recording import Place, Recording, Ref, Step, spoken
from spikec.frontend.running import Runner
from spikec.frontend.schemas import bound, composite, reads_values, results_of, written_by
from spikec.frontend.sites import NOT_USERS

_LIBRARY = sysconfig.get_paths()["stdlib"]
#: What operators that :func:`reads_values` finds are called; others by their own names.
_READERS = {
    "_local_scalar_dense": "a number that is read out of a tensor (item, float(), int(), bool(), if, while)",
    "nonzero": "the places of non-zero values (nonzero, where with one argument)",
    "index": "selecting by a mask that is computed",
    "masked_select": "selecting by a mask that is computed",
    "unique_dim": "unique",
    "_unique2": "unique",
    "equal": "comparing tensors (equal)",
}
_LEAVING = ("numpy", "tolist", "__array__", "__dlpack__", "storage", "untyped_storage", "data_ptr")
_PLAIN_NUMBERS = (
    "its result may depend on the image, and a recording holds for one image only: leave it out, or use sizes"
)
#: Result of a write into part of a tensor, as another view of that tensor sees it.
REWRITTEN = "rewritten"
CONSTANT = "constant"
#: A view of the memory of another tensor, by the numbers of the elements.
TAKEN = "taken"
_STRIDED = ("as_strided", "as_strided_")


def record(model: nn.Module, images: Tensor, *, keep: bool = False) -> Recording:
    """What ``model`` executes on ``images`` [N, ...], float, in eval mode; ``model`` is left as it is.

    ``keep``: every value stays, in ``values``. Raises :class:`ConversionError` where the network fails on the images.
    """
    runner = Runner(model)
    given = runner.given(images)
    recorder = _Recorder(runner, given, keep)
    try:
        returned = runner(given, (recorder, _Calls(recorder)))
    except Exception as error:  # the user's code may raise anything
        required = _required(model)
        if required > 1:
            raise ConversionError(
                f"the network takes {required} inputs; exactly one image tensor is supported"
            ) from error
        shape = tuple(images.shape)
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        place = f" at {recorder.failed}" if recorder.failed else _raised_at(error, recorder.names)
        raise ConversionError(f"the network fails on example images of shape {shape}{place}: {first}") from error
    return recorder.finish(returned)


def users_line(frame: FrameType | None) -> str:
    """'file.py:12': the innermost line of the user's code at or outside of a frame; "" where there is none."""
    while frame is not None and frame.f_code is not Runner.__call__.__code__:
        if _is_users(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _is_users(path: str) -> bool:
    own = path.startswith(_LIBRARY) and "site-packages" not in path
    return not own and not path.startswith((*NOT_USERS, "<"))


def _required(model: nn.Module) -> int:
    """How many arguments the forward pass cannot do without."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is inspect.Parameter.empty for each in parameters)


def _raised_at(error: BaseException, names: Mapping[int, str]) -> str:
    """The user's line and the layer where an error came from, as far as they are known."""
    trace, line, layer = error.__traceback__, "", ""
    while trace is not None:
        frame = trace.tb_frame
        if _is_users(frame.f_code.co_filename):
            line = f"{frame.f_code.co_filename}:{trace.tb_lineno}"
        if frame.f_code.co_name == "_call_impl":
            layer = names.get(id(frame.f_locals.get("self"))) or layer
        trace = trace.tb_next
    shown = f"{line} ({layer})" if line and layer else line or (f"layer {layer}" if layer else "")
    return f" at {shown}" if shown else ""


class _Recorder(TorchDispatchMode):
    def __init__(self, runner: Runner, images: Tensor, keep: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._keep = keep
        self._numbers = itertools.count()
        self._seen: dict[int, Tensor] = {}  # keeps every tensor, so that no id and no storage is used twice
        self._ids: dict[int, int] = {}
        self._shared: dict[int, list[Tensor]] = defaultdict(list)  # by storage
        self._writes: dict[int, list[tuple[int, Tensor]]] = defaultdict(list)  # not yet seen by another view
        self._own = {id(tensor) for tensor in runner.state.values()}
        self.names = module_names(runner.model)
        self._counts: dict[str, int] = defaultdict(int)
        self.paused = False
        self.failed = ""
        self.recording = Recording(len(images), -1, state=runner.state)
        self._remember(images)
        self.recording.image = self._number(images)

    # -- running ---------------------------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        if composite(func):  # it arrives whole in inference mode
            with self:
                return func.decompose(*args, **kwargs)
        tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
        name = func._schema.name.partition("::")[2]
        written = written_by(func, args, kwargs)
        random = torch.Tag.nondeterministic_seeded in func.tags
        if not random and not any(self._tracked(each) for each in tensors):
            result = func(*args, **kwargs)
            self._remember(result)
            return result
        place = self._place()
        if any(self._tracked(each) for each in tensors) and reads_values(func, args, self._tracked):
            told = _READERS.get(name, f"{spoken(name)}, which follows from values")
            self.refuse(place.named(name), told, _PLAIN_NUMBERS)
        arguments = bound(func, args, kwargs, self._argument)
        before = {} if not written else self._before(written, place)
        memory = positions(args[0]) if name in _STRIDED else None
        self.failed = place.named(name)
        result = func(*args, **kwargs)
        self.failed = ""
        self._remember(result)
        if memory is not None:
            arguments = {"self": arguments["self"], "places": places_in(result, memory)}
            func, name, written = taken, TAKEN, []
        step = Step(name if name.startswith("__") else name.rstrip("_"), func, arguments, [], place, random)
        self.recording.steps.append(step)
        targets = list(tree_flatten(result)[0])
        targets += [each for each in written if not any(each is target for target in targets)]
        step.results = [self._number(each) if isinstance(each, Tensor) else None for each in targets]
        for tensor in written:
            self._wrote(tensor, before)
        return result

    def own_operator(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Run one of our operators and record it as one."""
        if self.paused:
            return function(*args, **kwargs)
        place, names = self._place(), function.__wrapped__.__code__.co_varnames
        given = dict(zip(names, args, strict=False)) | kwargs
        arguments = tree_map(self._argument, given)
        with self.pause():
            result = function(*args, **kwargs)
        self._remember(result)
        if any(isinstance(each, Ref) for each in tree_flatten(arguments)[0]):
            self.recording.steps.append(Step(OWN[function], function, arguments, [self._number(result)], place))
        return result

    @contextmanager
    def pause(self) -> Any:
        """Inside, operators run and are not recorded."""
        self.paused, before = True, self.paused
        try:
            yield
        finally:
            self.paused = before

    def refuse(self, where: str, operation: str, hint: str) -> None:
        self.recording.obstacles.append(Obstacle(where, operation, hint))

    def finish(self, returned: Any) -> Recording:
        """The recording, once the network returned."""
        self.recording.output = results_of(returned, self._argument)
        return self.recording

    # -- tensors ---------------------------------------------------------------------------------------------------

    def _tracked(self, tensor: Tensor) -> bool:
        return id(tensor) in self._ids

    def _remember(self, result: Any) -> None:
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, Tensor) and id(tensor) not in self._seen:
                self._seen[id(tensor)] = tensor
                self._shared[storage(tensor)].append(tensor)

    def _number(self, tensor: Tensor) -> int:
        """A new number for what ``tensor`` holds now."""
        number = next(self._numbers)
        self._ids[id(tensor)] = number
        self._writes.pop(id(tensor), None)
        self.recording.shapes[number] = tuple(tensor.shape)
        self.recording.dtypes[number] = tensor.dtype
        if self._keep:
            with self.pause():
                self.recording.values[number] = tensor.detach().clone()
        return number

    def _argument(self, value: Any) -> Any:
        """How an argument stands in the recording."""
        if not isinstance(value, Tensor):
            return value
        if self._tracked(value):
            self._catch_up(value)
            return Ref(self._ids[id(value)])
        with self.pause():
            return value.detach() if id(value) in self._own else value.detach().clone()

    # -- writing in place ------------------------------------------------------------------------------------------

    def _before(self, written: list[Tensor], place: Place) -> dict[int, Tensor]:
        """Values of constants that share memory with what is about to be written, by id of the tensor."""
        found = {}
        for tensor in written:
            if any(storage(tensor) == storage(own) for own in self.recording.state.values()):
                self.refuse(
                    place.named("in-place"), "writing into a parameter or buffer of the network",
                    "compute a new tensor instead; a converted network keeps no state between images",
                )  # fmt: skip
            self._remember(tensor)
            with self.pause():
                for other in self._shared[storage(tensor)]:
                    if not self._tracked(other):
                        found[id(other)] = other.detach().clone()
        return found

    def _wrote(self, tensor: Tensor, before: dict[int, Tensor]) -> None:
        """Every other view of the memory sees what was written: the next time it is read."""
        number = self._ids[id(tensor)]
        for other in self._shared[storage(tensor)]:
            if other is tensor:
                continue
            if id(other) not in self._ids:
                held = self.recording
                held.steps.append(Step(CONSTANT, _held, {"value": before[id(other)]}, [], Place("", "", None, False)))
                held.steps[-1].results = [self._number(other)]
            self._writes[id(other)].append((number, tensor))

    def _catch_up(self, tensor: Tensor) -> None:
        for number, source in self._writes.pop(id(tensor), []):
            if geometry(source) == geometry(tensor):
                self._ids[id(tensor)] = number
                continue
            with self.pause():
                at, of = shared_with(tensor, source)
            if not len(at):
                continue
            arguments = {"self": Ref(self._ids[id(tensor)]), "source": Ref(number), "at": at, "of": of}
            step = Step(REWRITTEN, rewritten, arguments, [], self._place())
            self.recording.steps.append(step)
            step.results = [self._number_of_view(tensor)]

    def _number_of_view(self, tensor: Tensor) -> int:
        number = next(self._numbers)
        self._ids[id(tensor)] = number
        self.recording.shapes[number], self.recording.dtypes[number] = tuple(tensor.shape), tensor.dtype
        return number

    # -- places ----------------------------------------------------------------------------------------------------

    def _place(self) -> Place:
        """Walks the Python stack: the user's innermost line, and the innermost module that runs."""
        frame: FrameType | None = sys._getframe(2)
        line, module = users_line(frame), None
        while frame is not None and module is None and frame.f_code is not Runner.__call__.__code__:
            if frame.f_code.co_name in ("_call_impl", "forward", "__call__"):
                owner = frame.f_locals.get("self")
                module = owner if isinstance(owner, nn.Module) else None
            frame = frame.f_back
        if module is None:
            return Place(line, "", None, False)
        kind = type(module)
        own = kind.__module__.startswith("torch.nn") and not isinstance(module, _CONTAINERS)
        leaf = own or next(module.children(), None) is None
        name = self.names.get(id(module))
        if name is None:
            number = self._counts[kind.__name__]
            self._counts[kind.__name__] += 1
            name = self.names[id(module)] = f"{kind.__name__.lower()}_{number}"
        return Place(line, name, kind, leaf)


def _held(value: Tensor) -> Tensor:
    return value


_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.DataParallel)


class _Calls(TorchFunctionMode):
    """Sees our own operators, and what hands the numbers of a tensor to code that is not PyTorch's."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        recorder = self._recorder
        if func in OWN:
            return recorder.own_operator(func, args, kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _LEAVING and not recorder.paused and args and recorder._tracked(args[0]):
            operation = f"the numbers of a tensor outside PyTorch ({name})"
            recorder.refuse(recorder._place().named(name), operation, _PLAIN_NUMBERS)
        return func(*args, **(kwargs or {}))
