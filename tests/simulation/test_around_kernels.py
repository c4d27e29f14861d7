"""What the fast path does around its 8-bit kernels: skips inside them, blocks of images, counts without steps."""

from unittest import mock

import numpy as np
import pytest
import torch
from helpers.cases import random_kind
from helpers.drawn import drawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.operations import Affine, Convolution, Flatten
from spikec.simulation import GoldenModel
from spikec.simulation.engines import counts_by_layer as layers
from spikec.simulation.kernels import blocks, stages
from spikec.simulation.kernels.int8 import Int8Synapse, adds_beside, exact_synapse
from spikec.simulation.paths import Kernel


def starts_differ(graph):
    """Whether neurons of a channel start at different membranes."""
    start = graph.nodes["neurons2"].v_init.reshape(len(graph.nodes["neurons2"].v_init), -1)
    return bool((start != start[:, :1]).any())


ONE = {"stride": (1, 1), "dilation": (1, 1)}


def residual(rng, kind, *, channels, size, timesteps, own_starts, weight):
    """Image, convolution, neurons; then a convolution beside an identity, neurons, readout. Thresholds and the weights
    of the identity have one ratio, and the latter may be negative."""
    shape = (channels, *size)
    ratios = rng.integers(1, 40, channels)

    def neurons(name, source, theta, starts):
        theta = np.broadcast_to(theta.reshape(-1, 1, 1), shape).copy()
        largest = int(theta.min())
        start = rng.integers(0, largest, shape) if starts == "own" else np.full(shape, starts)
        return Population(name, source, shape, random_kind(kind, rng, shape, largest, complete=True), theta, start)

    def convolution(name, source, inputs):
        w = rng.integers(-128, 128, (channels, inputs, 3, 3))
        return Convolution(
            name, source, (inputs, *size), shape, w, rng.integers(-99, 100, channels), padding=(1, 1), **ONE
        )

    identity = (ratios * weight).reshape(-1, 1, 1, 1)
    zero = np.zeros(3, np.int64)
    count = int(np.prod(shape))
    nodes = (
        InputNode("input", (2, *size), "uint8", 1.0),
        convolution("conv1", ("input",), 2),
        neurons("neurons1", ("conv1",), rng.integers(300, 3000, channels), 0),
        convolution("conv2", ("neurons1",), channels),
        Convolution(
            "skip",
            ("neurons1",),
            shape,
            shape,
            identity,
            np.zeros(channels, np.int64),
            padding=(0, 0),
            groups=channels,
            **ONE,
        ),
        neurons("neurons2", ("conv2", "skip"), ratios * 20, "own" if own_starts else 3),
        Flatten("flatten", ("neurons2",), shape, (count,)),
        Affine("fc", ("flatten",), (count,), (3,), rng.integers(-128, 128, (3, count)), zero),
        Readout("readout", ("fc",), (3,), zero, 1.0),
    )
    return IntegerGraph({node.name: node for node in nodes}, timesteps, "pipelined")


@pytest.mark.parametrize("kind", ["if", "signed_if", "calibrated_if"])
@settings(max_examples=drawn(5), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    channels=st.integers(1, 19),
    size=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    timesteps=st.integers(1, 4),
    own_starts=st.booleans(),
    weight=st.sampled_from([-3, 1, 7, 20]),
)
def test_identity_beside_a_kernel(oracle, kind, seed, channels, size, timesteps, own_starts, weight):
    """Equal to the oracle in blocks of one image and of all, step by step and layer by layer."""
    rng = np.random.default_rng(seed)
    graph = residual(rng, kind, channels=channels, size=size, timesteps=timesteps, own_starts=own_starts, weight=weight)
    integers = rng.integers(0, 256, (3, 2, *size)) * (rng.random((3, 1, 1, 1)) < 0.8)
    expected = oracle(graph, integers)
    for few, block in ((0, 1), (0, 2**21), (layers._FEW, 2**21)):
        with mock.patch.object(layers, "_FEW", few), mock.patch.object(blocks, "_BLOCK", block):
            model = GoldenModel(graph)
            trace = model.run(integers.astype(float), record="spikes")
        for name in ("neurons1", "neurons2"):
            np.testing.assert_array_equal(trace.spikes[name], expected.spikes[name], err_msg=name)
            np.testing.assert_array_equal(trace.events[name], expected.events[name], err_msg=name)
        np.testing.assert_array_equal(trace.output, expected.output)
        np.testing.assert_array_equal(trace.output_curve, expected.curve)
    stage = model.engine._stages.get("neurons2")
    if isinstance(exact_synapse(graph.nodes["conv2"], timesteps), Int8Synapse) and kind != "calibrated_if":
        assert stage is not None
        assert stage.identity is not None
        assert not (stage.rounds and starts_differ(graph))


def test_the_kernel_of_a_residual_block_rounds():
    """The skip costs no kernel and no float32 where the starts of a channel are the same: the kernel adds it."""
    graph = residual(np.random.default_rng(0), "if", channels=8, size=(6, 6), timesteps=4, own_starts=False, weight=20)
    conv = graph.nodes["conv2"]
    if not isinstance(exact_synapse(conv, 4), Int8Synapse) or not adds_beside(conv, 4, 20, 4):
        pytest.skip("this torch and processor have no 8-bit kernel that adds")
    with mock.patch.object(layers, "_FEW", 0):
        model = GoldenModel(graph)
    assert model.engine.kernels["conv2"] is Kernel.ROUNDS
    assert model.engine.kernels["skip"] is Kernel.BESIDE
    assert model.engine.path(graph.nodes["skip"], 9, may_stop=False).dtype == "uint8"
    with mock.patch.object(stages, "adds_beside", return_value=False), mock.patch.object(layers, "_FEW", 0):
        refused = GoldenModel(graph)
    assert refused.engine.kernels["conv2"] is Kernel.SCALES
    found = refused.engine.path(graph.nodes["skip"], 9, may_stop=False)
    assert (found.kernel, found.dtype) == (Kernel.BESIDE, "float32")
    assert "2 synapses meet" in str(found.why)
    images = np.random.default_rng(1).integers(0, 256, (9, 2, 6, 6)).astype(float)
    np.testing.assert_array_equal(model.run(images).counts["neurons2"], refused.run(images).counts["neurons2"])


@pytest.mark.parametrize(("weight", "arrives"), [(5, 5), (-4, -4)])
def test_a_kernel_that_adds_otherwise_is_refused(weight, arrives):
    """The comparison fails for a kernel that drops or changes what it is to add."""
    graph = residual(np.random.default_rng(0), "if", channels=8, size=(6, 6), timesteps=4, own_starts=False, weight=1)
    conv = graph.nodes["conv2"]
    if not isinstance(exact_synapse(conv, 4), Int8Synapse) or not adds_beside(conv, 4, weight, 4):
        pytest.skip("this torch and processor have no 8-bit kernel that adds")
    added = Int8Synapse._added
    for wrong in (lambda factor: 0.0, lambda factor: factor * 1.5):
        with mock.patch.object(
            Int8Synapse,
            "_added",
            lambda self, x, bias, beside, factor, wrong=wrong: added(self, x, bias, beside, wrong(factor)),
        ):
            assert not adds_beside(conv, 4, arrives, 4)


@settings(max_examples=drawn(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["if", "signed_if", "calibrated_if"]),
    timesteps=st.integers(1, 9),
    inside=st.booleans(),
)
def test_counts_of_a_constant_input_need_no_steps(one_layer, oracle, seed, kind, timesteps, inside):
    """Starts from zero to below the threshold, and others, for which the rule does not hold and is not used."""
    rng = np.random.default_rng(seed)
    theta = rng.integers(1, 400, 17)
    start = rng.integers(0, theta) if inside else rng.integers(-900, 900, 17)
    graph = one_layer(
        weight=rng.integers(-128, 128, (17, 5)),
        bias=rng.integers(-99, 100, 17),
        theta=theta,
        timesteps=timesteps,
        kind=kind,
        v_init=start,
        **({"rho": int(rng.integers(1, 9))} if kind == "calibrated_if" else {}),
    )
    integers = rng.integers(0, 4, (6, 5))
    expected = oracle(graph, integers)
    holds = bool(((start >= 0) & (start < theta)).all())
    for few in (layers._FEW, 0):
        with mock.patch.object(layers, "_FEW", few), mock.patch.object(blocks, "_BLOCK", 64):
            model = GoldenModel(graph)
            assert ("neurons" in model.engine._even) == holds
            trace = model.run(integers.astype(float), record="spikes")
        np.testing.assert_array_equal(trace.spikes["neurons"], expected.spikes["neurons"])
        np.testing.assert_array_equal(trace.events["neurons"], expected.events["neurons"])
        np.testing.assert_array_equal(trace.output, expected.output)


@pytest.mark.parametrize("images", [1, 2, 7])
@pytest.mark.parametrize("per_image", [0, 1, 2**20, 2**30])
def test_blocks_cover_all_images(images, per_image):
    rows = [range(images)[part] for part in blocks.in_blocks(images, per_image)]
    assert [i for part in rows for i in part] == list(range(images))
    assert len({len(part) for part in rows[:-1]}) <= 1


@pytest.mark.parametrize("top", [1, 127, 128, 255])
def test_clip_into(top):
    x = torch.tensor([[-3.5, -0.2, 0.0, 0.9, 1.0, 126.9, 127.0, 128.5, 254.9, 255.0, 1e6]])
    out = blocks.u8_like(x.shape)
    expected = torch.floor(x).clamp(0, top)
    blocks.clip_into(out, x.clone(), top)
    assert torch.equal(out.float(), expected)
