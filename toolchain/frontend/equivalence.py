"""The last check of the front end: the canonical graph computes what the user's module computes."""

from __future__ import annotations

import copy
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from spikec.errors import ConversionError
from spikec.frontend.builder import RECORDED
from spikec.frontend.final import Dropped
from spikec.frontend.max_places import measure_lifts
from spikec.frontend.modules import Staircase
from spikec.frontend.operators.stairs import RECOGNISED, Floors
from spikec.frontend.outputs import named_outputs
from spikec.frontend.own_operators import is_own_operator
from spikec.frontend.recorder import record, users_line
from spikec.frontend.recording import Recording
from spikec.frontend.running import Runner
from spikec.frontend.same import TOLERANCE, draws
from spikec.frontend.schemas import results_of

_FINE = 2**20


def require_equal(
    model: nn.Module,
    graph: fx.GraphModule,
    example: Tensor,
    recording: Recording,
    left_out: Sequence[Dropped] = (),
) -> None:
    """Raise :class:`ConversionError` where ``graph`` and ``model`` differ on ``example`` or on random images like it.

    Both run on all images and on the first alone, since a network may compute with the batch size. Meanwhile quantised
    activations get 2**20 levels: rounding in folded weights may move a value across a step, and that is no
    difference. ``recording``: what the graph was made of. ``left_out``: what the graph lacks at its end. The error
    names the first layer that differs.
    """
    check = _Check(model, graph, recording, left_out)
    others = [*draws(example)[1:], _wide(example)]
    with _refined(graph):
        check(example, "the example images")
        check(example[:1], "the first example image alone", may_fail=True)
        for each in others:
            check(each, "random images like the example", may_fail=True)
        check(torch.cat([example, *others]), "a batch of another size", may_fail=True)
    measure_lifts(graph, example)


def _wide(example: Tensor) -> Tensor:
    """Images of three times the spread of the example: more of a network fires on them."""
    generator = torch.Generator().manual_seed(1)
    spread = 3 * float(example.std(correction=0)) or 1.0
    return torch.randn(example.shape, generator=generator).to(example) * spread + example.mean()


class _Check:
    def __init__(
        self, model: nn.Module, graph: fx.GraphModule, recording: Recording, left_out: Sequence[Dropped]
    ) -> None:
        self._model, self._graph, self._recording, self._left_out = model, graph, recording, left_out
        self._floors: Floors = graph.meta.get(RECOGNISED, {})
        self._runners: dict[torch.dtype, Runner] = {}

    def __call__(self, images: Tensor, what: str, *, may_fail: bool = False) -> None:
        measure_lifts(self._graph, images)  # what is measured differs between images, and that is no difference
        error = self._error(images, torch.float32, what, may_fail)
        # Folding in float32 costs some 1e-6 on common networks; where it costs more, float64 decides.
        if TOLERANCE < error < math.inf and self._repeats(images):
            error = self._error(images, torch.float64, what, may_fail)
        if error > TOLERANCE:
            raise ConversionError(
                f"what was recorded differs from the network on {what} (relative error {error:.2g})"
                f"{self._where(images)}: something there depends on values, on chance or on the size of the "
                "batch outside of PyTorch's operators; remove it"
            )

    def _repeats(self, images: Tensor) -> bool:
        """Whether the network gives the same twice: else chance decides, and precision explains nothing."""
        runner = self._runners[torch.float32]
        first, second = (_by_name(runner(runner.given(images), (_Fine(self._floors),))) for _ in range(2))
        return all(_gap(first[name], second[name]) <= TOLERANCE for name in first)

    def _where(self, images: Tensor) -> str:
        """Where the network first differs from what was recorded, as far as it can be found out."""
        with _Fine(self._floors):
            again = record(self._model, images, keep=True)
        for before, now in zip(self._recording.steps, again.steps, strict=False):
            if before.name != now.name or before.results != now.results:
                return f", from {now.place.named(now.name)} on, where it runs other operators"
        found = _Values(self._graph)
        with torch.no_grad():
            found.run(images.float())
        for node, value in found.values.items():
            number = node.meta.get(RECORDED)
            expected = None if number is None else again.values.get(number)
            if expected is None or expected.numel() != value.numel():
                continue
            error = (value.reshape(expected.shape) - expected).abs().max() / expected.abs().max().clamp(min=1e-30)
            if float(error) > TOLERANCE:
                return f", first at {node.meta['where']}"
        return ""

    def _error(self, images: Tensor, dtype: torch.dtype, what: str, may_fail: bool) -> float:
        if dtype not in self._runners:
            self._runners[dtype] = Runner(self._model, dtype)
        runner = self._runners[dtype]
        try:
            returned = runner(runner.given(images), (_Fine(self._floors),))
        except Exception:  # the user's code may raise anything, for instance on a batch of another size
            if may_fail or dtype == torch.float64:
                return 0.0 if may_fail else float("inf")
            raise
        expected = _by_name(returned)
        if not all(bool(torch.isfinite(each).all()) for each in expected.values()):
            if may_fail:
                return 0.0
            raise ConversionError("the network returns values that are not finite on the example images")
        with torch.no_grad():
            own = self._graph if dtype == torch.float32 else copy.deepcopy(self._graph).to(dtype)
            found = _by_name(own(images.to(dtype)))
            for each in reversed(self._left_out):
                name = next(iter(found)) if each.output is None else each.output
                found[name] = each.apply(found[name])
        return max(_gap(expected[name], found[name]) for name in expected)


def _by_name(returned: Any) -> dict[str, Tensor]:
    """The tensors that a network returns, by the name of the output."""
    plain = results_of(returned, lambda each: each)
    named = named_outputs(plain)
    return {"": plain} if named is None else named


def _gap(expected: Tensor, found: Tensor) -> float:
    """The largest difference, relative to the largest value expected; infinite for other shapes."""
    if found.numel() != expected.numel():
        return float("inf")
    if not bool(torch.isfinite(found).all()):
        return float("inf")
    difference = (found.reshape(expected.shape) - expected).abs().max()
    return float(difference / expected.abs().max().clamp(min=1e-30))


class _Values(fx.Interpreter):
    """Keeps the tensor of every node."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.values: dict[fx.Node, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor) and n.op != "output":
            self.values[n] = result
        return result


class _Fine(TorchFunctionMode):
    """Inside, staircases of the user's network have very fine steps; ``floors``: also those written with ``floor``."""

    def __init__(self, floors: Floors) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._floors = {line: iter(itertools.cycle(limits)) for line, limits in floors.items()}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if is_own_operator(func):
            names = func.__wrapped__.__code__.co_varnames
            given = dict(zip(names, args, strict=False)) | kwargs
            if given.get("levels") is not None:
                given["levels"] = _FINE
            return func(**given)
        if self._floors and getattr(func, "__name__", "") in ("floor", "floor_"):
            limits = self._floors.get(users_line(sys._getframe(1)))
            if limits is not None:
                return (args[0] - 0.5).clamp(*next(limits))
        return func(*args, **kwargs)


@contextmanager
def _refined(graph: fx.GraphModule) -> Iterator[None]:
    stairs = [module for module in graph.modules() if isinstance(module, Staircase) and module.levels is not None]
    levels = [module.levels for module in stairs]
    for module in stairs:
        module.levels = _FINE
    try:
        yield
    finally:
        for module, count in zip(stairs, levels, strict=True):
            module.levels = count
