"""Exact counts of an execution and what it costs, as an interval with sources."""

from toolchain.energy.conventions import Convention, convention
from toolchain.energy.counts import Counts, PopulationCounts, SynapseCounts, count
from toolchain.energy.estimate import estimate
from toolchain.energy.profile import Constant, Profile, load_profile, profile_names
from toolchain.energy.sampling import Quantiles
from toolchain.energy.value import EnergyItem, Estimate, Sensitivity

__all__ = [
    "Constant",
    "Convention",
    "Counts",
    "EnergyItem",
    "Estimate",
    "PopulationCounts",
    "Profile",
    "Quantiles",
    "Sensitivity",
    "SynapseCounts",
    "convention",
    "count",
    "estimate",
    "load_profile",
    "profile_names",
]
