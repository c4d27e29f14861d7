"""ANN-SNN conversion: one file per method, the float spiking network, and thresholds for plain ReLU networks."""

from spikec.conversion.calibration.choice import Calibration
from spikec.conversion.methods.base import METHODS, Method, NeuronSpec, methods, register
from spikec.conversion.methods.error_compensation import ErrorCompensation
from spikec.conversion.methods.error_free import ErrorFree
from spikec.conversion.methods.graded import Graded
from spikec.conversion.methods.offset_spikes import OffsetSpikes
from spikec.conversion.methods.qcfs import QCFS
from spikec.conversion.methods.residual_error import ResidualError
from spikec.conversion.methods.srp import SRP
from spikec.conversion.network import SpikingNetwork
from spikec.conversion.neurons import Neuron
from spikec.conversion.to_spiking import convert

__all__ = [
    "METHODS",
    "QCFS",
    "SRP",
    "Calibration",
    "ErrorCompensation",
    "ErrorFree",
    "Graded",
    "Method",
    "Neuron",
    "NeuronSpec",
    "OffsetSpikes",
    "ResidualError",
    "SpikingNetwork",
    "convert",
    "methods",
    "register",
]
