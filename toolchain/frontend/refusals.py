"""What has no counterpart in a spiking network, and what to write instead."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from spikec.frontend.builder import Builder, Call, RefusalError, handles

_ACTIVATION = "use ReLU, ReLU6 or tc.ClipFloorShift and fine-tune"
_NORM = "use BatchNorm, which folds into the layer before it"
_RECURRENT = "only feed-forward networks are converted"
_UPSAMPLE = "classification networks without upsampling are converted"


_REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "a 3-d max pool": ((nn.MaxPool3d, nn.AdaptiveMaxPool3d), "use MaxPool2d"),
    "sigmoid": (
        (nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid, torch.sigmoid, F.sigmoid, F.hardsigmoid, "sigmoid"),
        _ACTIVATION,
    ),
    "tanh": ((nn.Tanh, nn.Tanhshrink, torch.tanh, F.tanh, "tanh"), _ACTIVATION),
    "GELU": ((nn.GELU, F.gelu), _ACTIVATION),
    "SiLU or Mish": ((nn.SiLU, nn.Mish, nn.Hardswish, F.silu, F.mish, F.hardswish), _ACTIVATION),
    "an activation with negative values": (
        (nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.RReLU, F.leaky_relu, F.prelu, F.elu, F.selu, F.celu),
        _ACTIVATION,
    ),
    "a smooth activation": ((nn.Softplus, nn.Softsign, F.softplus, F.softsign, torch.exp, "exp"), _ACTIVATION),
    "softmax": (
        (
            nn.Softmax,
            nn.LogSoftmax,
            nn.Softmin,
            F.softmax,
            F.log_softmax,
            torch.softmax,
            torch.log_softmax,
            "softmax",
            "log_softmax",
        ),
        "only a last one over the classes (dim=1), which changes no order, is left out; let the network end in logits",
    ),
    "attention": (
        (
            nn.MultiheadAttention,
            nn.Transformer,
            nn.TransformerEncoder,
            nn.TransformerEncoderLayer,
            nn.TransformerDecoder,
            nn.TransformerDecoderLayer,
            F.scaled_dot_product_attention,
        ),
        "attention multiplies two branches; convolutional networks are converted",
    ),
    "a matrix product": (
        (
            torch.matmul,
            torch.bmm,
            torch.mm,
            torch.addmm,
            torch.einsum,
            operator.matmul,
            nn.Bilinear,
            F.bilinear,
            "matmul",
            "bmm",
            "mm",
        ),
        "use Linear or Conv layers with fixed weights",
    ),
    "a recurrent layer": ((nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell), _RECURRENT),
    "a transposed convolution": (
        (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, F.conv_transpose1d, F.conv_transpose2d),
        _UPSAMPLE,
    ),
    "upsampling": (
        (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, F.interpolate, nn.PixelShuffle),
        _UPSAMPLE,
    ),
    "a 3-d convolution": ((nn.Conv3d, F.conv3d), "use Conv2d"),
    "normalisation computed from the data": (
        (
            nn.GroupNorm,
            nn.LayerNorm,
            nn.InstanceNorm1d,
            nn.InstanceNorm2d,
            nn.LocalResponseNorm,
            F.group_norm,
            F.layer_norm,
            F.instance_norm,
            F.local_response_norm,
        ),
        _NORM,
    ),
    "splitting a tensor": (
        (torch.chunk, torch.split, torch.unbind, torch.tensor_split, "chunk", "split", "unbind", "tensor_split"),
        "slice the channels: x[:, :c] and x[:, c:]",
    ),
    "stacking tensors": ((torch.stack,), "concatenate along the channels: torch.cat(tensors, 1)"),
    "reordering axes": (
        (torch.permute, torch.transpose, torch.movedim, "permute", "transpose", "movedim", "t"),
        "keep the layout (N, C, H, W)",
    ),
    "a maximum or minimum": (
        (
            torch.max,
            torch.min,
            torch.maximum,
            torch.minimum,
            torch.amin,
            torch.topk,
            "max",
            "min",
            "amin",
            "topk",
        ),
        "use a max or average pool, ReLU or torch.cat; for a global maximum x.amax((2, 3)), of a signal x.amax(2)",
    ),
    "argmax": ((torch.argmax, "argmax"), "let the network end in logits; take the argmax outside it"),
    "a sum over an axis": ((torch.sum, "sum"), "use x.mean([2, 3]) or average pooling, times a constant"),
    "a nonlinear function": (
        (
            torch.pow,
            torch.square,
            torch.sqrt,
            torch.abs,
            torch.log,
            operator.pow,
            operator.abs,
            abs,
            "pow",
            "square",
            "sqrt",
            "abs",
            "log",
            "norm",
        ),
        "the only nonlinear operations of a spiking network are ReLU and its clipped relatives",
    ),
    "a comparison or selection": (
        (
            torch.where,
            torch.gt,
            torch.lt,
            operator.gt,
            operator.lt,
            operator.ge,
            operator.le,
            operator.eq,
            operator.ne,
            "gt",
            "lt",
            "where",
            "masked_fill",
        ),
        "select with ReLU or a clip instead",
    ),
    "a random tensor": (
        (torch.randn_like, torch.rand_like, torch.bernoulli, F.gumbel_softmax, "normal_", "uniform_"),
        "add noise in training mode only",
    ),
    "a tensor made from another's shape": (
        (torch.zeros_like, torch.ones_like, torch.full_like, "new_zeros", "new_ones", "new_full"),
        "use F.pad for zeros and plain numbers for constants",
    ),
    "functional batch normalisation": ((F.batch_norm, torch.batch_norm), "use the layer nn.BatchNorm2d"),
    "an embedding": ((nn.Embedding, nn.EmbeddingBag, F.embedding), "feed images"),
}


def _refuser(operation: str, hint: str) -> Any:
    def refuse(b: Builder, call: Call) -> Any:
        raise RefusalError(operation, hint)

    return refuse


for _operation, (_keys, _hint) in _REFUSED.items():
    handles(*_keys)(_refuser(_operation, _hint))
