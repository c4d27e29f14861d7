"""Networks of images that take sequences: one frame for each step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from helpers.sequences import sequence_oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import spikec as tc
from spikec.errors import ConversionError, DataError, GraphError
from spikec.ir import as_integer, build, decode, diff
from spikec.ir.operations import MaxPool
from spikec.quantization.currents import wiring
from spikec.quantization.frames import on_frames
from spikec.quantization.search import activity
from spikec.simulation.encode import encode

STEPS = 5
METHODS = [
    tc.QCFS(timesteps=4),
    tc.QCFS(timesteps=3, spikes=3),
    tc.ErrorCompensation(timesteps=4),
    tc.ErrorCompensation(timesteps=4, offsets="static"),
    tc.ResidualError(timesteps=4),
]


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv, self.act = nn.Conv2d(channels, channels, 3, padding=1, groups=2), nn.ReLU()

    def forward(self, x):
        return self.act(self.conv(x) + x)


def network(rng, *, pools=("average", "max", "image")):
    """A random CNN for frames of 2 x 8 x 8, in one of which the image itself is pooled."""
    pool = str(rng.choice(pools))
    kernel, stride = int(rng.choice([2, 3])), int(rng.choice([1, 2]))
    layers = [nn.MaxPool2d(2, padding=1)] if pool == "image" else []
    layers += [nn.Conv2d(2, 4, kernel, stride, padding=1, groups=int(rng.choice([1, 2]))), nn.BatchNorm2d(4), nn.ReLU()]
    layers += [nn.MaxPool2d(2)] if pool == "max" else [nn.AvgPool2d(2)] if pool == "average" else []
    layers += [Residual(4)] if rng.random() < 0.5 else []
    model = nn.Sequential(*layers, nn.Conv2d(4, 4, 2), nn.ReLU(), nn.Flatten()).eval()
    with torch.no_grad():
        size = model(torch.zeros(1, 2, 8, 8)).shape[1]
    return model.append(nn.Linear(size, 3)).eval()


def events(rng, count=6, steps=STEPS, signed=False):
    frames = rng.poisson(0.7, (count, steps, 2, 8, 8)).astype(np.float32)
    return frames * rng.choice([-1, 1], frames.shape).astype(np.float32) if signed else frames


def deployed(rng, method, frames, precision=None, **options):
    torch.manual_seed(int(rng.integers(2**31)))
    images = torch.from_numpy(frames.mean(1))
    converted = tc.convert(network(rng, **options), method, example=images, calibration=images)
    return tc.lower(converted, precision, frames=frames)


seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.sampled_from(METHODS), st.booleans())
@settings(max_examples=drawn(15), deadline=None)
def test_equal_frames_are_the_image_that_stays_the_same(seed, method, signed):
    rng = np.random.default_rng(seed)
    frames = events(rng, signed=signed)
    graph = as_integer(deployed(rng, method, frames))
    of_images = replace(graph, nodes={**graph.nodes, "input": replace(graph.input, encoding="constant")})
    image = frames[:, 0]
    for measure in (True, False):  # the paths that watch membranes, and those that count
        sequence = tc.simulate(graph, np.repeat(image[:, None], STEPS, axis=1), record="spikes", measure=True)
        constant = tc.simulate(of_images, image, record="spikes", measure=measure)
        assert tc.compare(sequence, constant) is None
        np.testing.assert_array_equal(sequence.output_curve, constant.output_curve)
    costs = [tc.estimate(g, t, profile="loihi2").counts for g, t in ((graph, sequence), (of_images, constant))]
    for name, synapse in costs[0].synapses.items():
        assert (synapse.synops, synapse.events) == (costs[1].synapses[name].synops, costs[1].synapses[name].events)


@given(seeds, st.sampled_from(METHODS), st.booleans())
@settings(max_examples=drawn(10), deadline=None)
def test_frames_of_any_content_and_length_run_as_plain_loops_do(seed, method, signed):
    rng = np.random.default_rng(seed)
    frames = events(rng, signed=signed)
    graph = as_integer(deployed(rng, method, frames))
    lengths = rng.integers(1, STEPS + 3, 3)
    given_frames = [events(rng, 1, int(n), signed=signed)[0].clip(-2, 2) for n in lengths]
    trace = tc.simulate(graph, given_frames, record="spikes")
    expected = sequence_oracle(graph, [encode(graph.input, each[None])[0] for each in given_frames])
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes, err_msg=name)
        np.testing.assert_array_equal(trace.events[name], expected.events[name])
    np.testing.assert_array_equal(trace.output, expected.output)
    np.testing.assert_array_equal(trace.output_curve, expected.curve)
    for node in graph:
        if isinstance(node, MaxPool) and node.name in trace.pooled_events:
            np.testing.assert_array_equal(trace.pooled_events[node.name], expected.sent[node.name])


@pytest.mark.lava
def test_lava_gives_the_same():
    rng = np.random.default_rng(0)
    for method, options in ((METHODS[1], {"pools": ["image"]}), (METHODS[2], {"pools": ["max"]})):
        frames = events(rng, signed=method is METHODS[2])
        graph = deployed(rng, method, frames, **options)
        found = tc.crosscheck(graph, "lava", [frames[0], frames[1][:2], frames[2]])
        assert found.identical, str(found)


def test_the_input_is_coded_for_all_frames_and_t_is_theirs():
    rng = np.random.default_rng(1)
    frames = events(rng)
    graph = as_integer(deployed(rng, METHODS[0], frames))
    assert graph.timesteps == STEPS
    assert (graph.input.scale, graph.input.limit) == (1.0, 2 * frames.max())
    with pytest.raises(DataError, match="export it with sequences that hold such ones"):
        tc.simulate(graph, frames + 2 * frames.max())
    assert diff(graph, decode(build(graph))) == []


def test_logits_are_means_over_the_steps_of_the_data():
    rng = np.random.default_rng(7)
    frames = events(rng, 8, 6)
    images = torch.from_numpy(frames.mean(1))
    converted = tc.convert(network(rng), METHODS[0], example=images, calibration=images)
    graphs = [as_integer(tc.lower(converted, frames=frames[:, :steps])) for steps in (3, 6)]
    assert [graph.readout.scale * graph.timesteps for graph in graphs] == pytest.approx(
        [graphs[0].readout.scale * 3] * 2
    )
    assert converted.timesteps == METHODS[0].timesteps  # lowering changes nothing it was given


@pytest.mark.parametrize("precision", [tc.Int8(scale="spikes"), tc.Int8(bits=4, rounding="gptq", per="channel")])
def test_what_is_chosen_on_activity_sees_the_mean_of_the_frames(precision):
    """Rare events: mean frames would round to no input at all."""
    rng = np.random.default_rng(2)
    frames = [each[: 2 + i % 4] for i, each in enumerate((events(rng, 32) > 2).astype(np.float32))]
    means = np.stack([each.mean(0) for each in frames])
    images = torch.from_numpy(means)
    converted = tc.convert(network(rng), METHODS[0], example=images, calibration=images)
    on = on_frames(converted, frames)
    np.testing.assert_allclose(activity(on, wiring(on))["input"], means, atol=1e-6)
    np.testing.assert_allclose(on.example, means, atol=1e-6)
    assert tc.simulate(tc.lower(converted, precision, frames=frames), frames).output.any()


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (tc.QCFS(timesteps=4, schedule="layerwise"), "needs the schedule 'pipelined'"),
        (tc.ErrorFree(timesteps=3), "needs the schedule 'pipelined'"),
        (tc.Graded(levels=4), "needs the schedule 'pipelined'"),
        (tc.OffsetSpikes(timesteps=4, rho=4), "'calibrated_if' runs twice"),
        (tc.ErrorCompensation(timesteps=4, drain=2), "leave out drain"),
        (tc.SRP(timesteps=4), "no integer form"),
    ],
)
def test_what_cannot_take_frames_is_refused_by_name(method, words):
    rng = np.random.default_rng(4)
    with pytest.raises(ConversionError, match=words):
        deployed(rng, method, events(rng))


def test_files_that_say_so_are_refused_too():
    rng = np.random.default_rng(5)
    graph = as_integer(deployed(rng, METHODS[0], events(rng)))
    with pytest.raises(GraphError, match="a layer waits for the last frame"):
        tc.simulate(replace(graph, schedule="layerwise"), events(rng))
    with pytest.raises(GraphError, match="a layer waits for the last frame"):
        decode(build(replace(graph, schedule="layerwise")))


@pytest.mark.parametrize("given", [np.zeros((3, 2, 8, 8)), np.zeros((3, 0, 2, 8, 8)), np.full((1, 2, 2, 8, 8), np.nan)])
def test_frames_that_are_none_are_refused(given):
    rng = np.random.default_rng(6)
    images = torch.from_numpy(events(rng).mean(1))
    converted = tc.convert(network(rng), METHODS[0], example=images, calibration=images)
    with pytest.raises(DataError):
        tc.lower(converted, frames=given)


def test_a_broken_pixel_of_the_frames_is_cut_and_said():
    """The step is that of the other frames; the network says what the frames were like, not their means."""
    rng = np.random.default_rng(9)
    frames = events(rng, 24)
    images = torch.from_numpy(frames.mean(1))
    converted = tc.convert(network(rng), METHODS[0], example=images, calibration=images)
    broken = frames.copy()
    broken[3, 1, 0, 2, 2] = 1e6
    with pytest.warns(tc.errors.InputWarning, match="cut to the range .* calibration sequence|example sequence 3"):
        graph = as_integer(tc.lower(converted, frames=broken))
    assert (graph.input.scale, graph.input.limit) == (1.0, 2 * frames.max())
    assert graph.calibrated.high == 2 * frames.max()
    assert as_integer(tc.lower(converted, frames=frames)).calibrated.values == frames.size
