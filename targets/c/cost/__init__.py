"""What the C of a network costs a microcontroller: memory by section, integer operations, memory traffic, cycles.

``work.py`` counts what the code does, ``cycles.py`` turns that into cycles, ``sections.py`` sorts the memory,
``compiled.py`` asks a compiler for the size of the instructions; ``cost.py`` puts them together.
"""

from spikec.targets.c.cost.compiled import Compiled
from spikec.targets.c.cost.cost import Cost, cost
from spikec.targets.c.cost.sections import Sections
from spikec.targets.c.cost.work import Work

__all__ = ["Compiled", "Cost", "Sections", "Work", "cost"]
