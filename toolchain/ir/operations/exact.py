"""Settings of torch under which sums of whole numbers in floats are exact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def exact_floats(device: str = "cpu") -> Iterator[None]:
    """Inside the block: no gradients, no reduced-precision or transform-based kernels on this type of device."""
    import torch

    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # no TF32
    try:
        with ExitStack() as settings:
            settings.enter_context(torch.inference_mode())
            settings.enter_context(torch.autocast(device, enabled=False))
            # Winograd and Fourier transforms are not exact on integers: NNPACK has them, cuDNN takes them unasked.
            settings.enter_context(torch.backends.nnpack.flags(enabled=False))
            if device != "cpu":
                settings.enter_context(torch.backends.cudnn.flags(enabled=False, allow_tf32=False))
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
