"""spikec: trained PyTorch networks to integer spiking networks for neuromorphic hardware.

``import toolchain as tc`` gives the verbs in the order of the data: ``convert``, ``lower``, ``save`` / ``load``,
``simulate``, ``compile``, ``compare``, ``estimate``, ``report``. Names are imported on first use, so that the command
line starts without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public names and the modules that hold them.
_EXPORTS = {
    "ClipFloorShift": "toolchain.training",
    "fit": "toolchain.training",
    "convert": "toolchain.conversion",
    "fidelity": "toolchain.conversion",
    "ErrorCompensation": "toolchain.conversion",
    "ErrorFree": "toolchain.conversion",
    "Graded": "toolchain.conversion",
    "OffsetSpikes": "toolchain.conversion",
    "QCFS": "toolchain.conversion",
    "ResidualError": "toolchain.conversion",
    "SRP": "toolchain.conversion",
    "SpikingNetwork": "toolchain.conversion",
    "replace_max_pool": "toolchain.frontend",
    "Int8": "toolchain.quantization",
    "finetune_quantised": "toolchain.quantization",
    "lower": "toolchain.quantization",
    "decode": "toolchain.ir",
    "import_nir": "toolchain.ir.foreign",
    "load": "toolchain.ir",
    "portable": "toolchain.ir.portable",
    "save": "toolchain.ir",
    "verify": "toolchain.ir",
    "Trace": "toolchain.simulation",
    "certify": "toolchain.simulation.certify",
    "check_ranges": "toolchain.quantization.range_report",
    "compare": "toolchain.simulation",
    "simulate": "toolchain.simulation",
    "estimate": "toolchain.energy",
    "check": "targets.loihi",
    "place": "targets.loihi",
    "report": "toolchain.report",
    "sweep": "toolchain.sweep",
    "ToolchainError": "toolchain.errors",
    "UnsupportedOperation": "toolchain.errors",
    "ConversionError": "toolchain.errors",
    "RangeError": "toolchain.errors",
    "GraphError": "toolchain.errors",
    "DoesNotFit": "toolchain.errors",
    "TargetUnavailable": "toolchain.errors",
    "DataError": "toolchain.errors",
}

if TYPE_CHECKING:
    from targets.loihi import check as check
    from targets.loihi import place as place
    from toolchain.conversion import QCFS as QCFS
    from toolchain.conversion import SRP as SRP
    from toolchain.conversion import ErrorCompensation as ErrorCompensation
    from toolchain.conversion import ErrorFree as ErrorFree
    from toolchain.conversion import Graded as Graded
    from toolchain.conversion import OffsetSpikes as OffsetSpikes
    from toolchain.conversion import ResidualError as ResidualError
    from toolchain.conversion import SpikingNetwork as SpikingNetwork
    from toolchain.conversion import convert as convert
    from toolchain.conversion.fidelity import fidelity as fidelity
    from toolchain.energy.estimate import estimate as estimate
    from toolchain.errors import ConversionError as ConversionError
    from toolchain.errors import DataError as DataError
    from toolchain.errors import DoesNotFit as DoesNotFit
    from toolchain.errors import GraphError as GraphError
    from toolchain.errors import RangeError as RangeError
    from toolchain.errors import TargetUnavailable as TargetUnavailable
    from toolchain.errors import ToolchainError as ToolchainError
    from toolchain.errors import UnsupportedOperation as UnsupportedOperation
    from toolchain.frontend import replace_max_pool as replace_max_pool
    from toolchain.ir import load as load
    from toolchain.ir import save as save
    from toolchain.ir.decode import decode as decode
    from toolchain.ir.foreign import import_nir as import_nir
    from toolchain.ir.portable import portable as portable
    from toolchain.ir.verify import verify as verify
    from toolchain.quantization import Int8 as Int8
    from toolchain.quantization import finetune_quantised as finetune_quantised
    from toolchain.quantization import lower as lower
    from toolchain.quantization.range_report import check_ranges as check_ranges
    from toolchain.report import report as report
    from toolchain.simulation import Trace as Trace
    from toolchain.simulation import simulate as simulate
    from toolchain.simulation.certify import certify as certify
    from toolchain.simulation.compare import compare as compare
    from toolchain.sweep import sweep as sweep
    from toolchain.training import ClipFloorShift as ClipFloorShift
    from toolchain.training import fit as fit


def compile(graph: Any, target: str = "golden", **options: Any) -> Any:
    """An executable of ``graph`` on a target: ``tc.compile(graph, target="lava").run(images)`` gives a Trace.

    Raises ``TargetUnavailable`` where the target's software is missing, ``DoesNotFit`` where the graph exceeds it.
    """
    from targets.base import get_target

    return get_target(target).compile(graph, **options)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'toolchain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
