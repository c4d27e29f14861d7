"""Base classes of operations, the nodes of the integer graph between neurons."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import nir
import numpy as np
import numpy.typing as npt

from spikec.errors import MissingImplementation, RangeError
from spikec.ir.integers import VALUE_MAX, magnitude
from spikec.ir.metadata import metadata_of, text_of
from spikec.ir.operations.boxes import Box
from spikec.ir.operations.exact import exact_floats
from spikec.ir.operations.fields import span
from spikec.ir.operations.linear_interval import Passed, Whole, linear_interval
from spikec.ir.operations.products import weights_as
from spikec.ir.operations.repeats import Repeats
from spikec.ir.operations.weights import KeptNarrow, Narrow
from spikec.ir.types import Int64, Shape

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Operation:
    """Base of all operations. One maps the sum of its ``sources``, [*input_shape], to [*output_shape].

    A subclass states as class attributes:

    - ``nir_node``: the NIR node that holds it; ``hashed``: fields of that node which the content hash covers;
      ``exact``: those that hold whole numbers as floats; ``variant``: where another operation has the same NIR node,
      the text in the metadata field ``op`` that tells them apart; ``keys``: what else its metadata may hold;
    - ``word`` for it in reports;
    - ``adds``: whether its outputs are sums, which need an accumulator;
    - ``rearranges``: whether each output is one input, in another order or shape.

    A subclass has to write every method below that only raises. A method that is missing raises where it is needed; the
    rule of another operation never stands in for it.
    """

    name: str
    sources: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape

    nir_node: ClassVar[type]
    variant: ClassVar[str] = ""
    keys: ClassVar[tuple[str, ...]] = ()
    hashed: ClassVar[tuple[str, ...]]
    exact: ClassVar[tuple[str, ...]]
    word: ClassVar[str]
    adds: ClassVar[bool]
    rearranges: ClassVar[bool]

    def apply(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """The operation without its bias on ``x`` [N, *input_shape]; [N, *output_shape] in the dtype of ``x``.

        ``weight`` stands in for the weights of a synapse: the same in the dtype of ``x`` (converted once by the
        caller), or a part of them, as range analysis needs. Exact in float32 / float64 as long as every partial sum
        stays below 2**24 / 2**53 in magnitude, and in int64 below 2**63.
        """
        raise self._lacks("application")

    def apply_to_steps(self, x: Tensor, weight: Tensor | None, radix: int) -> Tensor:
        """The operation, as in :meth:`apply`, on what its sources send in each step: [S, N, *input_shape] to
        [S, N, *output_shape]. ``radix``: how much more an emission is worth than one of the next step."""
        raise self._lacks("application to steps")

    def interval(self, low: Int64, high: Int64) -> tuple[Int64, Int64, int]:
        """Lowest and highest output without bias over all inputs from ``low`` to ``high``, int64 of the shapes, and a
        bound on the magnitude of any partial sum. Inputs are within 62 bits; raises ``RangeError`` for outputs that
        are not."""
        raise self._lacks("interval")

    def interval_once(self, low: Int64, high: Int64, repeats: Repeats) -> tuple[Int64, Int64, int, Repeats]:
        """:meth:`interval` of maps that repeat: ``low`` and ``high`` hold each different place once, and so do the
        results, which repeat as the last value says."""
        lowest, highest, partial = self.interval(repeats.spread(low), repeats.spread(high))
        found = Repeats.of(lowest, highest)
        return found.once(lowest), found.once(highest), partial, found

    def pull_back(self, after: Int64, mask: Mask | None = None) -> Int64:
        """Carry a map over the outputs to the inputs: each input gets the sum over its connections. ``mask``, like the
        weights of a synapse, says which of them exist."""
        raise self._lacks("pull-back")

    def delivered(self, events: Tensor, mask: Tensor | None = None) -> Tensor:
        """How many events reach each output [N, *output_shape], from those that each input sends [N, *input_shape]: the
        sum over its connections. The other direction of :meth:`pull_back`."""
        raise self._lacks("delivery")

    def field(self, box: Box) -> Box:
        """The box of inputs that feed the outputs in ``box``; with strides or dilation it may hold others too."""
        raise self._lacks("field")

    @property
    def window(self) -> int:
        """How many inputs one output of an operation without weights adds up: the divisor of the average pool in the
        float network. 1 for an operation that only passes values on."""
        raise self._lacks("window")

    def to_nir(self) -> nir.NIRNode:
        """The node of a deployment file."""
        raise self._lacks("NIR form")

    @classmethod
    def from_nir(cls, name: str, node: Any, sources: tuple[str, ...], shape: Shape) -> Operation:
        """Read the operation from the node of a file that breaks no rule. ``shape``: that of its sources. Raises
        ``GraphError`` where node and shape do not fit."""
        raise MissingImplementation(f"operation {cls.__name__} cannot be read from NIR: write it in its own file")

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        """Rules of the profile that a node breaks, one sentence each. ``typed``: NIR's type check reads the file."""
        raise MissingImplementation(f"operation {cls.__name__} has no rules: write them in its own file")

    def bare(self) -> Operation:
        """The same operation without what only a file needs: what the identity of a deployment goes by."""
        return self

    @property
    def passes_type_check(self) -> bool:
        """Whether NIR's own type check accepts the node. If this is wrongly True, no file can be written."""
        return True

    @property
    def title(self) -> str:
        """``conv 3x3``, for a listing."""
        raise self._lacks("title")

    @property
    def numbers(self) -> str:
        """Geometry and weights, for a listing; empty where there is nothing to say."""
        raise self._lacks("numbers")

    def _lacks(self, what: str) -> MissingImplementation:
        return MissingImplementation(f"operation {type(self).__name__} has no {what}: write it in its own file")


@dataclass(frozen=True)
class Linear(Operation):
    """An operation that is linear in its input, apart from a bias. Its ranges and steps follow from ``apply``."""

    def apply_to_steps(self, x: Tensor, weight: Tensor | None, radix: int) -> Tensor:
        return self.apply(x.flatten(0, 1), weight).view(*x.shape[:2], *self.output_shape)

    def delivered(self, events: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.apply(events, mask)

    def passed(self, x: Whole, magnitudes: bool = False) -> Whole:
        """The operation without its bias on one map [*input_shape] in NumPy; [*output_shape] in the dtype of ``x``,
        exact as :meth:`apply` is. ``magnitudes``: with those of the weights.

        An operation that only has ``apply`` is passed through torch, which has to be loaded for it.
        """
        import torch

        weight = None
        if isinstance(self, Synapse):
            weight = torch.from_numpy(weights_as(self.narrow_weight, x.dtype, magnitudes))
        with exact_floats():
            found: Whole = self.apply(torch.from_numpy(x)[None], weight)[0].numpy()
        return found

    def interval(self, low: Int64, high: Int64) -> tuple[Int64, Int64, int]:
        return self._interval(self.passed, self.output_shape, low, high)

    def _interval(self, passed: Passed, shape: Shape, low: Int64, high: Int64) -> tuple[Int64, Int64, int]:
        if isinstance(self, Synapse) and magnitude(self.narrow_weight) > VALUE_MAX:
            raise RangeError(f"{self.name}: a weight reaches {magnitude(self.narrow_weight)}, beyond 62 bits")
        return linear_interval(self.name, math.prod(self.input_shape), passed, shape, low, high)


@dataclass(frozen=True)
class Synapse(Linear):
    """A linear operation with weights, with the output channel first, already multiplied by ``2**weight_exp``, and one
    bias per output channel.

    ``weight`` is a new int64 array at every access; ``narrow_weight`` is what is kept of it
    (:mod:`spikec.ir.operations.weights`): numbers of 8 bits that wrap in arithmetic of their own type.

    ``op``: its name in the metadata of files. ``shares_weights``: one stored weight serves many connections.
    """

    weight: Int64
    bias: Int64

    op: ClassVar[str]
    keys: ClassVar[tuple[str, ...]] = ("weight_int", "bias_int", "weight_exp")
    shares_weights: ClassVar[bool]
    adds: ClassVar[bool] = True
    rearranges: ClassVar[bool] = False

    @property
    def weight_exp(self) -> int:
        raise self._lacks("weight_exp")

    @property
    def groups(self) -> int:
        """Groups of output channels that read inputs of their own."""
        raise self._lacks("groups")

    @property
    def narrow_weight(self) -> Narrow:
        """The weights as they are kept, in the narrowest integers that hold them. To be converted, not added up."""
        kept: Narrow = vars(self)["narrow_weight"]
        return kept

    @property
    def narrow_mantissas(self) -> Narrow:
        """The same without their exponent."""
        mantissas: Narrow = self.narrow_weight >> self.weight_exp
        return mantissas

    @property
    def weight_shape(self) -> Shape:
        return tuple(self.narrow_weight.shape)

    @property
    def weight_count(self) -> int:
        return int(self.narrow_weight.size)

    def widened(self, dtype: torch.dtype) -> Tensor:
        """A new tensor of the weights in ``dtype``, without a wider one in between."""
        import torch

        return torch.from_numpy(self.narrow_weight).to(dtype, copy=True)

    def structure(self) -> Mask:
        """True where a synapse is stored, False where a weight is zero by construction; shape of ``weight``."""
        raise self._lacks("structure")

    def nonzero(self) -> Mask:
        """True where the quantised weight is not zero."""
        mask: Mask = (self.narrow_weight != 0) & self.structure()
        return mask

    def fan_out(self, mask: Mask) -> Int64:
        """Connections that leave each input, int64 of the input shape; ``mask`` like the weights selects them."""
        raise self._lacks("fan-out")

    def entered(self) -> Int64:
        """1 for every input that some connection leaves, int64 of the input shape."""
        return (self.fan_out(self.structure()) > 0).astype(np.int64)

    def cells(self, box: Box) -> tuple[int, Box]:
        """Inputs that the outputs in ``box`` listen to: how many, and the box around them."""
        raise self._lacks("cells")

    def connections(self, box: Box) -> int:
        """Existing connections into a box of outputs."""
        raise self._lacks("connections")

    @property
    def weights_met(self) -> int:
        """Weights of one output channel that some connection uses; of the channel with the most."""
        raise self._lacks("weights_met")

    @property
    def padded_macs(self) -> int:
        """Multiply-accumulates of one pass, those on the padding included: the usual profiler's number."""
        raise self._lacks("padded_macs")

    def described(self, times: str = "x") -> str:
        """``conv 3x3, stride 2``: what differs from the plain case is named."""
        raise self._lacks("described")

    @property
    def mantissas(self) -> Int64:
        """Weights without their exponent."""
        mantissas: Int64 = self.weight >> self.weight_exp
        return mantissas

    def spread_bias(self) -> Int64:
        """The bias of every output, int64 [*output_shape]."""
        column = self.bias.reshape(-1, *[1] * (len(self.output_shape) - 1))
        return np.broadcast_to(column, self.output_shape).astype(np.int64)

    def nir_metadata(self, weight: Narrow) -> dict[str, Any]:
        """The integers of the profile for a node that holds ``weight``."""
        return {
            "op": self.op,
            "weight_int": (weight >> self.weight_exp).astype(np.int8),
            "bias_int": np.atleast_1d(self.bias).astype(np.int32),
            "weight_exp": self.weight_exp,
        }

    @property
    def _weights_shown(self) -> str:
        exponent = f" * 2^{self.weight_exp}" if self.weight_exp else ""
        return f"w {span(self.narrow_mantissas)}{exponent}, bias {span(self.bias)}"


# Behind the class, whose field has no default.
Synapse.weight = KeptNarrow()  # type: ignore[assignment]

#: Operations by the NIR node that holds them and their variant, filled by :func:`register`.
OPERATIONS: dict[tuple[type, str], type[Operation]] = {}
Made = TypeVar("Made", bound="type[Operation]")


def register(cls: Made) -> Made:
    """Class decorator: deployment files may hold this operation.

    Raises ``TypeError`` for a class that does not state all facts, or takes the NIR node of another one.
    """
    for fact in ("nir_node", "hashed", "exact", "word", "adds", "rearranges"):
        if not hasattr(cls, fact):
            raise TypeError(f"the operation {cls.__name__} does not state {fact}")
    key = cls.nir_node, cls.variant
    held = OPERATIONS.get(key, cls)
    if (held.__module__, held.__qualname__) != (cls.__module__, cls.__qualname__):
        raise TypeError(f"the operation {cls.__name__} takes the NIR node of {held.__module__}.{held.__qualname__}")
    OPERATIONS[key] = cls
    return cls


def forget(cls: type[Operation]) -> None:
    """Undo :func:`register`."""
    OPERATIONS.pop((cls.nir_node, cls.variant), None)


def operation_of(node: Any) -> type[Operation] | None:
    """The operation that a NIR node holds, None for other nodes."""
    found = {variant: cls for (held, variant), cls in OPERATIONS.items() if held is type(node)}
    if not any(found):
        return found.get("")
    return found.get(text_of(metadata_of(node), "op"), found.get(""))
