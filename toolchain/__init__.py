"""spikec converts trained PyTorch networks to integer spiking networks for neuromorphic hardware.

``import spikec as tc`` gives the main functions. In the order in which data passes through them they are ``convert``,
``lower``, ``save`` / ``load``, ``simulate``, ``compile``, ``compare``, ``estimate`` and ``report``. Names are imported
on first use, so that the command line starts without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spikec.version import __version__ as __version__

#: Public names and the modules that hold them.
_EXPORTS = {
    "ClipFloorShift": "spikec.training",
    "fit": "spikec.training",
    "choose_spikes": "spikec.deployment",
    "Calibration": "spikec.conversion",
    "convert": "spikec.conversion",
    "fidelity": "spikec.evidence.fidelity",
    "ErrorCompensation": "spikec.conversion",
    "ErrorFree": "spikec.conversion",
    "Graded": "spikec.conversion",
    "OffsetSpikes": "spikec.conversion",
    "QCFS": "spikec.conversion",
    "ResidualError": "spikec.conversion",
    "SRP": "spikec.conversion",
    "SpikingNetwork": "spikec.conversion",
    "replace_max_pool": "spikec.frontend",
    "Int8": "spikec.quantization",
    "finetune_quantised": "spikec.quantization",
    "lower": "spikec.quantization",
    "decode": "spikec.ir",
    "import_nir": "spikec.conversion.from_nir.importing",
    "import_sequences": "spikec.conversion.from_nir.sequences",
    "sequence_fidelity": "spikec.evidence.sequence_fidelity",
    "load": "spikec.ir",
    "portable": "spikec.ir.profile.portable",
    "save": "spikec.ir",
    "verify": "spikec.ir",
    "Trace": "spikec.simulation",
    "certify": "spikec.evidence.certificate",
    "check_ranges": "spikec.evidence.range_report",
    "explain": "spikec.simulation.explain",
    "crosscheck": "spikec.evidence.crosscheck",
    "compare": "spikec.simulation",
    "simulate": "spikec.simulation",
    "estimate": "spikec.evidence.energy",
    "check": "spikec.targets.chips",
    "place": "spikec.targets.chips",
    "quality": "spikec.evidence.quality",
    "report": "spikec.reporting",
    "sweep": "spikec.sweeping",
    "advise": "spikec.advising",
    "ToolchainError": "spikec.errors",
    "UnsupportedOperation": "spikec.errors",
    "ConversionError": "spikec.errors",
    "RangeError": "spikec.errors",
    "GraphError": "spikec.errors",
    "DoesNotFit": "spikec.errors",
    "TargetUnavailable": "spikec.errors",
    "DataError": "spikec.errors",
}

#: Public packages by the name they are reached by, and where they lie.
_PACKAGES = {"nir": "spikec.nir", "plot": "spikec.plotting"}

if TYPE_CHECKING:
    from spikec import nir as nir
    from spikec import plotting as _plotting
    from spikec.advising import advise as advise
    from spikec.conversion import QCFS as QCFS
    from spikec.conversion import SRP as SRP
    from spikec.conversion import Calibration as Calibration
    from spikec.conversion import ErrorCompensation as ErrorCompensation
    from spikec.conversion import ErrorFree as ErrorFree
    from spikec.conversion import Graded as Graded
    from spikec.conversion import OffsetSpikes as OffsetSpikes
    from spikec.conversion import ResidualError as ResidualError
    from spikec.conversion import SpikingNetwork as SpikingNetwork
    from spikec.conversion import convert as convert
    from spikec.conversion.from_nir.importing import import_nir as import_nir
    from spikec.conversion.from_nir.sequences import import_sequences as import_sequences
    from spikec.deployment import choose_spikes as choose_spikes
    from spikec.errors import ConversionError as ConversionError
    from spikec.errors import DataError as DataError
    from spikec.errors import DoesNotFit as DoesNotFit
    from spikec.errors import GraphError as GraphError
    from spikec.errors import RangeError as RangeError
    from spikec.errors import TargetUnavailable as TargetUnavailable
    from spikec.errors import ToolchainError as ToolchainError
    from spikec.errors import UnsupportedOperation as UnsupportedOperation
    from spikec.evidence.certificate import certify as certify
    from spikec.evidence.crosscheck import crosscheck as crosscheck
    from spikec.evidence.energy import estimate as estimate
    from spikec.evidence.fidelity import fidelity as fidelity
    from spikec.evidence.quality import quality as quality
    from spikec.evidence.range_report import check_ranges as check_ranges
    from spikec.evidence.sequence_fidelity import sequence_fidelity as sequence_fidelity
    from spikec.frontend import replace_max_pool as replace_max_pool
    from spikec.ir import load as load
    from spikec.ir import save as save
    from spikec.ir.profile.decode import decode as decode
    from spikec.ir.profile.portable import portable as portable
    from spikec.ir.profile.verify import verify as verify
    from spikec.quantization import Int8 as Int8
    from spikec.quantization import finetune_quantised as finetune_quantised
    from spikec.quantization import lower as lower
    from spikec.reporting import report as report
    from spikec.simulation import Trace as Trace
    from spikec.simulation import simulate as simulate
    from spikec.simulation.compare import compare as compare
    from spikec.simulation.explain import explain as explain
    from spikec.sweeping import sweep as sweep
    from spikec.targets.chips import check as check
    from spikec.targets.chips import place as place
    from spikec.training import ClipFloorShift as ClipFloorShift
    from spikec.training.fit import fit as fit

    plot = _plotting


def compile(graph: Any, target: str = "golden", **options: Any) -> Any:
    """Prepare ``graph`` to run on a target. ``tc.compile(graph, target="lava").run(images)`` returns a Trace.

    Raises ``TargetUnavailable`` where the target's software is missing, and ``DoesNotFit`` where the graph exceeds a
    limit of the target. ``options``: those of the target's ``compile``; one that it does not have is an
    ``ArgumentError``.

    >>> program = tc.compile(graph, target="golden")
    >>> tc.compare(program.run(images), tc.simulate(graph, images)) is None
    True
    """
    from spikec.targets.base import compiled, get_target

    return compiled(get_target(target), graph, options)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value
    if name in _PACKAGES:
        return import_module(_PACKAGES[name])
    raise AttributeError(f"module 'spikec' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names alone; what else has been imported below ``spikec`` stays reachable."""
    return sorted({*_EXPORTS, *_PACKAGES, compile.__name__})
