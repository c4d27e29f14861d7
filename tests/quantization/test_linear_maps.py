"""Linear maps that are no convolution: composed, lowered, run and counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.drawn import drawn
from helpers.linear_maps import FUNCTIONS, around, network, neurons
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

import spikec as tc
from spikec.conversion.network import run_steps
from spikec.errors import ConversionError, GraphError
from spikec.frontend import Convolution, Dense, FlattenAll, LinearMap
from spikec.frontend.modules import LARGEST_MATRIX
from spikec.ir import Affine, Unflatten, as_integer, decode, text
from spikec.ir.profile.portable import portable
from spikec.quantization.currents import wiring
from spikec.quantization.maps import Current
from spikec.simulation import GoldenModel

_IMAGES = torch.randint(0, 256, (4, 2, 4, 4), generator=torch.Generator().manual_seed(1)) / 255
_DRAWN = {
    "name": st.sampled_from(sorted(FUNCTIONS)),
    "seed": st.integers(0, 999),
    "before": st.sampled_from(["", "conv", "pool", "flat map"]),
    "after": st.sampled_from(["", "scale", "conv", "pool"]),
    "beside": st.booleans(),
}


def _value(current: Current, sources: dict[str, torch.Tensor]) -> torch.Tensor:
    """What a current is, from what its sources send, float64 [N, *]."""
    total = torch.from_numpy(np.repeat(current.bias, math.prod(current.shape) // len(current.bias)))
    total = total.reshape(1, *current.shape)
    for term in current.terms:
        x = sources.get(term.source, torch.ones(1, *term.shape)).double()
        x = x if term.pool is None else F.avg_pool2d(x, term.pool)
        if term.kernel is not None:
            k = term.kernel
            top, bottom, left, right = k.pads
            weight = torch.from_numpy(np.ascontiguousarray(k.weight)).double()
            x = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, None, k.stride, 0, k.dilation, k.groups)
        if term.dense is not None:
            x = x.flatten(1) @ torch.from_numpy(term.dense).double().T
        total = total + x.reshape(len(x), *current.shape)
    return total


@settings(max_examples=drawn(60), deadline=None)
@given(**_DRAWN)
def test_currents_are_those_of_the_network(name, seed, before, after, beside):
    spiking = around(name, seed=seed, before=before, after=after, beside=beside, example=_IMAGES)
    entering, sent = {}, {"input": _IMAGES}

    def keep(layer, neuron, x):
        entering[layer], sent[layer] = x, torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
        return sent[layer]

    with torch.no_grad():
        entering["readout"] = run_steps(spiking, _IMAGES, keep)
    sent["input"] = _IMAGES.repeat(4, 1, 1, 1)
    currents = wiring(spiking).currents
    assert set(currents) == set(entering)
    for layer, wanted in entering.items():
        torch.testing.assert_close(_value(currents[layer], sent), wanted.double(), rtol=1e-4, atol=1e-4)


@settings(max_examples=drawn(40), deadline=None)
@given(**_DRAWN, per=st.sampled_from(["layer", "channel"]), scale=st.sampled_from(["max", "max", "spikes"]))
def test_golden_equals_loops_and_the_file(execute_nir, oracle, name, seed, before, after, beside, per, scale):
    spiking = around(name, seed=seed, before=before, after=after, beside=beside, example=_IMAGES)
    built = tc.lower(spiking, tc.Int8(per=per, scale=scale), force=True)
    graph = decode(built)
    trace = tc.simulate(graph, _IMAGES, record="spikes")
    expected = oracle(graph, np.rint(_IMAGES.numpy() * 255).astype(np.int64))
    found = execute_nir(built, _IMAGES)
    for measured in (trace, GoldenModel(graph, measure=True).run(_IMAGES, record="spikes")):
        np.testing.assert_array_equal(measured.output, expected.output)
        for layer, train in expected.spikes.items():
            np.testing.assert_array_equal(measured.spikes[layer], train, err_msg=layer)
            np.testing.assert_array_equal(found.spikes[layer], train, err_msg=layer)
    with torch.no_grad():
        float_counts = spiking.counts(_IMAGES)["n2"].numpy()
    off = np.abs(trace.counts["n2"] - float_counts)
    assert off.mean() < 0.35, "the integer network is another one"


def _upsampling(channels: int = 3) -> tc.SpikingNetwork:
    return around("nearest", seed=0, before="", after="", beside=False, example=_IMAGES)


def test_a_file_keeps_it(tmp_path):
    built = tc.lower(_upsampling())
    tc.save(built, tmp_path / "net.nir")
    read = tc.load(tmp_path / "net.nir")
    first, second = as_integer(built), as_integer(read)
    assert [n for n in second if isinstance(n, Unflatten)]
    for node in first:
        if isinstance(node, Affine):
            assert second.nodes[node.name].sparse == node.sparse
            np.testing.assert_array_equal(second.nodes[node.name].weight, node.weight)
    assert "map.image" in text(first)
    assert "unflatten" in text(first)
    np.testing.assert_array_equal(tc.simulate(read, _IMAGES).output, tc.simulate(built, _IMAGES).output)


def test_zeros_are_no_synapses():
    graph = as_integer(tc.lower(_upsampling()))
    node = graph.nodes["map"]
    assert node.sparse
    assert not graph.nodes["head"].sparse
    assert node.padded_macs == int(node.structure().sum()) == 3 * 8 * 8  # one input for each output
    assert node.fan_out(node.structure()).tolist() == [4] * 48


def test_a_large_matrix_is_named():
    root, graph = nn.Module(), fx.Graph()
    root.n1, root.flat, root.head = neurons(1.0), FlattenAll(), Dense(torch.ones(2, 4096))
    root.stem = Convolution(torch.ones(1, 1, 1, 1), torch.zeros(1))
    root.up, root.n2 = LinearMap.of(lambda x: F.interpolate(x, scale_factor=2), (1, 32, 32)), neurons(1.0)
    x = graph.placeholder("input")
    for name in ("stem", "n1", "up", "n2", "flat", "head"):
        x = graph.call_module(name, (x,))
    graph.output(x)
    with pytest.warns(UserWarning, match=r"up is no convolution: .* matrix of 4194304 weights, 4096 of them not zero"):
        tc.lower(network(graph, root, torch.rand(1, 1, 32, 32)))


@pytest.mark.parametrize("bits", [8, 4])
def test_gptq_rounds_matrices(bits):
    graph = tc.lower(_upsampling(), tc.Int8(bits=bits, rounding="gptq"))
    assert np.abs(graph.nodes["map"].weight).max() > 0


def test_the_matrix_of_a_function():
    made = LinearMap.of(FUNCTIONS["bilinear"], (3, 4, 4))
    x = torch.randn(5, 3, 4, 4)
    torch.testing.assert_close(made(x), FUNCTIONS["bilinear"](x))
    with pytest.raises(ConversionError, match=r"from \(3, 4, 4\) to \(3, 4, 4\) is not linear"):
        LinearMap.of(torch.relu, (3, 4, 4))
    with pytest.raises(ConversionError, match=rf"needs a matrix of 1073741824 weights, more than {LARGEST_MATRIX}"):
        LinearMap.of(lambda x: F.interpolate(x, scale_factor=2), (4, 64, 64))


def test_too_large_a_matrix_is_refused():
    root, graph = nn.Module(), fx.Graph()
    root.n1, root.head = neurons(1.0), Dense(torch.zeros(2, 8192))
    root.map = LinearMap(torch.zeros(2, 0, dtype=torch.long), torch.zeros(0), (1, 256, 128), (8192,))
    x = graph.call_module("n1", (graph.placeholder("input"),))
    graph.output(graph.call_module("head", (graph.call_module("map", (x,)),)))
    with pytest.raises(ConversionError, match=r"^here: this map of 32768 values to 8192 is no convolution and needs a"):
        tc.lower(network(graph, root, torch.rand(1, 1, 256, 128)))


def test_a_damaged_file_is_refused():
    built = tc.lower(_upsampling())
    built.nodes["map.image"].metadata["spikec"]["output_size"] = np.array([3, 8, 9])
    with pytest.raises(GraphError, match=r"map.image: makes images \(3, 8, 9\) of a vector"):
        decode(built)
    built.nodes["map.image"].metadata["spikec"]["output_size"] = np.array([3, 64])
    with pytest.raises(GraphError, match="output_size must be three integers between 1 and"):
        decode(built)


def test_plain_nir_cannot_hold_it():
    spiking = _upsampling()
    spiking.schedule = "pipelined"
    with pytest.raises(GraphError, match=r"^map.image: plain NIR has no node that makes an image"):
        portable(tc.lower(spiking))
