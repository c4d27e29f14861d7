"""Exact counts of an execution and what it costs, as an interval with sources."""

from spikec.energy.conventions import Convention, convention
from spikec.energy.counts import Counts, PopulationCounts, SynapseCounts, count
from spikec.energy.pricing import priced
from spikec.energy.profile import Constant, Profile, load_profile, profile_names
from spikec.energy.sampling import Quantiles
from spikec.energy.value import EnergyItem, Estimate, Reference, Sensitivity

__all__ = [
    "Constant",
    "Convention",
    "Counts",
    "EnergyItem",
    "Estimate",
    "PopulationCounts",
    "Profile",
    "Quantiles",
    "Reference",
    "Sensitivity",
    "SynapseCounts",
    "convention",
    "count",
    "load_profile",
    "priced",
    "profile_names",
]
