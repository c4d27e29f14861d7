"""Networks that return maps, or several tensors: names, the float network, and the integers of every output."""

import re
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import spikec as tc
from spikec.conversion.sensitivity import sensitivity
from spikec.frontend.outputs import named_outputs, only_output
from spikec.ir import decode
from spikec.ir.outputs import described
from spikec.quantization.currents import readout_names

IMAGES = torch.rand(5, 2, 6, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A trunk, and what ``returns`` makes of its layers."""

    def __init__(self, returns):
        super().__init__()
        torch.manual_seed(0)
        self.returns = returns
        self.first, self.relu = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()
        self.mask, self.other, self.fc = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 3, 3, padding=1), nn.Linear(96, 5)

    def forward(self, x):
        fine = self.relu(self.first(x))
        return self.returns(self, x, fine)


def scores(n, fine):
    return n.fc(fine.flatten(1))


RETURNED = {
    # what is returned, and the names of the outputs
    "a map": (lambda n, x, fine: n.mask(fine), ["output"]),
    "a dictionary": (lambda n, x, fine: {"classes": scores(n, fine), "mask": n.mask(fine)}, ["classes", "mask"]),
    "a dictionary of one": (lambda n, x, fine: {"logits": scores(n, fine)}, ["logits"]),
    "a tuple": (lambda n, x, fine: (n.mask(fine), scores(n, fine)), ["output_0", "output_1"]),
    "a list": (lambda n, x, fine: [scores(n, fine), n.mask(fine)], ["output_0", "output_1"]),
    "nothing beside it": (lambda n, x, fine: (None, n.mask(fine), None), ["output_1"]),
    "one tensor twice": (lambda n, x, fine: (n.mask(fine),) * 2, ["output_0", "output_1"]),
    "names of layers": (
        lambda n, x, fine: {"relu": n.mask(fine), "mask": n.other(fine), "readout": scores(n, fine), "output": fine},
        ["relu", "mask", "readout", "output"],
    ),
    "names that files cannot hold": (
        lambda n, x, fine: {"größe 1": n.mask(fine), "gr_e_1": n.other(fine), "gr__e_1": scores(n, fine), "./": fine},
        ["größe 1", "gr_e_1", "gr__e_1", "./"],
    ),
    "neurons and their mean": (
        lambda n, x, fine: {"spikes": fine, "mean": F.avg_pool2d(fine, 2), "pooled": F.max_pool2d(fine, 2)},
        ["spikes", "mean", "pooled"],
    ),
    "the image": (lambda n, x, fine: (x, n.mask(fine), F.avg_pool2d(x, 2)), ["output_0", "output_1", "output_2"]),
    "sums": (lambda n, x, fine: {"sum": n.mask(fine) + n.other(fine), "cat": torch.cat([n.mask(fine), fine], 1)},
             ["sum", "cat"]),
}  # fmt: skip


@pytest.mark.parametrize("name", RETURNED)
def test_outputs_keep_names_order_and_values(name, tmp_path):
    returns, names = RETURNED[name]
    model = Net(returns).eval()
    with torch.no_grad():
        given = model(IMAGES)
    several = [given] if isinstance(given, torch.Tensor) else given.values() if isinstance(given, dict) else given
    expected = dict(zip(names, (each for each in several if each is not None), strict=True))
    network = tc.convert(model, tc.Graded(levels=255), example=IMAGES, calibration=IMAGES)
    with torch.no_grad():
        found = network(IMAGES)
    found = {"output": found} if isinstance(found, torch.Tensor) else found
    assert list(found) == names
    graph = tc.load(tc.save(tc.lower(network), tmp_path / "net.nir"))
    trace = tc.simulate(graph, IMAGES, record="spikes")
    assert list(trace.outputs) == names
    assert [readout.output for readout in decode(graph).readouts] == names
    for output, values in expected.items():
        size = float(values.abs().max())
        assert trace.outputs[output].shape == tuple(values.shape)
        # 255 levels of an activation, weights of 8 bits: both are off by some parts in a hundred at most.
        assert float((found[output] - values).abs().max()) < 0.03 * size, output
        assert np.abs(trace.logits_of(output) - values.numpy()).max() < 0.05 * size, output


@pytest.mark.parametrize("method", [tc.QCFS(timesteps=4), tc.ErrorCompensation(timesteps=4), tc.SRP(timesteps=4)])
def test_the_float_network_means_over_steps(method):
    model = Net(lambda n, x, fine: {"mask": n.mask(fine), "classes": scores(n, fine)}).eval()
    network = tc.convert(model, method, example=IMAGES, calibration=IMAGES)
    alone = tc.convert(Net(lambda n, x, fine: scores(n, fine)).eval(), method, example=IMAGES, calibration=IMAGES)
    with torch.no_grad():
        found, classes = network(IMAGES), alone(IMAGES)
        rates = next(iter(network.counts(IMAGES).values()))
    torch.testing.assert_close(found["classes"], classes)
    assert found["mask"].shape == (5, 3, 6, 4)
    if not network.warm_up:
        value = float(next(iter(network.neurons.values())).value)
        torch.testing.assert_close(found["mask"], F.conv2d(rates * value / 4, model.mask.weight, model.mask.bias))


def test_calibration_layer_after_layer_takes_several_outputs():
    model = Net(lambda n, x, fine: (n.mask(fine), scores(n, fine))).eval()
    network = tc.convert(model, tc.QCFS(timesteps=8), example=IMAGES, calibration=IMAGES, calibrate="full")
    trace = tc.simulate(tc.lower(network), IMAGES)
    with torch.no_grad():
        for name, values in zip(("output_0", "output_1"), model(IMAGES), strict=True):
            assert np.abs(trace.logits_of(name) - values.numpy()).max() < 0.25 * float(values.abs().max())


def test_names_of_what_a_network_returns():
    class Named(NamedTuple):
        mask: int
        aux: int | None
        classes: int

    assert named_outputs(Named(1, None, 2)) == {"mask": 1, "classes": 2}
    assert named_outputs((1, None, 2)) == {"output_0": 1, "output_2": 2}
    assert named_outputs({"a": None, 3: 4}) == {"3": 4}
    assert named_outputs(5) is None
    assert [only_output(value) for value in (5, [5], (None, 5), {"a": 5}, (1, 2))] == [5, 5, 5, 5, (1, 2)]


def test_two_outputs_of_one_name_are_refused():
    model = Net(lambda n, x, fine: {1: n.mask(fine), "1": n.other(fine)}).eval()
    with pytest.raises(tc.ConversionError, match=re.escape("the network returns two outputs of one name (1, 1)")):
        tc.convert(model, tc.QCFS(timesteps=2), example=IMAGES, calibration=IMAGES)


@pytest.mark.parametrize("name", ["", " "])
def test_an_output_without_a_name_is_refused(name):
    model = Net(lambda n, x, fine: {name: n.mask(fine), "other": n.other(fine)}).eval()
    with pytest.raises(tc.ConversionError, match=re.escape("an output without a name (an empty key)")):
        tc.convert(model, tc.QCFS(timesteps=2), example=IMAGES, calibration=IMAGES)


def test_an_activation_before_classes_is_still_refused():
    model = Net(lambda n, x, fine: {"logits": F.relu(scores(n, fine))}).eval()
    with pytest.raises(tc.ConversionError, match=re.escape("the network ends in an activation; end it in a linear")):
        tc.convert(model, tc.QCFS(timesteps=2), example=IMAGES, calibration=IMAGES)


def test_readouts_get_names_that_nothing_else_has():
    assert readout_names(["logits"], ["readout.logits"]) == {"readout": "logits"}
    taken = ["readout.a", "readout.b_c"]
    assert readout_names(["a", "b c", "b/c"], taken) == {
        "readout.a_1": "a", "readout.b_c_1": "b c", "readout.b_c_2": "b/c"
    }  # fmt: skip


def test_a_dictionary_of_one_is_that_output():
    """Where classes are compared: tuned offsets, spike budgets, what is measured at export."""
    alone, named = (Net(returns).eval() for returns in (
        lambda n, x, fine: scores(n, fine), lambda n, x, fine: {"logits": scores(n, fine)}
    ))  # fmt: skip
    method = tc.ErrorCompensation(timesteps=2, offsets="tuned")
    graphs = [tc.lower(tc.convert(m, method, example=IMAGES, calibration=IMAGES)) for m in (alone, named)]
    first, second = (tc.simulate(graph, IMAGES) for graph in graphs)
    assert list(second.outputs) == ["logits"]
    np.testing.assert_array_equal(first.output, second.output)
    np.testing.assert_array_equal(first.predictions, second.predictions)
    costs = [sensitivity(m, tc.QCFS(timesteps=2, spikes=2), IMAGES, (1, 2), IMAGES) for m in (alone, named)]
    np.testing.assert_array_equal(costs[0].divergence, costs[1].divergence)
    with pytest.raises(
        tc.ConversionError, match=r"spike budgets compare class probabilities, .* output \('N', 3, 6, 4\)"
    ):
        sensitivity(Net(lambda n, x, fine: n.mask(fine)).eval(), tc.QCFS(timesteps=2), IMAGES, (1, 2), IMAGES)


class Signals(nn.Module):
    """Signals to signals and classes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.fc = nn.Conv1d(2, 4, 3, padding=1), nn.Conv1d(4, 3, 1), nn.Linear(32, 5)

    def forward(self, x):
        x = F.relu(self.first(x))
        return {"line": self.last(x), "classes": self.fc(x.flatten(1)), "hidden": x}


def test_signals_are_returned_as_signals(tmp_path):
    signals, model = torch.rand(3, 2, 8, generator=torch.Generator().manual_seed(1)), Signals().eval()
    network = tc.convert(model, tc.Graded(levels=255), example=signals, calibration=signals)
    graph = tc.load(tc.save(tc.lower(network), tmp_path / "net.nir"))
    trace = tc.simulate(graph, signals)
    with torch.no_grad():
        for name, values in model(signals).items():
            size = float(values.abs().max())
            assert network(signals)[name].shape == values.shape == trace.outputs[name].shape
            assert np.abs(trace.logits_of(name) - values.numpy()).max() < 0.05 * size, name
    assert trace.outputs["line"].shape == (3, 3, 8)
    pipelined = tc.lower(tc.convert(model, tc.QCFS(timesteps=2), example=signals, calibration=signals))
    assert tc.simulate(pipelined, signals).output_curves["hidden"].shape == (3, 2, 4, 8)
    assert described(decode(pipelined)) == "line (3, 8), classes (5), hidden (4, 8)"
    pipelined.nodes["classes"].metadata["spikec"]["signal"] = 1
    with pytest.raises(tc.GraphError, match=r"classes: signal is 1; it may be 1 for maps of height one"):
        decode(pipelined)
