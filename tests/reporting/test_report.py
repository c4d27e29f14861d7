"""The numbers of the report against plain loops over the trace, and what it refuses."""

import inspect
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cases import CASES, steps_of
from helpers.graphs import random_graph, random_images

import spikec as tc
from spikec.analysis.widths import signed_bits
from spikec.errors import DataError
from spikec.evidence.crosscheck import Crosscheck
from spikec.ir.kinds import kind_named
from spikec.reporting import report, wilson
from spikec.reporting.value import Report
from spikec.simulation import simulate


def _argmax(row):
    return next(i for i, value in enumerate(row) if value == max(row))


def test_accuracy_and_paired_counts(made, deployment):
    snn = [_argmax(row) == label for row, label in zip(deployment.trace.output, deployment.labels, strict=True)]
    ann = [_argmax(row) == label for row, label in zip(deployment.ann_logits, deployment.labels, strict=True)]
    found = made.accuracy
    assert 0 < sum(snn) < 40
    assert (found.snn.count, found.snn.total) == (sum(snn), 40)
    assert (found.snn.low, found.snn.high) == wilson(sum(snn), 40)
    assert found.ann.count == sum(ann)
    assert found.only_snn == sum(s and not a for s, a in zip(snn, ann, strict=True))
    assert found.only_ann == sum(a and not s for s, a in zip(snn, ann, strict=True))
    assert found.only_snn - found.only_ann == found.snn.count - found.ann.count


def test_the_page_of_the_documentation_has_every_argument():
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^report = tc\.report\($(.*?)^\)", page, re.S | re.M)
    assert [name for name in inspect.signature(tc.report).parameters if not re.search(rf"\b{name}\b", block)] == []


@pytest.mark.parametrize(("timesteps", "rho"), [(4, 4), (8, 4), (2, 6)])
def test_steps_of_calibration_are_stated_whatever_t_is(timesteps, rho):
    """Each layer runs rho steps before its T count, also where rho is not larger than T."""
    rng = np.random.default_rng(2)
    graph = random_graph(rng, kind="calibrated_if", schedule="pipelined", timesteps=timesteps)
    populations = {p.name: replace(p, neuron=replace(p.neuron, rho=rho)) for p in graph.populations}
    graph = replace(graph, nodes={**graph.nodes, **populations})
    images = random_images(rng, graph, 3) * graph.input.scale
    made = report(graph, images=images, labels=np.zeros(3, int), estimates=(), fits=(), path=None)
    assert made.network.extra_steps == rho
    assert f"{rho} further steps per layer" in made.html()


def test_steps_of_a_drain_are_stated():
    rng = np.random.default_rng(2)
    graph = random_graph(rng, kind="signed_if", schedule="pipelined", timesteps=3, drain=2)
    images = random_images(rng, graph, 3) * graph.input.scale
    made = report(graph, images=images, labels=np.zeros(3, int), estimates=(), fits=(), path=None)
    assert (made.network.drain, made.network.extra_steps) == (2, 2)


def test_curve_ends_at_the_accuracy(made, deployment):
    for point in made.curve:
        rows = deployment.trace.output_curve[:, point.timesteps - 1]
        right = sum(_argmax(row) == label for row, label in zip(rows, deployment.labels, strict=True))
        assert point.accuracy.count == right
    assert [p.timesteps for p in made.curve] == [1, 2, 3, 4]
    assert made.curve[-1].accuracy == made.accuracy.snn


def test_longer_curve_continues_the_same_run(deployment, arguments, made):
    longer = report(deployment.graph, path=None, curve_timesteps=7, estimates=(), **arguments)
    assert longer.curve[:4] == made.curve
    trace = simulate(replace(deployment.graph, timesteps=7), deployment.images)
    assert longer.curve[6].accuracy.count == int((trace.predictions == deployment.labels).sum())
    assert longer.accuracy == made.accuracy


@pytest.mark.parametrize(("kind", "schedule", "drain"), CASES)
def test_only_runs_that_go_on_have_a_longer_curve(kind, schedule, drain):
    rng = np.random.default_rng(4)
    timesteps = steps_of(kind, 2)
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=timesteps, drain=drain)
    given = {"images": random_images(rng, graph, 2) * graph.input.scale, "labels": [0, 0]}
    short, long = (
        report(graph, path=None, estimates=(), fits=(), curve_timesteps=steps, **given).curve
        for steps in (None, timesteps + 3)
    )
    longer = 3 if schedule == "pipelined" and kind_named(kind).extends else 0
    assert len(long) == len(short) + longer
    assert long[: len(short)] == short


def test_layer_rows(made, deployment, hostile):
    spikes = deployment.trace.spikes[hostile].reshape(40, 4, 32)
    fired, always, total = [False] * 32, [True] * 32, 0
    for image in spikes:
        for step in image:
            for neuron, spike in enumerate(step):
                fired[neuron] |= bool(spike)
                always[neuron] &= bool(spike)
                total += int(spike != 0)
    row, readout = made.populations
    assert row.name == hostile
    assert row.events == total
    assert row.rate == pytest.approx(total / (40 * 4 * 32))
    assert row.dead == fired.count(False) >= 1
    assert row.saturated == always.count(True)
    assert row.theta[1] == 10**6
    assert row.membrane == deployment.trace.membrane[hostile]
    assert row.bound[0] <= row.membrane[0] <= row.membrane[1] <= row.bound[1]
    assert (readout.kind, readout.theta, readout.events) == ("integrator", None, None)


def test_synapse_rows(made, deployment, hostile):
    conv, linear = made.synapses
    assert (conv.kind, linear.kind) == ("conv 3\N{MULTIPLICATION SIGN}3", "linear")
    assert (conv.from_input, linear.from_input) == (True, False)
    # 3x3 with padding 1 on 4x4: corners have 4 taps, edges 6, inner pixels 9; two output channels.
    assert conv.synapses == 2 * (4 * 4 + 8 * 6 + 4 * 9)
    assert linear.synapses == 96
    events = int(np.count_nonzero(deployment.trace.spikes[hostile]))
    assert linear.events == events
    assert linear.synops == 3 * events
    assert linear.spikes_per_synapse == pytest.approx(events / 40 / 32)
    assert made.synops_per_image == pytest.approx((conv.synops + linear.synops) / 40)


def test_energies_are_the_estimates(made):
    assert [energy.profile for energy in made.energies] == ["loihi2", "loihi1", "cmos45"]
    for energy in made.energies:
        assert 0 < energy.total.p5 < energy.total.p50 < energy.total.p95
        assert energy.constants
        assert all(constant.source for constant in energy.constants)
    assert made.energies[2].reference.points


def test_without_trace_the_golden_model_runs(deployment, made):
    alone = report(deployment.graph, images=deployment.images, labels=deployment.labels, estimates=(), path=None)
    assert alone.accuracy.snn == made.accuracy.snn
    assert alone.populations == made.populations
    assert alone.accuracy.ann is alone.verification is None


def test_stated_ann_accuracy_has_no_interval(deployment, arguments):
    given = {**arguments, "ann_logits": None, "ann_accuracy": 0.998}
    stated = report(deployment.graph, path=None, estimates=(), **given)
    assert (stated.accuracy.ann, stated.accuracy.ann_stated) == (None, 0.998)
    assert "99.80 % (as stated)" in stated.text()


def test_verdict_names_a_difference(made, deployment, arguments):
    assert "DIFFERENT" in made.html()
    assert "first difference" in made.text()
    same = {**arguments, "verification": Crosscheck("lava", 40, 1, 4)}
    text = report(deployment.graph, path=None, estimates=(), **same).text()
    assert "golden = lava: 40 images, 1 layers, 4 steps: identical" in text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"labels": np.zeros(39)}, "one class number per image"),
        ({"labels": np.array(["a"] * 40)}, "labels hold a; the classes of the network are the numbers 0 to"),
        ({"labels": np.full(40, -1)}, "labels hold -1"),
        ({"labels": np.full(40, 0.5)}, "labels hold 0.5"),
        ({"images": np.zeros((3, 1, 4, 4)), "labels": np.zeros(3)}, "the trace holds 40 images"),
        ({"ann_logits": np.zeros((39, 3))}, "of the same images"),
        ({"ann_logits": None, "ann_accuracy": 99.8}, "between 0 and 1"),
    ],
)
def test_what_does_not_belong_together_is_refused(deployment, arguments, changed, words):
    with pytest.raises(DataError, match=words):
        report(deployment.graph, path=None, estimates=(), **{**arguments, **changed})


@pytest.mark.parametrize("kind", [bool, object, np.float32, np.uint8])
def test_labels_may_be_numbers_of_any_kind(deployment, arguments, kind):
    labels = np.arange(40) % 2
    same = {**arguments, "labels": labels}
    made, wanted = (
        report(deployment.graph, path=None, estimates=(), **{**same, "labels": given})
        for given in (labels.astype(kind), labels)
    )
    assert made.text() == wanted.text()


@pytest.mark.parametrize(
    "bounds", [(0, 0), (-1, 0), (0, 1), (-128, 127), (-129, 127), (-8, 128), (2**23 - 1, 2**23 - 1)]
)
def test_signed_bits_is_the_smallest_width(bounds):
    bits = signed_bits(*bounds)
    assert -(2 ** (bits - 1)) <= bounds[0] <= bounds[1] < 2 ** (bits - 1)
    assert bits == 1 or not -(2 ** (bits - 2)) <= bounds[0] <= bounds[1] < 2 ** (bits - 2)


def test_importing_the_package_does_not_take_the_verb_away():
    code = "import spikec.reporting.page.page, spikec as tc; print(callable(tc.report))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_summary_aligns_its_tables(made):
    tables = made.text().split("\n\n")[-2:]
    for table in tables:
        lines = table.splitlines()
        assert len(lines) == 3
        assert len({len(line) for line in lines}) == 1
    assert f"{made.populations[0].bound_bits}" in tables[0]


def test_certificate_says_how_often_counts_miss_the_level(deployment, made):
    """Levels of the last layer recomputed from the trace: this network has one population, fed by the image."""
    found = made.certificate
    node = deployment.graph.nodes["conv"]
    population = deployment.graph.populations[0]
    current = np.zeros((40, *population.shape), np.int64)
    pixels = np.pad(np.rint(deployment.images * 15).astype(np.int64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for row in range(4):
        for column in range(4):
            window = pixels[:, :, row : row + 3, column : column + 3]
            current[:, :, row, column] = np.einsum("nchw,ochw->no", window, node.weight) + node.bias
    levels = np.clip((4 * current + population.v_init) // population.theta, 0, 4)
    counts = deployment.trace.counts[population.name]
    assert found.layers[0].differing == int((levels != counts).sum())
    assert found.layers[0].neurons == levels.size
    assert found.images == 40
    assert str(found) in made.text()


def test_a_lossless_network_is_said_to_be(deployment):
    layerwise = replace(deployment.graph, schedule="layerwise")
    made = report(layerwise, images=deployment.images, labels=deployment.labels, path=None)
    assert made.certificate.lossless
    assert str(made.certificate).startswith("lossless: proven")
    assert "Lossless, proven for every image" in made.html()


def test_fit_is_that_of_checks_and_placement(made, deployment):
    from spikec.targets.chips import check, place

    assert [fit.target for fit in made.fits] == ["loihi2", "loihi1", "cortex-m4"]
    for fit, energy in zip(made.fits[:2], made.energies, strict=False):  # no energy is known of a microcontroller
        placement = place(deployment.graph, fit.target)
        assert (fit.cores, fit.lower_bound, fit.chips) == (
            len(placement.cores),
            placement.lower_bound,
            placement.chips,
        )
        assert fit.loads == tuple(core.load for core in placement.cores)
        assert list(fit.violations) == list(check(deployment.graph, fit.target))
        assert (energy.profile, energy.total_cores, energy.mapping_assumed) == (fit.target, fit.cores, False)
    assert "fit, loihi1" in made.text()


def test_a_network_no_core_can_hold_says_so(deployment, arguments, monkeypatch):
    from spikec.targets.loihi import load_limits

    limits = load_limits("loihi1")
    tiny = {k: replace(v, value=1) if k == "synapse_bits_per_core" else v for k, v in limits.limits.items()}
    for module in ("rules", "placement"):
        monkeypatch.setattr(f"spikec.targets.loihi.{module}.load_limits", lambda name: replace(limits, limits=tiny))
    found = report(deployment.graph, path=None, estimates=(), **arguments)
    assert [fit.cores for fit in found.fits] == [None, None, 1]
    assert any(v.rule == "placement" and v.severity == "error" for v in found.fits[0].violations)
    assert "cannot be placed" in found.text()
    assert "cannot be placed" in found.html()


def test_it_holds_what_the_functions_return(made, deployment):
    """Estimates, certificate and violations as values; the document has their numbers in joule, with all digits."""
    assert Report.__dataclass_params__.frozen
    assert str(made) == made.text()
    energy, written = made.energies[0], made.to_json()["energies"][0]
    own = tc.estimate(deployment.graph, deployment.trace, "loihi2")
    assert type(energy) is type(own)
    assert (energy.total, energy.items, energy.nominal) == (own.total, own.items, own.nominal)
    assert written["total"] == {name: getattr(own.total, name) for name in ("p5", "p50", "p95")}
    certificate = tc.certify(deployment.graph, deployment.images)
    assert (type(made.certificate), str(made.certificate)) == (type(certificate), str(certificate))
    assert made.certificate.layers == certificate.layers
    for fit in made.fits:
        assert list(fit.violations) == list(tc.check(deployment.graph, fit.target))


def test_a_chip_that_cannot_hold_the_network_has_a_fit_and_no_energy(deployment, monkeypatch):
    from spikec.targets.chips import placed

    monkeypatch.setattr(
        "spikec.targets.chips.placed", lambda graph, chip: None if chip == "loihi1" else placed(graph, chip)
    )
    given = {"images": deployment.images, "labels": deployment.labels, "trace": deployment.trace}
    found = report(deployment.graph, path=None, **given)
    assert {fit.target: fit.cores is None for fit in found.fits} == {
        "loihi2": False,
        "loihi1": True,
        "cortex-m4": False,
    }
    assert [energy.profile for energy in found.energies] == ["loihi2", "cmos45"]
    assert all(fit.title in found.html() for fit in found.fits)


def test_numbers_to_predict_stand_beside_those_of_the_ann(deployment, arguments):
    y = (deployment.trace.logits + np.random.default_rng(0).normal(0, 3, (40, 3))).astype(np.float32)
    made = report(deployment.graph, path=None, estimates=(), **{**arguments, "labels": y})
    assert (made.accuracy, made.curve, made.loss) == (None, (), None)
    mae, correlation = made.quality
    exact = [deployment.trace.logits.astype(np.float64), deployment.ann_logits]
    own = [np.abs(each - y).mean() for each in exact]
    assert mae.quality.value == pytest.approx(own[0])
    assert (mae.network.network, mae.network.images) == (pytest.approx(own[1]), 40)
    assert mae.network.change == pytest.approx(own[0] - own[1])
    assert mae.by_step[-1] == pytest.approx(own[0])
    assert [band.value for band in mae.bands] == list(mae.by_step)
    assert correlation.network.data == arguments["data_name"]
    assert "mean absolute error" in made.text()
    assert "reaches a mean absolute error" in made.html()
    for changed, words in (
        ({"ann_logits": np.zeros((40, 2))}, "of the deployment"),
        ({"ann_accuracy": 0.5}, "give ann_logits"),
    ):
        with pytest.raises(DataError, match=words):
            report(deployment.graph, path=None, estimates=(), **{**arguments, "labels": y, **changed})


def test_a_longer_curve_of_another_measure(deployment, arguments):
    y = deployment.trace.logits.astype(np.float32)
    given = {**arguments, "labels": y, "metric": "mae", "curve_timesteps": 7}
    (mae,) = report(deployment.graph, path=None, estimates=(), **given).quality
    assert len(mae.by_step) == 7
    assert mae.by_step[3] == mae.quality.value == pytest.approx(0, abs=1e-4)
    longer = simulate(replace(deployment.graph, timesteps=7, content_sha256=""), deployment.images)
    for step in (2, 7):
        expected = longer.output_curve[:, step - 1] * deployment.graph.readout.scale * 4 / step
        assert mae.by_step[step - 1] == pytest.approx(np.abs(expected - y).mean(), abs=1e-6)
