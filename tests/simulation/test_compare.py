"""compare: the first planted difference, in network order."""

from dataclasses import replace

import numpy as np
import pytest

from spikec.errors import DataError
from spikec.simulation import compare, simulate


@pytest.fixture
def trace(random_graph, random_images):
    rng = np.random.default_rng(6)
    graph = random_graph(rng, timesteps=4)
    assert len(graph.populations) >= 2
    return simulate(graph, random_images(rng, graph, 3) * graph.input.scale, record="spikes")


def planted(trace, name, *places, quantity="spikes"):
    """A copy with one value changed at each place."""
    arrays = {**getattr(trace, quantity)}
    arrays[name] = arrays[name].copy()
    for place in places:
        arrays[name][place] += 1
    return replace(trace, **{quantity: arrays})


def test_equal(trace):
    assert compare(trace, trace) is None
    assert compare(trace, replace(trace, seconds=9.0, target="other", membrane={})) is None


def test_first_layer_then_image_then_step_then_neuron(trace):
    first, second, *_ = trace.spikes
    shape = trace.spikes[first].shape[2:]
    last = tuple(n - 1 for n in shape)
    zero = (0,) * len(shape)
    changed = planted(trace, first, (1, 2, *last), (1, 3, *zero), (2, 0, *zero))
    changed = planted(changed, second, (0, 0, *(0,) * (changed.spikes[second].ndim - 2)))
    found = compare(trace, changed)
    assert (found.layer, found.quantity, found.image, found.step, found.neuron) == (first, "spikes", 1, 2, last)
    assert found.second == found.first + 1


def test_falls_back_to_counts_where_one_has_no_rasters(trace):
    first, *_ = trace.counts
    place = (2, *(0,) * (trace.counts[first].ndim - 1))
    changed = planted(replace(trace, spikes={}), first, place, quantity="counts")
    found = compare(trace, changed)
    assert (found.layer, found.quantity, found.image, found.step) == (first, "counts", 2, None)


def test_events_and_output(trace):
    first, *_ = trace.events
    place = (0, *(0,) * (trace.events[first].ndim - 1))
    assert compare(trace, planted(trace, first, place, quantity="events")).quantity == "events"
    curve = trace.output_curve.copy()
    curve[1, 2, 0] -= 5
    found = compare(trace, replace(trace, output_curves={"output": curve}))
    assert (found.layer, found.image, found.step, found.first - found.second) == ("output", 1, 2, 5)
    output = trace.output.copy()
    output[2, 0] += 1
    found = compare(trace, replace(trace, outputs={"output": output}, output_curves={}))
    assert (found.layer, found.image, found.step) == ("output", 2, None)


def test_one_sentence(trace):
    first, *_ = trace.spikes
    zero = (0,) * (trace.spikes[first].ndim - 2)
    changed = replace(planted(trace, first, (1, 0, *zero)), target="lava")
    text = str(compare(trace, changed))
    assert text.startswith(f"{first}: first difference at image 1, step 0, spikes of neuron {list(zero)}: ")
    assert "(golden)" in text
    assert "(lava)" in text
    assert "\n" not in text


def test_different_runs_are_refused(trace):
    with pytest.raises(DataError, match="4 steps against 5"):
        compare(trace, replace(trace, timesteps=5))
    with pytest.raises(DataError, match="shape"):
        compare(trace, replace(trace, spikes={n: a[:2] for n, a in trace.spikes.items()}))
    first, *_ = trace.counts
    with pytest.raises(DataError, match=first):
        compare(trace, replace(trace, counts={n: a for n, a in trace.counts.items() if n != first}))
