"""The activation a spiking layer is trained with: quantise, clip, floor, shift.

Source: Bu et al., "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural
networks", ICLR 2022 (arXiv 2303.04347), and its two published codes, ``putshua/SNN_conversion_QCFS`` and
``putshua/ANN_SNN_QCFS``, which differ in the order of floor and clamp and so in the support of the gradient.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from spikec.calls import named_fields
from spikec.errors import ConversionError
from spikec.frontend.modules import staircase
from spikec.frontend.own_operators import one_operator

Order = Literal["floor_clamp", "clamp_floor"]

#: Smallest threshold :meth:`ClipFloorShift.keep_positive` allows.
SMALLEST_THRESHOLD = 1e-3


class _ClipFloorShiftFunction(torch.autograd.Function):
    """Staircase forward, straight-through backward.

    With u = x / threshold, k = floor(u L + 1/2) and q = clip(k, 0, L) / L, the mask M is 1 where 0 <= k <= L
    (floor_clamp) or 0 <= u <= 1 (clamp_floor). dy/dx = M; dy/dthreshold = q - u where M is 1, else q (which
    is 1 above and 0 below), that is (y - M x) / threshold. One function, because autograd through the single
    operations takes several times the passes and buffers.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: Tensor, levels: int, order: Order) -> Tensor:
        y = staircase(x, threshold, levels)
        ctx.save_for_backward(x, threshold, y)
        ctx.levels, ctx.order = levels, order
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (gradient,) = gradients
        x, threshold, y = ctx.saved_tensors
        low, high = _support(threshold.to(x.dtype), ctx.levels, ctx.order)
        # The gradient where low < x < high, else 0, in one pass.
        to_x = torch.ops.aten.hardtanh_backward(gradient, x, low, high)  # type: ignore[attr-defined]
        to_threshold = None
        if ctx.needs_input_grad[1]:
            to_threshold = (gradient * y).addcmul_(to_x, x, value=-1).sum().div(threshold)
        return to_x, to_threshold, None, None


def _support(threshold: Tensor, levels: int, order: Order) -> tuple[float, float]:
    """The open interval of x where the gradient passes."""
    infinity = torch.full_like(threshold, float("inf"))
    if order == "floor_clamp":
        half = threshold / (2 * levels)
        return float(torch.nextafter(-half, -infinity)), float(threshold + half)
    return float(torch.nextafter(torch.zeros_like(threshold), -infinity)), float(torch.nextafter(threshold, infinity))


def _number(value: Any) -> Any:
    """``value``, or the one element of a tensor or array, as a Python number; NaN for anything else."""
    if isinstance(value, Tensor | np.ndarray | np.generic) and math.prod(value.shape) == 1:
        value = value.item()
    return math.nan if isinstance(value, bool) or not isinstance(value, Real) else value


@one_operator
def clip_floor_shift(x: Tensor, threshold: Tensor, levels: int | None, order: Order = "floor_clamp") -> Tensor:
    """``y = threshold / L * clip(floor(x * L / threshold + 1/2), 0, L)``, elementwise, in the dtype of ``x``.

    ``x`` floating point of any shape, ``threshold`` a positive scalar tensor, ``levels`` L, or None for ``clip(x, 0,
    threshold)``. Gradient: see :class:`ClipFloorShift`. The front end records a call as one operator.
    """
    if levels is None:
        return torch.minimum(torch.relu(x), threshold.to(x.dtype))
    if torch.compiler.is_compiling():
        return _composed(x, threshold, levels, order)
    result: Tensor = _ClipFloorShiftFunction.apply(x, threshold, levels, order)  # type: ignore[no-untyped-call]
    return result


def _composed(x: Tensor, threshold: Tensor, levels: int, order: Order) -> Tensor:
    """The same values and gradients from single operations, which ``torch.compile`` fuses into one pass."""
    u = x.float() * levels / threshold
    k = (u + 0.5).floor().detach()
    inside = (k >= 0) & (k <= levels) if order == "floor_clamp" else (u >= 0) & (u <= levels)
    straight_through = torch.where(inside, u - u.detach(), 0.0)  # 0 in value, 1 in gradient
    return ((k.clamp(0, levels) + straight_through) * (threshold / levels)).to(x.dtype)


@named_fields
class ClipFloorShift(nn.Module):
    """Quantised clipped activation with a learnable threshold (QCFS, Bu et al. 2022).

    ``y = threshold / L * clip(floor(x * L / threshold + 1/2), 0, L)``. A soft-reset neuron with this threshold
    and an initial membrane of threshold / 2 approximates it in T steps, and equals it where L = T and the
    schedule is layerwise.

    ``levels`` L >= 1, or None for trained clipping without quantisation, ``y = clip(x, 0, threshold)`` with
    dy/dx = 1 on 0 < x < threshold and dy/dthreshold = 1 above (the first stage of error compensation learning, Liu
    et al., ICML 2025, as we reconstruct it). ``threshold`` is the initial value of the scalar parameter of that name,
    in units of the pre-activation. ``order`` picks the gradient's support: ``floor_clamp`` passes it on
    -1/(2L) <= x/threshold < 1 + 1/(2L), ``clamp_floor`` on 0 <= x/threshold <= 1; the forward values are the same.

    ``sigma`` (default 0) is the standard deviation, in units of the activation, of zero-mean Gaussian noise
    added to the output in training mode only (residual-error noise, Huang et al., TNNLS 2025, arXiv
    2404.17456).

    >>> tc.ClipFloorShift(levels=4, threshold=1.0)(torch.tensor([-1.0, 0.3, 2.0])).tolist()
    [0.0, 0.25, 1.0]
    """

    threshold: nn.Parameter
    #: Number of 1-bits in the levels of the last pass; None unless :class:`BitCountPenalty` counts them.
    ones: Tensor | None

    def __init__(self, levels: int | None = 4, threshold: float = 8.0, order: Order = "floor_clamp") -> None:
        super().__init__()
        count = 0 if levels is None else _number(levels)
        if levels is not None and (not 1 <= count < 2**24 or count != int(count)):
            raise ConversionError(
                f"ClipFloorShift needs at least one level and fewer than 2**24, not {levels!r}: take levels=4"
            )
        start = _number(threshold)
        if not 2.0**-126 <= start < 2.0**128:  # float32
            raise ConversionError(f"ClipFloorShift needs a positive threshold, not {threshold!r}: take threshold=8.0")
        if not isinstance(order, str) or order not in get_args(Order):
            raise ConversionError(f"order is 'floor_clamp' or 'clamp_floor', not {order!r}")
        self.levels = int(count) or None
        self.order: Order = order
        self.sigma = 0.0
        self.ones = None
        self.threshold = nn.Parameter(torch.tensor(float(start)))

    def forward(self, x: Tensor) -> Tensor:
        y = clip_floor_shift(x, self.threshold, self.levels, self.order)
        if self.training and self.sigma > 0:
            y = y + self.sigma * torch.randn_like(y)
        return y

    @torch.no_grad()
    def keep_positive(self) -> bool:
        """Set the threshold back to 0.001 if an optimiser step drove it below that; returns whether it did.

        Our rule: the published code lets the threshold become negative, where the activation is meaningless.
        """
        if bool(self.threshold >= SMALLEST_THRESHOLD):
            return False
        self.threshold.fill_(SMALLEST_THRESHOLD)
        return True

    def extra_repr(self) -> str:
        return f"levels={self.levels}, threshold={float(self.threshold.detach()):.4g}, order={self.order!r}"
