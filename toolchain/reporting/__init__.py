"""The report: one page and one JSON document about a deployment. ``tc.report(...)`` makes it."""

from spikec.evidence.intervals import wilson
from spikec.reporting.measure import report
from spikec.reporting.value import Report

__all__ = ["Report", "report", "wilson"]
