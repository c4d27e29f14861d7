"""Handlers of recorded operators, by family; importing this package registers them all."""

from spikec.frontend.operators import activations, arithmetic, layers, moving, pooling, reductions, refusals, stairs

__all__ = ["activations", "arithmetic", "layers", "moving", "pooling", "reductions", "refusals", "stairs"]
