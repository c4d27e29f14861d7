"""Any NIR file: what is wrong with it, what can be corrected, whether two are the same. ``tc.nir`` is this package.

Modules of this toolchain that need the library of NIR's authors say ``import nir``, which is always that one.
"""

from spikec.nir.comparing import Comparison, compare
from spikec.nir.diagnosing import Diagnosis, diagnose
from spikec.nir.findings import Finding
from spikec.nir.repairing import Repair, repair

__all__ = ["Comparison", "Diagnosis", "Finding", "Repair", "compare", "diagnose", "repair"]
