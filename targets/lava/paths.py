"""Paths (``module:class``) of the Lava processes that serve every network. Worker and main side share these names.

:mod:`spikec.targets.lava.kinds` names the process of a neuron kind, :mod:`spikec.targets.lava.operations` that of an
operation. The worker imports this module, so it imports nothing.
"""

from __future__ import annotations

from typing import Literal

#: How the image enters: as the current of the first layer, or sent as graded spikes. Sequences are always sent.
InputCoding = Literal["current", "graded"]

#: The folder of our processes.
OURS = "spikec.targets.lava.processes"

#: Lava's own synapses and neurons.
CONV = "lava.proc.conv.process:Conv"
DENSE = "lava.proc.dense.process:Dense"
ATRLIF = "lava.proc.atrlif.process:ATRLIF"
LIF = "lava.proc.lif.process:LIF"
LIF_RESET = "lava.proc.lif.process:LIFReset"

#: The same synapses for images side by side.
CONV_ABREAST = f"{OURS}.abreast:ConvAbreast"
DENSE_ABREAST = f"{OURS}.abreast:DenseAbreast"

#: Connections that are not synapses.
SUM_POOL = f"{OURS}.wiring:SumPool"
MAX_POOL = f"{OURS}.maxima:MaxPool"
RELAY = f"{OURS}.wiring:Relay"
DELAYED = f"{OURS}.delayed:Delayed"

#: Where numbers enter and leave.
IMAGE_SOURCE = f"{OURS}.source:ImageSource"
FRAME_SOURCE = f"{OURS}.source:FrameSource"
CURRENT_SOURCE = f"{OURS}.beside:CurrentSource"
SPIKE_RECORDER = f"{OURS}.beside:SpikeRecorder"
INTEGRATOR = f"{OURS}.readout:Integrator"
LEAKY_INTEGRATOR = f"{OURS}.leaky:LeakyIntegrator"
READOUTS = frozenset({INTEGRATOR, LEAKY_INTEGRATOR})
