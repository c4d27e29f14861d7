"""Networks that cannot be converted: each is refused in one sentence that says what to write instead."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import toolchain as tc


def _loop(n, x):
    while x.sum() > 0:
        x = n.conv(x)
    return n.head(x)


def _branch(n, x):
    return n.head(n.conv(x)) if x.mean() > 0 else n.head(x)


_ACTIVATION = "use ReLU, ReLU6 or tc.ClipFloorShift and fine-tune"
_POOL = (
    "the maximum of spike trains is no linear operation: use average pooling (tc.replace_max_pool rewrites a network) "
    "and fine-tune"
)
_NORM = "use BatchNorm, which folds into the layer before it"

#: Forward pass, operation and hint.
_REFUSED = {
    "MaxPool2d": (lambda n, x: n.head(n.layer(n.conv(x))), nn.MaxPool2d(1), "max pooling", _POOL),
    "F.max_pool2d": (lambda n, x: n.small(F.max_pool2d(n.conv(x), (8, 6)).flatten(1)), None, "max pooling", _POOL),
    "AdaptiveMaxPool2d": (lambda n, x: n.small(n.layer(x).flatten(1)), nn.AdaptiveMaxPool2d(1), "max pooling", _POOL),
    "Sigmoid": (lambda n, x: n.head(n.layer(n.conv(x))), nn.Sigmoid(), "sigmoid", _ACTIVATION),
    "torch.sigmoid": (lambda n, x: n.head(torch.sigmoid(n.conv(x))), None, "sigmoid", _ACTIVATION),
    "Tanh": (lambda n, x: n.head(n.layer(n.conv(x))), nn.Tanh(), "tanh", _ACTIVATION),
    "tanh method": (lambda n, x: n.head(n.conv(x).tanh()), None, "tanh", _ACTIVATION),
    "GELU": (lambda n, x: n.head(n.layer(n.conv(x))), nn.GELU(), "GELU", _ACTIVATION),
    "F.gelu": (lambda n, x: n.head(F.gelu(n.conv(x))), None, "GELU", _ACTIVATION),
    "SiLU": (lambda n, x: n.head(n.layer(n.conv(x))), nn.SiLU(), "SiLU or Mish", _ACTIVATION),
    "LeakyReLU": (
        lambda n, x: n.head(n.layer(n.conv(x))),
        nn.LeakyReLU(),
        "an activation with negative values",
        _ACTIVATION,
    ),
    "PReLU": (lambda n, x: n.head(n.layer(n.conv(x))), nn.PReLU(), "an activation with negative values", _ACTIVATION),
    "ELU": (lambda n, x: n.head(F.elu(n.conv(x))), None, "an activation with negative values", _ACTIVATION),
    "Softplus": (lambda n, x: n.head(n.layer(n.conv(x))), nn.Softplus(), "a smooth activation", _ACTIVATION),
    "Softmax inside": (
        lambda n, x: n.head(n.conv(x).softmax(1)),
        None,
        "softmax",
        "let the network end in logits; apply softmax outside it",
    ),
    "softmax at the end": (
        lambda n, x: F.log_softmax(n.head(n.conv(x)), dim=1),
        None,
        "softmax",
        "let the network end in logits; apply softmax outside it",
    ),
    "argmax at the end": (
        lambda n, x: n.head(n.conv(x)).argmax(1),
        None,
        "argmax",
        "let the network end in logits; take the argmax outside it",
    ),
    "attention": (
        lambda n, x: n.linear(n.layer(x.flatten(1), x.flatten(1), x.flatten(1))[0]),
        nn.MultiheadAttention(192, 2),
        "attention",
        "attention multiplies two branches; convolutional networks are converted",
    ),
    "scaled_dot_product_attention": (
        lambda n, x: n.head(F.scaled_dot_product_attention(x, x, x)),
        None,
        "attention",
        "attention multiplies two branches; convolutional networks are converted",
    ),
    "LSTM": (
        lambda n, x: n.linear(n.layer(x.flatten(1))[0]),
        nn.LSTM(192, 192),
        "a recurrent layer",
        "only feed-forward networks are converted",
    ),
    "GRUCell": (
        lambda n, x: n.linear(n.layer(x.flatten(1))),
        nn.GRUCell(192, 192),
        "a recurrent layer",
        "only feed-forward networks are converted",
    ),
    "ConvTranspose2d": (
        lambda n, x: n.head(n.layer(x)),
        nn.ConvTranspose2d(4, 4, 3, padding=1),
        "a transposed convolution",
        "classification networks without upsampling are converted",
    ),
    "Upsample": (
        lambda n, x: n.head(n.layer(x)),
        nn.Upsample(scale_factor=1),
        "upsampling",
        "classification networks without upsampling are converted",
    ),
    "F.interpolate": (
        lambda n, x: n.head(F.interpolate(x, (8, 6))),
        None,
        "upsampling",
        "classification networks without upsampling are converted",
    ),
    "GroupNorm": (
        lambda n, x: n.head(n.layer(n.conv(x))),
        nn.GroupNorm(2, 4),
        "normalisation computed from the data",
        _NORM,
    ),
    "LayerNorm": (
        lambda n, x: n.head(n.layer(n.conv(x))),
        nn.LayerNorm([4, 8, 6]),
        "normalisation computed from the data",
        _NORM,
    ),
    "InstanceNorm2d": (
        lambda n, x: n.head(n.layer(n.conv(x))),
        nn.InstanceNorm2d(4),
        "normalisation computed from the data",
        _NORM,
    ),
    "LocalResponseNorm": (
        lambda n, x: n.head(n.layer(n.conv(x))),
        nn.LocalResponseNorm(2),
        "normalisation computed from the data",
        _NORM,
    ),
    "BatchNorm without statistics": (
        lambda n, x: n.head(n.layer(n.conv(x))),
        nn.BatchNorm2d(4, track_running_stats=False),
        "batch normalisation without running statistics",
        "use track_running_stats=True and train it",
    ),
    "F.batch_norm": (
        lambda n, x: n.head(F.batch_norm(n.conv(x), n.norm.running_mean, n.norm.running_var)),
        None,
        "functional batch normalisation",
        "use the layer nn.BatchNorm2d",
    ),
    "integers": (
        lambda n, x: n.head(n.conv(x.long().float())),
        None,
        "computing in torch.int64",
        "convert a float32 network",
    ),
    "Conv3d": (
        lambda n, x: n.head(n.layer(x.unsqueeze(2)).squeeze(2)),
        nn.Conv3d(4, 4, 3, padding=1),
        "a 3-d convolution",
        "use Conv2d",
    ),
    "matrix product": (
        lambda n, x: n.head(n.conv(x) @ n.matrix),
        None,
        "a matrix product",
        "use Linear or Conv layers with fixed weights",
    ),
    "einsum": (
        lambda n, x: n.head(torch.einsum("nchw,ck->nkhw", x, n.square)),
        None,
        "a matrix product",
        "use Linear or Conv layers with fixed weights",
    ),
    "gating": (
        lambda n, x: n.head(n.conv(x) * n.other(x)),
        None,
        "multiplying two branches",
        "gating and attention have no spiking counterpart here",
    ),
    "difference of branches": (
        lambda n, x: n.head(n.conv(x) - n.other(x)),
        None,
        "subtracting one branch from another",
        "multiply the branch by -1 in the layer before it, then add",
    ),
    "division by a branch": (
        lambda n, x: n.head(n.conv(x) / n.other(x)),
        None,
        "dividing by something that is no constant",
        "divide by non-zero constants only",
    ),
    "division by zero": (
        lambda n, x: n.head(n.conv(x) / 0),
        None,
        "dividing by something that is no constant",
        "divide by non-zero constants only",
    ),
    "division with rounding": (
        lambda n, x: n.head(torch.div(n.conv(x), 2, rounding_mode="floor")),
        None,
        "division with rounding_mode='floor'",
        "leave the rounding out",
    ),
    "floor division": (
        lambda n, x: n.head(n.conv(x) // 2),
        None,
        "integer division of a tensor",
        "multiply by a constant instead",
    ),
    "sum with alpha": (
        lambda n, x: n.head(torch.add(n.conv(x), x, alpha=2)),
        None,
        "add with alpha=2",
        "multiply the second operand by the constant first",
    ),
    "difference with alpha": (
        lambda n, x: n.head(torch.sub(n.conv(x), 1.0, alpha=2)),
        None,
        "subtraction with alpha=2",
        "multiply the second operand by the constant first",
    ),
    "broadcast sum": (
        lambda n, x: n.head(n.conv(x) + n.layer(x)),
        nn.AdaptiveAvgPool2d(1),
        "adding shapes (4, 8, 6) and (4, 1, 1)",
        "bring both to the same shape",
    ),
    "bias per pixel": (
        lambda n, x: n.head(n.conv(x) + n.pixels),
        None,
        "a constant of shape (1, 1, 8, 6)",
        "use a number or one value per channel",
    ),
    "square": (
        lambda n, x: n.head(n.conv(x) ** 2),
        None,
        "a nonlinear function",
        "the only nonlinear operations of a spiking network are ReLU and its clipped relatives",
    ),
    "absolute value": (
        lambda n, x: n.head(torch.abs(n.conv(x))),
        None,
        "a nonlinear function",
        "the only nonlinear operations of a spiking network are ReLU and its clipped relatives",
    ),
    "maximum": (
        lambda n, x: n.head(torch.maximum(n.conv(x), x)),
        None,
        "a maximum or minimum",
        "no linear operation gives it: use ReLU, average pooling or torch.cat",
    ),
    "comparison": (
        lambda n, x: n.head(torch.where(n.mask, n.conv(x), x)),
        None,
        "a comparison or selection",
        "select with ReLU or a clip instead",
    ),
    "sum over the image": (
        lambda n, x: n.small(n.conv(x).sum([2, 3])),
        None,
        "a sum over an axis",
        "use x.mean([2, 3]) or average pooling, times a constant",
    ),
    "mean over channels": (
        lambda n, x: n.head(n.conv(x) + n.layer(n.conv(x).mean(1, keepdim=True))),
        nn.Conv2d(1, 4, 1),
        "a mean over these axes",
        "take the mean over both image axes: x.mean([2, 3])",
    ),
    "chunk": (
        lambda n, x: n.head(n.layer(n.conv(x).chunk(2, 1)[1])),
        nn.Conv2d(2, 4, 1),
        "splitting a tensor",
        "slice the channels: x[:, :c] and x[:, c:]",
    ),
    "stack": (
        lambda n, x: n.head(torch.stack([n.conv(x), x], 1).flatten(1, 2)[:, :4]),
        None,
        "stacking tensors",
        "concatenate along the channels: torch.cat(tensors, 1)",
    ),
    "permute": (
        lambda n, x: n.head(n.conv(x).permute(0, 1, 3, 2)),
        None,
        "reordering axes",
        "keep the layout (N, C, H, W)",
    ),
    "channel shuffle": (
        lambda n, x: n.head(n.conv(x).view(x.shape[0], 2, 2, 8, 6).flatten(1, 2)),
        None,
        "reshaping (N, 4, 8, 6) to (N, 2, 2, 8, 6)",
        "only flattening everything but the batch axis is supported",
    ),
    "flattening the batch": (
        lambda n, x: n.linear(n.conv(x).flatten(0).reshape(-1, 192)),
        None,
        "a reshape that changes the batch axis",
        "keep the batch axis: x.flatten(1)",
    ),
    "concatenation of rows": (
        lambda n, x: n.head(n.layer(torch.cat([n.conv(x), x], 2))),
        nn.AvgPool2d((2, 1)),
        "concatenation along axis 2",
        "concatenate along the channels (dim=1)",
    ),
    "concatenation with zeros": (
        lambda n, x: n.head(n.layer(torch.cat([n.conv(x), n.zeros], 1))),
        nn.Conv2d(5, 4, 1),
        "concatenation with a constant",
        "pad channels of zeros with F.pad",
    ),
    "zeros of the same shape": (
        lambda n, x: n.head(n.conv(x) + torch.zeros_like(x)),
        None,
        "a tensor made from another's shape",
        "use F.pad for zeros and plain numbers for constants",
    ),
    "noise": (
        lambda n, x: n.head(n.conv(x) + torch.randn_like(x)),
        None,
        "a random tensor",
        "add noise in training mode only",
    ),
    "dropout that is always on": (
        lambda n, x: n.head(F.dropout(n.conv(x))),
        None,
        "dropout that is always on",
        "pass training=self.training",
    ),
    "cropping": (
        lambda n, x: n.linear(F.relu(n.layer(x)[:, :, 1:-1, 1:-1]).flatten(1)),
        nn.ZeroPad2d(1),
        "cropping an image by slicing",
        "use a convolution or pooling that gives the smaller size",
    ),
    "an image of the batch": (
        lambda n, x: n.head(n.conv(x[1:])),
        None,
        "slicing the batch axis",
        "leave the first axis whole",
    ),
    "a single channel": (
        lambda n, x: n.layer(n.conv(x)[:, 0].flatten(1)),
        nn.Linear(48, 3),
        "indexing other than slices of an image",
        "slice channels, rows and columns: x[:, a:b, ::2, ::2]",
    ),
    "reflection padding": (
        lambda n, x: n.head(n.layer(x)),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        "padding mode 'reflect'",
        "use padding_mode='zeros'",
    ),
    "padding with ones": (
        lambda n, x: n.linear(F.relu(n.layer(F.pad(x, (1, 1, 1, 1), value=1.0))).flatten(1)),
        nn.Conv2d(4, 4, 3),
        "padding mode 'constant' with value 1.0",
        "pad with zeros",
    ),
    "clip below zero": (
        lambda n, x: n.head(torch.clamp(n.conv(x), -1, 1)),
        None,
        "clamp with lower limit -1.0",
        "clip at zero: spike rates are not negative",
    ),
    "clip without lower limit": (
        lambda n, x: n.head(n.conv(x).clamp(max=1)),
        None,
        "clamp with lower limit None",
        "clip at zero: spike rates are not negative",
    ),
    "clip to nothing": (
        lambda n, x: n.head(n.conv(x).clamp(0, 0)),
        None,
        "clamp with upper limit 0.0",
        "use a positive upper limit",
    ),
    "clip per channel": (
        lambda n, x: n.head(torch.clamp(n.conv(x), n.low, n.high)),
        None,
        "clamp with limits that are no numbers",
        "use one number for all neurons",
    ),
    "pool that leaves out padding": (
        lambda n, x: n.head(n.conv(x)) + n.small(n.layer(x).mean([2, 3])),
        nn.AvgPool2d(2, padding=1, count_include_pad=False),
        "average pooling that leaves padding out of the mean",
        "use count_include_pad=True or no padding",
    ),
    "pool with a partial window": (
        lambda n, x: n.small(F.relu(n.layer(x)).mean([2, 3])),
        nn.AvgPool2d(5, ceil_mode=True),
        "average pooling with ceil_mode and a partial window",
        "use ceil_mode=False",
    ),
    "pool with another divisor": (
        lambda n, x: n.small(F.relu(n.layer(x)).mean([2, 3])),
        nn.AvgPool2d(2, divisor_override=3),
        "divisor_override",
        "multiply by a constant instead",
    ),
    "uneven adaptive pool": (
        lambda n, x: n.small(F.relu(n.layer(x)).mean([2, 3])),
        nn.AdaptiveAvgPool2d(5),
        "adaptive average pooling of 8x6 to 5x5",
        "choose sizes that divide the input evenly",
    ),
    "Linear on an image": (
        lambda n, x: n.head(n.layer(n.conv(x))),
        nn.Linear(6, 6),
        "Linear on a tensor of shape (N, 4, 8, 6)",
        "flatten to (N, features) first",
    ),
    "half precision": (
        lambda n, x: n.head(n.conv(x).half().float()),
        None,
        "computing in torch.float16",
        "convert a float32 network",
    ),
    "unknown layer": (
        lambda n, x: n.head(n.layer(n.conv(x))),
        nn.ChannelShuffle(2),
        "ChannelShuffle",
        "this layer has no spiking counterpart here",
    ),
    "unknown function": (
        lambda n, x: n.head(torch.cumsum(n.conv(x), 2)),
        None,
        "cumsum",
        "this operation has no spiking counterpart here",
    ),
    "if": (
        _branch,
        None,
        "control flow or a Python function that depends on data",
        "write the forward pass without if, while, len, int or range on tensors",
    ),
    "while": (
        _loop,
        None,
        "control flow or a Python function that depends on data",
        "write the forward pass without if, while, len, int or range on tensors",
    ),
    "for over images": (
        lambda n, x: torch.cat([n.head(n.conv(image[None])) for image in x]),
        None,
        "control flow or a Python function that depends on data",
        "write the forward pass without if, while, len, int or range on tensors",
    ),
    "in place under another view": (
        lambda n, x: (lambda y, part: n.head(n.mix(part.relu_()) + y))(*(lambda y: (y, y[:, :2]))(n.conv(x))),
        None,
        "an in-place operation on a tensor that another view of it is read from later",
        "write it without in-place operations",
    ),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_refused(name, network, images):
    run, layer, operation, hint = _REFUSED[name]
    constants = {
        "matrix": torch.rand(6, 6),
        "square": torch.rand(4, 4),
        "pixels": torch.rand(1, 1, 8, 6),
        "mask": torch.rand(8, 6) > 0.5,
        "zeros": torch.zeros(2, 1, 8, 6),
        "low": torch.zeros(4, 1, 1),
        "high": torch.rand(4, 1, 1),
        "mix": nn.Conv2d(2, 4, 1),
    }
    layers = constants | ({} if layer is None else {"layer": layer})
    with pytest.raises(tc.UnsupportedOperation) as error:
        tc.convert(network(run, **layers), tc.QCFS(timesteps=4), example=images, calibration=images)
    lines = str(error.value).splitlines()[1:]
    pattern = rf"  {re.escape(__file__)}:\d+( \(\S+\))?: {re.escape(operation)}: {re.escape(hint)}"
    assert any(re.fullmatch(pattern, line) for line in lines), str(error.value)


def test_every_obstacle_is_listed_at_once_with_its_own_line(network, images):
    def run(n, x):
        x = torch.tanh(n.conv(x))
        x = n.gelu(n.other(x))
        return n.head(F.group_norm(x, 2))

    with pytest.raises(tc.UnsupportedOperation) as error:
        tc.convert(network(run, gelu=nn.GELU()), tc.QCFS(timesteps=4), example=images)
    first = run.__code__.co_firstlineno
    headline, *lines = str(error.value).splitlines()
    assert headline == "3 operations cannot be converted:"
    assert [line.split(": ")[0].strip() for line in lines] == [
        f"{__file__}:{first + 1} (tanh)",
        f"{__file__}:{first + 2} (gelu)",
        f"{__file__}:{first + 3} (group_norm)",
    ]


def test_layers_of_sequential_are_named_where_there_is_no_line(images):
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Sequential(nn.Sigmoid()), nn.Flatten(), nn.Linear(96, 3))
    with pytest.raises(tc.UnsupportedOperation, match=r"\n  layer 1\.0: sigmoid: "):
        tc.convert(network, tc.QCFS(timesteps=4), example=images)


def test_refused_operation_called_twice_on_one_line_counts_once(network, images):
    def run(n, x):
        return n.head(torch.cat([n.tanh(n.conv(part)) for part in (x[:, :2], x[:, 2:])], 1))

    layers = {"tanh": nn.Tanh(), "conv": nn.Conv2d(2, 2, 1)}
    with pytest.raises(tc.UnsupportedOperation, match=r"^1 operation cannot be converted"):
        tc.convert(network(run, **layers), tc.QCFS(timesteps=4), example=images)
