"""Placed networks as files for SANA-FE: every synapse with its events, and what cannot be replayed is refused."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from importlib import import_module

import numpy as np
import pytest
from helpers.networks import residual_network
from helpers.nodes import affine, convolution, flatten, graph_of, pool, population, readout

from spikec.energy.counts import count
from spikec.energy.profile import load_profile
from spikec.errors import DataError, DoesNotFit, MissingImplementation
from spikec.ir import Affine, InputNode
from spikec.simulation import simulate
from spikec.targets.loihi import place
from spikec.targets.sanafe import counted, export


def _written(net, folder, **options):
    """Plan and arrays of the export of one image; the trace."""
    images = np.random.default_rng(0).random((1, *net.input.shape)) * 3
    trace = simulate(net, images, threads=1, **{"record": "spikes", **options})
    export(net, place(net, "loihi1"), trace, folder)
    return json.loads((folder / "network.json").read_text()), np.load(folder / "network.npz"), trace


def _events(plan, data):
    """Synaptic events of the exported network: one per spike and connection."""
    return sum(
        int(data[f"spikes/{edge['source']}"].sum(axis=0)[data[f"edges/{number}"][:, 0]].sum())
        for number, edge in enumerate(plan["edges"])
    )


def test_exported_synapses_carry_as_many_events_as_are_counted(network, tmp_path):
    net = network()
    plan, data, trace = _written(net, tmp_path)
    placement = place(net, "loihi1")
    ours = counted(net, placement, trace)
    assert ours["spikes"] == count(net, trace).spikes > 0
    assert _events(plan, data) == ours["synaptic events"]
    assert len(plan["tiles"]) == -(-len(placement.cores) // 4)
    assert [edge["synapse"] for edge in plan["edges"]] == ["conv", "dense"]


def test_branches_and_kernels_with_rows_that_hold_no_synapses(tmp_path):
    net = residual_network()
    square = net.nodes["skip"]
    padded = np.pad(square.weight, ((0, 0), (0, 0), (1, 1), (1, 1)))
    wider = replace(square, weight=padded, padding=(1, 1), margin=(1, 1, 1, 1))
    for skip in (square, wider):
        changed = replace(net, nodes={**net.nodes, "skip": skip})
        plan, data, trace = _written(changed, tmp_path)
        assert _events(plan, data) == counted(changed, place(changed, "loihi1"), trace)["synaptic events"] > 0


def _chain(*behind):
    """An input of (2, 4, 4), a convolution, neurons, then the nodes ``behind`` and a readout of the last one."""
    shape = (2, 4, 4)
    first = convolution("first", ["input"], shape, np.ones((2, 2, 1, 1)))
    nodes = [InputNode("input", shape, "uint8", 1.0), first, population("n", ["first"], shape), *behind]
    return graph_of([*nodes, readout("readout", [nodes[-1].name], nodes[-1].output_shape[0])])


def test_what_sanafe_cannot_replay_is_refused(network, tmp_path):
    shape = (2, 4, 4)
    flat = flatten("flat", ["m"], shape)
    again = _chain(population("m", ["n"], shape), flat, affine("fc", ["flat"], np.ones((3, 32))))
    with pytest.raises(DoesNotFit, match="n reaches neurons without a synapse"):
        _written(again, tmp_path)
    pooled = _chain(
        pool("p", ["n"], shape, 2),
        population("m", ["p"], (2, 2, 2)),
        flatten("flat", ["m"], (2, 2, 2)),
        affine("fc", ["flat"], np.ones((3, 8))),
    )
    with pytest.raises(DoesNotFit, match="SumPool leads straight into neurons"):
        _written(pooled, tmp_path)
    twice = _chain(
        convolution("second", ["n"], shape, np.ones((2, 2, 1, 1))),
        flatten("flat", ["second"], shape),
        affine("fc", ["flat"], np.ones((3, 32))),
    )
    with pytest.raises(DoesNotFit, match="Convolution into another synapse"):
        _written(twice, tmp_path)
    with pytest.raises(DataError, match="if1: SANA-FE replays one image"):
        _written(network(), tmp_path, record=None)


def test_a_placement_of_another_chip_is_refused(network, tmp_path):
    net = network()
    trace = simulate(net, np.ones((1, *net.input.shape)), record="spikes", threads=1)
    with pytest.raises(DoesNotFit, match="use a network that fits one chip and place it on loihi1"):
        export(net, replace(place(net, "loihi1"), chips=2), trace, tmp_path)


def test_an_operation_that_is_not_known_is_named(network, tmp_path):
    class Novel(Affine):
        pass

    net = network()
    dense = net.nodes["fc"]
    novel = Novel(**{each.name: getattr(dense, each.name) for each in fields(dense)})
    changed = replace(net, nodes={**net.nodes, "fc": novel})
    trace = simulate(net, np.ones((1, *net.input.shape)), record="spikes", threads=1)
    with pytest.raises(MissingImplementation, match="Novel has no list of synapses"):
        export(changed, place(net, "loihi1"), trace, tmp_path)


def test_the_constants_are_those_of_the_profile():
    """So that joules of both compare the accounting alone."""
    architecture = import_module("spikec.targets.sanafe.architecture")
    ours = {key: constant.value for key, constant in load_profile("loihi1", "sanafe_silicon").constants.items()}
    theirs = {
        "e_syn_conv": architecture.SYNAPSES["conv"][0], "e_syn_dense": architecture.SYNAPSES["dense"][0],
        "e_neuron": architecture.ACCESS[0] + architecture.UPDATE[0], "e_spike": architecture.SPIKE[0],
        "e_message": architecture.OUT[0], "e_hop_east_west": architecture.HOP_EAST_WEST[0],
        "e_hop_north_south": architecture.HOP_NORTH_SOUTH[0],
    }  # fmt: skip
    assert {key: ours[key] for key in theirs} == pytest.approx({key: pj * 1e-12 for key, pj in theirs.items()})


def test_neurons_replay_the_spikes_of_the_golden_model(network, tmp_path):
    net = network()
    plan, data, trace = _written(net, tmp_path)
    assert plan["steps"] == net.emission_steps
    for p in net.populations:
        np.testing.assert_array_equal(data[f"spikes/{p.name}"], trace.spikes[p.name][0].reshape(plan["steps"], -1))
