"""Functions, methods and Python in the forward pass that cannot be converted: one sentence each, with its line."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def _loop(n, x):
    while x.abs().sum() > 1e9:
        x = n.conv(x)
    return n.head(x)


def _branch(n, x):
    return n.head(n.conv(x)) if x.mean() > 0 else n.head(x)


_ACTIVATION = "use ReLU, ReLU6 or tc.ClipFloorShift and fine-tune"

_NONLINEAR = "the only nonlinear operations of a spiking network are ReLU and its clipped relatives"
_OTHER_IMAGES = (
    "its result may depend on the image, and a recording holds for one image only: leave it out, or use sizes"
)
_READ = "a number that is read out of a tensor (item, float(), int(), bool(), if, while)"
_WHOLE_BATCH = "keep the batch axis first and whole: x.flatten(1), x.view(len(x), -1)"
_MIXED = "moving values between the images of a batch"
_FIXED = "use Linear or Conv layers with fixed weights"

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
        "the place of a maximum": ("argmax", lambda n, x: n.head(n.conv(x) + n.conv(x).max(2, True)[1])),
    },
    "attention multiplies two branches; convolutional networks are converted": {
        "scaled_dot_product_attention": ("attention", lambda n, x: n.head(F.scaled_dot_product_attention(x, x, x))),
    },
    "spikes carry no indices: use return_indices=False": {
        "max unpooling": (
            "max pooling with indices",
            lambda n, x: n.head(F.max_unpool2d(*F.max_pool2d(n.conv(x), 2, return_indices=True), 2)),
        ),
    },
    "use track_running_stats=True and train it": {
        "statistics of the batch": (
            "batch normalisation without running statistics",
            lambda n, x: n.head(F.batch_norm(n.conv(x), None, None, training=True)),
        ),
    },
    "convert a float32 network": {
        "integers": ("computing in torch.int64", lambda n, x: n.head(n.conv(x.long().float()))),
        "half precision": ("computing in torch.float16", lambda n, x: n.head(n.conv(x).half().float())),
    },
    _FIXED: {
        "product of branches": (
            "a matrix product of two branches",
            lambda n, x: n.head(n.conv(x) @ n.other(x).transpose(2, 3) @ n.other(x)),
        ),
        "einsum of branches": (
            "a matrix product of two branches",
            lambda n, x: n.head(
                torch.einsum("nchw,ndhw->ncd", n.conv(x), x).unsqueeze(-1).expand(-1, -1, -1, 6)[:, :, [0, 1] * 4]
            ),
        ),
    },
    "gating and attention have no spiking counterpart here": {
        "gating": ("multiplying two branches", lambda n, x: n.head(n.conv(x) * n.other(x))),
    },
    "divide by non-zero constants only": {
        "division by a branch": (
            "dividing by something that is no constant",
            lambda n, x: n.head(n.conv(x) / n.other(x)),
        ),
    },
    "leave the rounding out": {
        "division with rounding": (
            "division with rounding_mode='floor'",
            lambda n, x: n.head(torch.div(n.conv(x), 2, rounding_mode="floor")),
        ),
    },
    "for an activation with steps use tc.ClipFloorShift, which is that of QCFS": {
        "floor division": ("rounding", lambda n, x: n.head(n.conv(x) // 2)),
        "rounding": ("rounding", lambda n, x: n.head(n.conv(x).round())),
    },
    "use tc.ClipFloorShift, which is the activation of QCFS, with the same number of levels and threshold": {
        "steps without end": ("a staircase that is not that of QCFS", lambda n, x: n.head(torch.floor(n.conv(x)))),
        "steps below zero": (
            "a staircase that is not that of QCFS",
            lambda n, x: n.head(n.other(torch.floor(n.conv(x)).clamp(-3, 3))),
        ),
    },
    _NONLINEAR: {
        "square": ("a nonlinear function", lambda n, x: n.head(n.conv(x) ** 2)),
        "square root": ("a nonlinear function", lambda n, x: n.head(torch.sqrt(n.relu(n.conv(x))))),
    },
    "use a max or average pool, ReLU or torch.cat; for a global maximum x.amax((2, 3)), of a signal x.amax(2)": {
        "the largest of all": ("a maximum or minimum", lambda n, x: n.head(n.conv(x) + x.max())),
        "minimum over an axis": ("a maximum or minimum", lambda n, x: n.head(n.conv(x) + x.amin(1, True))),
    },
    "select with ReLU or a clip instead": {
        "selection": ("a comparison or selection", lambda n, x: n.head(torch.where(x > 0, n.conv(x), x))),
    },
    "sum over the other axes": {
        "mean over the batch": (
            "a mean over the images of a batch",
            lambda n, x: n.head(n.conv(x) - n.conv(x).mean(0, keepdim=True)),
        ),
    },
    _WHOLE_BATCH: {
        "an image of the batch": (_MIXED, lambda n, x: n.head(n.conv(x[1:]))),
        "for over images": (_MIXED, lambda n, x: torch.cat([n.head(n.conv(image[None])) for image in x])),
        "batch and channels exchanged": (_MIXED, lambda n, x: n.head(n.conv(x.transpose(0, 1)[: len(x)][:, [0] * 4]))),
    },
    "use one constant for all images, of batch size 1": {
        "a constant for each image": (
            "a constant that differs between the images of a batch",
            lambda n, x: n.linear(n.relu(n.conv(x) + torch.arange(len(x)).reshape(-1, 1, 1, 1)).flatten(1)),
        ),
    },
    "add noise in training mode only, and make layers in __init__": {
        "noise": ("a random tensor", lambda n, x: n.head(n.conv(x) + torch.randn_like(x))),
        "noise of no image": ("a random tensor", lambda n, x: n.head(n.conv(x) + torch.randn(4, 1, 1))),
        "a layer made there": ("a random tensor", lambda n, x: n.head(nn.Conv2d(4, 4, 1)(x))),
    },
    "pass training=self.training": {
        "dropout that is always on": ("dropout that is always on", lambda n, x: n.head(F.dropout(n.conv(x)))),
    },
    "use a higher upper limit": {
        "clip to nothing": (
            "clamp with upper limit 0 and lower limit 0",
            lambda n, x: n.head(n.conv(x).clamp(0, 0)),
        ),
    },
    "write it as a layer with fixed weights": {
        "running sum": ("a running sum or product", lambda n, x: n.head(torch.cumsum(n.conv(x), 2))),
    },
    "this operation has no spiking counterpart here": {
        "unknown function": ("cdist_forward", lambda n, x: n.head(torch.cdist(n.conv(x), x)[..., :6])),
    },
    _OTHER_IMAGES: {
        "if": (_READ, _branch),
        "while": (_READ, _loop),
        "item": (_READ, lambda n, x: n.head(n.conv(x) * x.mean().item())),
        "allclose": (
            "allclose, which follows from values",
            lambda n, x: n.head(n.conv(x) if torch.allclose(x, torch.zeros(())) else n.other(x)),
        ),
        "how many a mask takes": (
            "selecting by a mask that is computed",
            lambda n, x: n.head(n.conv(x) * (2 if x[x > 0].numel() == 0 else 1)),
        ),
        "how many a hidden mask takes": (
            "selecting by a mask that is computed",
            lambda n, x: (lambda y: n.head(y * (2 if len(y[y > 0]) < 5 else 1)))(n.relu(n.conv(x)) - 0.1),
        ),
        "how many are unique": ("unique", lambda n, x: n.head(n.conv(x) * len(torch.unique(x)))),
        "how many bins": (
            "bincount, which follows from values",
            lambda n, x: n.head(n.conv(x) * len(torch.bincount(x.abs().long().flatten()))),
        ),
        "how many are not zero": (
            "nnz, which follows from values",
            lambda n, x: n.head(n.conv(x) * (2 if x.to_sparse()._nnz() == 0 else 1)),
        ),
        "how often": (
            "repeat_interleave, which follows from values",
            lambda n, x: n.head(n.conv(x) * (1 + len(torch.repeat_interleave(x.abs().long().flatten())))),
        ),
        "numpy": (
            "the numbers of a tensor outside PyTorch (numpy)",
            lambda n, x: n.head(torch.from_numpy(n.conv(x).numpy())),
        ),
        "tolist": (
            "the numbers of a tensor outside PyTorch (tolist)",
            lambda n, x: n.head(torch.tensor(n.conv(x).tolist())),
        ),
    },
    "compute a new tensor instead; a converted network keeps no state between images": {
        "a buffer that is written": (
            "writing into a parameter or buffer of the network",
            lambda n, x: n.head(n.conv(x) + n.norm.running_mean.mul_(0.5).add_(x.mean((0, 2, 3))).view(-1, 1, 1)),
        ),
    },
}
_CASES = {name: (hint, *case) for hint, cases in _REFUSED.items() for name, case in cases.items()}


@pytest.mark.parametrize("name", _CASES)
def test_refused(name, assert_refused):
    assert_refused(*_CASES[name], file=__file__)
