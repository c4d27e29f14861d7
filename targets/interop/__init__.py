"""Deployment files in other simulators: one adapter per framework, each a few lines around the framework's importer.

    from spikec.targets.interop import simulate
    trace = simulate("snntorch", tc.load("net.nir"), images)

The adapters run where the framework is installed; ``docs/interoperability.md`` says what each of them adjusts.
:func:`conformance_cases` gives the networks they are tested on, for any simulator.
"""

from spikec.targets.interop.conformance import Case, conformance_cases, write_case
from spikec.targets.interop.run import ADAPTERS, adapter, simulate

__all__ = ["ADAPTERS", "Case", "adapter", "conformance_cases", "simulate", "write_case"]
