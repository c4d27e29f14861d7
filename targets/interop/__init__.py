"""Deployment files in other simulators: one adapter per framework, each a few lines around the framework's importer.

    from targets.interop import simulate
    trace = simulate("snntorch", tc.load("net.nir"), images)

The adapters run where the framework is installed; ``docs/interoperability.md`` says what each of them adjusts.
"""

from targets.interop.run import ADAPTERS, adapter, simulate

__all__ = ["ADAPTERS", "adapter", "simulate"]
