"""The trained network on which other simulators are compared with the golden model, beside the conformance suite."""

from __future__ import annotations

from collections.abc import Iterator

import spikec as tc
from spikec.deployment import deploy_network
from spikec.models import pretrained
from spikec.models.data import open_dataset
from spikec.targets.interop.conformance import Case

DIGITS = 25


def trained_cases() -> Iterator[Case]:
    """The trained digits network, one weight scale per layer and per channel."""
    train, test = open_dataset("digits", split="train"), open_dataset("digits", split="test")
    calibration = train.images(slice(64))
    model, method = pretrained("digits-cnn"), tc.QCFS(timesteps=4)
    images = test.images(slice(DIGITS)).numpy()
    for per, feature in (("layer", "trained digits network"), ("channel", "trained digits network, per channel")):
        deployment = deploy_network(model, method, calibration, tc.Int8(per=per))  # type: ignore[arg-type]
        yield Case(f"digits-{per}", feature, deployment.graph, images, portable=per == "layer")
