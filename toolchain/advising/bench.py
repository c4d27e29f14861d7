"""Measures trials, keeps the results in a folder, and knows what the next one will cost."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from spikec.advising.subject import Subject
from spikec.advising.trials import Trial
from spikec.deployment import Configuration, Deployment, deploy
from spikec.deployment.filling import with_files
from spikec.models.data import Dataset
from spikec.sweeping.measure import Predictions, figures, guarded, predictions
from spikec.sweeping.shape import FAILED, REFUSED
from spikec.sweeping.store import Result, Store, failure
from spikec.targets.chips import Chip

#: Held-out images of the rounds. Each round measures anew, so the sizes grow fast.
ROUNDS = (128, 512, 2048, 8192)
#: Deployments kept for the next round take at most this many bytes.
_KEPT_BYTES = 10**9


class Bench:
    """One network, one chip, one folder of results."""

    def __init__(self, subject: Subject, store: Store, chip: Chip) -> None:
        self.subject, self.store, self.chip = subject, store, chip
        self._kept: dict[str, Deployment] = {}
        self._network: dict[str, Predictions] = {}
        self._deploying: dict[str, float] = {}  # seconds, by id of the trial
        self.network_seconds = 0.0  # of the network itself, per image

    def sizes(self) -> list[int]:
        """Images of each round; the last takes all that are held out, where they are fewer than it wants."""
        most = len(self.subject.held_out)
        return sorted({min(size, most) for size in ROUNDS})

    def result(self, trial: Trial) -> Result | None:
        """The result on the most held-out images that the folder holds; None where there is none."""
        found = (self._read(self._asked(trial, "held-out", size)) for size in reversed(self.sizes()))
        return next((result for result in found if result is not None), None)

    def measure(self, trial: Trial, images: int) -> Result:
        """The result on the first ``images`` held-out images, measured unless the folder holds it."""
        return self._measure(trial, "held-out", images)

    def test(self, trial: Trial, images: int) -> Result:
        """The result on the first ``images`` test images, measured unless the folder holds it."""
        return self._measure(trial, "test", images)

    def tested(self, trial: Trial, images: int) -> Result | None:
        """The result of :meth:`test` if the folder holds it."""
        return self._read(self._asked(trial, "test", images))

    def deployment(self, trial: Trial) -> Deployment:
        """What ``spikec export`` makes of the trial."""
        found = self._kept.get(trial.id)
        if found is None:
            start = time.monotonic()
            found = deploy(trial.configuration, model=self.subject.model, training=self.subject.training)
            self._deploying[trial.id] = time.monotonic() - start
            self._keep(trial, found)
        return found

    def keeps(self, trial: Trial) -> bool:
        """Whether its deployment is still in memory, so that measuring it again costs no conversion."""
        return trial.id in self._kept

    def network(self, split: str, images: int) -> Predictions:
        """The classes that the network itself gives the first ``images`` of ``split``, int64 [images]."""
        known = self._network.get(split, np.empty(0, dtype=np.int64))
        if len(known) < images:
            start, missing = time.monotonic(), self._images(split).subset(slice(len(known), images))
            found = predictions(self.subject.model, missing)
            self.network_seconds = (time.monotonic() - start) / len(missing)
            known = self._network[split] = np.concatenate([known, found])
        return known[:images]

    def network_cost(self, split: str, images: int) -> float:
        """Seconds that :meth:`network` will take."""
        return max(0, images - len(self._network.get(split, ()))) * self.network_seconds

    def _images(self, split: str) -> Dataset:
        return self.subject.test if split == "test" else self.subject.held_out

    def _read(self, asked: Configuration) -> Result | None:
        """What the folder holds; what failed is tried again."""
        found = self.store.read(asked.id)
        return None if found is None or found["state"] == FAILED else found

    def _asked(self, trial: Trial, split: str, images: int) -> Configuration:
        """What identifies a measurement: the configuration, the images, the network and the chip's energy profile."""
        energy = () if self.chip.profile is None else (self.chip.profile,)
        named = with_files(replace(trial.configuration, split=split, limit=images, energy=energy))
        return replace(named, files={**named.files, **self.subject.hashes})

    def _measure(self, trial: Trial, split: str, images: int) -> Result:
        asked = self._asked(trial, split, images)
        with self.store.claim(asked.id, wait=True):
            found = self._read(asked)
            if found is None:
                if trial.refused is not None:
                    found = failure(asked, trial.refused, REFUSED, "ConversionError")
                else:
                    found = guarded(asked, lambda: self._figures(trial, asked, split, images))
                self.store.write(found)
                found = self.store.read(asked.id) or found  # as later runs will find it
        return found

    def _figures(self, trial: Trial, asked: Configuration, split: str, images: int) -> dict[str, Any]:
        network = self.network(split, images)
        graph = self.deployment(trial).graph
        start = time.monotonic()
        found = figures(asked, graph, self._images(split).subset(slice(images)), network)
        seconds = (time.monotonic() - start) / images
        errors = [str(each) for each in self.chip.check(graph) if each.severity == "error"]
        return {
            **found,
            "timing": {"deploy_seconds": self._deploying[trial.id], "seconds_per_image": seconds},
            "chip": {"name": self.chip.name, "fits": not errors, "errors": errors},
        }

    def _keep(self, trial: Trial, made: Deployment) -> None:
        self._kept[trial.id] = made
        while len(self._kept) > 1 and sum(map(_bytes, self._kept.values())) > _KEPT_BYTES:
            self._kept.pop(next(iter(self._kept)))


def _bytes(made: Deployment) -> int:
    """Weights as floats of the network, of NIR and as int64, and the neurons' arrays twice."""
    weights = sum(synapse.weight_count for synapse in made.graph.synapses)
    neurons = sum(population.theta.size for population in made.graph.populations)
    return 16 * weights + 48 * neurons
