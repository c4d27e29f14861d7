"""The bill: sums by hand, the calibration plane, intervals, modes of the first layer, JSON and text."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from spikec.data_files import chip_files
from spikec.energy import load_profile, priced, profile_names
from spikec.energy.cores import cores_by_capacity
from spikec.energy.event_driven import price
from spikec.energy.profile import _FOLDER
from spikec.energy.render import per_second
from spikec.energy.sampling import Quantiles, bootstrap_means, draw_constants, nominal
from spikec.energy.workload import workload
from spikec.errors import ToolchainError
from spikec.targets.chips import place

DRAWS = 200


@pytest.fixture
def run(make):
    rng = np.random.default_rng(0)
    net = make.small_network(rng)
    return net, make.random_trace(net, rng, images=12)


@pytest.mark.parametrize("profile", ["loihi1", "loihi2"])
def test_dynamic_items_are_counts_times_constants(run, profile):
    net, trace = run
    found = priced(net, trace, profile, draws=DRAWS)
    constants = load_profile(profile)
    mean, _ = workload(
        net, trace, found.counts, first_layer="bias_current", nonzero_only=profile == "loihi2", draws=2,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    where = cores_by_capacity(mean, constants)
    assert where.cores == {"if1": 1, "if2": 1, "readout": 1}
    values = nominal(constants)
    bill = price(mean, values, where)
    spikes = {name: int(events.sum()) / 12 for name, events in trace.events.items()}
    if profile == "loihi2":
        s = found.synapses
        expected = values["e_syn"] * (s["conv2"].synops_nonzero + s["fc"].synops_nonzero) / 12
    else:
        s = found.synapses
        expected = (24.0e-12 * s["conv2"].synops + 35.5e-12 * s["fc"].synops) / 12
    assert bill.items["synapses"] == pytest.approx(expected)
    neurons = 4 * 7 * 7 + 5 * 3 * 3 + 3
    assert bill.items["neurons"] == pytest.approx(neurons * 4 * constants.constants["e_neuron"].value)
    assert bill.items["messages"] == pytest.approx(sum(spikes.values()) * 111e-12)
    assert bill.items["spikes"] == pytest.approx(sum(spikes.values()) * 69.3e-12)


def test_loihi2_draws_lie_on_the_calibration_plane():
    profile = load_profile("loihi2")
    drawn = draw_constants(profile, 1000, np.random.default_rng(0))
    step = 2.270e6 * drawn["e_syn"] + 1.585e5 * drawn["e_neuron"] + 3.46e4 * (drawn["e_spike"] + drawn["e_message"])
    np.testing.assert_allclose(step, 68.35e-6, rtol=1e-9)
    assert drawn["e_syn"].min() >= 16e-12
    assert drawn["e_syn"].max() <= 30e-12
    assert np.corrcoef(drawn["e_syn"], drawn["e_neuron"])[0, 1] < -0.5


def test_draws_have_the_stated_median_and_interval():
    profile = load_profile("loihi1")
    drawn = draw_constants(profile, 40_000, np.random.default_rng(0))
    for key, constant in profile.constants.items():
        q = Quantiles.of(drawn[key])
        assert q.p50 == pytest.approx(constant.value, rel=0.02, abs=0.02 * constant.high)
        if constant.low > 0:
            assert q.p5 == pytest.approx(constant.low, rel=0.03)
            assert q.p95 == pytest.approx(constant.high, rel=0.03)
        assert drawn[key].min() >= 0


def test_same_seed_same_numbers_and_more_images_narrow_the_counts(run):
    net, trace = run
    assert priced(net, trace, draws=DRAWS).to_json() == priced(net, trace, draws=DRAWS).to_json()
    rng = np.random.default_rng(0)
    few, many = (bootstrap_means(rng.normal(5, 1, (n, 1)), 400, rng).std() for n in (10, 1000))
    assert few > 5 * many


def test_first_layer_modes_change_the_bill_and_never_the_counts(run):
    net, trace = run
    by_mode = {
        mode: priced(net, trace, draws=DRAWS, first_layer=mode)
        for mode in ("bias_current", "direct_mac", "direct_mac_every_step", "host_encoded", "event_camera")
    }
    joules = {mode: found.item("synapses").p50 for mode, found in by_mode.items()}
    assert joules["bias_current"] < joules["direct_mac"] < joules["direct_mac_every_step"]
    assert joules["host_encoded"] == joules["event_camera"] > joules["bias_current"]
    assert len({found.synapses["conv1"].synops for found in by_mode.values()}) == 1
    macs = by_mode["bias_current"].synapses["conv1"].dense_macs
    assert any(f"{macs:,} multiply-accumulates" in line for line in by_mode["bias_current"].unpriced)
    assert any("encoding" in line for line in by_mode["host_encoded"].unpriced)


def test_books_are_never_mixed():
    silicon, presilicon = load_profile("loihi1").constants, load_profile("loihi1", "davies_presilicon").constants
    assert "e_neuron" in silicon
    assert "e_neuron" not in presilicon
    assert presilicon["e_message"].value < silicon["e_message"].value
    assert all("Davies" in c.source for k, c in presilicon.items() if k.startswith(("e_syn", "e_neuron", "t_syn")))


def test_every_constant_has_a_source_and_a_grade():
    assert {"loihi1", "loihi2"} <= set(profile_names())
    for name in profile_names():
        for book in load_profile(name).data["books"]:
            for constant in load_profile(name, book).constants.values():
                assert constant.source
                assert constant.grade in {"code", "secondary", "derived", "recalled", "assumed", "vendor"}
                assert constant.basis in {"measured", "simulated", "derived", "vendor", "assumed"}


def test_json_and_text(run):
    net, trace = run
    found = priced(net, trace, draws=DRAWS)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["schema"] == "energy-report/1"
    assert document["evidence"] == "calibrated on one run"
    assert document["synapses"]["fc"]["synops"] == found.synapses["fc"].synops
    assert document["lower_bound"]
    names = document["neurobench"]
    stored = [node.weight for node in net.synapses]
    zeros = sum((w == 0).sum() for w in stored) / sum(w.size for w in stored)
    assert names["connection_sparsity"] == pytest.approx(zeros)
    spikes = sum(int(events.sum()) for events in trace.events.values())
    biases, neurons = 4 + 5 + 3, 4 * 7 * 7 + 5 * 3 * 3
    assert names["activation_sparsity"] == pytest.approx(1 - spikes / (12 * 4 * neurons))
    assert names["footprint"] == sum(w.size for w in stored) * 3 / 8 + 4 * (biases + 2 * neurons + 3)
    text = found.text()
    assert "at least" in text
    assert "calibrated on one run" in text
    assert "validated" not in text
    for item in found.items:
        assert item.p5 <= item.p50 <= item.p95


def test_the_tornado_is_sorted_and_leaves_the_solved_term_out(run):
    found = priced(*run, draws=DRAWS)
    swings = [s.swing for s in found.sensitivities]
    assert swings == sorted(swings, reverse=True)
    assert "e_syn" not in {s.constant for s in found.sensitivities}


def test_unknown_names_are_user_errors(run, tmp_path):
    net, trace = run
    with pytest.raises(ToolchainError, match=r"known: .*loihi2"):
        priced(net, trace, "loihi9")
    with pytest.raises(ToolchainError, match="sanafe_silicon"):
        priced(net, trace, "loihi1", book="none")
    with pytest.raises(ToolchainError, match="bias_current"):
        priced(net, trace, first_layer="free")
    file = tmp_path / "own.toml"
    file.write_text("schema = 'other'")
    with pytest.raises(ToolchainError, match="schema"):
        priced(net, trace, file)


def test_a_trace_without_counts_per_image_still_gives_an_estimate(run):
    net, trace = run
    with_images = priced(net, trace, draws=DRAWS)
    for name in list(trace.events):
        trace.event_totals[name] = trace.events.pop(name).sum(axis=0, dtype=np.int64)
    found = priced(net, trace, draws=DRAWS)
    assert found.total.p50 == pytest.approx(with_images.total.p50, rel=0.2)
    assert any("spread between images" in line for line in found.warnings)


def test_throughput_is_one_over_the_time_of_an_image():
    assert per_second(Quantiles(0.001, 0.00135, 0.0017)) == "740 images/s (590 to 1,000)"
    assert per_second(Quantiles(0.5, 0.8, 2.0)) == "1.2 images/s (0.5 to 2)"


@pytest.mark.parametrize(
    ("profile", "old", "new", "says"),
    [
        ("cmos45", 'model = "memory_hierarchy"', 'model = "analog"', "model must be event_driven or memory_hierarchy"),
        ("cmos45", 'title = "', 'name_of_it = "', "lacks 'title'"),
        ("cmos45", "[books.", "[pages.", "lacks 'books'"),
        ("cmos45", "e_add32", "e_add31", "lacks 'e_add32'"),
        ("cmos45", "reuse = [1, 16, 128]", "reuse = [1, 0]", "reuse must be a positive number, not 0"),
        ("cmos45", "on_chip_bytes = ", "on_chip_bytes = -", "on_chip_bytes must be a positive number or 0, not -"),
        ("cmos45", "value = 0.03e-12", 'value = "0.03 pJ"', "constant 'e_add8' .* are numbers"),
        ("loihi2", "t_syn]", "t_sin]", "lacks 't_syn'"),
        ("loihi2", 'solves = "e_syn"', 'solves = "e_sin"', "solves must name a constant"),
        ("loihi2", "energy = 68.35e-6", 'energy = "much"', "energy must be a positive number"),
        ("loihi2", "neurons_per_core = 8192", "", "lacks 'neurons_per_core'"),
    ],
)
def test_a_profile_of_ones_own_is_read_with_care(run, tmp_path, profile, old, new, says):
    text = chip_files("energy", _FOLDER)[profile].read_text()
    assert old in text
    file = tmp_path / "own.toml"
    file.write_text(text.replace(old, new))
    with pytest.raises(ToolchainError, match=says):
        priced(*run, file, draws=DRAWS)


def test_a_chip_without_memory_of_its_own_fetches_everything_from_outside(run, tmp_path):
    text = chip_files("energy", _FOLDER)["cmos45"].read_text()
    file = tmp_path / "own.toml"
    file.write_text(re.sub("on_chip_bytes = .*", "on_chip_bytes = 0", text))
    assert priced(*run, file, draws=DRAWS).total.p50 > 10 * priced(*run, "cmos45", draws=DRAWS).total.p50


@pytest.mark.parametrize("book", ["sanafe_silicon", "davies_presilicon"])
def test_a_measured_wall_clock_takes_the_place_of_the_bound(run, book):
    """The floor is power times time, in either book: 60 mW of one chip and 70 mW of its embedded processors."""
    own, found = (priced(*run, "loihi1", book=book, draws=DRAWS, step_seconds=s) for s in (None, 2e-3))
    assert (found.step_seconds.p5, found.step_seconds.p95, found.bound_by) == (2e-3, 2e-3, "the measured wall clock")
    assert own.step_seconds.p95 < 1e-4
    for name, watts in (("static", 60e-3), ("host on chip", 70e-3)):
        assert found.item(name).p50 == pytest.approx(watts * 4 * 2e-3, rel=0.2)
        assert own.item(name).p50 < found.item(name).p50 / 20
    floor = {"static", "host on chip"}
    for item in own.items:
        assert item.name in floor or item.joules == found.item(item.name).joules


def test_what_each_first_layer_mode_charges(run):
    """24 pJ for each synaptic operation of a convolution: none, one pass, a pass at each of 4 steps, the events."""
    net, trace = run
    modes = ("bias_current", "direct_mac", "direct_mac_every_step", "host_encoded", "event_camera")
    found = {mode: priced(net, trace, "loihi1", draws=2, first_layer=mode, step_seconds=1e-3) for mode in modes}
    conv = found["bias_current"].synapses["conv1"]
    charged = (0, conv.dense_macs, 4 * conv.dense_macs, conv.synops / 12, conv.synops / 12)
    for mode, synops in zip(modes, charged, strict=True):
        more = found[mode].nominal - found["bias_current"].nominal
        assert more == pytest.approx(synops * 24e-12, abs=1e-18), mode
    assert not any("encoding" in line for line in found["event_camera"].unpriced)


def test_the_supply_is_one_factor_for_all_that_switches(run):
    net, trace = run
    profile = load_profile("loihi1")
    counts = priced(net, trace, "loihi1", draws=2).counts
    mean, _ = workload(net, trace, counts, first_layer="bias_current", nonzero_only=False, draws=2,
                       rng=np.random.default_rng(0))  # fmt: skip
    where = cores_by_capacity(mean, profile)
    one, more = (price(mean, nominal(profile, supply=volts), where).items for volts in (1.0, 1.5))
    fixed = {"static", "host on chip", "reset"}
    for name, joules in one.items():
        assert more[name] == pytest.approx(joules * (1 if name in fixed else 1.5**2)), name


def test_the_tornado_moves_one_constant_and_medians_do_not_add_up(run):
    found = priced(*run, "loihi1", draws=DRAWS)
    by_name = {each.constant: each for each in found.sensitivities}
    spikes = found.counts.spikes / 12
    assert by_name["e_message"].high - by_name["e_message"].low == pytest.approx(spikes * (124.3e-12 - 1.7e-12))
    assert by_name["e_spike"].high - found.nominal == pytest.approx(spikes * (77.6e-12 - 69.3e-12))
    assert abs(sum(item.p50 for item in found.items) / found.total.p50 - 1) > 1e-3


def test_several_chips_wait_for_a_slower_barrier_and_their_messages_have_no_price(run, tmp_path):
    text = chip_files("energy", _FOLDER)["loihi1"].read_text()
    file = tmp_path / "own.toml"
    file.write_text(text.replace("cores_per_chip = 128", "cores_per_chip = 1"))
    one, three = (priced(*run, profile, draws=DRAWS) for profile in ("loihi1", file))
    assert (one.chips, three.chips) == (1, 3)
    assert three.step_seconds.p50 == pytest.approx(15.2e-6, rel=0.05)
    assert three.bound_by == "the barrier"
    assert ["messages between chips" in " ".join(found.unpriced) for found in (one, three)] == [False, True]


def test_one_full_core_is_slower_than_several(run):
    """The placement puts the whole network on one core, which does the work of all; by capacity it has three."""
    net, trace = run
    busy = {name: counts * 0 + 4 for name, counts in trace.events.items()}
    trace = replace(trace, events=busy)
    alone, spread = (
        priced(net, trace, "loihi1", draws=DRAWS, placement=place(net, "loihi1")),
        priced(net, trace, "loihi1", draws=DRAWS),
    )
    assert (alone.total_cores, spread.total_cores) == (1, 3)
    assert alone.bound_by.startswith("core 0")
    assert alone.step_seconds.p50 > 1.05 * spread.step_seconds.p50
    assert alone.item("static").p50 > 1.05 * spread.item("static").p50
