"""Neuron kinds, one file each: the equation, the fields and the facts. ``docs/extending.md`` says how to add one."""

# In the order in which messages and tables list them.
# isort: off
from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.stored import LARGEST, MAX_SPIKES, Stored, stored
from spikec.ir.kinds.registering import forget, kind_named, kinds, register
from spikec.ir.kinds.plain_if import IF
from spikec.ir.kinds.signed_if import SignedIF
from spikec.ir.kinds.calibrated_if import CalibratedIF
from spikec.ir.kinds.bit_serial_if import BitSerialIF
from spikec.ir.kinds.graded_if import GradedIF
from spikec.ir.kinds.cuba_lif import CubaLIF
from spikec.ir.kinds.maximum import Maximum
from spikec.ir.timing import Timing
# isort: on

__all__ = [
    "IF",
    "LARGEST",
    "MAX_SPIKES",
    "BitSerialIF",
    "CalibratedIF",
    "CubaLIF",
    "GradedIF",
    "Kind",
    "Maximum",
    "SignedIF",
    "Stored",
    "Timing",
    "forget",
    "kind_named",
    "kinds",
    "register",
    "stored",
]
