"""Convert and lower in one call: what it gives is what the two verbs give, and what it was made of."""

import numpy as np
import pytest

import spikec as tc
from spikec.deployment import Configuration, deploy, deploy_network, fill
from spikec.deployment.filling import OtherUse
from spikec.deployment.weights_file import trained_precision, weights_file
from spikec.errors import ConversionError, DataError
from spikec.ir import as_integer
from spikec.models import pretrained, save_weights
from spikec.models.data import open_dataset


@pytest.fixture
def images():
    return open_dataset("digits", split="train").images(slice(48))


def test_the_same_as_the_two_verbs(images):
    model, method = pretrained("digits-cnn"), tc.QCFS(timesteps=2)
    network = tc.convert(model, method, example=images[:1], calibration=images)
    expected = as_integer(tc.lower(network, tc.Int8(bits=5)))
    made = deploy_network(model, method, images, tc.Int8(bits=5))
    assert made.graph.content_sha256 == expected.content_sha256
    assert made.model is model
    assert made.precision == tc.Int8(bits=5)


def test_a_configuration(images):
    given = {"model": "digits-cnn", "method": "offset-spikes", "options": {"rho": 3}, "calibration": 48, "seed": 2}
    configuration, refused = fill(given)
    assert refused is None
    assert configuration.options == {"rho": 3, "mode": "online"}
    made = deploy(configuration)
    drawn = open_dataset("digits", split="train").draw(48, 2).images()
    np.testing.assert_array_equal(made.images.numpy(), drawn.numpy())
    assert made.graph.timesteps == 4
    assert made.network.provenance.method == "offset-spikes"
    assert made.configuration is configuration


def test_what_a_method_refuses_is_told():
    _, refused = fill({"model": "digits-cnn", "method": "graded", "timesteps": 2})
    assert isinstance(refused, ConversionError)


def test_weights_say_what_they_were_trained_for(tmp_path):
    path = tmp_path / "w.safetensors"
    header = trained_precision(tc.Int8(bits=4, per="channel", overrides={"13": 6}), "qcfs", "loihi2")
    save_weights(pretrained("digits-cnn"), path, {"levels": 8, "method": "qcfs", **header})
    said = weights_file(path)
    assert (said.levels, said.method, said.through_spikes) == (8, "qcfs", None)
    assert (said.precision.bits, said.precision.per, said.precision.override) == (4, "channel", {"13": 6})
    assert len(said.sha256) == 64
    given = {"model": "digits-cnn", "weights": str(path)}
    kept, refused = fill({**given, "format": "loihi2"})
    assert refused is None
    assert (kept.bits, kept.per, kept.override, kept.as_trained) == (4, "channel", {"13": 6}, True)
    _, refused = fill(given)
    assert isinstance(refused, OtherUse)
    anew, refused = fill({**given, "bits": 8})
    assert refused is None
    assert (anew.bits, anew.per, anew.as_trained) == (8, "layer", False)


def test_a_network_other_than_its_weights_were_trained_through(tmp_path):
    path = tmp_path / "w.safetensors"
    trained = {"levels": 8, "through_spikes": True, "validation_timesteps": 2, "neuron": "if"}
    save_weights(pretrained("digits-cnn"), path, trained)
    given = {"model": "digits-cnn", "weights": str(path), "calibration": 32}
    assert deploy(fill({**given, "timesteps": 2})[0]).remarks == ()
    (remark,) = deploy(fill({**given, "timesteps": 3})[0]).remarks
    assert "trained through T = 2 pipelined steps of if neurons" in remark


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        weights_file(tmp_path / "absent.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(DataError, match="cannot read"):
        weights_file(tmp_path / "w.safetensors")


def test_weights_that_lost_their_header(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(pretrained("digits-cnn"), path, {})
    claimed = Configuration("digits-cnn", weights=str(path), as_trained=True, calibration=8)
    with pytest.raises(DataError, match="no longer states the precision"):
        deploy(claimed)
