"""Plain NIR of other frameworks in Lava: signals, and factors for each channel and each place."""

import itertools

import nir
import numpy as np
import pytest

import spikec as tc

pytestmark = pytest.mark.lava


def _eighths(rng, *shape):
    return (rng.integers(-16, 17, shape) / 8).astype(np.float32)


def _fire(*shape):
    ones = np.ones(shape, np.float32)
    return nir.IF(r=ones, v_threshold=ones, v_reset=0 * ones)


def _signals(rng):
    conv = nir.Conv1d(12, _eighths(rng, 4, 2, 3), 2, 1, 1, 1, _eighths(rng, 4))
    return [conv, _fire(4, 6), nir.Scale(_eighths(rng, 4, 1)), nir.Flatten({"input": np.array([4, 6])}, 0, -1)], (2, 12)


def _images(rng):
    """With factors that differ within a channel, before neurons and behind them."""
    conv = nir.Conv2d((4, 4), _eighths(rng, 2, 1, 3, 3), 1, 1, 1, 1, _eighths(rng, 2))
    scales = [nir.Scale(_eighths(rng, 2, 4, 4)) for _ in range(2)]
    flat = nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1)
    return [conv, scales[0], _fire(2, 4, 4), scales[1], flat], (1, 4, 4)


@pytest.mark.parametrize(("build", "size"), [(_signals, 24), (_images, 32)])
def test_lava_runs_them_as_the_golden_model_does(build, size, lava, tmp_path):
    rng = np.random.default_rng(2)
    nodes, shape = build(rng)
    nodes += [nir.Affine(_eighths(rng, 5, size), _eighths(rng, 5)), _fire(5)]
    ends = {"in": nir.Input({"input": np.array(shape)}), "out": nir.Output({"output": np.array([5])})}
    names = ["in", *(f"n{i}" for i in range(len(nodes))), "out"]
    plain = nir.NIRGraph(
        ends | dict(zip(names[1:-1], nodes, strict=True)), list(itertools.pairwise(names)), type_check=False
    )
    x = rng.integers(0, 5, (3, *shape)).astype(np.float32)
    network = tc.import_nir(plain, reset="subtract", v_init="zero", timesteps=4, example=x)
    graph = tc.load(tc.save(tc.lower(network, tc.Int8()), tmp_path / "net.nir"))
    trace = lava.compile(graph).run(x, record="spikes")
    assert tc.compare(tc.simulate(graph, x, record="spikes"), trace) is None
    assert trace.output.any()
