"""The emitter: an integer graph as C99, without allocation, library calls or recursion.

One file for each thing that is written: ``generate.py`` puts them together, ``network.py`` writes the order of a run,
``operations.py`` and the files it names write the sums, ``neurons.py`` the rules to fire by, ``readouts.py`` the
outputs. ``bounds.py`` proves how large every number can get; ``numbers.py`` picks the smallest type for it.
"""

from spikec.targets.c.code.choices import Choices
from spikec.targets.c.code.generate import generate
from spikec.targets.c.code.source import Memory, Reader, Sender, Source

__all__ = ["Choices", "Memory", "Reader", "Sender", "Source", "generate"]
