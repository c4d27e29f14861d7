"""From a configuration to a deployment: which network, method and precision, and the integers they become.

Names are imported on first use, so that a command line starts without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.deployment.configuration import Configuration as Configuration
    from spikec.deployment.deploying import Deployment as Deployment
    from spikec.deployment.deploying import deploy as deploy
    from spikec.deployment.deploying import deploy_network as deploy_network
    from spikec.deployment.filling import fill as fill
    from spikec.deployment.spike_budget import SpikeChoice as SpikeChoice
    from spikec.deployment.spike_budget import choose_spikes as choose_spikes
    from spikec.deployment.weights_file import WeightsFile as WeightsFile
    from spikec.deployment.weights_file import weights_file as weights_file

_PLACES = {
    "Configuration": "configuration",
    "Deployment": "deploying",
    "SpikeChoice": "spike_budget",
    "WeightsFile": "weights_file",
    "choose_spikes": "spike_budget",
    "deploy": "deploying",
    "deploy_network": "deploying",
    "fill": "filling",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"spikec.deployment.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
