"""A network whose activations are layers, each used once, so that training can put others in their place."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikec.calls import outside
from spikec.errors import ConversionError
from spikec.frontend.calls import Called, calls_of, constants, is_layer, tensors_in, unused
from spikec.frontend.copying import Copied, copied, require_network
from spikec.frontend.ending import ending
from spikec.frontend.modes import evaluating
from spikec.frontend.rectifiers import in_place, layer_of, rectifier_of_function, rectifier_of_layer
from spikec.frontend.same import difference, draws, outputs, require_same
from spikec.frontend.twin import Plan, Twin, started


def with_layers(model: nn.Module, example: Tensor) -> nn.Module:
    """``model`` itself where each of its activations is a layer used once; else a twin of it, in which that is so, and
    which ends in logits.

    The twin (:class:`spikec.frontend.twin.Twin`) runs the code of a copy of ``model``, hooks and wrappers included, or
    of ``model`` itself where a copy cannot stand for it. Functional activations become its layers ``relu_1``,
    ``relu_2``, ... in the order of the network; the second use of a layer ``relu`` becomes ``relu_2``, the third
    ``relu_3``. A softmax or sigmoid at the very end is left out, with a warning: losses take logits. Parameters keep
    their names; those that no result depends on are not in the state. Where the network calls other activations in
    training, or has another output there, a warning says so: its own code is then trained in its evaluation form.

    ``example``: float [N, C, H, W]. Raises :class:`ConversionError` where the network fails on it, and where the twin
    computes something else on it or on other values.
    """
    require_network(model)
    if is_layer(model):
        return model
    copy = copied(model, example)
    if not copy.shared:
        copy.runs.float()
    with evaluating(copy.runs):
        calls, result = calls_of(copy.runs, example)
        left_out, dropped = ending(calls, result)
        twin = _twin(copy, Plan(dropped=dropped), calls)
        plan = twin.plan
        needed = bool(left_out) or any(len(uses) > 1 for uses in plan.layers.values())
        needed = needed or any(name is not None for uses in plan.functions.values() for name in uses)
        writes = any(_writes(call) for call in calls)
        if not needed and not writes:
            return model
        images, whole = draws(example), _shortened(twin) if left_out or not _comparable(copy) else copy.source
        with evaluating(copy.source):
            wanted = outputs(whole, images)
            if left_out and _comparable(copy):
                require_same(copy.source, copy.runs, images[:1], "a copy of the network", (copy.source, copy.runs))
        plan.in_place = writes and difference(wanted, twin, images) is not None
        if not needed and not plan.in_place:
            return model
        watched = (copy.source if whole is copy.source else copy.runs, copy.runs)
        with evaluating(copy.source):
            require_same(whole, twin, images, "the network with each activation as a layer", watched, wanted)
    if left_out:
        warnings.warn(
            f"left out at the end of the network: {', '.join(left_out)}; training and spikes take logits",
            stacklevel=outside(),
        )
    if _trains(twin, example):
        twin.own_layers(model.training)
    else:
        warnings.warn(
            "the network computes something else in training: its evaluation form is trained", stacklevel=outside()
        )
        twin.evaluation = True
        twin.train(model.training)
    return twin


def _twin(copy: Copied, plan: Plan, calls: list[Called]) -> Twin:
    paths = {module: name for name, module in copy.network.named_modules()}
    hidden = {module for module in paths if rectifier_of_layer(module) is not None}
    twin = Twin(copy, plan, hidden, unused(copy.network, calls))
    fixed = constants(copy.runs, calls)
    functional = 0
    for number, call in enumerate(calls):
        if call.module is not None:
            rectifier, path = rectifier_of_layer(call.module), paths.get(call.module)
        else:
            rectifier, path = rectifier_of_function(call.function, call.args, call.kwargs), None
        if rectifier is None:
            continue
        if call.recomputed:
            raise ConversionError(
                f"{call.where}: activations are recomputed in the backward pass (torch.utils.checkpoint); turn that off"
            )
        if path is not None and call.module is not None:
            uses = plan.layers.setdefault(call.module, [])
            name = f"{path}_{len(uses) + 1}" if uses else path
            uses.append(twin.add_layer(name, layer_of(rectifier), instead=not uses))
        elif number in fixed:
            plan.functions.setdefault(call.site, []).append(None)
        else:
            functional += 1
            name = twin.add_layer(f"relu_{functional}", layer_of(rectifier), instead=False)
            plan.functions.setdefault(call.site, []).append(name)
    return twin


def _writes(call: Called) -> bool:
    """Whether a call is an activation that writes its result into its input."""
    if call.module is not None:
        return rectifier_of_layer(call.module) is not None and bool(getattr(call.module, "inplace", False))
    rectifies = rectifier_of_function(call.function, call.args, call.kwargs) is not None
    return rectifies and in_place(call.function, call.kwargs)


def _shortened(twin: Twin) -> Callable[..., Any]:
    """The network of a twin without what is left out at its end, but with its own activations."""
    return lambda *images: started(twin, Plan(dropped=twin.plan.dropped), images, {})


def _comparable(copy: Copied) -> bool:
    """Whether the network itself can tell what its copy has to compute: a copy is in float32."""
    tensors = (*copy.source.parameters(), *copy.source.buffers())
    return not copy.shared and all(t.dtype == torch.float32 for t in tensors if t.is_floating_point())


def _trains(twin: Twin, example: Tensor) -> bool:
    """Whether the network calls the same activations in training mode and gives an output of the same form."""
    images = example if len(example) > 1 else example.repeat(2, *([1] * (example.ndim - 1)))
    modes = [(module, module.training) for module in twin.runs.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in twin.runs.buffers()]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            expected = twin.eval()(images.clone())
            found = started(twin.train(), twin.plan, (images.clone(),), {}, whole=True)
        except Exception:  # the user's code may raise anything
            return False
        finally:
            for buffer, value in buffers:
                buffer.copy_(value)
            for module, mode in modes:
                module.training = mode
    return type(found) is type(expected) and [t.shape for t in tensors_in(found)] == [
        t.shape for t in tensors_in(expected)
    ]
