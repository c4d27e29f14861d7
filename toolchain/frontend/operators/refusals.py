"""What has no counterpart in a spiking network, and what to write instead."""

from __future__ import annotations

from typing import Any

from torch import nn

from spikec.frontend.builder import Builder, Call, handles
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.operators.arithmetic import NONLINEAR

_ACTIVATION = "use ReLU, ReLU6 or tc.ClipFloorShift and fine-tune"
_NORM = "use BatchNorm, which folds into the layer before it"
_RECURRENT = "only feed-forward networks are converted"
_ATTENTION = "attention multiplies two branches; convolutional networks are converted"
_STAIRS = "for an activation with steps use tc.ClipFloorShift, which is that of QCFS"

_REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "sigmoid": (("sigmoid", "log_sigmoid_forward", "log_sigmoid"), _ACTIVATION),
    "tanh": (("tanh",), _ACTIVATION),
    "GELU": (("gelu",), _ACTIVATION),
    "SiLU or Mish": (("silu", "mish", "hardswish", "glu"), _ACTIVATION),
    "an activation with negative values": (("elu", "selu", "celu"), _ACTIVATION),
    "a smooth activation": (("softplus", "exp", "expm1", "erf", "sin", "cos"), _ACTIVATION),
    "rounding": (("round", "ceil", "trunc", "frac", "floor_divide", "remainder", "fmod",
                  "fake_quantize_per_tensor_affine_cachemask"), _STAIRS),
    "softmax": (
        ("_softmax", "_log_softmax", "_safe_softmax", "logsumexp"),
        "only a last one over the classes (dim=1), which changes no order, is left out; let the network end in logits",
    ),
    "attention": (
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_attention_math",
            "_native_multi_head_attention",
            "_transformer_encoder_layer_fwd",
            "scaled_dot_product_attention",
        ),
        _ATTENTION,
    ),
    "a matrix product of two branches": (("_trilinear", "dot"), "use Linear or Conv layers with fixed weights"),
    "a 3-d max pool": (("max_pool3d_with_indices", "adaptive_max_pool3d"), "use MaxPool2d"),
    "normalisation computed from the data": (
        ("native_group_norm", "native_layer_norm", "linalg_vector_norm", "norm", "var_mean", "var", "std", "rsqrt",
         "_fused_rms_norm"),
        _NORM,
    ),
    "a running sum or product": (("cumsum", "cumprod", "prod"), "write it as a layer with fixed weights"),
    "a maximum or minimum": (
        ("aminmax", "amin", "min", "topk", "sort", "median", "kthvalue"),
        "use a max or average pool, ReLU or torch.cat; for a global maximum x.amax((2, 3)), of a signal x.amax(2)",
    ),
    "argmax": (("argmax", "argmin"), "let the network end in logits; take the argmax outside it"),
    "a nonlinear function": (("square", "sqrt", "log", "log1p", "reciprocal", "sign", "addcmul", "addcdiv"), NONLINEAR),
    "a comparison or selection": (
        ("gt", "lt", "ge", "le", "eq", "ne", "any", "all", "isnan", "isinf", "isfinite", "logical_not", "logical_and",
         "bitwise_and", "bitwise_not"),
        "select with ReLU or a clip instead",
    ),
    "an embedding": (("embedding", "embedding_bag"), "feed images"),
    "adding at places": (("index_put", "index_add", "scatter", "scatter_add", "col2im", "masked_scatter"),
                         "write it with torch.cat and slices"),
    "sampling at computed places": (("grid_sampler_2d", "affine_grid_generator"), "use fixed pooling or upsampling"),
    "a Fourier transform": (("_fft_r2c", "_fft_c2c", "_fft_c2r"), "use convolutions"),
}  # fmt: skip

#: Layers that are refused as a whole, whatever operators they consist of.
LAYERS: dict[type[nn.Module], tuple[str, str]] = {
    nn.RNNBase: ("a recurrent layer", _RECURRENT),
    nn.RNNCellBase: ("a recurrent layer", _RECURRENT),
    nn.MultiheadAttention: ("attention", _ATTENTION),
    nn.Transformer: ("attention", _ATTENTION),
    nn.TransformerEncoder: ("attention", _ATTENTION),
    nn.TransformerEncoderLayer: ("attention", _ATTENTION),
    nn.TransformerDecoder: ("attention", _ATTENTION),
    nn.TransformerDecoderLayer: ("attention", _ATTENTION),
    nn.GroupNorm: ("normalisation computed from the data", _NORM),
    nn.LayerNorm: ("normalisation computed from the data", _NORM),
    nn.LocalResponseNorm: ("normalisation computed from the data", _NORM),
    nn.Bilinear: ("a matrix product of two branches", "use Linear or Conv layers with fixed weights"),
    nn.GELU: ("GELU", _ACTIVATION),
    nn.Hardswish: ("SiLU or Mish", _ACTIVATION),
}


def refused_layer(call: Call) -> RefusalError | None:
    """Why the layer that an operator belongs to is refused as a whole; None where it is not."""
    kind = call.step.place.kind
    for base in () if kind is None else kind.__mro__:
        if base in LAYERS:
            return RefusalError(*LAYERS[base])
        if base.__module__.startswith("torch.nn.modules.instancenorm") and call.given.get("training"):
            return RefusalError("normalisation computed from the data", _NORM)
    return None


def _refuser(operation: str, hint: str) -> Any:
    def refuse(b: Builder, call: Call) -> Any:
        raise RefusalError(operation, hint)

    return refuse


for _operation, (_names, _hint) in _REFUSED.items():
    handles(*_names)(_refuser(_operation, _hint))
