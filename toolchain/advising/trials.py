"""A line of the portfolio as a configuration of the user's network, with what is known of it before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikec.conversion.methods.base import Method, neuron_of
from spikec.deployment.configuration import Configuration, own
from spikec.deployment.filling import fill, method_of
from spikec.errors import ToolchainError

#: What a deployment is for, by the name of its recommendation.
PURPOSES: dict[str, str] = {
    "streaming": "pipelined, spikes of one bit and a sign: the layers work at once, on one step after the other",
    "lossless": "layerwise, spikes of one bit: the most accurate, and the longest way from image to answer",
    "graded": "spikes that carry numbers, which the chip multiplies: few steps",
}


@dataclass(frozen=True)
class Trial:
    """One deployment that may be tried.

    ``given``: the fields that a user would state, so that ``spikec export`` makes the same file. ``refused``: why its
    method rules it out, None where it does not. ``purpose``: a key of :data:`PURPOSES`. ``resolution``: levels that a
    neuron can tell apart; trials of one ``family`` differ in it alone, and more of it costs more and loses less.
    """

    given: Mapping[str, Any]
    configuration: Configuration
    refused: str | None
    purpose: str
    family: str
    resolution: int

    @property
    def id(self) -> str:
        return self.configuration.id

    @property
    def label(self) -> str:
        """``error-free T=6``, ``graded levels=15 T=1``: unique within a portfolio."""
        options = own(self.configuration.method, self.configuration.options)
        further = [f"{name}={value}" for name, value in options.items()]
        scheduled = [str(self.given["schedule"])] if "schedule" in self.given else []
        known = {"method", "options", "timesteps", "schedule", *_SHARED}
        fields = [f"{name}={value}" for name, value in self.given.items() if name not in known]
        return " ".join([self.configuration.method, *scheduled, *further, *fields, f"T={self.configuration.timesteps}"])


#: Fields that all trials share, since the user states them or the chip decides them.
_SHARED = ("model", "weights", "weights_entry", "data", "data_root", "max_pool", "per", "bits", "override", "scale",
           "format", "calibration", "seed")  # fmt: skip


def trials_of(portfolio: Sequence[Mapping[str, Any]], shared: Mapping[str, Any]) -> list[Trial]:
    """The trials of a network; ``shared``: the fields that all of them have. Lines that mean the same are one trial."""
    found: dict[str, Trial] = {}
    for line in portfolio:
        given = {**shared, **line}
        configuration, refused = fill(given)
        try:
            purpose, family, resolution = _facts(configuration)
        except (ToolchainError, TypeError, ValueError) as error:
            refused = refused or error
            purpose, family, resolution = "lossless", configuration.id, configuration.timesteps
        trial = Trial(given, configuration, None if refused is None else str(refused), purpose, family, resolution)
        found.setdefault(trial.id, trial)
    return list(found.values())


def _facts(configuration: Configuration) -> tuple[str, str, int]:
    """Purpose, family and resolution, from what the method says of its neurons."""
    method: Method = method_of(configuration)
    kind = neuron_of(method, None).kind
    purpose = "graded" if kind.multiplied else "streaming" if method.schedule == "pipelined" else "lossless"
    same = {**configuration.to_json(), "timesteps": None, "options": {**configuration.options, "levels": None}}
    return purpose, repr(sorted(same.items())), method.resolution(None)
