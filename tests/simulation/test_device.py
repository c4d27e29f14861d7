"""device="cuda": the same integers where there is a GPU, one sentence where there is none."""

import numpy as np
import pytest
import torch
from helpers.cases import CASES, steps_of

from spikec.analysis.ranges import bounds
from spikec.errors import DataError, TargetUnavailable
from spikec.simulation import compare, simulate
from spikec.simulation.engines import counts_by_layer as layers
from spikec.simulation.engines.choosing import supports
from spikec.simulation.engines.counts_by_step import CountsByStep
from spikec.simulation.engines.general import Network
from spikec.simulation.registers import EXACT, Watch


@pytest.fixture
def case(random_graph, random_images):
    def make(kind, schedule, drain, seed=0):
        rng = np.random.default_rng(seed)
        steps = steps_of(kind, 4)
        graph = random_graph(rng, kind=kind, schedule=schedule, drain=drain, timesteps=steps)
        return graph, random_images(rng, graph, 5) * graph.input.scale

    return make


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("seed", range(5))
def test_gpu_equals_cpu(case, kind, seed):
    graph, images = case(*kind, seed)
    for options in ({}, {"measure": True}):
        there, here = (simulate(graph, images, record="spikes", device=d, **options) for d in ("cuda", "cpu"))
        assert compare(there, here) is None
        assert there.membrane == here.membrane


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_every_tensor_is_on_the_device(case, kind, seed, monkeypatch):
    """Tensors without values stand for those of a GPU, and refuse to meet others."""
    graph, images = case(*kind, seed)
    ranges = bounds(graph)
    monkeypatch.setattr(Watch, "see", lambda *_: None)
    monkeypatch.setattr(layers, "indices", lambda _: torch.zeros(1, dtype=torch.int64))  # depend on values
    fast = [CountsByStep] if not graph.timing.rehearsal else []
    fast += [layers.CountsByLayer] if kind[1] == "pipelined" else []
    for engine in [Network] + fast * supports(graph, ranges):
        with torch.inference_mode(), torch.device("meta"):
            integers = torch.zeros(images.shape, dtype=torch.int64)
            result = engine(graph, ranges).run(integers, EXACT.watches(graph), events=True, spikes=True)
        assert all(curve.device.type == "meta" for curve in result.readouts.values())
        for population in graph.populations:
            emission = result.emissions[population.name]
            assert emission.counts.device.type == "meta"
            assert emission.counts.shape == (5, *population.shape)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(case):
    with pytest.raises(TargetUnavailable, match="torch sees no GPU here"):
        simulate(*case("if", "pipelined", 0), device="cuda")


@pytest.mark.parametrize("name", ["tpu", "mps", "cuda:x", None])
def test_unknown_device(case, name):
    with pytest.raises(DataError, match="use cpu or cuda"):
        simulate(*case("if", "pipelined", 0), device=name)
