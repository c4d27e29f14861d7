"""K per layer: how it is given, which layers it is for, and that each layer is what it is in a network of that K."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.conversion import Neuron
from spikec.ir import as_integer, diff, text


class Residual(nn.Module):
    """Functional ReLU and a skip: its neurons have names the user never gave."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Linear(64, 3),
        )

    def forward(self, x):
        a = self.first(x).relu()
        return self.last((self.second(a) + a).relu().flatten(1))


@pytest.fixture
def images():
    return torch.rand(24, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def spikes_of(method, images):
    network = tc.convert(Residual().eval(), method, example=images)
    return [neuron.spec.kind.spikes for neuron in network.neurons.values()]


@pytest.mark.filterwarnings("ignore:thresholds of")
@pytest.mark.parametrize("method", [tc.QCFS, tc.ErrorCompensation, tc.ResidualError])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (3, [3, 3]),
        ({"first": 5}, [5, 1]),
        ({"second": 5}, [1, 5]),
        ({"*": 2, "first": 4}, [4, 2]),
        ({"first": 4, "*": 2}, [2, 2]),  # the last match wins
        ("*=2,sec*=7", [2, 7]),
        (" * = 2 , second = 7 ", [2, 7]),
        ("6", None),
    ],
)
def test_layers_are_named_by_their_weights(method, given, expected, images):
    if expected is None:
        with pytest.raises(tc.ConversionError, match="numbers by layer such as"):
            method(2, spikes=given)
    else:
        assert spikes_of(method(2, spikes=given), images) == expected


def test_a_method_holds_their_text():
    """One form, which compares, hashes, prints and comes back from files."""
    method = tc.QCFS(2, spikes={"*": 2, "first": np.int64(4)})
    assert method.spikes == "*=2,first=4"
    assert tc.QCFS(2, spikes=method.spikes) == method
    assert hash(method) == hash(tc.QCFS(2, spikes="* = 2, first=4"))
    assert method.settings()["spikes"] == "*=2,first=4"
    assert method.at(["first", "relu"]) == tc.QCFS(2, spikes=4)
    assert method.at(["relu"]).resolution(None) == 4
    assert tc.QCFS(2, spikes={"a": 4}).at(["b"]) == tc.QCFS(2)
    with pytest.raises(tc.ConversionError, match="differs by layer"):
        method.neuron(None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "spikes names no layer"),
        ({"*": 0}, r"spikes of \* must be a whole number between 1 and 32767, not 0"),
        ({"*": True}, r"spikes of \* must be a whole number"),
        ({"a,b": 2}, "'a,b' is no pattern of layer names"),
        ({3: 2}, "3 is no pattern"),
        ("a", "spikes must be a whole number, or numbers by layer such as .*, not 'a'"),
        ("a=x", "not 'a=x'"),
        ("a=2,", "not 'a=2,'"),
        ("a=99999", "spikes of a must be a whole number between 1 and 32767, not 99999"),
        (None, "spikes must be a whole number between 1 and 32767, not None"),
        (1.5, "spikes must be a whole number"),
    ],
)
def test_what_is_refused(given, says):
    with pytest.raises(tc.ConversionError, match=says):
        tc.QCFS(2, spikes=given)


@pytest.mark.filterwarnings("ignore:thresholds of")
def test_a_name_of_no_layer_is_refused(images):
    with pytest.raises(tc.ConversionError, match=r"spikes 'thrid' is the name of no layer; layers: first, .*second"):
        spikes_of(tc.QCFS(2, spikes={"*": 2, "thrid": 3}), images)


@pytest.mark.filterwarnings("ignore:thresholds of")
def test_each_layer_is_that_of_a_network_of_its_own_number(images):
    """Threshold and unit: lambda for K T levels, theta = lambda / K; whatever the other layers have."""
    uniform = {
        k: list(tc.convert(Residual().eval(), tc.QCFS(3, spikes=k), example=images).neurons.values()) for k in (2, 5)
    }
    mixed = list(
        tc.convert(Residual().eval(), tc.QCFS(3, spikes={"first": 5, "second": 2}), example=images).neurons.values()
    )
    for neuron, alike in zip(mixed, (uniform[5][0], uniform[2][1]), strict=True):
        assert isinstance(neuron, Neuron)
        assert (neuron.threshold, neuron.unit, neuron.reach) == (alike.threshold, alike.unit, alike.reach)
        assert neuron.unit * neuron.spec.kind.spikes == neuron.threshold


@pytest.mark.filterwarnings("ignore:thresholds of")
@pytest.mark.parametrize(
    "method",
    [
        tc.QCFS(3, "layerwise", spikes="first=5,second=2"),
        tc.QCFS(1, spikes="first=5,second=2"),
        tc.ErrorCompensation(2, drain=4, spikes="first=1,second=4"),
    ],
    ids=str,
)
def test_lossless_where_theory_says_so(method, images):
    """Each layer reaches its own K T levels, in the file as in the certificate."""
    graph = as_integer(tc.lower(tc.convert(Residual().eval(), method, example=images)))
    certificate = tc.certify(graph, images)
    assert certificate.lossless
    trace = tc.simulate(graph, images)
    for population in graph.populations:
        highest = int(trace.counts[population.name].max())
        assert 0 < highest <= population.neuron.spikes * graph.timesteps


@pytest.mark.filterwarnings("ignore:thresholds of")
def test_the_file_and_what_reads_it(images, tmp_path):
    """Each layer has its own payload bits, listing, difference and number of spikes."""
    made = [
        tc.lower(tc.convert(Residual().eval(), tc.QCFS(2, spikes=given), example=images))
        for given in ("first=1,second=6", "first=3,second=6")
    ]
    graphs = [as_integer(tc.load(tc.save(each, tmp_path / f"{n}.nir"))) for n, each in enumerate(made)]
    assert [[p.neuron.spikes for p in graph.populations] for graph in graphs] == [[1, 6], [3, 6]]
    assert graphs[1].info["spikes"] == "first=3,second=6"
    counts = tc.estimate(graphs[1], tc.simulate(graphs[1], images), profile="loihi2").counts
    assert [p.payload_bits for p in counts.populations.values()][:2] == [2, 3]
    first = graphs[0].populations[0].name
    counts = tc.estimate(graphs[0], tc.simulate(graphs[0], images), profile="loihi2").counts
    assert counts.populations[first].payload_bits == 0
    assert [s.synop_kind for s in counts.synapses.values()][1] == "acc"
    assert "relu: spikes 1 -> 3" in diff(made[0], made[1])
    assert "spikes 6" in text(made[0])
    assert "spikes 1," not in text(made[0])
