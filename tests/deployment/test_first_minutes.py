"""What a deployment takes from its weights, and the images it is measured on."""

from __future__ import annotations

import numpy as np
import pytest

from spikec.deployment import fill
from spikec.deployment.measuring import _chosen
from spikec.models import pretrained, save_weights
from spikec.models.data import Dataset


@pytest.fixture
def remembering(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(pretrained("digits-cnn"), path, {"max_pool": "average", "data": "npz:set.npz"})
    return {"model": "net.py:net", "weights": str(path)}


def test_weights_remember_pools_and_data(remembering):
    made, refused = fill(remembering)
    assert refused is None
    assert (made.max_pool, made.data, made.data_assumed) == ("average", "npz:set.npz", False)


def test_what_is_given_wins(remembering):
    made, _ = fill({**remembering, "max_pool": "exact", "data": "digits"})
    assert (made.max_pool, made.data, made.data_assumed) == (None, "digits", False)
    assert made.id != fill({**remembering, "data": "digits"})[0].id


def test_nobody_says_anything():
    made, _ = fill({"model": "net.py:net"})
    assert (made.max_pool, made.data, made.data_assumed) == (None, "digits", True)
    assert made.id == fill({"model": "net.py:net", "max_pool": "exact", "data": "digits"})[0].id
    assert fill({"model": "fashion-vgg"})[0].data == "fashion-mnist"


def test_the_first_images_unless_they_lack_a_class():
    labels = np.arange(100) % 4
    mixed = Dataset("mixed", np.arange(100, dtype=np.float32)[:, None], labels, 1.0, tuple("abcd"))
    assert _chosen(mixed, 10).stored[:, 0].tolist() == list(range(10))
    assert _chosen(mixed, 100) is mixed
    ordered = Dataset("ordered", mixed.stored, np.sort(labels), 1.0, tuple("abcd"))
    chosen = _chosen(ordered, 10)
    assert len(chosen) == 10
    assert set(chosen.labels) == {0, 1, 2, 3}
