"""Functions, methods and Python in the forward pass that cannot be converted: one sentence each, with its line."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def _loop(n, x):
    while x.sum() > 0:
        x = n.conv(x)
    return n.head(x)


def _branch(n, x):
    return n.head(n.conv(x)) if x.mean() > 0 else n.head(x)


_ACTIVATION = "use ReLU, ReLU6 or tc.ClipFloorShift and fine-tune"

#: hint: {name: (operation, forward pass, layer)}
_REFUSED = {
    _ACTIVATION: {
        "torch.sigmoid": ("sigmoid", lambda n, x: n.head(torch.sigmoid(n.conv(x)))),
        "tanh method": ("tanh", lambda n, x: n.head(n.conv(x).tanh())),
        "F.gelu": ("GELU", lambda n, x: n.head(F.gelu(n.conv(x)))),
        "ELU": ("an activation with negative values", lambda n, x: n.head(F.elu(n.conv(x)))),
    },
    "only a last one over the classes (dim=1), which changes no order, is left out; let the network end in logits": {
        "Softmax inside": ("softmax", lambda n, x: n.head(n.conv(x).softmax(1))),
        "softmax over images": ("softmax", lambda n, x: F.log_softmax(n.head(n.conv(x)), dim=0)),
        "softmax that is read": ("softmax", lambda n, x: F.softmax(n.head(n.conv(x)), dim=1) * 2),
    },
    "let the network end in logits; take the argmax outside it": {
        "argmax at the end": ("argmax", lambda n, x: n.head(n.conv(x)).argmax(1)),
    },
    "attention multiplies two branches; convolutional networks are converted": {
        "scaled_dot_product_attention": ("attention", lambda n, x: n.head(F.scaled_dot_product_attention(x, x, x))),
    },
    "classification networks without upsampling are converted": {
        "F.interpolate": ("upsampling", lambda n, x: n.head(F.interpolate(x, (8, 6)))),
    },
    "use the layer nn.BatchNorm2d": {
        "F.batch_norm": (
            "functional batch normalisation",
            lambda n, x: n.head(F.batch_norm(n.conv(x), n.norm.running_mean, n.norm.running_var)),
        ),
    },
    "convert a float32 network": {
        "integers": ("computing in torch.int64", lambda n, x: n.head(n.conv(x.long().float()))),
        "half precision": ("computing in torch.float16", lambda n, x: n.head(n.conv(x).half().float())),
    },
    "use Linear or Conv layers with fixed weights": {
        "matrix product": ("a matrix product", lambda n, x: n.head(n.conv(x) @ n.matrix)),
        "einsum": ("a matrix product", lambda n, x: n.head(torch.einsum("nchw,ck->nkhw", x, n.square))),
    },
    "gating and attention have no spiking counterpart here": {
        "gating": ("multiplying two branches", lambda n, x: n.head(n.conv(x) * n.other(x))),
    },
    "multiply the branch by -1 in the layer before it, then add": {
        "difference of branches": ("subtracting one branch from another", lambda n, x: n.head(n.conv(x) - n.other(x))),
    },
    "divide by non-zero constants only": {
        "division by a branch": (
            "dividing by something that is no constant",
            lambda n, x: n.head(n.conv(x) / n.other(x)),
        ),
        "division by zero": ("dividing by something that is no constant", lambda n, x: n.head(n.conv(x) / 0)),
    },
    "leave the rounding out": {
        "division with rounding": (
            "division with rounding_mode='floor'",
            lambda n, x: n.head(torch.div(n.conv(x), 2, rounding_mode="floor")),
        ),
    },
    "multiply by a constant instead": {
        "floor division": ("integer division of a tensor", lambda n, x: n.head(n.conv(x) // 2)),
    },
    "multiply the second operand by the constant first": {
        "sum with alpha": ("add with alpha=2", lambda n, x: n.head(torch.add(n.conv(x), x, alpha=2))),
        "difference with alpha": ("subtraction with alpha=2", lambda n, x: n.head(torch.sub(n.conv(x), 1.0, alpha=2))),
    },
    "bring both to the same shape": {
        "broadcast sum": (
            "adding shapes (4, 8, 6) and (4, 1, 1)",
            lambda n, x: n.head(n.conv(x) + n.layer(x)),
            nn.AdaptiveAvgPool2d(1),
        ),
    },
    "use a number or one value per channel": {
        "bias per pixel": ("a constant of shape (1, 1, 8, 6)", lambda n, x: n.head(n.conv(x) + n.pixels)),
    },
    "the only nonlinear operations of a spiking network are ReLU and its clipped relatives": {
        "square": ("a nonlinear function", lambda n, x: n.head(n.conv(x) ** 2)),
        "absolute value": ("a nonlinear function", lambda n, x: n.head(torch.abs(n.conv(x)))),
    },
    "use a max or average pool, ReLU or torch.cat; for a global maximum x.amax((2, 3)), of a signal x.amax(2)": {
        "maximum": ("a maximum or minimum", lambda n, x: n.head(torch.maximum(n.conv(x), x))),
    },
    "select with ReLU or a clip instead": {
        "comparison": ("a comparison or selection", lambda n, x: n.head(torch.where(n.mask, n.conv(x), x))),
    },
    "use x.mean([2, 3]) or average pooling, times a constant": {
        "sum over the image": ("a sum over an axis", lambda n, x: n.small(n.conv(x).sum([2, 3]))),
    },
    "take the mean over both image axes: x.mean([2, 3])": {
        "mean over channels": (
            "a mean over these axes",
            lambda n, x: n.head(n.conv(x) + n.layer(n.conv(x).mean(1, keepdim=True))),
            nn.Conv2d(1, 4, 1),
        ),
    },
    "slice the channels: x[:, :c] and x[:, c:]": {
        "chunk": ("splitting a tensor", lambda n, x: n.head(n.layer(n.conv(x).chunk(2, 1)[1])), nn.Conv2d(2, 4, 1)),
    },
    "concatenate along the channels: torch.cat(tensors, 1)": {
        "stack": ("stacking tensors", lambda n, x: n.head(torch.stack([n.conv(x), x], 1).flatten(1, 2)[:, :4])),
    },
    "keep the layout (N, C, H, W)": {
        "permute": ("reordering axes", lambda n, x: n.head(n.conv(x).permute(0, 1, 3, 2))),
    },
    "only flattening everything but the batch axis is supported": {
        "channel shuffle": (
            "reshaping (N, 4, 8, 6) to (N, 2, 2, 8, 6)",
            lambda n, x: n.head(n.conv(x).view(x.shape[0], 2, 2, 8, 6).flatten(1, 2)),
        ),
    },
    "keep the batch axis: x.flatten(1)": {
        "flattening the batch": (
            "a reshape that changes the batch axis",
            lambda n, x: n.linear(n.conv(x).flatten(0).reshape(-1, 192)),
        ),
    },
    "concatenate along the channels (dim=1)": {
        "concatenation of rows": (
            "concatenation along axis 2",
            lambda n, x: n.head(n.layer(torch.cat([n.conv(x), x], 2))),
            nn.AvgPool2d((2, 1)),
        ),
    },
    "pad channels of zeros with F.pad": {
        "concatenation with zeros": (
            "concatenation with a constant",
            lambda n, x: n.head(n.layer(torch.cat([n.conv(x), n.zeros], 1))),
            nn.Conv2d(5, 4, 1),
        ),
    },
    "use F.pad for zeros and plain numbers for constants": {
        "zeros of another's shape": (
            "torch.zeros with the shape of another tensor",
            lambda n, x: (lambda y: n.head(torch.cat([y, torch.zeros(y.shape[0], 4, 8, 6)], 1)))(n.conv(x)),
        ),
        "zeros of the same shape": (
            "a tensor made from another's shape",
            lambda n, x: n.head(n.conv(x) + torch.zeros_like(x)),
        ),
    },
    "add noise in training mode only": {
        "noise": ("a random tensor", lambda n, x: n.head(n.conv(x) + torch.randn_like(x))),
    },
    "pass training=self.training": {
        "dropout that is always on": ("dropout that is always on", lambda n, x: n.head(F.dropout(n.conv(x)))),
    },
    "use a convolution or pooling that gives the smaller size": {
        "cropping": (
            "cropping an image by slicing",
            lambda n, x: n.linear(F.relu(n.layer(x)[:, :, 1:-1, 1:-1]).flatten(1)),
            nn.ZeroPad2d(1),
        ),
    },
    "leave the first axis whole": {
        "an image of the batch": ("slicing the batch axis", lambda n, x: n.head(n.conv(x[1:]))),
    },
    "slice channels, rows and columns: x[:, a:b, ::2, ::2]": {
        "a single channel": (
            "indexing other than slices of an image",
            lambda n, x: n.layer(n.conv(x)[:, 0].flatten(1)),
            nn.Linear(48, 3),
        ),
    },
    "pad with zeros": {
        "padding with ones": (
            "padding mode 'constant' with value 1.0",
            lambda n, x: n.linear(F.relu(n.layer(F.pad(x, (1, 1, 1, 1), value=1.0))).flatten(1)),
            nn.Conv2d(4, 4, 3),
        ),
    },
    "clip at zero: spike rates are not negative": {
        "clip below zero": ("clamp with lower limit -1.0", lambda n, x: n.head(torch.clamp(n.conv(x), -1, 1))),
        "clip without lower limit": ("clamp with lower limit None", lambda n, x: n.head(n.conv(x).clamp(max=1))),
    },
    "use a positive upper limit": {
        "clip to nothing": ("clamp with upper limit 0.0", lambda n, x: n.head(n.conv(x).clamp(0, 0))),
    },
    "use one number for all neurons": {
        "clip per channel": (
            "clamp with limits that are no numbers",
            lambda n, x: n.head(torch.clamp(n.conv(x), n.low, n.high)),
        ),
    },
    "this operation has no spiking counterpart here": {
        "unknown function": ("cumsum", lambda n, x: n.head(torch.cumsum(n.conv(x), 2))),
    },
    "write the forward pass without if, while, len, int or range on tensors": {
        "if": ("control flow or a Python function that depends on data", _branch),
        "while": ("control flow or a Python function that depends on data", _loop),
        "for over images": (
            "control flow or a Python function that depends on data",
            lambda n, x: torch.cat([n.head(n.conv(image[None])) for image in x]),
        ),
    },
    "write it without in-place operations": {
        "in place under another view": (
            "an in-place operation on a tensor that another view of it is read from later",
            lambda n, x: (lambda y, part: n.head(n.mix(part.relu_()) + y))(*(lambda y: (y, y[:, :2]))(n.conv(x))),
        ),
    },
}
_CASES = {name: (hint, *case) for hint, cases in _REFUSED.items() for name, case in cases.items()}


@pytest.mark.parametrize("name", _CASES)
def test_refused(name, assert_refused):
    assert_refused(*_CASES[name], file=__file__)
