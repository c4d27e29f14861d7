"""Fidelity between two converted stages."""

import toolchain as tc
from models import pretrained
from models.data import load


def test_rounding_shows_between_float_and_integers():
    network, images = pretrained("digits-cnn"), load("digits", None, "test")[0][:40]
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=images)
    fine, coarse = tc.lower(spiking), tc.lower(spiking, tc.Int8(bits=4))
    same = tc.fidelity(network, fine, images, against=fine)
    assert all(layer.total == 0 for layer in same.layers)
    eight, four = (tc.fidelity(network, graph, images, against=spiking) for graph in (fine, coarse))
    assert eight.stage == "integer spiking network against the float spiking network"
    for name in (layer.layer for layer in eight.layers):
        small, large = (next(la.total for la in f.layers if la.layer == name) for f in (eight, four))
        assert 0 < small < 0.5 * large
