"""Self-contained C99 that computes exactly what the golden model computes, and an executor that runs it here.

``code/`` writes the C; the other files compile it, run it and say what it costs.
"""

from spikec.targets.c.target import CTarget

__all__ = ["CTarget"]
