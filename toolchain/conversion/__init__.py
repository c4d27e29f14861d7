"""ANN-SNN conversion: one file per method, the float spiking network, and thresholds for plain ReLU networks."""

from toolchain.conversion.error_compensation import ErrorCompensation
from toolchain.conversion.error_free import ErrorFree
from toolchain.conversion.fidelity import Fidelity, LayerFidelity, fidelity
from toolchain.conversion.graded import Graded
from toolchain.conversion.method import METHODS, Method, NeuronSpec, methods, register
from toolchain.conversion.network import SpikingNetwork
from toolchain.conversion.neurons import Neuron
from toolchain.conversion.offset_spikes import OffsetSpikes
from toolchain.conversion.qcfs import QCFS
from toolchain.conversion.residual_error import ResidualError
from toolchain.conversion.srp import SRP
from toolchain.conversion.to_spiking import convert

__all__ = [
    "METHODS",
    "QCFS",
    "SRP",
    "ErrorCompensation",
    "ErrorFree",
    "Fidelity",
    "Graded",
    "LayerFidelity",
    "Method",
    "Neuron",
    "NeuronSpec",
    "OffsetSpikes",
    "ResidualError",
    "SpikingNetwork",
    "convert",
    "fidelity",
    "methods",
    "register",
]
