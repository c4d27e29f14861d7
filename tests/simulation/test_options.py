"""simulate: chunks, streams, memory, threads, overflow, and what each option leaves out of the trace."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikec.analysis.ranges import bounds
from spikec.errors import DataError, RangeError
from spikec.ir.graph import Population
from spikec.ir.kinds import SignedIF
from spikec.simulation import compare, simulate
from spikec.simulation.engines.counts_by_step import CountsByStep
from spikec.simulation.engines.general import Network
from spikec.simulation.golden import GoldenModel, parse_memory
from spikec.targets.golden import GoldenTarget


@pytest.fixture
def case(random_graph, random_images):
    rng = np.random.default_rng(6)
    graph = random_graph(rng, kind="signed_if", timesteps=4)
    return graph, random_images(rng, graph, 7) * graph.input.scale


@pytest.mark.parametrize("measure", [False, True])
@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_chunks_do_not_matter(case, batch, measure):
    graph, images = case
    whole = simulate(graph, images, record="spikes")
    parts = simulate(graph, images, record="spikes", batch=batch, measure=measure)
    assert compare(whole, parts) is None
    np.testing.assert_array_equal(whole.input_events, parts.input_events)
    for name in whole.count_totals:
        np.testing.assert_array_equal(parts.count_totals[name], whole.counts[name].sum(0))
        np.testing.assert_array_equal(parts.event_totals[name], whole.events[name].sum(0))


def test_numbers_of_numpy_count_as_far_as_any(one_layer):
    """170 images by 100: the second chunk ends beyond what 8 bits hold."""
    graph = one_layer(weight=[[3, -1]], bias=[1], theta=5)
    images = np.arange(340.0).reshape(170, 2) % 256
    found = simulate(graph, images, batch=np.int8(100), threads=np.int8(1))
    np.testing.assert_array_equal(found.output, simulate(graph, images).output)


def test_stream_of_batches(case):
    graph, images = case
    seen = []
    streamed = simulate(graph, iter([images[:2], torch.from_numpy(images[2:])]), progress=lambda *n: seen.append(n))
    assert compare(simulate(graph, images), streamed) is None
    assert seen == [(2, None), (7, None)]
    with pytest.raises(DataError, match="no batch"):
        simulate(graph, iter([]))


def test_progress_knows_the_total(case):
    graph, images = case
    seen = []
    simulate(graph, images, batch=3, progress=lambda *n: seen.append(n))
    assert seen == [(3, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize(("counts", "totals"), [("totals", True), (False, False)])
def test_counts_can_be_left_out(case, counts, totals):
    graph, images = case
    trace = simulate(graph, images, counts=counts)
    assert trace.counts == trace.events == {}
    assert bool(trace.count_totals) == bool(trace.event_totals) == totals
    np.testing.assert_array_equal(trace.output, simulate(graph, images).output)


def test_memory_bounds_the_chunk(case):
    graph, images = case
    seen = []
    simulate(graph, images, memory=1, progress=lambda done, _: seen.append(done))
    assert seen == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("text", "size"), [("1GB", 10**9), ("0.5 mb", 500_000), (77, 77), ("3kb", 3000)])
def test_sizes(text, size):
    assert parse_memory(text) == size


def test_a_bad_image_is_named_by_its_number_in_the_data_set(case):
    graph, images = case
    images = np.array(images, dtype=float)
    images[2].flat[0] = np.nan
    for stream in (images, iter([images[:1], images[1:]])):
        with pytest.raises(DataError, match="image 2 holds nan"):
            simulate(graph, stream, batch=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": "much"}, "'much' is not a size"),
        ({"memory": 0}, "is not a size"),
        ({"memory": "nanGB"}, "is not a size"),
        ({"record": "rasters"}, "record='rasters'"),
        ({"counts": "some"}, "counts='some'"),
        ({"batch": 0}, "batch=0"),
        ({"threads": 0}, "threads=0"),
        ({"batch": 1.5}, "batch=1.5.*whole number"),
        ({"threads": "2"}, "threads='2'.*whole number"),
        ({"threads": True}, "threads=True.*whole number"),
    ],
)
def test_unusable_options(case, options, message):
    with pytest.raises(DataError, match=message):
        simulate(*case, **options)


def test_torch_settings_come_back(case):
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        expected = simulate(*case)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert compare(simulate(*case, threads=2, measure=True), expected) is None
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


@pytest.fixture
def overflowing(one_layer):
    """Reaches -2**23 in step 4 and goes on falling; neuron 1 and image 0 are quiet."""
    return one_layer(weight=[[-16448], [0]], bias=[0, 0], theta=10, timesteps=6, v_init=0)


def test_overflow_is_counted_and_never_wraps(overflowing):
    trace = simulate(overflowing, np.array([[0.0], [255.0]]))
    assert trace.membrane["neurons"] == (-16448 * 255 * 6, 0)
    assert trace.overflows == {"neurons": 4, "readout": 0}  # 2 * 16448 * 255 = 8388480 still fits


def test_strict_names_layer_neuron_value_and_image(overflowing):
    images = np.array([[0.0], [255.0]])
    with pytest.raises(RangeError, match=r"neurons: the membrane of neuron \[0\] reaches -12582720 on image 1,"):
        simulate(overflowing, images, strict=True, batch=1)
    quiet = simulate(overflowing, images[:1], strict=True)
    assert quiet.overflows["neurons"] == 0


@pytest.mark.parametrize(("weight", "exact"), [(2**18, torch.float64), (2**46, torch.int64), (100, torch.float32)])
def test_numbers_that_need_wider_dtypes(one_layer, oracle, weight, exact):
    rng = np.random.default_rng(0)
    weights = rng.integers(-weight, weight, (4, 6)) | 1
    graph = one_layer(weight=weights, bias=rng.integers(-weight, weight, 4), theta=3 * weight, timesteps=5)
    assert Network(graph, bounds(graph))._dtype["dense"] == exact
    integers = rng.integers(0, 256, (5, 6))
    expected = oracle(graph, integers)
    trace = simulate(graph, integers.astype(float), record="spikes", measure=True)
    np.testing.assert_array_equal(trace.spikes["neurons"], expected.spikes["neurons"])
    assert trace.membrane == expected.membrane


def test_accuracy_against_steps_from_one_run(case):
    """The curve at step t is the output of a run of t steps."""
    graph, images = case
    curve = simulate(graph, images).output_curve
    for steps in range(1, graph.timesteps + 1):
        shorter = simulate(replace(graph, timesteps=steps), images)
        np.testing.assert_array_equal(curve[:, steps - 1], shorter.output)


def test_fast_path_serves_proven_graphs_only(case, overflowing):
    graph, _ = case
    plain = {n.name: replace(n, neuron=SignedIF()) if isinstance(n, Population) else n for n in graph}
    assert isinstance(GoldenModel(replace(graph, nodes=plain)).engine, CountsByStep)
    assert isinstance(GoldenModel(graph, measure=True).engine, Network)
    assert isinstance(GoldenModel(overflowing).engine, Network)


def test_target(case):
    graph, images = case
    assert GoldenTarget.available() is None
    program = GoldenTarget().compile(graph)
    for _ in range(2):
        assert compare(program.run(images, record="spikes"), simulate(graph, images, record="spikes")) is None


_PAGES = """
import resource
import torch
from spikec.simulation.exactness import keep_freed_memory

def asked():
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    torch.ones(6 * 2**20)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

keep_freed_memory()
print(*(asked() for _ in range(6)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts pages as Linux does")
def test_freed_memory_is_kept_for_the_next_operator():
    """24 MB are thousands of pages; those that are used again need not be asked for, unless the system took them back.
    In a process of its own: the memory of this one may be in pieces."""
    found = subprocess.run([sys.executable, "-c", _PAGES], capture_output=True, text=True, check=True).stdout.split()
    first, *again = map(int, found)
    assert min(again) < 10 < first
