"""Every operator that is linear, moves values or is made of ReLUs: recorded, and equal to the module."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def _twice(run):
    """``run`` of one tensor, with its result read twice by what follows."""
    return lambda n, x: run(n, n.conv(x))


def _written(n, x):
    y = n.conv(x)
    y[:, :2].mul_(2)
    y[:, 3].relu_()
    y[:, 1, ::2] = 0.5
    return n.head(y)


def _filled(n, x):
    y, made = n.conv(x), torch.empty(len(x), 4, 8, 6)
    made[:, :1], made[:, 1:] = y[:, 3:], y[:, :3]
    return n.head(made)


def _part_in_place(n, x):
    y = n.conv(x)
    part = y[:, :2]
    return n.head(n.mix(part.relu_()) + y)


def _both_views(n, x):
    y = n.conv(x)
    flat = y.view(len(x), -1)
    flat.relu_()
    return n.head(y)


_MOVES = {
    "channel shuffle": lambda n, x: n.head(F.channel_shuffle(n.conv(x), 2)),
    "shuffle by views": lambda n, x: n.head(
        n.conv(x).view(len(x), 2, 2, 8, 6).transpose(1, 2).reshape(len(x), 4, 8, 6)
    ),
    "chunk and cat": lambda n, x: n.head(torch.cat(n.conv(x).chunk(2, 1)[::-1], 1)),
    "split and relu": lambda n, x: n.head(torch.cat([F.relu(p) for p in n.conv(x).split([1, 3], 1)], 1)),
    "unbind and stack": lambda n, x: n.head(torch.stack(n.conv(x).unbind(1)[::-1], 1)),
    "stack, sum": lambda n, x: n.head(torch.stack([n.conv(x), n.other(x), n.conv(x)]).sum(0)),
    "stack, mean, last": lambda n, x: n.head(torch.stack([n.conv(x), n.other(x)], -1).mean(-1)),
    "select": lambda n, x: n.head(n.conv(x)[:, 0:1].expand(-1, 4, -1, -1)),
    "index with a list": lambda n, x: n.head(n.conv(x)[:, [2, 0, 1, 1]]),
    "index_select": lambda n, x: n.head(n.conv(x).index_select(1, torch.tensor([3, 2, 1, 0]))),
    "flip": lambda n, x: n.head(n.conv(x).flip(1, 3)),
    "roll": lambda n, x: n.head(n.conv(x).roll((1, 2), (1, 2))),
    "transposed image": lambda n, x: n.head(n.conv(x).transpose(2, 3)),
    "channels last, Linear": lambda n, x: n.head(n.token(n.conv(x).permute(0, 2, 3, 1)).relu().permute(0, 3, 1, 2)),
    "tokens": lambda n, x: n.small(F.relu(n.token(n.conv(x).flatten(2).transpose(1, 2))).mean(1)),
    "Linear over columns": lambda n, x: n.head(n.columns(n.conv(x))),
    "flatten in channels last": lambda n, x: n.linear(F.relu(n.conv(x)).permute(0, 2, 3, 1).flatten(1)),
    "memory format": lambda n, x: n.head(n.conv(x.contiguous(memory_format=torch.channels_last))),
    "crop": lambda n, x: n.head(F.pad(F.relu(n.conv(x))[:, :, 1:-1, 2:], (2, 0, 1, 1))),
    "concatenated rows": lambda n, x: n.head(torch.cat([n.conv(x), n.other(x)], 2)[:, :, ::2]),
    "concatenated constant": lambda n, x: n.head(torch.cat([n.conv(x)[:, :3], torch.ones(len(x), 1, 8, 6)], 1)),
    "zeros of another's shape": lambda n, x: n.head(n.conv(x) + torch.zeros_like(x)),
    "pixel shuffle there and back": lambda n, x: n.head(F.pixel_unshuffle(F.pixel_shuffle(n.conv(x), 2), 2)),
    "unfold": lambda n, x: n.head(F.unfold(n.conv(x), 1).view(len(x), 4, 8, 6)),
    "patches": lambda n, x: n.linear(
        F.relu(n.conv(x)).view(len(x), 4, 4, 2, 3, 2).permute(0, 2, 4, 1, 3, 5).flatten(1)
    ),
    "repeat": lambda n, x: n.head(n.conv(x)[:, :2].repeat(1, 2, 1, 1)),
    "repeat_interleave": lambda n, x: n.head(n.conv(x)[:, :2].repeat_interleave(2, 1)),
    "flattened batch": lambda n, x: n.linear(F.relu(n.conv(x)).flatten(0).reshape(-1, 192)),
    "one channel": lambda n, x: n.rows(F.relu(n.conv(x)[:, 0].flatten(1))),
    "chosen by a mask": lambda n, x: n.head(torch.where(torch.arange(6) > 2, n.conv(x), n.other(x))),
    "masked_fill": lambda n, x: n.head(n.conv(x).masked_fill(torch.arange(6) > 2, 0.25)),
    "triangle": lambda n, x: n.head(n.conv(x).tril()),
}
_PADDING = {
    "ones": lambda n, x: n.wide(F.relu(F.pad(n.conv(x), (1, 1, 1, 1), value=1.0)).flatten(1)),
    "reflection": lambda n, x: n.wide(F.relu(F.pad(n.conv(x), (1, 1, 1, 1), mode="reflect")).flatten(1)),
    "replication": lambda n, x: n.wide(F.relu(F.pad(n.conv(x), (1, 1, 1, 1), mode="replicate")).flatten(1)),
    "circular": lambda n, x: n.wide(F.relu(F.pad(n.conv(x), (1, 1, 1, 1), mode="circular")).flatten(1)),
    "negative": lambda n, x: n.head(F.pad(n.conv(F.pad(x, (1, 1, 1, 1))), (-1, -1, -1, -1))),
}
_SUMS = {
    "difference": lambda n, x: n.head(n.conv(x) - n.other(x)),
    "of itself": _twice(lambda n, y: n.head(y - 0.5 * y)),
    "alpha": lambda n, x: n.head(torch.add(n.conv(x), n.other(x), alpha=0.5)),
    "alpha of a constant": lambda n, x: n.head(torch.sub(n.conv(x), 1.0, alpha=0.2)),
    "lerp": lambda n, x: n.head(torch.lerp(n.conv(x), n.other(x), 0.25)),
    "lerp of itself": _twice(lambda n, y: n.head(torch.lerp(y, y, 0.25))),
    "one minus": lambda n, x: n.head(1 - n.conv(x)),
    "per pixel": lambda n, x: n.head(n.conv(x) * torch.linspace(0.5, 1, 48).view(8, 6) + torch.arange(6) / 10),
    "a channel mean to all": lambda n, x: n.head(n.conv(x) + n.other(x).mean((2, 3), keepdim=True)),
    "sum of all places": lambda n, x: n.small(F.relu(n.conv(x)).sum((2, 3)) / 48),
    "mean, axis by axis": lambda n, x: n.small(F.relu(n.conv(x)).mean(3).mean(2)),
    "mean over channels": lambda n, x: n.head(n.conv(x) + n.other(x).mean(1, keepdim=True)),
    "mean over rows": lambda n, x: n.head(n.conv(x) + n.other(x).mean(2, keepdim=True)),
    "mean over channels and rows": lambda n, x: n.head(n.conv(x) + n.other(x).mean((1, 2), keepdim=True)),
    "sum of squares' place": lambda n, x: n.head(n.conv(x) + n.other(x).sum((1, 3), keepdim=True) / 24),
    "matrix from the right": lambda n, x: n.head(n.conv(x) @ n.matrix),
    "matrix from the left": lambda n, x: n.head(n.high_matrix @ n.conv(x)),
    "einsum": lambda n, x: n.head(torch.einsum("nchw,ck->nkhw", n.conv(x), n.square)),
    "einsum to vectors": lambda n, x: n.small(F.relu(torch.einsum("nchw,chk->nk", n.conv(x), n.cube))),
    "scaled, then a window of it": lambda n, x: n.small(
        n.token(F.relu(n.conv(x)).permute(0, 2, 3, 1)).unfold(1, 2, 2).unfold(2, 2, 2).sum((4, 5)).mean((1, 2))
    ),
    "scaled under another view": lambda n, x: n.head(
        (n.conv(x).view(len(x), 2, 16, 6) * torch.tensor([[[0.5]], [[2.0]]])).view(len(x), 4, 8, 6)
    ),
    "one number an image": lambda n, x: n.head(n.conv(x) - F.relu(n.other(x)).mean((1, 2, 3))[:, None, None, None]),
    "written with out=": lambda n, x: n.head(torch.add(n.conv(x), 1.0, out=torch.empty(len(x), 4, 8, 6))),
    "tensordot": lambda n, x: n.head(torch.tensordot(n.conv(x), n.square, ([1], [0])).permute(0, 3, 1, 2)),
}
_ACTIVATIONS = {
    "leaky": lambda n, x: n.head(F.leaky_relu(n.conv(x), 0.1)),
    "prelu": lambda n, x: n.head(n.prelu(n.conv(x))),
    "abs": lambda n, x: n.head(n.conv(x).abs()),
    "clip from below zero": lambda n, x: n.head(n.conv(x).clamp(-0.3, 0.4)),
    "clip of each channel": lambda n, x: n.head(
        n.conv(x).clamp(torch.tensor([-0.2, 0, 0.1, -1]).view(4, 1, 1), torch.tensor([0.3, 0.5, 0.4, 1]).view(4, 1, 1))
    ),
    "randomised slope": lambda n, x: n.head(F.rrelu(n.conv(x))),
    "clip from above": lambda n, x: n.head(n.conv(x).clamp(max=0.2)),
    "clip from below": lambda n, x: n.head(n.conv(x).clamp(min=0.1)),
    "hardtanh": lambda n, x: n.head(F.hardtanh(n.conv(x))),
    "hardsigmoid": lambda n, x: n.head(F.hardsigmoid(n.conv(x))),
    "maximum": lambda n, x: n.head(torch.maximum(n.conv(x), n.other(x))),
    "minimum": lambda n, x: n.head(torch.minimum(n.conv(x), n.other(x))),
    "maximum of itself": _twice(lambda n, y: n.head(torch.maximum(y, 0.5 * y))),
    "maximum with a number": lambda n, x: n.head(torch.maximum(n.conv(x), torch.tensor(0.1))),
}
_SAMPLING = {
    "nearest": lambda n, x: n.head(F.interpolate(F.relu(n.conv(x)), scale_factor=2)[:, :, ::2, ::2]),
    "nearest, read by a convolution": lambda n, x: n.shrink(F.interpolate(F.relu(n.conv(x)), scale_factor=2)).flatten(
        1
    )[:, :3],
    "bilinear": lambda n, x: n.head(F.interpolate(n.conv(x), (8, 12), mode="bilinear")[..., ::2]),
    "bicubic, corners": lambda n, x: n.head(
        F.interpolate(n.conv(x), (9, 7), mode="bicubic", align_corners=True)[:, :, 1:, 1:]
    ),
    "transposed convolution": lambda n, x: n.head(n.up(n.conv(x))[:, :, :8, :6]),
    "grouped, dilated, transposed": lambda n, x: n.head(n.up_groups(n.conv(x))[:, :, :8, :6]),
    "volumes": lambda n, x: n.linear(F.relu(n.volume(x.unsqueeze(2))).flatten(1)),
    "pool that leaves out padding": lambda n, x: (
        n.small(F.avg_pool2d(n.conv(x), 2, 2, 1, count_include_pad=False).mean((2, 3))) + n.head(x)
    ),
    "pool with a partial window": lambda n, x: n.small(
        F.relu(F.avg_pool2d(n.conv(x), 5, 5, ceil_mode=True)).mean((2, 3))
    ),
    "pool with another divisor": lambda n, x: n.small(
        F.relu(F.avg_pool2d(n.conv(x), 2, divisor_override=3)).mean((2, 3))
    ),
    "uneven adaptive pool": lambda n, x: n.small(F.relu(F.adaptive_avg_pool2d(n.conv(x), 5)).mean((2, 3))),
    "larger adaptive pool": lambda n, x: n.small(F.relu(F.adaptive_avg_pool2d(n.conv(x), (16, 12))).mean((2, 3))),
}
_IN_PLACE = {
    "parts of a tensor": _written,
    "an empty tensor filled": _filled,
    "a part that is read under another view": _part_in_place,
    "a flat view": _both_views,
    "the input": lambda n, x: n.head(n.conv(x.sub_(0.5).div_(2))),
}
_CASES = {
    f"{family}: {name}": run
    for family, cases in {
        "moves": _MOVES,
        "padding": _PADDING,
        "sums": _SUMS,
        "activations": _ACTIVATIONS,
        "sampling": _SAMPLING,
        "in place": _IN_PLACE,
    }.items()
    for name, run in cases.items()
}


@pytest.fixture
def layers():
    torch.manual_seed(3)
    return {
        "token": nn.Linear(4, 4),
        "columns": nn.Linear(6, 6),
        "rows": nn.Linear(48, 3),
        "wide": nn.Linear(4 * 10 * 8, 3),
        "mix": nn.Conv2d(2, 4, 1),
        "matrix": torch.rand(6, 6),
        "high_matrix": torch.rand(8, 8),
        "square": torch.rand(4, 4),
        "cube": torch.rand(4, 8, 4),
        "prelu": nn.PReLU(4),
        "up": nn.ConvTranspose2d(4, 4, 3, 2, 1),
        "up_groups": nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=2, dilation=2),
        "shrink": nn.Conv2d(4, 1, 4, 4),
        "volume": nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1)),
    }


@pytest.mark.parametrize("name", _CASES)
def test_equal(name, network, layers, images, assert_equal):
    assert_equal(network(_CASES[name], **layers), images)
