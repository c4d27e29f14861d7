"""Random modules as source text from a grammar of idioms: loops, conditions, views, hooks, wrappers."""

from __future__ import annotations

import random
import types

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

import spikec as tc

#: Lines that change ``y`` [N, 4, 6, 6]; ``{n}`` is a small number.
_PLAIN = (
    "y = self.conv(y)",
    "y = self.other(y)",
    "y = self.norm(self.conv(y))",
    "y = F.batch_norm(y, self.norm.running_mean, self.norm.running_var, self.norm.weight, None)",
    "y = F.relu(y)",
    "y = y.relu_() if y.is_contiguous() else y.relu()",
    "y = self.relu(y)",
    "y = self.act(y)",
    "y = F.leaky_relu(y, 0.1 * {n})",
    "y = y.clamp(-0.{n}, 0.5)",
    "y = torch.maximum(y, self.other(y))",
    "y = y - self.other(y)",
    "y = torch.add(y, self.conv(y), alpha=0.{n})",
    "y += 0.{n}",
    "y = y * self.scale",
    "y = 1 - y / {n}",
    "y = torch.stack([y, self.conv(y), y]).mean(0)",
    "y = torch.cat([part for part in y.chunk(2, 1)][::-1], 1)",
    "y = y.view(len(y), 2, 2, 6, 6).transpose(1, 2).reshape(y.shape)",
    "y = self.token(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)",
    "y = y[:, [3, {n} % 4, 0, 2]]",
    "y = F.pad(y, (1, 1, 1, 1))[:, :, {n} % 3 : {n} % 3 + 6, 1:7]",
    "y = F.pad(y, (1, 0, 0, 1), mode='replicate')[:, :, 1:, :6]",
    "y = F.max_pool2d(y, 3, 1, 1)",
    "y = F.avg_pool2d(y, 3, 1, 1, count_include_pad=bool({n} % 2))",
    "y = F.interpolate(F.avg_pool2d(y, 2), scale_factor=2)",
    "y = y + y.mean((2, 3), keepdim=True)",
    "y = y.masked_fill(self.mask, 0.{n})",
    "z = y.clone(); z[:, {n} % 4] *= 0.5; y = z",
    "z = torch.zeros_like(y); z[:, 1:] = y[:, :-1]; y = z",
    "y = y.half().float()",
    "y = (y > 0) * y",
    "y = y * torch.rand(4, 1, 1)",
    "y = F.dropout(y, 0.5, self.training)",
    "y = y * float(y.mean())",
    "y = torch.from_numpy(y.detach().numpy() * 0.5)",
    "y = y * random.random()",
    "y = y * float(np.random.rand())",
    "y = y / len(y)",
    "y = torch.tanh(y)",
)
_WRAPPED = (
    "{line}",
    "for _ in range({n} % 3): {line}",
    "if y.shape[1] == 4 and y.dim() > 3: {line}",
    "if extra is None: {line}",
    "if isinstance(y, torch.Tensor): {line}",
    "if torch.is_grad_enabled() or True: {line}",
    "assert len(y.shape) == 4; {line}",
    "with torch.no_grad(): {line}",
    "if y.abs().sum() > 0: {line}",
)
_OUTSIDE = ("none", "root hook", "layer hook", "pre-hook", "instance forward", "DataParallel", "__call__", "Sequential")


@st.composite
def sources(draw):
    """(source text of ``forward``, what stands around it)."""
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        number = draw(st.integers(1, 5))
        line = draw(st.sampled_from(_PLAIN)).format(n=number)
        lines.append(draw(st.sampled_from(_WRAPPED)).replace("{line}", line).format(n=number))
    body = "\n".join(f"    {line}" for line in lines)
    if draw(st.booleans()):
        inner = "\n".join(f"    {line}" for line in body.splitlines())
        body = f"    try:\n{inner}\n    except ValueError:\n        y = x"
    text = [
        "def forward(self, x, extra=None, **others):",
        "    y = self.first(x)",
        body,
        "    return self.head(F.relu(y))",
    ]
    return "\n".join(text) + "\n", draw(st.sampled_from(_OUTSIDE))


class _Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.other = nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.act = tc.ClipFloorShift(levels=7, threshold=1.5)
        self.token = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.register_buffer("mask", torch.arange(6) > 3)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
        self.norm.running_mean.uniform_(-0.2, 0.2)
        self.norm.running_var.uniform_(0.5, 2)


def network(source: str, outside: str) -> nn.Module:
    """The module, for images [N, 3, 6, 6]; the same weights every time."""
    names = {"torch": torch, "F": F, "np": np, "random": random}
    exec(compile(source, "<network>", "exec"), names)
    members = {"forward": names["forward"]}
    if outside == "__call__":
        members["__call__"] = lambda self, x: _Base.__call__(self, x) * 1.5
    torch.manual_seed(0)
    made: nn.Module = type("Net", (_Base,), members)()
    if outside == "instance forward":
        made.forward = types.MethodType(lambda self, x: names["forward"](self, x * 0.5) + 0.25, made)
    if outside == "root hook":
        made.register_forward_hook(lambda module, args, out: out * 3 + torch.arange(3))
    if outside == "layer hook":
        made.conv.register_forward_hook(lambda module, args, out: out - 0.5)
    if outside == "pre-hook":
        made.head.register_forward_pre_hook(lambda module, args: (args[0] * 0.5,))
    if outside == "DataParallel":
        made = nn.DataParallel(made)
        made.register_forward_hook(lambda module, args, out: -out)
    return nn.Sequential(made, nn.Linear(3, 3)) if outside == "Sequential" else made
