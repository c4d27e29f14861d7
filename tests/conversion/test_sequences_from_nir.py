"""NIR files that run on sequences: NIR's equations in float, against loops over single neurons; what is refused; and
the integers they become."""

import itertools
import warnings
from functools import partial

import nir
import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.sequences import sequence_oracle
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec import defaults
from spikec.analysis.formats import load_format
from spikec.analysis.ranges import bounds
from spikec.conversion.from_nir.feedback import feedback_edges
from spikec.conversion.from_nir.flattening import flattened
from spikec.conversion.from_nir.running import run_float
from spikec.conversion.from_nir.sequences import import_sequences, needs_sequences, sequence_range
from spikec.errors import ConversionError, DataError, GraphError
from spikec.ir import Delayed, Population, decode
from spikec.ir.leak import Leak
from spikec.ir.profile import listing
from spikec.quantization.sequences import rounded_graph

DT = 1e-3


def full(shape, value):
    return np.broadcast_to(np.asarray(value, np.float64), shape).copy()


def lif(shape, tau=8e-3, r=1.0, v_leak=0.0, threshold=1.0, reset=0.0):
    return nir.LIF(*(full(shape, x) for x in (tau, r, v_leak, threshold)), v_reset=full(shape, reset))


def cuba(shape, tau_syn=4e-3, tau_mem=8e-3, r=1.0, v_leak=0.0, threshold=1.0, reset=0.0, w_in=1.0):
    fields = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": v_leak, "v_threshold": threshold,
              "v_reset": reset, "w_in": w_in}  # fmt: skip
    return nir.CubaLIF(**{name: full(shape, value) for name, value in fields.items()})


def graph_of(nodes, edges, shape=(3,)):
    ends = {"in": nir.Input({"input": np.array(shape)}), "out": nir.Output({"output": np.array([1])})}
    return nir.NIRGraph(nodes=ends | nodes, edges=edges, metadata={}, type_check=False)


def chain(*nodes, shape=(3,)):
    names = [f"n{i}" for i in range(len(nodes))]
    return graph_of(dict(zip(names, nodes, strict=True)), list(itertools.pairwise(["in", *names, "out"])), shape)


def dense(rng, rows, columns, bias=True):
    weight = rng.normal(size=(rows, columns))
    return nir.Affine(weight, rng.normal(size=rows) / 5) if bias else nir.Linear(weight)


def recurrent(rng, neurons=None):
    n = 4
    nodes = {"w": dense(rng, n, 3), "lif": neurons or cuba((n,)), "back": dense(rng, n, n), "fc": dense(rng, 2, n),
             "li": nir.LI(full(2, 5e-3), full(2, 1.0), full(2, 0.1))}  # fmt: skip
    edges = [("in", "w"), ("w", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "fc"), ("fc", "li"), ("li", "out")]
    return graph_of(nodes, edges)


def by_loops(node, inputs, dt):
    """Spikes, or membranes of an integrator, [steps, n], of one layer that is given ``inputs`` [steps, n]."""
    kind, rows = type(node), []
    size = inputs.shape[1]
    get = lambda name, j: float(np.broadcast_to(getattr(node, name), (size,))[j])  # noqa: E731
    current, membrane = [0.0] * size, [0.0] * size
    for z in inputs:
        row = []
        for j in range(size):
            if kind in (nir.CubaLIF, nir.CubaLI):
                current[j] += dt / get("tau_syn", j) * (get("w_in", j) * z[j] - current[j])
                membrane[j] += dt / get("tau_mem", j) * (get("v_leak", j) - membrane[j] + get("r", j) * current[j])
            elif kind in (nir.LIF, nir.LI):
                membrane[j] += dt / get("tau", j) * (get("v_leak", j) - membrane[j] + get("r", j) * z[j])
            elif kind in (nir.IF, nir.I):
                membrane[j] += dt * get("r", j) * z[j]
            else:
                membrane[j] = z[j]
            if kind in (nir.LI, nir.CubaLI, nir.I):
                row.append(membrane[j])
                continue
            fires = membrane[j] > (get("threshold", j) if kind is nir.Threshold else get("v_threshold", j))
            row.append(float(fires))
            if fires and kind is not nir.Threshold:
                membrane[j] = get("v_reset", j)
        rows.append(row)
    return np.array(rows)


def random_neurons(rng, shape):
    draw = lambda low, high: rng.uniform(low, high, shape)  # noqa: E731
    kind = rng.integers(4)
    reset = draw(-0.3, 0.3)
    if kind == 0:
        return lif(shape, draw(2e-3, 20e-3), draw(1, 8), draw(-0.2, 0.2), draw(0.5, 2), reset)
    if kind == 1:
        return cuba(shape, draw(2e-3, 9e-3), draw(2e-3, 20e-3), draw(1, 8), draw(-0.2, 0.2), draw(0.5, 2), reset,
                    draw(0.5, 3))  # fmt: skip
    if kind == 2:
        return nir.IF(r=draw(100, 500), v_threshold=draw(0.5, 2), v_reset=reset)
    return nir.Threshold(draw(0.1, 1))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=drawn(60), deadline=None)
def test_float_steps_are_nirs_equations(seed):
    rng = np.random.default_rng(seed)
    neurons = random_neurons(rng, (4,))
    weights = dense(rng, 4, 3, bias=bool(rng.integers(2)))
    given_ = rng.normal(size=(2, 12, 3))
    network = import_sequences(chain(weights, neurons), example=given_, dt=DT)
    run = run_float(network, given_, coded=False)
    z = given_ @ np.asarray(weights.weight).T + np.asarray(getattr(weights, "bias", 0.0))
    for sequence, expected in zip(run.spikes["n1"], z, strict=True):
        np.testing.assert_array_equal(sequence, by_loops(neurons, expected, DT) > 0)
    np.testing.assert_array_equal(run.outputs["output"], np.cumsum(run.spikes["n1"], axis=1))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["last", "sum", "maximum"]))
@settings(max_examples=drawn(30), deadline=None)
def test_integrators_and_their_reading(seed, reading):
    rng = np.random.default_rng(seed)
    last = [nir.I(full(2, 30.0)), nir.LI(full(2, 6e-3), full(2, 2.0), full(2, 0.3)),
            nir.CubaLI(*(full(2, x) for x in (3e-3, 6e-3, 2.0, 0.3)))][rng.integers(3)]  # fmt: skip
    weights = dense(rng, 2, 4)
    example = rng.integers(0, 3, (2, 15, 3)).astype(float)
    network = import_sequences(chain(dense(rng, 4, 3), lif((4,), r=6.0), weights, last), example=example, dt=DT,
                               reading=reading)  # fmt: skip
    run = run_float(network, example)
    for spikes, output in zip(run.spikes["n1"], run.outputs["output"], strict=True):
        v = by_loops(last, spikes @ np.asarray(weights.weight).T + weights.bias, DT)
        decoded = {"last": v, "sum": np.cumsum(v, 0), "maximum": np.maximum.accumulate(v, 0)}[reading]
        np.testing.assert_allclose(output, decoded, rtol=1e-9, atol=1e-12)
    # the integers read out the same thing: with the float network's own spikes they would differ by rounding only
    trace = tc.simulate(tc.lower(network), example)
    if (trace.counts["n1"] == run.spikes["n1"].sum(1)).all():
        assert (
            np.abs(trace.logits - run.outputs["output"][:, -1]).max()
            <= 0.05 * np.abs(run.outputs["output"]).max() + 0.05
        )


def test_feedback_arrives_one_step_later():
    """A neuron that fires at each step, and inhibits itself so that it fires at every second one."""
    nodes = {"w": nir.Linear(np.array([[3.0]])), "if": nir.IF(np.ones(1), np.ones(1), np.zeros(1)),
             "back": nir.Linear(np.array([[-3.0]]))}  # fmt: skip
    edges = [("in", "w"), ("w", "if"), ("if", "back"), ("back", "if"), ("if", "out")]
    network = import_sequences(graph_of(nodes, edges, (1,)), example=np.ones((1, 6, 1)))
    assert run_float(network, np.ones((1, 6, 1))).spikes["if_"][0, :, 0].tolist() == [1, 0, 1, 0, 1, 0]
    trace = tc.simulate(tc.lower(network), np.ones((1, 6, 1)), record="spikes")
    assert trace.spikes["if_"][0, :, 0].tolist() == [1, 0, 1, 0, 1, 0]


def test_neurons_that_only_feed_back():
    """No path from the input leads to one that drives itself; its weights say how many neurons it has."""
    ones = np.ones(1)
    nodes = {"own": nir.Affine(np.zeros((1, 1)), 2 * ones), "clock": nir.IF(ones, ones, 0 * ones),
             "hold": nir.Linear(np.array([[-9.0]])), "w": nir.Linear(np.array([[3.0]])),
             "if": nir.IF(ones, ones, 0 * ones)}  # fmt: skip
    edges = [("own", "clock"), ("clock", "own"), ("clock", "hold"), ("hold", "if"), ("in", "w"), ("w", "if"),
             ("if", "out")]  # fmt: skip
    network = import_sequences(graph_of(nodes, edges, (1,)), example=np.ones((1, 5, 1)))
    trace = tc.simulate(tc.lower(network), np.ones((1, 5, 1)), record="spikes")
    exact = run_float(network, np.ones((1, 5, 1))).spikes
    assert trace.spikes["clock"][0, :, 0].tolist() == exact["clock"][0, :, 0].tolist() == [1] * 5
    assert trace.spikes["if_"][0, :, 0].tolist() == exact["if_"][0, :, 0].tolist()
    nodes["own"] = nir.Affine(np.zeros((1, 2)), ones)
    with pytest.raises(GraphError, match="do not fit its input"):
        import_sequences(graph_of(nodes, edges, (1,)), example=np.ones((1, 5, 1)))


def test_a_file_is_named_by_its_path():
    with pytest.raises(GraphError, match="named by its path, not by int"):
        import_sequences(3, example=np.ones((1, 5, 1)))


def test_integers_equal_floats_where_nothing_is_rounded():
    """Weights and thresholds that are multiples of a unit, decays that are multiples of 1 / 4096, whole inputs."""
    rng = np.random.default_rng(3)
    weight = rng.integers(-127, 128, (6, 4)) / 64
    weight[0, 0] = 127 / 64
    neurons = cuba((6,), tau_syn=4096 / 2048 * DT, tau_mem=4 * DT, r=4.0, threshold=1.5, w_in=2.0)
    example = rng.integers(0, 3, (5, 40, 4)).astype(float)
    network = import_sequences(chain(nir.Linear(weight), neurons, shape=(4,)), example=example, dt=DT)
    exact, found = run_float(network, example), tc.simulate(tc.lower(network), example, record="spikes")
    assert exact.spikes["n1"].sum() > 20
    differ = (exact.spikes["n1"] != (found.spikes["n1"] == 1)).sum()
    assert differ <= 2  # toward0 takes up to 1 / 64 of a unit from a membrane


@given(st.integers(0, 2**32 - 1), st.sampled_from(["layer", "channel"]))
@settings(max_examples=drawn(25), deadline=None)
def test_one_layer_differs_little(seed, per):
    rng = np.random.default_rng(seed)
    neurons = [lif((5,), r=8.0), cuba((5,), r=8.0, w_in=2.0)][rng.integers(2)]
    example = rng.integers(0, 4, (4, 60, 3)).astype(float)
    network = import_sequences(chain(dense(rng, 5, 3), neurons), example=example, dt=DT)
    agreement = tc.sequence_fidelity(network, tc.lower(network, tc.Int8(per=per)), example)
    (layer,) = agreement.layers
    assert layer.differ <= 0.06 * layer.neuron_steps
    assert layer.membrane < 0.3  # membranes far below zero have larger errors than those near the threshold
    assert "layer" in agreement.text()
    assert layer.first is None or 0 <= layer.first < 60
    assert layer.shifted <= layer.differ


def test_delays():
    """The input three steps late, spikes two steps late and at once, and a recurrent delay."""
    rng = np.random.default_rng(4)
    nodes = {"d3": nir.Delay(full(3, 3 * DT)), "w": dense(rng, 4, 3), "a": lif((4,), r=8.0),
             "d2": nir.Delay(full(4, 1 * DT)), "d2b": nir.Delay(full(4, 1.2 * DT)), "v": dense(rng, 3, 4),
             "u": dense(rng, 3, 4), "b": lif((3,), r=8.0), "d1": nir.Delay(full(3, 2 * DT)),
             "x": dense(rng, 4, 3)}  # fmt: skip
    edges = [("in", "d3"), ("d3", "w"), ("w", "a"), ("a", "d2"), ("d2", "d2b"), ("d2b", "v"), ("a", "u"), ("v", "b"),
             ("u", "b"), ("b", "d1"), ("d1", "x"), ("x", "a"), ("b", "out")]  # fmt: skip
    example = rng.integers(0, 3, (3, 20, 3)).astype(float)
    network = import_sequences(graph_of(nodes, edges), example=example, dt=DT)
    assert network.delays == {("input", "w"): 3, ("a", "v"): 2, ("b", "x"): 2}
    run = run_float(network, example)
    late = lambda train, n: np.concatenate([np.zeros_like(train[:n]), train[:-n]])  # noqa: E731
    weigh = lambda name, train: train @ np.asarray(nodes[name].weight).T + nodes[name].bias  # noqa: E731
    for sequence, a, b in zip(example, run.spikes["a"], run.spikes["b"], strict=True):
        z = weigh("w", late(sequence, 3)) + weigh("x", late(b.astype(float), 2))
        np.testing.assert_array_equal(a, by_loops(nodes["a"], z, DT) > 0)
        z = weigh("v", late(a.astype(float), 2)) + weigh("u", a.astype(float))
        np.testing.assert_array_equal(b, by_loops(nodes["b"], z, DT) > 0)
    graph = decode(tc.lower(network))
    assert {(d.of, d.steps) for d in graph.delayed} == {("input", 3), ("a", 2), ("b", 2)}
    assert tc.sequence_fidelity(network, graph, example).layers[0].share < 0.5


def test_delays_of_each_neuron():
    """The input, spikes on their way forward, some at once, and a recurrent layer, each neuron as late as it is."""
    rng = np.random.default_rng(5)
    ahead, between, back = np.array([0, 3, 30]), np.array([2, 0, 1, 0]), np.array([1, 4, 2])
    nodes = {"d3": nir.Delay(ahead * DT), "w": dense(rng, 4, 3), "a": lif((4,), r=8.0),
             "d2": nir.Delay(between * DT), "d2b": nir.Delay(full(4, 1.2 * DT)), "v": dense(rng, 3, 4),
             "d0": nir.Delay(between[::-1] * DT), "u": dense(rng, 3, 4), "b": lif((3,), r=8.0),
             "d1": nir.Delay(back * DT), "x": dense(rng, 4, 3)}  # fmt: skip
    edges = [("in", "d3"), ("d3", "w"), ("w", "a"), ("a", "d2"), ("d2", "d2b"), ("d2b", "v"), ("a", "d0"), ("d0", "u"),
             ("v", "b"), ("u", "b"), ("b", "d1"), ("d1", "x"), ("x", "a"), ("b", "out")]  # fmt: skip
    example = rng.integers(0, 3, (3, 20, 3)).astype(float)
    network = import_sequences(graph_of(nodes, edges), example=example, dt=DT)
    assert network.delays == {
        ("input", "w"): (0, 3, 30), ("a", "v"): (3, 1, 2, 1), ("a", "u"): (0, 1, 0, 2), ("b", "x"): (1, 4, 2)
    }  # fmt: skip
    run = run_float(network, example)

    def late(train, steps):
        found = np.zeros(train.shape)
        for i, n in enumerate(steps):
            found[n:, i] = train[: max(len(train) - n, 0), i]
        return found

    weigh = lambda name, train: train @ np.asarray(nodes[name].weight).T + nodes[name].bias  # noqa: E731
    for sequence, a, b in zip(example, run.spikes["a"], run.spikes["b"], strict=True):
        z = weigh("w", late(sequence, ahead)) + weigh("x", late(b, back))
        np.testing.assert_array_equal(a, by_loops(nodes["a"], z, DT) > 0)
        z = weigh("v", late(a, between + 1)) + weigh("u", late(a, between[::-1]))
        np.testing.assert_array_equal(b, by_loops(nodes["b"], z, DT) > 0)
    graph = decode(tc.lower(network))
    assert {(d.of, d.steps) for d in graph.delayed} == {
        ("input", (0, 3, 30)), ("a", (3, 1, 2, 1)), ("a", (0, 1, 0, 2)), ("b", (1, 4, 2))
    }  # fmt: skip
    assert "input, 0 to 30 steps before" in listing.text(graph)
    trace = tc.simulate(graph, example, record="spikes")
    expected = sequence_oracle(graph, list(example.astype(int)))
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes)


def test_a_delay_of_no_step_cannot_close_a_cycle():
    rng = np.random.default_rng(6)
    nodes = {"w": dense(rng, 2, 3), "a": lif((2,)), "d": nir.Delay(DT * np.arange(2)), "x": dense(rng, 2, 2)}
    edges = [("in", "w"), ("w", "a"), ("a", "d"), ("d", "x"), ("x", "a"), ("a", "out")]
    with pytest.raises(GraphError, match="each must be a step at least"):
        import_sequences(graph_of(nodes, edges), example=np.ones((1, 4, 3)), dt=DT)


def test_delays_that_cannot_be_told_apart_are_refused():
    nodes = {"d": nir.Delay(full(3, DT)), "w": nir.Linear(np.ones((2, 3))), "lif": lif((2,))}
    edges = [("in", "d"), ("d", "w"), ("in", "w"), ("w", "lif"), ("lif", "out")]
    with pytest.raises(GraphError, match="two different delays"):
        import_sequences(graph_of(nodes, edges), example=np.ones((1, 4, 3)), dt=DT)
    circle = {
        "d": nir.Delay(full(3, 0.0)),
        "e": nir.Delay(full(3, 0.0)),
        "w": nir.Linear(np.ones((2, 3))),
        "lif": lif((2,)),
    }
    edges = [("in", "w"), ("d", "e"), ("e", "d"), ("e", "w"), ("w", "lif"), ("lif", "out")]
    with pytest.raises(GraphError, match="in a circle"):
        import_sequences(graph_of(circle, edges), example=np.ones((1, 4, 3)), dt=DT)


def test_scale_by_spikes_changes_no_more_of_them():
    rng = np.random.default_rng(7)
    weights = dense(rng, 5, 3)
    weights.weight[0, 0] = 9.0  # one outlier
    example = rng.integers(0, 4, (6, 60, 3)).astype(float)
    network = import_sequences(chain(weights, lif((5,), r=8.0)), example=example, dt=DT)
    differ = {}
    for scale in ("max", "spikes"):
        graph = tc.lower(network, tc.Int8(bits=4, scale=scale))
        differ[scale] = tc.sequence_fidelity(network, graph, network.example).layers[0].differ
    assert differ["spikes"] < differ["max"]


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        (tc.Int8(rounding="gptq"), "leave out rounding"),
        (tc.Int8(overrides={"nothing": 4}), "is the name of no layer"),
    ],
)
def test_precisions_for_images_are_refused(precision, words):
    network = import_sequences(chain(nir.Linear(np.ones((2, 3))), lif((2,))), example=np.ones((1, 4, 3)), dt=DT)
    with pytest.raises(ConversionError, match=words):
        tc.lower(network, precision)


def test_a_recurrent_network_becomes_feedback():
    rng = np.random.default_rng(0)
    example = rng.integers(0, 2, (3, 20, 3)).astype(float)
    network = import_sequences(recurrent(rng), example=example, dt=DT)
    graph = decode(tc.lower(network))
    assert network.delays == {("lif", "back"): 1}
    assert [node.of for node in graph if isinstance(node, Delayed)] == ["lif"]
    assert graph.sequences
    assert isinstance(graph.readout.leak, Leak)
    assert graph.timesteps == 20


def test_convolutions_pools_and_scale():
    rng = np.random.default_rng(1)
    conv = nir.Conv2d((6, 6), rng.normal(size=(4, 1, 3, 3)), 1, 1, 1, 2, rng.normal(size=4) / 5)
    two = np.array([2, 2])
    nodes = (conv, lif((4, 6, 6), r=6.0), nir.SumPool2d(two, two, 0 * two),
             nir.Scale(np.full((4, 3, 3), 0.5)),
             nir.Conv2d((3, 3), rng.normal(size=(3, 4, 3, 3)), 1, 0, 1, 1, np.zeros(3)),
             lif((3, 1, 1), r=6.0), nir.Flatten({"input": np.array([3, 1, 1])}, 0, -1), dense(rng, 2, 3))  # fmt: skip
    example = rng.integers(0, 3, (4, 30, 2, 6, 6)).astype(float)
    network = import_sequences(chain(*nodes, shape=(2, 6, 6)), example=example, dt=DT)
    agreement = tc.sequence_fidelity(network, tc.lower(network, tc.Int8(per="channel")), example)
    first = agreement.layers[0]
    assert first.spikes > 100
    assert first.share < 0.2
    torch_like = run_float(network, example).spikes["n1"]
    padded = np.pad(example, ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)))
    z = np.zeros((4, 30, 4, 6, 6))
    for o, u, v in itertools.product(range(4), range(3), range(3)):
        z[:, :, o] += np.asarray(conv.weight)[o, 0, u, v] * padded[:, :, o // 2, u : u + 6, v : v + 6]
    z += np.asarray(conv.bias).reshape(1, 1, -1, 1, 1)
    expected = by_loops(lif((144,), r=6.0), z[0].reshape(30, -1), DT).reshape(30, 4, 6, 6) > 0
    np.testing.assert_array_equal(torch_like[0], expected)


def test_signals():
    """Conv1d on (C, L), with stride, padding, dilation and groups: neurons of shape (C, L), then a flatten."""
    rng = np.random.default_rng(2)
    conv = nir.Conv1d(9, rng.normal(size=(4, 1, 3)), 2, 1, 2, 2, rng.normal(size=4) / 5)
    tau = np.linspace(4e-3, 9e-3, 4)[:, None] * np.ones(4)
    neurons = nir.LIF(tau, full((4, 4), 6.0) * tau / tau[0], full((4, 4), 0.0), full((4, 4), 1.0), full((4, 4), 0.0))
    nodes = (conv, neurons, nir.Flatten({"input": np.array([4, 4])}, 0, -1), dense(rng, 2, 16))
    example = rng.integers(0, 3, (3, 25, 2, 9)).astype(float)
    network = import_sequences(chain(*nodes, shape=(2, 9)), example=example, dt=DT)
    run = run_float(network, network.example)
    padded = np.pad(example, ((0, 0), (0, 0), (0, 0), (1, 1)))
    z = np.zeros((3, 25, 4, 4)) + np.asarray(conv.bias)[:, None]
    for o, k, x in itertools.product(range(4), range(3), range(4)):
        z[:, :, o, x] += np.asarray(conv.weight)[o, 0, k] * padded[:, :, o // 2, 2 * x + 2 * k]
    flat = nir.LIF(*(np.asarray(getattr(neurons, name)).reshape(-1) for name in ("tau", "r", "v_leak", "v_threshold")),
                   v_reset=np.zeros(16))  # fmt: skip
    for spikes, entering in zip(run.spikes["n1"], z, strict=True):
        np.testing.assert_array_equal(spikes.reshape(25, 16), by_loops(flat, entering.reshape(25, 16), DT) > 0)
    assert run.spikes["n1"].sum() > 50
    graph = tc.lower(network, tc.Int8(per="channel"))
    agreement = tc.sequence_fidelity(network, graph, network.example)
    assert agreement.layers[0].share < 0.2
    np.testing.assert_array_equal(tc.simulate(graph, example).output, tc.simulate(graph, network.example).output)


def test_soft_reset_on_request():
    example = np.full((1, 6, 1), 5.0)
    network = import_sequences(chain(nir.Linear(np.ones((1, 1))), lif((1,), tau=2 * DT), shape=(1,)), example=example,
                               dt=DT, subtract=True)  # fmt: skip
    graph = decode(tc.lower(network))
    (population,) = graph.populations
    assert population.neuron.subtract == 1
    assert run_float(network, example).spikes["n1"].all()
    assert any(v.rule == "reset" for v in tc.check(graph, target="loihi1"))


def test_exponential_decay():
    example = np.ones((1, 30, 1))
    steps = {}
    for integration in ("euler", "exponential"):
        network = import_sequences(chain(nir.Linear(np.ones((1, 1))), lif((1,), tau=2 * DT, threshold=0.7), shape=(1,)),
                                   example=example, dt=DT, integration=integration)  # fmt: skip
        steps[integration] = network.neurons["n1"].keep_v[0]
    assert steps == {"euler": 0.5, "exponential": pytest.approx(np.exp(-0.5))}


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "options", "words"),
    [
        ((nir.Linear(np.ones((2, 3))), lif((2,))), {"dt": None}, "give dt"),
        ((nir.Linear(np.ones((2, 3))), lif((2,), tau=1e-4)), {}, "longer than tau"),
        ((nir.Linear(np.ones((2, 3))), lif((2,), tau=0.0)), {}, "tau is not positive"),
        ((nir.Linear(np.ones((2, 3))), lif((2,), r=np.nan)), {}, "not finite"),
        ((nir.Linear(np.ones((2, 3))), lif((2,), reset=1.0)), {}, "not above the membrane's value after a spike"),
        (
            (nir.Linear(np.ones((2, 3))), nir.Delay(np.ones(2)), lif((2,))),
            {},
            "only spikes and the input can be delayed",
        ),
        ((nir.Delay(np.array([1.0, -2, 3])), nir.Linear(np.ones((2, 3))), lif((2,))), {}, "numbers of at least 0"),
        ((nir.Delay(np.array([1.0, np.nan])), nir.Linear(np.ones((2, 3))), lif((2,))), {}, "numbers of at least 0"),
        ((nir.Delay(DT * np.arange(4)), nir.Linear(np.ones((2, 3))), lif((2,))), {}, "3 numbers, with 4 delays"),
        (
            (nir.Delay(DT * np.arange(3)), nir.Delay(DT * np.arange(2)), nir.Linear(np.ones((2, 3))), lif((2,))),
            {},
            "it has 3 delays, and the Delay behind it 2",
        ),
        ((nir.Delay(np.full(3, 1e9)), nir.Linear(np.ones((2, 3))), lif((2,))), {}, "the most is"),
        ((nir.Linear(np.ones((2, 3))), nir.LI(*(np.ones(2),) * 3), lif((2,))), {}, "that can only be the readout"),
        ((nir.Linear(np.ones((2, 4))), lif((2,))), {}, "do not fit its input"),
        ((nir.Linear(np.ones((2, 3))), lif((5,))), {}, "its source has"),
        ((nir.Linear(np.ones((2, 3))),), {}, "no neurons that fire"),
    ],
)
def test_refusals_name_the_node(nodes, options, words):
    with pytest.raises(GraphError, match=words):
        import_sequences(chain(*nodes), example=np.ones((1, 4, 3)), **{"dt": DT} | options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"example": np.ones((1, 4, 5))}, DataError, "the NIR graph takes sequences"),
        ({"example": np.full((1, 4, 3), np.nan)}, DataError, "not finite"),
        ({"example": [["a"]]}, DataError, "not an array of numbers"),
        ({"dt": -1.0}, ConversionError, "dt must be a positive number"),
        ({"integration": "heun"}, ConversionError, "integration must be one of"),
        ({"reading": "mean"}, ConversionError, "reading must be"),
    ],
)
def test_refused_options(options, error, words):
    graph = chain(nir.Linear(np.ones((2, 3))), lif((2,)))
    with pytest.raises(error, match=words):
        import_sequences(graph, **{"example": np.ones((1, 4, 3)), "dt": DT} | options)


def test_gains_that_differ_within_a_channel_are_refused():
    conv = nir.Conv2d((4, 4), np.ones((1, 1, 3, 3)), 1, 1, 1, 1, np.zeros(1))
    tau = np.linspace(4e-3, 9e-3, 16).reshape(1, 4, 4)
    network = import_sequences(chain(conv, lif((1, 4, 4), tau=tau), shape=(1, 4, 4)), example=np.ones((1, 3, 1, 4, 4)),
                               dt=DT)  # fmt: skip
    with pytest.raises(ConversionError, match="gains differ within a channel"):
        tc.lower(network)


def test_a_deployment_is_no_plain_file():
    rng = np.random.default_rng(0)
    deployment = tc.lower(import_sequences(recurrent(rng), example=np.ones((1, 4, 3)), dt=DT))
    with pytest.raises(GraphError, match="deployment file already"):
        import_sequences(deployment, example=np.ones((1, 4, 3)), dt=DT)


# --- graphs inside, cycles, names --------------------------------------------------------------------------------


def test_graphs_inside_are_written_flat():
    rng = np.random.default_rng(5)
    inner_nodes = {"input": nir.Input({"input": np.array([3])}), "w": dense(rng, 4, 3), "lif": lif((4,), r=6.0),
                   "output": nir.Output({"output": np.array([4])})}  # fmt: skip
    inner = nir.NIRGraph(inner_nodes, [("input", "w"), ("w", "lif"), ("lif", "output")], metadata={}, type_check=False)
    last = dense(rng, 2, 4)
    nested = graph_of({"block": inner, "fc": last}, [("in", "block"), ("block", "fc"), ("fc", "out")])
    flat = graph_of({"block.w": inner_nodes["w"], "block.lif": inner_nodes["lif"], "fc": last},
                    [("in", "block.w"), ("block.w", "block.lif"), ("block.lif", "fc"), ("fc", "out")])  # fmt: skip
    assert flattened(nested)[1] == {(str(a), str(b)) for a, b in flat.edges}
    example = rng.integers(0, 3, (2, 10, 3)).astype(float)
    first, second = (run_float(import_sequences(g, example=example, dt=DT), example) for g in (nested, flat))
    np.testing.assert_array_equal(first.outputs["output"], second.outputs["output"])


def test_a_graph_inside_needs_its_ends():
    inner = nir.NIRGraph({"input": nir.Input({"input": np.array([3])})}, [], metadata={}, type_check=False)
    with pytest.raises(GraphError, match="one Input and one Output"):
        flattened(graph_of({"block": inner}, [("in", "block"), ("block", "out")]))


def _cycle(*edges):
    return {tuple(edge.split(">")) for edge in edges}


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (_cycle("in>w", "w>a", "a>out"), set()),
        (_cycle("in>w", "w>a", "a>back", "back>a", "a>out"), {("a", "back")}),
        (_cycle("in>a", "a>a", "a>out"), {("a", "a")}),
        (_cycle("in>a", "a>w", "w>b", "b>back", "back>a", "b>out"), {("b", "back")}),
        # two layers at one distance feed each other: names decide, one of the two edges is delayed
        (_cycle("in>a", "in>b", "a>w", "w>b", "b>back", "back>a", "b>out"), {("b", "back")}),
    ],
)
def test_which_edges_are_delayed(edges, expected):
    nodes = sorted({end for edge in edges for end in edge})
    assert feedback_edges(nodes, edges, {"a", "b"}) == expected


def test_a_cycle_without_neurons_is_refused():
    nodes = {"w": nir.Linear(np.eye(3)), "v": nir.Linear(np.eye(3)), "lif": lif((3,))}
    edges = [("in", "w"), ("w", "v"), ("v", "w"), ("w", "lif"), ("lif", "out")]
    with pytest.raises(GraphError, match="cycle without neurons"):
        import_sequences(graph_of(nodes, edges), example=np.ones((1, 4, 3)), dt=DT)


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (chain(nir.Linear(np.ones((2, 3))), nir.IF(np.ones(2), np.ones(2), np.zeros(2))), False),
        (chain(nir.Linear(np.ones((2, 3))), lif((2,))), True),
        (recurrent(np.random.default_rng(0), nir.IF(np.ones(4), np.ones(4), np.zeros(4))), True),
    ],
)
def test_what_needs_sequences(graph, expected):
    assert needs_sequences(graph) == expected


@pytest.mark.parametrize(
    ("values", "dtype", "scale"),
    [
        ([0, 1, 3], "uint8", 1.0),
        ([-1, 0, 1], "int8", 1.0),
        ([0, 0.5], "uint8", 0.5 / 255),
        ([0, 300], "uint8", 300 / 255),
        ([-2.54, 1], "int8", 0.02),
    ],
)
def test_the_coding_of_frames(values, dtype, scale):
    found = sequence_range(np.array(values, float))
    assert (found.dtype, found.scale) == (dtype, pytest.approx(scale))
    assert found.limit == (2 * int(np.abs(values).max()) if scale == 1 else None)


def test_larger_events_than_the_export_saw_are_refused():
    network = import_sequences(chain(nir.Linear(np.ones((2, 3))), lif((2,))), example=np.ones((1, 4, 3)), dt=DT)
    graph = tc.lower(network)
    assert decode(graph).input.limit == 2
    assert tc.simulate(graph, np.full((1, 4, 3), 2)).images == 1
    with pytest.raises(DataError, match="made for values from 0 to 2"):
        tc.simulate(graph, np.full((1, 4, 3), 3))
    low, high = bounds(decode(graph)).accumulators["n0"].low, bounds(decode(graph)).accumulators["n0"].high
    assert (low, high) == (0, 3 * 2 * int(decode(graph).nodes["n0"].weight.max()))


def test_populations_keep_the_shape_of_the_file():
    network = import_sequences(chain(nir.Linear(np.ones((2, 3))), lif((2,))), example=np.ones((1, 4, 3)), dt=DT)
    assert [p.shape for p in decode(tc.lower(network)) if isinstance(p, Population)] == [(2,)]


@pytest.mark.parametrize("field", ["v_leak", "v_reset", "tau_syn", "w_in"])
def test_a_parameter_of_another_size_is_refused_by_name(field):
    neurons = cuba((2,))
    setattr(neurons, field, np.full(3, 0.1))
    graph = chain(nir.Linear(np.ones((2, 3))), neurons)
    with pytest.raises(GraphError, match=f"n1: {field} has shape"):
        import_sequences(graph, example=np.ones((1, 4, 3)), dt=DT)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1j])
def test_weights_that_are_no_finite_numbers_are_refused_by_name(value):
    weight = np.ones((2, 3), np.asarray(value).dtype)
    weight[0, 1] = value
    for graph in (chain(nir.Linear(weight), lif((2,))), chain(nir.Scale(weight[0]), lif((3,)))):
        with pytest.raises(GraphError, match=r"n0: (weight|scale) holds values that are not finite"):
            import_sequences(graph, example=np.ones((1, 4, 3)), dt=DT)


def test_signals_are_compared_as_the_file_has_them():
    rng = np.random.default_rng(0)
    conv = nir.Conv1d(8, rng.normal(size=(3, 2, 3)), 1, 1, 1, 1, np.zeros(3))
    x = rng.integers(0, 3, (2, 10, 2, 8))
    network = import_sequences(chain(conv, lif((3, 8)), shape=(2, 8)), example=x, dt=DT)
    maps = tc.sequence_fidelity(network, tc.lower(network), x[:, :, :, None])
    assert tc.sequence_fidelity(network, tc.lower(network), x) == maps


def test_a_membrane_that_hardly_leaks_keeps_its_weights():
    """Less than half of a 4096th per step: rounded up to one, with the steady state kept, weights would be five times
    as large. Neither way fires here, so that membranes decide."""
    slow, x = 20.0, np.random.default_rng(0).integers(0, 3, (2, 100, 3))  # dt / tau = 1 / 20,000
    weights = nir.Linear(np.full((2, 3), 5e-4))
    network = import_sequences(chain(weights, lif((2,), slow, slow / DT)), example=x, dt=DT)
    graph = tc.lower(network)
    (found,) = tc.sequence_fidelity(network, graph, x).layers
    assert (found.differ, found.spikes) == (0, 0)
    assert found.membrane < 0.005
    assert not decode(graph).nodes["n1"].neuron.dv.any()


def test_rounding_of_a_readouts_decay_follows_its_output():
    slow, rng = 20.0, np.random.default_rng(0)
    readout = nir.LI(full(2, slow), full(2, slow / DT), full(2, slow / DT))
    x = rng.integers(0, 3, (2, 30, 3))
    network = import_sequences(
        chain(dense(rng, 2, 3), lif((2,)), dense(rng, 2, 2), readout, shape=(3,)), example=x, dt=DT
    )
    assert tc.sequence_fidelity(network, tc.lower(network), x).output < 0.02


def test_a_negative_event_is_never_clipped_to_none():
    network = import_sequences(chain(nir.Linear(np.ones((2, 3))), lif((2,))), example=np.ones((1, 4, 3)), dt=DT)
    with pytest.raises(DataError, match="made for values from 0 to 2"):
        tc.simulate(tc.lower(network), -np.ones((1, 4, 3)))


def test_the_smallest_int8_is_an_event_too():
    x = np.full((1, 4, 3), -128)
    network = import_sequences(chain(nir.Linear(np.ones((2, 3))), lif((2,))), example=x, dt=DT)
    assert network.coding.scale == 1
    graph = tc.lower(network)
    assert tc.simulate(graph, x).images == 1
    with pytest.raises(DataError, match="holds 128"):
        tc.simulate(graph, -x)


_W = nir.Linear(np.ones((3, 3)))
_READOUT = nir.LI(full(3, 5e-3), full(3, 1.0), full(3, 0.0))


@pytest.mark.parametrize(
    ("more", "edges", "words"),
    [
        ({}, [("out", "n0")], "an Output node feeds others"),
        ({}, [("n1", "ghost")], "it feeds 'ghost', which does not exist"),
        ({"l": lif((3,))}, [("l", "n0")], "l: nothing feeds this node"),
        ({"l": _READOUT}, [("n1", "l"), ("l", "out")], "it reads an integrator and other nodes"),
    ],
)
def test_ends_that_lead_nowhere_are_refused(more, edges, words):
    graph = chain(_W, lif((3,)))
    # Set afterwards: NIR itself adds an Output to whatever nothing reads.
    graph.nodes.update(more)
    graph.edges += edges
    with pytest.raises(GraphError, match=words):
        import_sequences(graph, example=np.ones((1, 4, 3)), dt=DT)


@pytest.mark.parametrize("end", [lif((3,)), _READOUT, nir.Delay(np.ones(3)), lif((7,))])
def test_what_the_output_does_not_depend_on_is_left_out_by_name(end):
    graph, x = chain(_W, lif((3,))), np.random.default_rng(0).integers(0, 3, (2, 9, 3)).astype(float)
    wanted = run_float(import_sequences(graph, example=x, dt=DT), x)
    graph.nodes.update({"w": _W, "probe": end})
    graph.edges += [("n1", "w"), ("w", "probe")]
    with pytest.warns(UserWarning, match="depends on it: probe, w$"):
        network = import_sequences(graph, example=x, dt=DT)
    found = run_float(network, x)
    assert list(found.outputs) == list(wanted.outputs) == ["output"]
    np.testing.assert_array_equal(found.outputs["output"], wanted.outputs["output"])


def test_neurons_without_a_name():
    graph = graph_of({"w": _W, "": lif((3,))}, [("in", "w"), ("w", ""), ("", "out")])
    network = import_sequences(graph, example=np.ones((1, 4, 3)), dt=DT)
    assert [p.name for p in decode(tc.lower(network)) if isinstance(p, Population)] == ["_"]


@pytest.mark.parametrize("dt", ["1e-3", [1e-3]])
def test_a_dt_that_is_no_number_is_refused(dt):
    with pytest.raises(ConversionError, match="dt must be a positive number"):
        import_sequences(chain(_W, lif((3,))), example=np.ones((1, 4, 3)), dt=dt)


def test_currents_that_no_neuron_holds_are_said():
    x = np.ones((1, 4, 3))
    network = import_sequences(chain(_W, cuba((3,), tau_syn=20.0, w_in=2e4)), example=x, dt=DT)
    with pytest.warns(UserWarning, match="n1: a current lasts 20,000 steps"):
        tc.lower(network)


@pytest.mark.parametrize(("w_in", "said"), [(1.0, True), (0.0, False)])
def test_weights_that_all_round_to_none_are_said(w_in, said):
    network = import_sequences(chain(_W, cuba((3,), threshold=1e12, w_in=w_in)), example=np.ones((1, 4, 3)), dt=DT)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert not decode(tc.lower(network)).nodes["n0"].weight.any()
    assert [str(each.message).startswith("n0: all weights round to 0") for each in heard] == [True] * said


@pytest.mark.parametrize(
    ("kind", "field", "value", "words"),
    [
        ("conv", "stride", 0, "stride is 0; it must be whole and at least 1"),
        ("conv", "stride", 1.5, "stride is 1.5; it must be whole"),
        ("conv", "stride", (1, 1, 1), "stride must be one number, or two"),
        ("conv", "dilation", 0, "dilation is 0"),
        ("conv", "groups", 0, "groups is 0"),
        ("conv", "padding", -1, "padding is -1; it must be whole and at least 0"),
        ("conv", "padding", "SAME", "padding is 'SAME'; it must be"),
        ("conv", "padding", None, "padding must be one number, or two"),
        ("conv", "bias", np.zeros(3), r"bias has shape \(3,\), weights have \(4, 2, 3, 3\)"),
        ("pool", "kernel_size", np.array(0), "kernel_size is 0"),
        ("pool", "stride", np.array(0), "stride is 0"),
        ("pool", "padding", np.array(-1), "padding is -1"),
    ],
)
@pytest.mark.parametrize("images", [False, True])
def test_windows_that_cannot_be_are_refused(kind, field, value, words, images):
    node = (
        nir.Conv2d((5, 5), np.ones((4, 2, 3, 3)), 1, 1, 1, 1, np.zeros(4))
        if kind == "conv"
        else nir.SumPool2d(np.array(2), np.array(2), np.array(0))
    )
    setattr(node, field, value)
    graph = chain(node, nir.IF(np.ones(()), np.ones(())) if images else lif(()), shape=(2, 5, 5))
    settings_of_images = {"reset": "subtract", "v_init": "zero", "timesteps": 2}
    import_it = partial(tc.import_nir, **settings_of_images) if images else import_sequences
    with pytest.raises(GraphError, match=f"n0: {words}"):
        import_it(graph, example=np.ones((1, 2, 5, 5) if images else (1, 4, 2, 5, 5)), dt=DT)


def test_groups_that_do_not_divide_the_outputs_are_refused():
    conv = nir.Conv2d((5, 5), np.ones((3, 1, 3, 3)), 1, 1, 1, 2, np.zeros(3))
    with pytest.raises(GraphError, match=r"n0: weights of shape .* in 2 groups do not fit"):
        import_sequences(chain(conv, lif(()), shape=(2, 5, 5)), example=np.ones((1, 4, 2, 5, 5)), dt=DT)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([np.ones((4, 3)), np.ones((2, 3))], "differ in length"),
        ("abc", "not arrays of numbers"),
        ({}, "there are no sequences"),
    ],
)
def test_fidelity_refuses_what_it_cannot_compare(given, words):
    network = import_sequences(chain(_W, lif((3,))), example=np.ones((1, 4, 3)), dt=DT)
    with pytest.raises(DataError, match=words):
        tc.sequence_fidelity(network, tc.lower(network), given)


def test_fidelity_refuses_another_network():
    x = np.ones((1, 4, 3))
    network = import_sequences(chain(_W, lif((3,))), example=x, dt=DT)
    other = import_sequences(chain(nir.Linear(np.ones((2, 3))), lif((2,))), example=x, dt=DT)
    with pytest.raises(DataError, match="was not lowered from it"):
        tc.sequence_fidelity(network, tc.lower(other), x)


@pytest.mark.parametrize("precision", ["int8", tc.Int8])
def test_a_precision_that_is_none_is_refused(precision):
    network = import_sequences(chain(_W, lif((3,))), example=np.ones((1, 4, 3)), dt=DT)
    with pytest.raises(ConversionError, match="expected a precision"):
        tc.lower(network, precision)


@pytest.mark.parametrize("value", [2.0, -0.1])
def test_currents_beyond_the_exports_are_cut_with_a_warning(value):
    x = np.full((1, 4, 3), 0.5)
    graph = tc.lower(import_sequences(chain(_W, lif((3,))), example=x, dt=DT))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tc.simulate(graph, x)
    with pytest.warns(UserWarning, match=r"made for values from 0 to 0\.5; sequences hold others, which are cut"):
        tc.simulate(graph, np.full((1, 4, 3), value))


def test_fidelity_shows_itself_in_a_line_a_table_and_a_frame():
    """Its figures are counted again here, from the rasters of both."""
    rng = np.random.default_rng(9)
    example = rng.integers(0, 4, (6, 30, 3)).astype(float)
    nodes = chain(dense(rng, 5, 3), lif((5,), r=8.0), dense(rng, 4, 5), lif((4,), r=8.0))
    network = import_sequences(nodes, example=example, dt=DT)
    graph = tc.lower(network, tc.Int8(bits=3))
    found = tc.sequence_fidelity(network, graph, example)
    integer, exact = tc.simulate(graph, example, record="spikes"), run_float(network, example)
    (last,) = (output[:, -1] for output in exact.outputs.values())
    same = int((integer.logits.argmax(1) == last.argmax(1)).sum())
    assert found.classes == same
    line = f"6 sequences, 2 layers; output differs by {found.output:.2%}, {same} of 6 with the same class"
    assert repr(found) == f"<SequenceFidelity: {line}>"
    assert str(found).splitlines()[-1] == (
        f"output differs by {found.output:.2%}; {same} of 6 have the same largest output"
    )
    assert found.output > 0  # 3 bits are coarse: there is something to show
    pytest.importorskip("pandas")
    frame = found.to_pandas().set_index("layer")
    assert list(frame.index) == ["n1", "n3"]
    for name, line in frame.iterrows():
        a, b = exact.spikes[name].astype(bool), integer.spikes[name].astype(bool)
        assert line["neuron_steps"] == a.size
        assert (line["spikes"], line["integer_spikes"]) == (a.sum(), b.sum())
        assert line["differ"] == (a != b).sum()
        assert name in found._repr_html_()
        assert f"{a.sum():,}" in found._repr_html_()


def test_leak_and_reset_become_other_numbers():
    """Counted from a reset of -0.5, a threshold of 1 is 1.5, and a membrane, in 64ths, starts at a third of it."""
    rng = np.random.default_rng(11)
    example = rng.integers(0, 4, (4, 60, 3)).astype(float)
    neurons = lif((5,), r=8.0, v_leak=0.4, reset=-0.5)
    network = import_sequences(chain(dense(rng, 5, 3), neurons), example=example, dt=DT)
    graph = decode(tc.lower(network))
    (population,) = graph.populations
    np.testing.assert_allclose(population.v_init / (64 * population.theta), 1 / 3, rtol=1e-3)
    assert population.neuron.bias.any()
    (layer,) = tc.sequence_fidelity(network, graph, example).layers
    assert layer.spikes > 100
    assert layer.differ < 0.06 * layer.neuron_steps


def test_units_are_finer_than_a_weight():
    """A spike of weight 1 adds 127 units in the coarsest unit that holds it; here it adds many times as much."""
    network = import_sequences(chain(nir.Linear(np.eye(3)), lif((3,))), example=np.ones((1, 9, 3)), dt=DT)
    graph = decode(tc.lower(network))
    (synapse, *_), (population,) = graph.synapses, graph.populations
    assert synapse.weight_exp > 0
    assert synapse.weight.max() > 8 * 127
    np.testing.assert_allclose(population.theta / synapse.weight.max(), 8, rtol=0.01)  # threshold 1, dt / tau = 1 / 8


@pytest.mark.parametrize("seed", range(2))
def test_decays_are_rounded_the_way_that_changes_fewer_spikes(seed):
    rng = np.random.default_rng(seed)
    example = rng.integers(0, 3, (4, 60, 3)).astype(float)
    neurons = lif((5,), tau=rng.uniform(0.3, 0.9, 5), r=500.0)
    network = import_sequences(chain(dense(rng, 5, 3), neurons), example=example, dt=DT)
    seen, form = run_float(network, network.example), load_format(defaults.FORMAT)
    ways = [rounded_graph(network, tc.Int8(), form, seen, steady=steady) for steady in (True, False)]
    differ = [tc.sequence_fidelity(network, graph, example).layers[0].differ for graph in (*ways, tc.lower(network))]
    assert differ[0] != differ[1]
    assert differ[2] == min(differ)


def test_a_second_input_is_refused_by_name():
    more, weights = nir.Input({"input": np.array([3])}), nir.Linear(np.ones((2, 3)))
    nodes = {"more": more, "v": weights, "w": weights, "lif": lif((2,))}
    edges = [("in", "w"), ("more", "v"), ("w", "lif"), ("v", "lif"), ("lif", "out")]
    with pytest.raises(GraphError, match=r"it has 2 Input nodes \(in, more\), it must have one"):
        import_sequences(graph_of(nodes, edges), example=np.ones((1, 4, 3)), dt=DT)
