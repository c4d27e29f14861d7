"""What the C costs: additions counted by plain loops over rasters, memory by its arrays, cycles by their units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import one_layer, small_network
from helpers.sequences import random_sequence_graph

import spikec as tc
from spikec.errors import DataError
from spikec.ir.graph import Population
from spikec.ir.operations import Convolution
from spikec.targets.c.code import Choices, generate
from spikec.targets.c.cost import cost
from spikec.targets.c.cost.compiled import _stack, frames
from spikec.targets.c.cost.cycles import cycle_model
from spikec.targets.c.cost.work import Work, totals, work

IMAGES = 5


@pytest.fixture(params=["pipelined", "layerwise"])
def case(request):
    """A network, and what its populations send in each run of the code's loops: [N, runs, *shape]."""
    rng = np.random.default_rng(3)
    graph = small_network(rng, schedule=request.param)
    images = rng.random((IMAGES, *graph.input.shape)).astype(np.float32)
    trace = tc.simulate(graph, images, record="spikes", counts=True)
    if request.param == "layerwise":
        sent = {name: counts[:, None] for name, counts in trace.counts.items()}
    else:
        sent = dict(trace.spikes)
    return graph, trace, sent


def met(node: Convolution, active: np.ndarray) -> int:
    """Weights that meet an active input, by loops over every tap; ``active`` [C, H, W]."""
    (_, rows, columns), found = node.output_shape, 0
    for y in range(rows):
        for x in range(columns):
            for u in range(node.weight.shape[2]):
                for v in range(node.weight.shape[3]):
                    row, column = y * node.stride[0] - node.padding[0] + u, x * node.stride[1] - node.padding[1] + v
                    if 0 <= row < active.shape[1] and 0 <= column < active.shape[2]:
                        found += int(active[:, row, column].sum()) * node.weight.shape[0]
    return found


def test_additions_by_plain_loops(case):
    graph, trace, sent = case
    found = {each.name: each for each in work(graph, generate(graph), trace)}
    conv1, conv2, fc = (graph.nodes[name] for name in ("conv1", "conv2", "fc"))
    assert found["conv1"].additions == found["conv1"].products == met(conv1, np.ones(conv1.input_shape, np.int64))
    runs = sent["if1"].shape[1]
    pooled = sent["if1"].reshape(IMAGES * runs, 4, 7, 7)[:, :, :6, :6].reshape(-1, 4, 3, 2, 3, 2)
    spikes = (pooled != 0).sum(axis=(3, 5))  # those of one window are counted apart
    least, dense = ((spikes != 0).sum(axis=0), runs * met(conv2, np.ones(conv2.input_shape, np.int64)))
    most = min(met(conv2, spikes.sum(axis=0)) / IMAGES, dense)
    assert met(conv2, least) / IMAGES <= found["conv2"].additions == pytest.approx(most)
    active = (sent["if2"] != 0).reshape(IMAGES, -1, 45)
    assert found["fc"].additions == pytest.approx(active.sum() * fc.weight.shape[0] / IMAGES)
    assert found["fc"].searched == 45 * runs
    assert found["conv1"].searched == 2 * 49
    assert found["fc"].products == (0 if runs > 1 else found["fc"].additions)
    assert found["if1"].updates == 4 * 49 * runs
    assert found["readout"].updates == 3 * runs
    assert found["pool"].moved == 4 * 9 * 4 * runs


def test_the_worst_image_costs_most(case):
    graph, trace, _ = case
    source = generate(graph)
    mean, worst = (totals(work(graph, source, which)) for which in (trace, None))
    assert all(mean[key] <= worst[key] for key in mean)
    assert mean["additions"] < worst["additions"]


def test_every_neuron_spiking_is_the_worst_image():
    graph = one_layer(weight=np.ones((6, 4)), bias=np.full(6, 100), theta=1)
    trace = tc.simulate(graph, np.ones((2, 4), np.float32), counts=True)
    source = generate(graph)
    assert work(graph, source, trace) == work(graph, source)


def test_memory_is_that_of_the_arrays(case):
    graph, _, _ = case
    source = generate(graph)
    found = cost(graph, source=source, compile=False)
    assert (found.flash, found.ram) == (source.memory.flash, source.memory.ram)
    weights = sum(size for name, size in source.memory.constants.items() if name.startswith("w_"))
    assert found.sections.constants["weights"] == weights > 0
    assert sum(found.sections.sharing.values()) == sum(source.memory.parts.values())
    assert "other" not in found.sections.constants
    assert found.sections.state.get("other", 0) == 4  # the step


def test_traffic_follows_the_types(case):
    graph, trace, _ = case
    source = generate(graph)
    (fc,) = (each for each in work(graph, source, trace) if each.name == "fc")
    sizes = {**source.memory.state, **source.memory.parts}
    total = (sizes.get("z_readout") or sizes["v_readout"]) / 3
    weight = source.memory.constants["w_fc"] / graph.nodes["fc"].weight.size  # packed
    assert 0.5 <= weight < 1
    assert fc.loaded == pytest.approx(fc.additions * (weight + total) + fc.searched)
    assert fc.stored == pytest.approx(fc.additions * total + fc.searched)


def test_packed_weights_are_taken_out_of_their_bytes(case):
    graph, trace, _ = case
    wide = replace(graph.nodes["fc"], weight=graph.nodes["fc"].weight * 20)
    other = replace(graph, nodes={**graph.nodes, "fc": wide}, content_sha256="")
    packed, plain = ({e.name: e for e in work(g, generate(g), trace)}["fc"] for g in (graph, other))
    assert packed.unpacked == packed.additions == plain.additions
    assert plain.unpacked == 0
    assert packed.loaded < plain.loaded


def test_layers_that_take_all_inputs(case):
    graph, trace, sent = case
    source = generate(graph, choices=Choices(rates={"if2": 0.9}))
    found = {each.name: each for each in work(graph, source, trace)}["fc"]
    assert found.additions == found.products == 45 * 3 * sent["if2"].shape[1]


def test_a_trace_must_hold_counts_of_this_network(case):
    graph, trace, _ = case
    source = generate(graph)
    with pytest.raises(DataError, match=r"no counts of layer 'if1'.*counts=True"):
        work(graph, source, replace(trace, counts={}, events={}, event_totals={}))
    other = small_network(np.random.default_rng(3), schedule=graph.schedule)
    odd = {name: values[..., :1] for name, values in trace.counts.items()}
    with pytest.raises(DataError, match="no counts of layer"):
        work(other, source, replace(trace, counts=odd, events=odd, event_totals={}))


def test_cycles_are_sums_over_kinds_of_work():
    model = cycle_model()
    assert all(0 <= low <= high for low, high in model.units.values())
    alone = Work("a", "conv", additions=10)
    both = replace(alone, products=10)
    assert model.cycles(alone) == tuple(10 * each for each in model.units["addition"])
    assert model.cycles(both)[1] == model.cycles(alone)[1] + 10 * model.units["product"][1]
    grouped = replace(alone, grouped=10)
    assert model.cycles(grouped)[0] < model.cycles(alone)[0]


def test_text_and_json_say_the_same(case):
    graph, trace, _ = case
    found = cost(graph, trace, compile=False)
    text, document = found.text(100_000_000), found.to_json()
    assert f"{found.sections.flash:,} bytes of constants" in text
    assert f"the mean of {IMAGES}" in text
    assert "no compiler was asked" in text
    assert "ms at 100 MHz" in text
    assert document["per_image"]["additions"] == sum(each["additions"] for each in document["nodes"])
    assert document["cycles"]["low"] < document["cycles"]["high"]
    assert "worst image" in str(cost(graph, compile=False))


def test_frames_of_both_compilers():
    clang = "net.c:5:6: warning: stack frame size (40) exceeds limit (1) in 'net_run' [-Wframe-larger-than]\n"
    gnu = (
        "net.c: In function 'net_step':\nnet.c:9:1: warning: the frame size of 144 bytes is larger than 1 bytes [-W]\n"
    )
    sizes = frames(clang + gnu)
    assert sizes == {"net_run": 40, "net_step": 144}
    assert (
        _stack({**sizes, "net_init": 8, "net_fire_a": 16, "net_add_b": 24, "net_encode": 999}, "net") == 40 + 144 + 40
    )


def test_leaks_are_counted_where_neurons_leak():
    rng = np.random.default_rng(4)
    graph = random_sequence_graph(rng).lasting(6)
    trace = tc.simulate(graph, rng.integers(-20, 20, (3, 6, *graph.input.shape)).astype(np.float32), counts=True)
    source = generate(graph)
    for each in work(graph, source, trace):
        node = graph.nodes[each.name]
        if isinstance(node, Population):
            assert each.leaks == each.updates == 6 * node.theta.size
    mean, worst = (totals(work(graph, source, which)) for which in (trace, None))
    assert all(mean[key] <= worst[key] for key in mean)


def test_compiled_code_is_of_the_processor_it_names(case):
    graph, _, _ = case
    found = cost(graph)
    if not found.code:
        pytest.skip("no compiler for a Cortex-M4 is installed")
    fast, small = found.code
    assert 0 < small.instructions <= fast.instructions
    assert found.flash == found.sections.flash + fast.instructions
    assert found.ram == found.sections.ram + fast.stack
    assert f"{small.instructions:,} bytes ({small.compiler}, -Os)" in str(found)
