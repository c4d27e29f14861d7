"""The report: one page and one JSON document about a deployment. ``toolchain.report(...)`` makes it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from toolchain.report.build import report
from toolchain.report.fit import PROFILES
from toolchain.report.statistics import wilson
from toolchain.report.value import Report, Verification

__all__ = ["PROFILES", "Report", "Verification", "report", "wilson"]


class _CallableModule(ModuleType):
    """``toolchain.report`` names this package and the verb; importing the package must not take the verb away."""

    def __call__(self, *args: Any, **options: Any) -> Report:
        return report(*args, **options)


sys.modules[__name__].__class__ = _CallableModule
