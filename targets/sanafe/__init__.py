"""Placed networks for the simulator SANA-FE: its Loihi 1, and the files that a program with SANA-FE reads.

    from spikec.targets.sanafe import counted, export
    export(graph, placement, trace, folder)

``benchmarks/sanafe_worker.py`` runs what was written; ``benchmarks/sanafe_check.py`` compares.
"""

from spikec.targets.sanafe.architecture import architecture, yaml
from spikec.targets.sanafe.export import counted, export

__all__ = ["architecture", "counted", "export", "yaml"]
