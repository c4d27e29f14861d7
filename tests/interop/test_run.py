"""What adapters share: the plain network, the loop over images and steps, the refusals.

The loop is driven by a stand-in for a framework: modules that torch.fx could have made, wired by hand here.
"""

from dataclasses import replace
from importlib.util import find_spec

import nir
import numpy as np
import pytest
import torch

import spikec as tc
from spikec.errors import DoesNotFit, TargetUnavailable, ToolchainError
from spikec.ir.kinds import IF, CalibratedIF, SignedIF
from spikec.targets.interop import ADAPTERS, adapter, simulate
from spikec.targets.interop.adapter import HONOURED, Adapter
from spikec.targets.interop.nirtorch import IntegrateAndFire, affine
from spikec.targets.interop.plain import plain
from spikec.targets.interop.run import run


class _Wired(torch.nn.Module):
    """Runs a NIR graph node by node in the order of its nodes."""

    def __init__(self, graph):
        super().__init__()
        self.edges, self.order = graph.edges, list(graph.nodes)
        for name, node in graph.nodes.items():
            self.add_module(name, self._module(node))

    @staticmethod
    def _module(node):
        match node:
            case nir.Conv2d():
                conv = torch.nn.Conv2d(*node.weight.shape[1::-1], node.weight.shape[2:], node.stride, node.padding)
                conv.weight.data, conv.bias.data = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
                return conv
            case nir.Affine():
                return affine(node)
            case nir.SumPool2d():
                return torch.nn.LPPool2d(1, tuple(node.kernel_size))
            case nir.Flatten():
                return torch.nn.Flatten(0)
            case nir.IF():
                return IntegrateAndFire(node)
        return torch.nn.Identity()

    def forward(self, x, state):
        state, values = dict(state or {}), {}
        for name in self.order:
            sources = [values[a] for a, b in self.edges if b == name]
            module, total = self.get_submodule(name), sum(sources) if sources else x
            if isinstance(module, IntegrateAndFire):
                values[name], state[name] = module(total, state.get(name))
            else:
                values[name] = module(total)
        return values["output"], state


class _StandIn(Adapter):
    framework, requirement = "stand-in", "stand-in==1"

    def importer(self, graph):
        return _Wired(graph)

    def load(self, graph):
        return _Wired(graph)

    def set_membrane(self, neuron, membrane):
        neuron.start = membrane


def test_plain_network_is_plain(deployment):
    network = plain(deployment())
    assert all(not node.metadata for node in network.graph.nodes.values())
    assert not any(isinstance(node, nir.I) for node in network.graph.nodes.values())
    names = set(network.graph.nodes)
    assert len({name.lower() for name in names}) == len(names)
    assert all(name.isidentifier() for name in names)
    assert network.layers["a.if"] != network.layers["a_if"]
    starts = network.membranes[network.layers["a.if"]]
    assert (starts == deployment().nodes["a.if"].v_init + 0.5).all()
    assert [b for _, b in network.graph.edges].count("output") == 1


def test_plain_network_leaves_the_deployment_alone(deployment):
    graph = deployment()
    before = tc.simulate(graph, np.ones((1, 1, 6, 6), np.float32), record="spikes")
    plain(graph).graph.nodes["node1"].weight[...] = 0
    assert tc.compare(before, tc.simulate(graph, np.ones((1, 1, 6, 6), np.float32), record="spikes")) is None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_loop_gives_the_spikes_of_the_golden_model(deployment, images, seed):
    graph = deployment(seed)
    golden = tc.simulate(graph, images, record="spikes")
    network = plain(graph)
    recording = run(_StandIn(), network, (images * 2).astype(np.int64), graph.timesteps)
    for name, spikes in golden.spikes.items():
        assert (recording.spikes[name] == spikes).all()
    assert (network.readout + recording.outputs.sum(1) == golden.output).all()


def test_importer_alone_starts_every_image_from_its_own_start(deployment, images):
    graph = deployment()
    network = plain(graph)
    integers = (images * 2).astype(np.int64)
    together = run(_StandIn(), network, integers, 4, adjusted=False)
    for i in range(len(integers)):
        alone = run(_StandIn(), network, integers[i : i + 1], 4, adjusted=False)
        assert all((together.spikes[name][i] == alone.spikes[name][0]).all() for name in together.spikes)


def test_sums_that_float32_might_round_are_refused(deployment):
    graph = deployment()
    head = graph.nodes["head"]
    large = replace(head, weight=head.weight + 2**21)
    with pytest.raises(DoesNotFit, match="beyond the exact halves of float32"):
        plain(replace(graph, nodes={**graph.nodes, "head": large}))


def test_several_spikes_in_a_step_are_refused(deployment):
    graph = deployment()
    several = replace(graph.nodes["a.if"], neuron=IF(spikes=3))
    with pytest.raises(
        DoesNotFit, match=r"a\.if: up to 3 spikes in a step; simulators that read NIR have neurons that"
    ):
        plain(replace(graph, nodes={**graph.nodes, "a.if": several}))


@pytest.mark.parametrize("framework", sorted(ADAPTERS))
def test_what_neurons_elsewhere_cannot_do_is_refused_before_anything_is_imported(deployment, images, framework):
    graph = deployment()
    first = graph.nodes["a.if"]
    kinds = {
        "signed_spikes": replace(first, neuron=SignedIF(np.ones_like(first.theta))),
        "kind=calibrated_if": replace(first, neuron=CalibratedIF(3)),
        "max_spikes_per_step": replace(first, neuron=IF(spikes=3)),
    }
    for requirement, node in kinds.items():
        with pytest.raises(DoesNotFit, match=f"{framework} cannot keep to {requirement}"):
            simulate(framework, replace(graph, nodes={**graph.nodes, "a.if": node}), images)
    with pytest.raises(DoesNotFit, match="schedule=layerwise"):
        simulate(framework, replace(graph, schedule="layerwise"), images)
    with pytest.raises(DoesNotFit, match="drain"):
        simulate(framework, replace(graph, drain=2), images)


def test_spikingjelly_refuses_thresholds_of_their_own(deployment, images):
    graph = deployment()
    node = replace(graph.nodes["a.if"], theta=graph.nodes["a.if"].theta + np.arange(3)[:, None, None])
    with pytest.raises(DoesNotFit, match="per_neuron_threshold"):
        simulate("spikingjelly", replace(graph, nodes={**graph.nodes, "a.if": node}), images)


def test_unknown_frameworks_and_entries():
    with pytest.raises(ToolchainError, match="no adapter for 'brian'; there are nirtorch, norse"):
        adapter("brian")
    assert all(adapter(name).honours <= HONOURED for name in ADAPTERS)
    assert all(adapter(name).framework == name for name in ADAPTERS)


@pytest.mark.parametrize("framework", sorted(ADAPTERS))
def test_adapter_where_its_framework_is_installed(deployment, images, framework):
    """Elsewhere, the sentence that says what to install. ``make interop`` runs the adapters in full."""
    graph = deployment()
    if find_spec(framework) is None:
        with pytest.raises(TargetUnavailable, match=f"{framework} is not installed here: pip install|nirtorch is not"):
            simulate(framework, graph, images)
    else:
        trace = simulate(framework, graph, images)
        assert tc.compare(tc.simulate(graph, images, record="spikes"), trace) is None
