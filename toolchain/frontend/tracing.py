"""From a module to a raw ``torch.fx`` graph whose nodes know their source line and their shapes."""

from __future__ import annotations

import copy
import itertools
import keyword
import re
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikec.errors import ConversionError
from spikec.frontend.obstacles import Obstacle, refuse

#: How torch's error message for torch.zeros(x.shape[0], 2, 8, 8) starts, a call which fx cannot record.
_MADE = re.compile(r"(zeros|ones|empty|full|rand|randn)\(\)")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_TORCH = str(Path(torch.__file__).parent / "_")[:-1]  # with the separator, so that torchvision does not match
_HERE = str(Path(__file__).parent)


class _Tracer(fx.Tracer):
    """Treats torch's own layers and activations with a ``threshold`` as leaves, everything else as user code."""

    record_stack_traces = True

    def path_of_module(self, mod: nn.Module) -> str:
        """The name of a layer; one without weights that is made inside ``forward`` gets a name of its own."""
        try:
            path: str = super().path_of_module(mod)
            return path
        except NameError:
            kind = type(mod).__name__
            if next(mod.parameters(), None) is not None:
                raise ConversionError(
                    f"a {kind} in the forward pass is no submodule of the network (made there, or kept in a plain "
                    "list): assign it in __init__, lists as nn.ModuleList"
                ) from None
            names = (f"{kind.lower()}_{i}" for i in itertools.count())
            name = next(n for n in names if not hasattr(self.root, n))
            self.root.add_module(name, mod)
            self.submodule_paths = {**(self.submodule_paths or {}), mod: name}
            return name

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if is_trained_activation(m):
            return True
        own = m.__module__.startswith("torch.nn")
        return own and not isinstance(m, nn.Sequential | nn.ModuleList | nn.ModuleDict)


def is_trained_activation(module: nn.Module) -> bool:
    """Whether a module is a clip-floor-shift activation: it carries ``levels`` (maybe None) and a ``threshold``."""
    # While tracing, getattr on a parameter gives a proxy: look it up where it is stored.
    stored = module._parameters.get("threshold", module._buffers.get("threshold"))
    return isinstance(module.__dict__.get("levels", ""), int | None) and isinstance(stored, Tensor)


class _Recorder(fx.Interpreter):
    """Runs the graph once and keeps what each node gives: shape and dtype of tensors, the value of anything else.

    ``meta["shape"]`` is without the batch axis, ``meta["full_shape"]`` with it. If an operation changes a tensor in
    place, ``meta["overwrites"]`` lists the earlier nodes that hold this tensor and ``meta["overlaps"]`` those that
    hold another view of its memory.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self._seen: list[tuple[fx.Node, Tensor]] = []  # keeps every tensor, so that no address is used twice
        self.current: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        self.current = n
        before = {source: self.env[source]._version for source in n.all_input_nodes if self._is_tensor(source)}
        result = super().run_node(n)
        for source, version in before.items():
            changed = self.env.get(source)
            if changed is not None and changed._version != version:
                self._note(n, changed)
        if isinstance(result, Tensor):
            n.meta["shape"] = tuple(result.shape[1:])
            n.meta["full_shape"] = tuple(result.shape)
            n.meta["dtype"] = result.dtype
            self._seen.append((n, result))
        else:
            n.meta["value"] = result
        return result

    def _is_tensor(self, node: fx.Node) -> bool:
        return isinstance(self.env.get(node), Tensor)

    def _note(self, node: fx.Node, changed: Tensor) -> None:
        overwrites: list[fx.Node] = []
        overlaps: list[fx.Node] = []
        for other, tensor in self._seen:
            if tensor.untyped_storage().data_ptr() == changed.untyped_storage().data_ptr():
                same = (tensor.data_ptr(), tensor.shape) == (changed.data_ptr(), changed.shape)
                (overwrites if same else overlaps).append(other)
        node.meta["overwrites"], node.meta["overlaps"] = overwrites, overlaps


def where(node: fx.Node) -> str:
    """'file.py:12 (layer1.conv)': the user's line that called an operation, as far as it is known."""
    name = str(node.target) if node.op in ("call_module", "get_attr") else node.name
    location = _location(node.stack_trace or "")
    return f"{location} ({name})" if location else f"layer {name}"


def _location(text: str) -> str:
    frames = _FRAME.findall(text)
    entered = max((i for i, (path, _) in enumerate(frames) if path.startswith(_HERE)), default=-1)
    own = [f"{path}:{line}" for path, line in frames[entered + 1 :] if not path.startswith((_TORCH, "<"))]
    return own[-1] if own else ""


def trace(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """A traced copy of ``model`` in evaluation mode; ``example`` is float [N, C, H, W], N >= 1.

    ``model`` is left as it is. Raises ``UnsupportedOperation`` for control flow that depends on data and
    ``ConversionError`` when the model cannot run the example.
    """
    traced = symbolic(own_copy(model).eval().float())
    inputs = [node for node in traced.graph.nodes if node.op == "placeholder"]
    required = [node for node in inputs if not node.args]
    if len(required) != 1:
        raise ConversionError(f"the network takes {len(required)} inputs; exactly one image tensor is supported")
    recorder = _Recorder(traced)
    try:
        with torch.no_grad():
            recorder.run(example.clone())  # the network may write into it
    except Exception as error:
        shape = tuple(example.shape)
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        place = "" if recorder.current is None else f" at {where(recorder.current)}"
        raise ConversionError(f"the network fails on example images of shape {shape}{place}: {first}") from error
    return traced


def own_copy(model: nn.Module) -> nn.Module:
    """A copy of ``model`` without the wrappers that only distribute or compile it.

    Raises ``ConversionError`` if it is not a network, has no weights yet, or has no Python code to trace.
    """
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    model = getattr(model, "_orig_mod", model)  # torch.compile
    if not isinstance(model, nn.Module):
        raise ConversionError(f"expected a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise ConversionError("a scripted module has no Python code to trace; pass the network it was made from")
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in model.parameters()):
        raise ConversionError("the network has lazy layers without weights; run it on an image once")
    # Weight normalisation keeps a computed weight beside its parameters, which deepcopy refuses.
    computed = [t for m in model.modules() for t in vars(m).values() if isinstance(t, Tensor) and not t.is_leaf]
    return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in computed})


def symbolic(model: nn.Module) -> fx.GraphModule:
    """The raw traced graph of ``model`` in its present mode, on the layers of ``model`` itself.

    Raises ``UnsupportedOperation`` naming the line that cannot be traced.
    """
    try:
        graph = _Tracer().trace(model)
    except ConversionError:
        raise
    except Exception as error:
        refuse([_tracing_obstacle(error)])
        raise
    traced: fx.GraphModule = fx.GraphModule(_without_keywords(model, graph), graph)
    traced.training = model.training
    return traced


def _without_keywords(model: nn.Module, graph: fx.Graph) -> nn.Module | dict[str, Any]:
    """What a traced graph reads from: ``model``, or its layers under new names if a name holds a Python keyword.

    A layer may be called ``in`` (``add_module``, ``nn.ModuleDict``), but fx writes ``self.in(x)``, which is no Python.
    """
    readers = [node for node in graph.nodes if node.op in ("call_module", "get_attr")]
    if not any(keyword.iskeyword(part) for node in readers for part in node.target.split(".")):
        return model
    renamed: dict[str, str] = {}
    taken = {node.target for node in readers}
    for target in sorted(taken):
        legal = ".".join(f"{part}_" if keyword.iskeyword(part) else part for part in target.split("."))
        while legal != target and legal in taken:
            legal += "_"
        renamed[target] = legal
        taken.add(legal)
    found = {legal: reduce(getattr, target.split("."), model) for target, legal in renamed.items()}
    for node in readers:
        node.target = renamed[node.target]
    return found


def _tracing_obstacle(error: Exception) -> Obstacle:
    frame, location = error.__traceback__, ""
    while frame is not None:
        path = frame.tb_frame.f_code.co_filename
        if not path.startswith((_TORCH, _HERE)) and Path(path).exists():
            location = f"{path}:{frame.tb_lineno}"
        frame = frame.tb_next
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if made := _MADE.match(text):
        operation = f"torch.{made[1]} with the shape of another tensor"
        return Obstacle(location, operation, "use F.pad for zeros and plain numbers for constants")
    flow = isinstance(error, fx.proxy.TraceError) or "control flow" in text or "Proxy" in text
    operation = "control flow or a Python function that depends on data" if flow else f"tracing failed ({text})"
    hint = "write the forward pass without if, while, len, int or range on tensors" if flow else "simplify this line"
    return Obstacle(location or "the forward pass", operation, hint)
