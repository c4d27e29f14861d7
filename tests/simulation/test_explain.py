"""What is explained is what ran: every kernel is watched while random networks run."""

from __future__ import annotations

import sys
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np
import pytest
import torch
from helpers import networks
from helpers.cases import CASES, steps_of
from helpers.graphs import random_graph, random_images
from helpers.sequences import random_sequence_graph

import spikec as tc
from spikec.analysis.ranges import bounds
from spikec.errors import DataError
from spikec.ir.graph import Population, Readout
from spikec.ir.operations import Operation
from spikec.simulation.engines import counts_by_layer as layers
from spikec.simulation.engines import counts_by_step as steps
from spikec.simulation.engines.general import Network
from spikec.simulation.explain import explained
from spikec.simulation.golden import GoldenModel
from spikec.simulation.kernels.int8 import Int8Synapse
from spikec.simulation.kernels.stages import Stage
from spikec.simulation.paths import Kernel
from spikec.simulation.registers import EXACT, Watch, registers


@contextmanager
def named_kernels():
    """Every 8-bit synapse that is made knows its node."""
    begin = Int8Synapse.__init__

    def named(self, node, scale):
        begin(self, node, scale)
        self.name = node.name

    with mock.patch.object(Int8Synapse, "__init__", named):
        yield


def caller_node(depth=2):
    """The node that the engine is at, up the stack from a watched function."""
    frame = sys._getframe(depth)
    while "node" not in frame.f_locals or not hasattr(frame.f_locals["node"], "sources"):
        frame = frame.f_back
    return frame.f_locals["node"].name


def watched(model, run):
    """What the engine ran for each node, as a set of (what, dtype of the result)."""
    seen, inside, running = defaultdict(set), [], []

    def on(owner, name, tell):
        original = getattr(owner, name)

        def call(*args, **kwargs):
            nested = bool(inside)
            inside.append(name)
            try:
                found = original(*args, **kwargs)
            finally:
                inside.pop()
            if running and (not nested or tell[1]):
                seen[tell[0](args)].add((name, str(found[0].dtype if isinstance(found, list) else found.dtype)[6:]))
            return found

        return mock.patch.object(owner, name, call)

    def see(self, m):
        if self.what == "membrane":
            seen[self.layer].add(("see", str(m.dtype)[6:]))
        return looked(self, m)

    looked = Watch.see
    kernels = steps.ON_COUNTS

    class Forms:
        def __contains__(self, node):
            return node in kernels

        def refusal(self, node):
            return kernels.refusal(node)

        def __call__(self, node):
            def form(*args):
                found = kernels(node)(*args)
                seen[node.name].add(("on_counts", str(found.dtype)[6:]))
                return found

            return form

    with ExitStack() as stack:
        stack.enter_context(on(Int8Synapse, "current", (lambda args: args[0].name, True)))
        stack.enter_context(on(Int8Synapse, "quantised", (lambda args: args[0].name, True)))
        for cls in {type(node) for node in model.graph if isinstance(node, Operation)}:
            for name in ("apply", "apply_to_steps"):
                stack.enter_context(on(cls, name, (lambda args: args[0].name, False)))
        stack.enter_context(on(Stage, "__call__", (lambda _: caller_node(), True)))
        stack.enter_context(on(Stage, "scaled", (lambda _: caller_node(), True)))
        stack.enter_context(on(steps, "divided", (lambda _: caller_node(), True)))
        stack.enter_context(on(layers, "divided", (lambda _: caller_node(), True)))
        stack.enter_context(mock.patch.object(steps, "ON_COUNTS", Forms()))
        stack.enter_context(mock.patch.object(Watch, "see", see))
        engine = model.engine.run

        def run_engine(*args, **kwargs):  # what images are told of is computed outside, by the same operations
            running.append(True)
            try:
                return engine(*args, **kwargs)
            finally:
                running.pop()

        stack.enter_context(mock.patch.object(model.engine, "run", run_engine))
        run()
    return seen


FAST = {
    Kernel.ROUNDS: {("quantised", "uint8")},
    Kernel.SCALES: {("current", "float32")},
    Kernel.SUMS: {("current", "float32")},
    Kernel.BESIDE: set(),
    Kernel.COUNTS: {("on_counts", "uint8")},
    Kernel.FLOAT: {("apply", "float32")},
    Kernel.ONCE: {("apply", "float32")},
    Kernel.PASSES: set(),
    Kernel.DIVIDES: {("divided", "uint8")},
    Kernel.READS: set(),
}


def check(graph, integers, *, early_exit=None, few=None, **options):
    """Explain, then run and compare; returns the kernels."""
    with named_kernels(), mock.patch.object(layers, "_FEW", layers._FEW if few is None else few):
        model = GoldenModel(graph, **options)
    how = explained(model, len(integers), early_exit=early_exit)
    images = integers * graph.input.scale
    seen = watched(model, lambda: model.run(images, early_exit=early_exit))
    assert how.images == len(integers)
    computed = [node.name for node in graph if isinstance(node, Population | Readout | Operation)]
    assert [path.node for path in how] == computed
    assert (how.engine == "general") == isinstance(model.engine, Network) == bool(how.why)
    for path in how:
        node, ran = graph.nodes[path.node], seen[path.node]
        if how.engine == "general":
            dtypes = {dtype for _, dtype in ran}
            assert dtypes == {path.dtype}, (path, ran)
            assert (path.why is None) == (path.dtype == "float32")
            assert {what for what, _ in ran} == ({"see"} if isinstance(node, Population | Readout) else ran_as(ran))
        elif path.kernel is Kernel.IN_KERNEL:
            assert {what for what, _ in ran} <= {"__call__", "scaled"}
            assert ran, path
        else:
            # The image's part of a node that spikes reach as well is computed in float32, once.
            extra = {("apply", "float32")} if reads_image(graph, node) else set()
            assert FAST[path.kernel] <= ran <= FAST[path.kernel] | extra, (path, ran)
            if FAST[path.kernel] and isinstance(node, Operation):
                assert path.dtype in {dtype for _, dtype in FAST[path.kernel]}
        if path.why is not None and path.why.bound is not None:
            assert path.why.bound >= path.why.limit
    for reason in how.why:
        assert reason.bound is None or reason.bound >= reason.limit
    return {path.kernel for path in how}


def ran_as(ran):
    """Operations of the general path go through one of two functions."""
    found = {what for what, _ in ran}
    assert found <= {"apply", "apply_to_steps"}
    return found


def reads_image(graph, node):
    """Whether the image reaches a node without a population between."""
    return node is graph.input or (
        not isinstance(node, Population) and any(reads_image(graph, graph.nodes[source]) for source in node.sources)
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_random_networks(case):
    kind, schedule, drain = case
    for seed in range(4):
        rng = np.random.default_rng(seed)
        timesteps = steps_of(kind, int(rng.integers(1, 7)))
        graph = random_graph(
            rng, kind=kind, schedule=schedule, timesteps=timesteps, drain=drain, small=seed % 2 == 0, maxima=seed == 3
        )
        integers = random_images(rng, graph, 3)
        check(graph, integers, few=0 if seed == 2 else None)
        if seed == 0:
            check(graph, integers, measure=True)
            check(graph, integers, registers=registers("wrap", "loihi1", graph))


def test_sequences_with_feedback():
    kernels = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        graph = random_sequence_graph(rng).lasting(5)
        kernels |= check(graph, rng.integers(0, 9, (2, 5, *graph.input.shape)))
    assert kernels == {Kernel.CYCLE, Kernel.EVERY_STEP}


@pytest.mark.parametrize("weight", [1, 2**16, 2**38])
@pytest.mark.parametrize("few", [0, None])
def test_wide_numbers(one_layer, weight, few):
    """Thresholds and weights that leave the staircase, float32 and float64, in turn."""
    rng = np.random.default_rng(0)
    values = rng.integers(-128, 128, (5, 7)) * weight
    graph = one_layer(weight=values, bias=np.zeros(5, int), theta=300 * weight)
    kernels = check(graph, rng.integers(0, 256, (3, 7)), few=few)
    assert (Kernel.EVERY_STEP in kernels) == (weight > 1)


def test_numbers_are_those_of_the_ranges(one_layer):
    """The bound of a reason is the proven one."""
    graph = one_layer(weight=np.full((2, 3), 2**20), bias=[0, 0], theta=5)
    found = {path.node: path for path in tc.explain(graph)}
    largest = bounds(graph).magnitudes["dense"]
    assert found["dense"].why.bound == largest
    assert found["dense"].dtype == ("float32" if largest < 2**24 else "float64")
    wider = tc.explain(one_layer(weight=np.full((2, 3), 2**46), bias=[0, 0], theta=5))
    sums = next(reason for reason in wider.why if reason.text.startswith("dense: its sum"))
    assert (sums.bound, sums.limit) == (largest * 2**26 * graph.emission_steps, 2**53)


def test_a_refused_kernel_says_so(one_layer):
    graph = one_layer(weight=[[200, 1]], bias=[0], theta=5)
    found = {path.node: path for path in tc.explain(graph)}
    assert found["dense"].kernel is Kernel.ONCE
    assert (found["neurons"].why.bound, found["neurons"].why.limit) == (200, 128)
    assert tc.explain(graph, measure=True).why[0].bound is None
    assert "measured" in str(tc.explain(graph, record="membranes").why[0])


def test_order_depends_on_images_and_early_exit():
    graph = networks.small_network(np.random.default_rng(0))
    assert tc.explain(graph, images=1).order == "layer after layer"
    assert tc.explain(graph, images=1, early_exit="margin").order == "step after step"
    assert tc.explain(graph, batch=2).images == 2
    assert tc.explain(graph, measure=True).engine == "general"
    assert len(tc.explain(graph).to_json()["nodes"]) == len(tc.explain(graph))
    with pytest.raises(DataError, match="images=0"):
        tc.explain(graph, images=0)


def test_early_exit_runs_step_after_step():
    rng = np.random.default_rng(1)
    graph = networks.small_network(rng)
    check(graph, random_images(rng, graph, 3), early_exit="margin")


def test_every_kernel_of_a_processor_without_any():
    """With all 8-bit kernels refused, float32 is explained and runs."""
    rng = np.random.default_rng(2)
    graph = networks.small_network(rng)
    with mock.patch.object(torch.ops.onednn, "qconv_prepack", side_effect=RuntimeError("not here")):
        kernels = check(graph, random_images(rng, graph, 3), registers=EXACT)
    assert {Kernel.FLOAT, Kernel.DIVIDES} <= kernels
    assert not kernels & {Kernel.ROUNDS, Kernel.SCALES, Kernel.SUMS, Kernel.IN_KERNEL}
