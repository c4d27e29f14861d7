"""A trained MLP and its vectors, and results as measurements would give them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from spikec.advising.trials import Trial
from spikec.deployment import Configuration
from spikec.evidence.intervals import paired_difference, wilson
from spikec.models.data import load


@pytest.fixture(autouse=True, scope="module")
def _few_images():
    """Two small rounds: what is tested here does not depend on how many images they have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spikec.advising.bench.ROUNDS", (50, 100))
        yield


@pytest.fixture(scope="session")
def digits_as_vectors():
    """(images float32 [600, 64], labels int64 [600]) of the training digits, and 200 of the test digits."""
    both = (load("digits", split=split) for split in ("train", "test"))
    return [(x[:n].flatten(1).numpy(), y[:n].numpy()) for n, (x, y) in zip((600, 200), both, strict=True)]


@pytest.fixture(scope="session")
def mlp(digits_as_vectors):
    """A ReLU network on 64 numbers, trained for 40 steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10))
    images, labels = map(torch.from_numpy, digits_as_vectors[0])
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def made():
    """``made(label, purpose, loss=, images=, steps=, joule=, fits=) -> (Trial, Result)``."""

    def make(label, purpose="streaming", *, lost=0, images=1000, steps=10, joule=1.0, fits=True, family="a", levels=4):
        configuration = Configuration(model=label)
        trial = Trial({"model": label}, configuration, None, purpose, family, levels)
        result = {
            "state": "done",
            "images": images,
            "overflows": {},
            "paired": {
                "agree": images - lost,
                "gained": 0,
                "lost": lost,
                "interval": list(paired_difference(0, lost, images)),
            },
            "interval": list(wilson(images - lost, images)),
            "latency_steps": steps,
            "energy": {"loihi2": {"p50": joule}},
            "chip": {"name": "loihi2", "fits": fits, "errors": [] if fits else ["too large"]},
        }
        return SimpleNamespace(trial=trial, result=result)

    return make
