"""The networks of other frameworks that are deployed here, how each file is read, and what is known of it.

Sources are read in the packages of the versions in ``constraints/interop.txt``; ``benchmarks.foreign_nir`` fails where
a file behaves otherwise than these lines say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from benchmarks.foreign_networks import TAU_CURRENT
from benchmarks.foreign_rules import NIR, Rule, current_kept, current_undiminished
from spikec.conversion.from_nir.dynamics import Integration

#: How far a network comes: its exporter or ``nir.write`` refuses it; ``nir.read`` refuses it, and it is compared after
#: its repair; or it is compared as it is.
Stage = Literal["export", "write", "repaired", "compared"]


@dataclass(frozen=True)
class Foreign:
    """``name``: the method of ``benchmarks.foreign_networks``. ``dt``, in the unit of the file's tau, ``integration``
    and ``subtract``: as ``import_sequences`` takes them. ``rule``: what the framework does otherwise. ``scale``: a
    factor on the weights, so that neurons of different gain fire about as often."""

    framework: str
    name: str
    label: str
    dt: float = 1.0
    subtract: bool = False
    integration: Integration = "euler"
    rule: Rule = NIR
    stage: Stage = "compared"
    scale: float = 1.0


LATE = Rule("the reset comes a step later: that step's leak and input act first", reset="late")
LATE_ZERO = Rule("the reset comes a step later and takes that step's input with it", reset="late")
AGAIN = Rule(
    "a membrane above the threshold even after the reset has it taken off before the next step compares", reset="again"
)
SEVERAL = Rule("several spikes in one step", several=True)
NO_W_IN = Rule("the exporter leaves w_in = tau_syn / dt out", meant=current_undiminished)
NO_CURRENT = Rule("the exporter leaves tau_syn out", meant=current_kept(math.exp(-1 / TAU_CURRENT)))

#: snnTorch and SpikingJelly write their time constants for a step of 1e-4. Norse writes dt / tau_mem_inv, which is its
#: time constant in seconds times its own step of 1e-3. Sinabs counts in steps and keeps exp(-1 / tau).
_SNN, _NORSE = 1e-4, 1e-6

CASES = (
    Foreign("snntorch", "leaky_scalar", "Leaky, one beta", stage="export"),
    Foreign("snntorch", "leaky_zero", "Leaky, reset to zero", _SNN),
    Foreign("snntorch", "leaky", "Leaky", _SNN, subtract=True, rule=LATE),
    Foreign("snntorch", "leaky_at_once", "Leaky, `reset_delay=False`", _SNN, subtract=True, rule=AGAIN),
    Foreign("snntorch", "synaptic_zero", "Synaptic, reset to zero", _SNN, rule=LATE_ZERO, scale=0.3),
    Foreign("snntorch", "synaptic_zero_at_once", "Synaptic, reset to zero, `reset_delay=False`", _SNN, scale=0.3),
    Foreign("snntorch", "rleaky_zero_at_once", "RLeaky, reset to zero, `reset_delay=False`", _SNN),
    Foreign("snntorch", "rsynaptic", "RSynaptic", _SNN, subtract=True, rule=LATE, scale=0.3),
    Foreign("norse", "box_scalar", "LIFBoxCell, default parameters", stage="write"),
    Foreign("norse", "box_batch", "LIFBoxCell, sample [1, features]", _NORSE, stage="repaired", scale=10),
    Foreign("norse", "box", "LIFBoxCell", _NORSE, scale=10),
    Foreign("norse", "box_seconds", "LIFBoxCell, `to_nir(dt=1.0)`", 1e-3, scale=10),
    Foreign("norse", "lif", "LIFCell", _NORSE, rule=NO_W_IN, scale=3),
    Foreign("norse", "lif_w_in", "LIFCell, w_in set by us", _NORSE, scale=3),
    Foreign("norse", "recurrent_lif", "LIFRecurrentCell", stage="write"),
    Foreign("sinabs", "lif_scalar", "LIF, one tau", integration="exponential", stage="write"),
    Foreign(
        "sinabs",
        "lif",
        "LIF, sample [1, 1, features]",
        subtract=True,
        integration="exponential",
        rule=SEVERAL,
        stage="repaired",
        scale=10,
    ),
    Foreign("sinabs", "squeeze", "LIFSqueeze", subtract=True, integration="exponential", rule=SEVERAL, scale=10),
    Foreign("sinabs", "squeeze_single", "LIFSqueeze, SingleSpike", subtract=True, integration="exponential", scale=10),
    Foreign(
        "sinabs",
        "squeeze_single_zero",
        "LIFSqueeze, SingleSpike, MembraneReset",
        integration="exponential",
        scale=10,
    ),
    Foreign(
        "sinabs",
        "squeeze_current",
        "LIFSqueeze with tau_syn, SingleSpike, MembraneReset",
        integration="exponential",
        rule=NO_CURRENT,
        scale=3,
    ),
    Foreign("sinabs", "recurrent_lif", "LIFRecurrent", stage="export"),
    Foreign("spikingjelly", "lif", "LIFNode", _SNN, scale=10),
    Foreign("spikingjelly", "lif_undecayed", "LIFNode, `decay_input=False`", _SNN),
    Foreign("spikingjelly", "lif_soft", "LIFNode, `v_reset=None`", stage="export"),
    Foreign("spikingjelly", "cuba", "CUBALIFNode", _SNN, scale=0.3),
    Foreign("spikingjelly", "recurrent_lif", "LinearRecurrentContainer", stage="export"),
)
