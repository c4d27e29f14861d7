"""Networks of other frameworks: what the comparison does once a file and its spikes are there."""

import dataclasses

import nir
import numpy as np
import pytest

from benchmarks import foreign_nir
from benchmarks.foreign_cases import CASES, Foreign
from benchmarks.foreign_networks import WORKERS
from benchmarks.foreign_rules import NIR, Rule, current_kept, current_undiminished, rounded, run_rule
from benchmarks.marked import replaced
from spikec.conversion.from_nir.running import run_float
from spikec.conversion.from_nir.sequences import import_sequences


def _graph(rng, *, current=False, recurrent=False, shape=(6,)):
    """Two layers of leaky neurons, as an exporter would write them for a step of 1e-4."""
    nodes = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array([3]))}
    edges, before = [], "input"
    for index, (n_in, n_out) in enumerate(((6, 5), (5, 3))):
        nodes[f"w{index}"] = nir.Affine(rng.normal(0.15, 0.6, (n_out, n_in)), rng.normal(0, 0.1, n_out))
        full = np.full(n_out, 1.0)
        if current:
            taus = {"tau_mem": 1e-3 * full, "tau_syn": 5e-4 * full, "w_in": 5 * full}
            nodes[f"n{index}"] = nir.CubaLIF(r=3 * full, v_leak=0 * full, v_threshold=full, **taus)
        else:
            nodes[f"n{index}"] = nir.LIF(tau=1e-3 * full, r=10 * full, v_leak=0.01 * full, v_threshold=full)
        edges += [(before, f"w{index}"), (f"w{index}", f"n{index}")]
        if recurrent:
            nodes[f"r{index}"] = nir.Linear(rng.normal(0, 0.4, (n_out, n_out)))
            edges += [(f"n{index}", f"r{index}"), (f"r{index}", f"n{index}")]
        before = f"n{index}"
    return nir.NIRGraph(nodes, [*edges, (before, "output")], type_check=False)


def _neuron(keep, **options):
    """One neuron of threshold 1 that takes its input whole, and keeps ``keep`` of its membrane."""
    tau, one = np.array([1 / (1 - keep)]), np.ones(1)
    nodes = {
        "input": nir.Input(np.array([1])),
        "w": nir.Linear(np.ones((1, 1))),
        "n": nir.LIF(tau=tau, r=tau, v_leak=0 * one, v_threshold=one),
        "output": nir.Output(np.array([1])),
    }
    graph = nir.NIRGraph(nodes, [("input", "w"), ("w", "n"), ("n", "output")])
    return import_sequences(graph, example=np.ones((1, 1, 1)), dt=1.0, **options)


def _emitted(network, rule, drive):
    return run_rule(network, rule, np.array(drive, dtype=float).reshape(1, -1, 1))["n"].ravel().tolist()


def test_every_case_has_its_neurons():
    for case in CASES:
        assert callable(getattr(WORKERS[case.framework], case.name)), case
    assert {case.framework for case in CASES} == set(WORKERS)
    assert len({(case.framework, case.name) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("subtract", [False, True])
@pytest.mark.parametrize(("current", "recurrent"), [(False, False), (True, False), (False, True), (True, True)])
def test_without_a_rule_it_is_the_step_of_nir(seed, subtract, current, recurrent):
    rng = np.random.default_rng(seed)
    graph = _graph(rng, current=current, recurrent=recurrent)
    sequences = (rng.random((4, 30, 6)) < 0.3).astype(float)
    network = import_sequences(graph, example=sequences, dt=1e-4, subtract=subtract)
    expected = run_float(network, sequences).spikes
    assert all(train.any() for train in expected.values())
    found = run_rule(network, NIR, sequences)
    assert {name: train.tolist() for name, train in found.items()} == {n: t.tolist() for n, t in expected.items()}


def test_rules_by_hand():
    soft, hard = _neuron(0.5, subtract=True), _neuron(0.5)
    # at once: 1.5, left 0.5; then 0.25 + 0.8 fires. Late: 0.75 + 0.8 - 1 does not.
    assert _emitted(soft, NIR, [1.5, 0.8]) == [1, 1]
    assert _emitted(soft, Rule("", reset="late"), [1.5, 0.8]) == [1, 0]
    # late and hard: the input of the second step is lost, that of the third is not.
    assert _emitted(hard, NIR, [1.5, 1.2, 1.2]) == [1, 1, 1]
    assert _emitted(hard, Rule("", reset="late"), [1.5, 1.2, 1.2]) == [1, 0, 1]
    # 3.9 leaves 2.9, of which 1.45 is kept; NIR fires. Again: 0.45 does not, and 1.45 is given back; then 0.325 does
    # not either and 1.325 stays; 0.6625 + 1.6 - 1 fires without a second reset; 0.63125 + 1.3 - 1 does not.
    assert _emitted(soft, NIR, [3.9, 0, 0.6, 1.6, 1.3]) == [1, 1, 0, 1, 1]
    assert _emitted(soft, Rule("", reset="again"), [3.9, 0, 0.6, 1.6, 1.3]) == [1, 0, 0, 1, 0]
    assert _emitted(soft, Rule("", several=True), [3.9, 0, 0.6]) == [3, 0, 0]
    assert _emitted(soft, Rule("", several=True), [-3.9, 2.95, 1.0]) == [0, 1, 1]  # on the threshold
    # a current: 0.8, then 0.4, then 0.2 + 0.45; the membrane 0.8, 0.4 + 0.4 and 0.4 + 0.65.
    assert _emitted(hard, NIR, [1.6, 0, 0.9]) == [1, 0, 0]
    assert _emitted(hard, Rule("", meant=current_kept(0.5)), [1.6, 0, 0.9]) == [0, 0, 1]


def test_a_current_undiminished():
    graph = _graph(np.random.default_rng(0), current=True)
    network = import_sequences(graph, example=np.ones((1, 2, 6)), dt=1e-4)
    for node in graph.nodes.values():
        if isinstance(node, nir.CubaLIF):
            node.w_in = np.ones_like(node.w_in)
    weak = import_sequences(graph, example=np.ones((1, 2, 6)), dt=1e-4)
    sequences = (np.random.default_rng(1).random((4, 40, 6)) < 0.3).astype(float)
    expected, found = (
        run_rule(network, NIR, sequences),
        run_rule(weak, Rule("", meant=current_undiminished), sequences),
    )
    assert foreign_nir.differences(expected, found) == 0
    assert foreign_nir.differences(expected, run_rule(weak, NIR, sequences)) > 0


def test_only_weights_are_rounded():
    network = import_sequences(_graph(np.random.default_rng(0)), example=np.ones((1, 2, 6)), dt=1e-4)
    weight, found = network.nodes["w0"].weight, rounded(network).nodes["w0"].weight
    unit = np.abs(weight).max(axis=1, keepdims=True) / 127
    steps = found / unit
    assert np.allclose(steps, np.rint(steps))
    assert not np.allclose(found, weight)
    assert (np.abs(found - weight) <= unit / 2 * (1 + 1e-9)).all()
    assert rounded(network).nodes["w0"].bias is network.nodes["w0"].bias


def _outcome(**changes):
    return dataclasses.replace(
        foreign_nir.Outcome(Foreign("norse", "box", "Box"), "compared", compared=100, spikes=9, lava="identical"),
        **changes,
    )


def test_complaints():
    ruled = Foreign("norse", "box", "Box", rule=Rule("it differs"))
    refused = Foreign("norse", "box", "Box", stage="write")
    repaired = Foreign("norse", "box", "Box", stage="repaired")
    assert foreign_nir.complaints(_outcome()) == []
    assert foreign_nir.complaints(_outcome(in_integers=5, lowered=5)) == []
    assert foreign_nir.complaints(_outcome(case=ruled, in_float=4, explained=0)) == []
    assert foreign_nir.complaints(_outcome(case=refused, stage="write", spikes=0, said="TypeError: x")) == []
    assert foreign_nir.complaints(_outcome(case=repaired, stage="repaired", findings=("batch_axis",))) == []
    for complaint, outcome in {
        "no reason is known": _outcome(in_float=3),
        "with the rule that should explain": _outcome(case=ruled, in_float=4, explained=1),
        "the rule is not needed": _outcome(case=ruled, explained=0),
        "no neuron fires": _outcome(spikes=0),
        "Lava differs": _outcome(lava="n: step 3"),
        "should come as far as 'write'": _outcome(case=refused),
        "should come as far as 'compared'": _outcome(stage="export", said="ValueError: x"),
        "the doctor finds no error": _outcome(case=repaired, stage="repaired"),
    }.items():
        (found,) = foreign_nir.complaints(outcome)
        assert complaint in found


@pytest.mark.parametrize(("shape", "stage"), [((6,), "compared"), ((1, 6), "repaired")])
def test_a_file_is_compared_and_repaired_where_nir_refuses_it(tmp_path, monkeypatch, shape, stage):
    monkeypatch.setattr(foreign_nir, "_lava", lambda graph, sequences: "identical")
    rng = np.random.default_rng(0)
    plain = _graph(rng)
    sequences = (rng.random((3, 20, 6)) < 0.3).astype(np.float32)
    spikes = run_float(import_sequences(plain, example=sequences, dt=1e-4), sequences).spikes
    nir.write(tmp_path / "net.nir", _graph(np.random.default_rng(0), shape=shape))
    theirs = [train.astype(np.float32) for train in spikes.values()]
    theirs[1][0, 5, 0] = 1 - theirs[1][0, 5, 0]
    np.savez(tmp_path / "net.npz", *theirs)
    case = Foreign("norse", "net", "Net", 1e-4, stage=stage)
    found = foreign_nir.evaluate(case, {"stage": "done", "said": ""}, tmp_path, sequences, sequences)
    assert (found.stage, found.in_float, found.compared) == (stage, 1, 3 * 20 * 8)
    assert found.spikes == sum(int(train.sum()) for train in theirs)
    assert found.explained is None
    assert found.findings == (("batch_axis",) if stage == "repaired" else ())
    assert foreign_nir.evaluate(case, {"stage": "write", "said": "x"}, tmp_path, sequences, sequences).stage == "write"
    with pytest.raises(RuntimeError, match="does not run there: x"):
        foreign_nir.evaluate(case, {"stage": "run", "said": "x"}, tmp_path, sequences, sequences)


def test_tables_and_their_place_in_the_documentation():
    done = _outcome(in_float=4, explained=0, case=Foreign("norse", "box", "Box", 1e-6, rule=Rule("it differs")))
    failed = _outcome(stage="repaired", said="ValueError: a. b", findings=("batch_axis",))
    text, refused = foreign_nir.table([done]), foreign_nir.refusals([done, failed])
    assert "| norse 1.1.0 | Box | 1e-06, v_reset | 100 | 9 | 4 | 0 |" in text
    assert "it differs; stepped so, 0 differ |" in text
    assert refused.count("\n") == 2
    assert "`nir.read` | `ValueError: a` | `batch_axis`; compared after `spikec nir repair` |" in refused
    page = foreign_nir.PAGE.read_text()
    assert f"\n{text}\n" in replaced(page, "foreign", text)
    assert f"\n{refused}\n" in replaced(page, "foreign-refused", refused)
