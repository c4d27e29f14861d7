"""Predictions of the energy model for published measurements of spiking hardware; the data lie in energy_cases.toml."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikec.energy.cores import CoreAssignment
from spikec.energy.event_driven import price
from spikec.energy.profile import load_profile
from spikec.energy.render import si
from spikec.energy.sampling import Quantiles, Samples, draw_constants, nominal
from spikec.energy.workload import LayerWork, Workload
from spikec.ir.operations import Convolution

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DRAWS = 4000
Data = Mapping[str, Any]
Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Case:
    """One comparison. ``role``: fitted, held out, count, consistency or reference; ``predicted``: None where no profile
    covers what was measured; ``interval``: predicted p5, p95."""

    id: str
    title: str
    quantity: str
    unit: str
    measured: float
    predicted: float | None
    interval: Interval
    role: str
    note: str
    grade: str
    source: str

    @property
    def error(self) -> float | None:
        return None if self.predicted is None else self.predicted / self.measured - 1

    @property
    def inside(self) -> bool | None:
        """Whether the measurement lies in the interval; None where there is none."""
        return None if self.interval is None else self.interval[0] <= self.measured <= self.interval[1]


def published() -> dict[str, Any]:
    """Inputs and measurements."""
    return tomllib.loads(Path(__file__).with_name("energy_cases.toml").read_text(encoding="utf-8"))


def _case(
    data: Data,
    quantity: str,
    unit: str,
    measured: float,
    predicted: float | None,
    interval: Interval,
    role: str,
    note: str,
) -> Case:
    identity, title, grade, source = (data[key] for key in ("id", "title", "grade", "source"))
    return Case(identity, title, quantity, unit, measured, predicted, interval, role, note, grade, source)


def _ends(samples: Samples) -> tuple[float, float]:
    q = Quantiles.of(samples)
    return q.p5, q.p95


def _layer(
    name: str, neurons: float, affine: float, spikes: float, targets: tuple[str, ...], convolution: float = 0
) -> LayerWork:
    """Work of one layer per inference, given as numbers instead of a trace."""
    one = np.ones(1)
    return LayerWork(
        name=name,
        neurons=int(neurons),
        synops_convolution=convolution * one,
        synops_affine=affine * one,
        input_synops=0.0,
        direct=0 * one,
        spikes=spikes * one,
        received=0 * one,
        weights=0,
        inputs=0,
        dense_macs=0,
        input_macs=0,
        targets=targets,
    )


def _dynamic(layers: tuple[LayerWork, ...], steps: int, profile: str, book: str | None = None) -> tuple[float, Samples]:
    """(nominal, draws) of the joules per inference of events and neurons, without floor and reset."""
    chosen = load_profile(profile, book)
    names = [layer.name for layer in layers]
    none = dict.fromkeys(names, 0.0)
    where = CoreAssignment(
        dict.fromkeys(names, 1), 1, dict.fromkeys(names, 1.0), none, none, none, len(names), assumed=True
    )
    work = Workload(layers, steps, steps, "bias_current", 0)

    def events(constants: Mapping[str, Samples]) -> Samples:
        items = price(work, constants, where).items
        return np.asarray(sum(items[item] for item in ("messages", "neurons", "spikes", "synapses") if item in items))

    drawn = draw_constants(chosen, DRAWS, np.random.default_rng(0))
    return float(events(nominal(chosen))[0]), events(drawn)


def floor_fit(data: Data) -> tuple[float, float, float]:
    """(watts at no copies, watts per copy, largest residual) of the scaling experiment."""
    copies, watts = np.asarray(data["copies"], dtype=float), np.asarray(data["dynamic_watts"])
    slope, intercept = np.polyfit(copies, watts, 1)
    return float(intercept), float(slope), float(np.abs(watts - intercept - slope * copies).max())


def keyword_spotting(data: Data, floor: float) -> Case:
    """V1: floor of V2 and events at the two ends of a plausible rate."""
    sizes, steps = data["sizes"], data["steps"]
    ends = []
    for rate in data["rates"]:
        spikes = [rate * n * steps for n in sizes[:-1]] + [0.0]
        layers = [_layer("l0", 0, 0, spikes[0], ("l1",))]
        for i in range(1, len(sizes)):
            following = (f"l{i + 1}",) if i + 1 < len(sizes) else ()
            layers.append(_layer(f"l{i}", sizes[i], spikes[i - 1] * sizes[i], spikes[i], following))
        ends.append(_dynamic(tuple(layers), steps, "loihi1"))
    fixed, measured = floor / data["inferences_per_second"], data["measured_dynamic_joules"]
    predicted = fixed + (ends[0][0] + ends[1][0]) / 2
    interval = fixed + _ends(ends[0][1])[0], fixed + _ends(ends[1][1])[1]
    note = f"{fixed / measured:.0%} of it is the floor of V2, taken as exact; 2 to 10 % rate assumed; same board as V2"
    return _case(data, "dynamic energy per inference", "J", measured, predicted, interval, "held out", note)


def scaling(data: Data) -> Case:
    """V2: energy per neuron and step from the slope, with the rate that would explain it."""
    floor, slope, residual = floor_fit(data)
    per_layer = data["neurons_per_layer"]
    neurons = data["layers"] * per_layer
    measured = slope / (data["inferences_per_second"] * data["steps"] * neurons)

    def at(rate: float) -> float:
        one = _layer("l", neurons, rate * neurons * per_layer, rate * neurons, ("l",))
        return _dynamic((one,), 1, "loihi1")[0] / neurons

    rate = (measured - at(0.0)) / (at(1.0) - at(0.0))
    note = (
        f"rates are not published: 5 % (1 to 20 %) assumed, the measurement implies {rate:.1%}; "
        f"floor {si(floor, 'W')} + {si(slope, 'W')} per copy, residual below {si(residual, 'W')}"
    )
    return _case(data, "energy per neuron and step", "J", measured, at(0.05), (at(0.01), at(0.20)), "fitted", note)


def pilotnet_counts(data: Data, network: Path | None) -> list[Case]:
    """V3a: SynOps against hardware counters; simulated now where the weights are at hand."""
    nonzero, every = list(data["simulated_nonzero"]), data["simulated_total_all"]
    total = data["simulated_total_nonzero"]
    if network is not None:
        from benchmarks.pilotnet_lif import simulate

        found = simulate(network)
        nonzero = [found.synapses[name].synops_nonzero / found.steps for name in data["layers"]]
        total = sum(s.synops_nonzero for s in found.synapses.values()) / found.steps
        every = sum(s.synops for s in found.synapses.values()) / found.steps
    rows = [
        (f"SynOps per step of {name}, non-zero weights", hardware, simulated)
        for name, hardware, simulated in zip(data["layers"], data["hardware_synops"], nonzero, strict=True)
    ]
    rows.append(("SynOps per step, non-zero weights", data["hardware_total"], total))
    rows.append(("SynOps per step, all weights", data["hardware_total"], every))
    note = "hardware counters digitised from a plot (0.5 to 5 %); the chip does not charge zero weights"
    return [_case(data, quantity, "", hardware, found, None, "count", note) for quantity, hardware, found in rows]


def pilotnet_energy(data: Data) -> list[Case]:
    """V3b: the same run in joules, by each book."""
    one = _layer("all", data["neurons"], 0, data["spikes"], ("all",), convolution=data["simulated_total_nonzero"])
    measured, cases = data["measured_dynamic_joules_per_step"], []
    for profile, book, role, note in (
        ("loihi1", "sanafe_silicon", "held out", "constants of Loihi 1: agreement across processes is partly luck"),
        ("loihi1", "davies_presilicon", "held out", "constants of Loihi 1, only neurons that spike taken as active"),
        ("loihi2", "pilotnet_calibrated", "fitted", "the plane goes through this point by construction"),
    ):
        middle, drawn = _dynamic((one,), 1, profile, book)
        quantity = f"dynamic energy per step, {book}"
        cases.append(_case(data, quantity, "J", measured, middle, _ends(drawn), role, note))
    return cases


def sigma_delta(data: Data) -> Case:
    """V4: total power of an input/output bound run, where events vanish in the noise."""
    one = _layer("all", data["neurons"], 0, data["events_per_step"], ("all",), convolution=data["synops_per_step"])
    profile, rate = load_profile("loihi2"), data["frames_per_second"]
    middle, drawn = _dynamic((one,), 1, "loihi2")
    static = draw_constants(profile, DRAWS, np.random.default_rng(0))["p_static"]
    noise = data["measured_total_watts"] - data["measured_static_watts"]
    note = (
        f"dynamic below noise: events are {si(middle * rate, 'W')}, the published difference of total and static power "
        f"is {noise * 1e3:.1f} mW; the static interval was taken from this run and V3"
    )
    predicted = float(profile.constants["p_static"].value + middle * rate)
    interval = _ends(static + drawn * rate)
    return _case(data, "total power", "W", data["measured_total_watts"], predicted, interval, "consistency", note)


def floor_only(data: Data, idle: float, floor: float) -> Case:
    """V5, V6, V7: time x floor power and nothing else; the interval is that of the profile's floor."""
    drawn = draw_constants(load_profile("loihi1"), DRAWS, np.random.default_rng(0))
    interval = _ends((data["chips"] * drawn["p_static"] + drawn["p_host"]) * data["seconds"])
    predicted = (data["chips"] * idle + floor) * data["seconds"]
    note = f"floor alone: {data['chips']} x {si(idle, 'W')} idle + {si(floor, 'W')}"
    note += data.get("remark", "")
    return _case(data, "energy per inference", "J", data["measured_joules"], predicted, interval, "held out", note)


def many_chips(data: Data) -> list[Case]:
    """V8: whether the intervals of the floor contain another board's."""
    constants = load_profile("loihi1").constants
    static, host = constants["p_static"], constants["p_host"]
    rows = (
        ("static power per chip", data["static_watts_per_chip"], static, "the high end of the interval is this board"),
        ("embedded x86 per chip", float(np.mean(data["host_watts_per_chip"])), host, "65 to 67 mW per chip"),
    )
    return [
        _case(data, quantity, "W", measured, c.value, (c.low, c.high), "consistency", note)
        for quantity, measured, c, note in rows
    ]


def processors(data: Data) -> list[Case]:
    """V9: why there is no bare pJ per MAC for CPU and GPU here, and what no profile covers."""
    cases = []
    for p in data["platforms"]:
        predicted, note = None, "no profile for it here; the number of MACs is not in the source"
        if "macs" in data:
            per_mac = f"{si(p['measured_joules'] / data['macs'], 'J')} per MAC measured"
            note = f"no profile for it here: {per_mac}, launch and idle dominate"
        if "per_mac" in p:
            predicted = data["macs"] * p["per_mac"]
            note = f"MACs x {si(p['per_mac'], 'J')} ({p['per_mac_of']}) against {per_mac}: launch and idle dominate"
        quantity = f"energy per inference, {p['platform']}"
        cases.append(_case(data, quantity, "J", p["measured_joules"], predicted, None, "reference", note))
    return cases


def average_fan_out(data: Data) -> list[Case]:
    """V11: a published SynOps table, by its own formula and by existing synapses."""
    columns = (data["events"], data["outputs"], data["kernels"], data["strides"])
    average = [e * o * k / s for e, o, k, s in zip(*columns, strict=True)]
    exact = [e * o for e, o in zip(data["events"], data["outputs"], strict=True)]
    geometry = zip(data["shapes"], data["stride_pairs"], data["paddings"], strict=True)
    for index, (shape, stride, padding) in enumerate(geometry):
        weight = np.ones((data["outputs"][index], shape[0], 3, 3), dtype=np.int64)
        bias = np.zeros(len(weight), dtype=np.int64)
        out = Convolution.convolved(tuple(shape), len(weight), (3, 3), tuple(stride), tuple(padding), (1, 1))
        node = Convolution("c", (), tuple(shape), out, weight, bias, tuple(stride), tuple(padding), (1, 1))
        exact[index] = data["events"][index] * float(node.fan_out(node.structure()).mean())
    return [
        _case(data, f"SynOps per step, {name} fan-out", "", data["published_synops"], sum(values), None, "count", note)
        for name, values, note in (
            ("average", average, "events x outputs x kernel / stride: agrees to the rounding of the printed events"),
            ("exact", exact, "existing synapses, events spread evenly: the published formula ignores the border"),
        )
    ]


def validate(network: Path | None = None) -> list[Case]:
    """All comparisons, in the order of their numbers."""
    data = published()
    floor, idle = floor_fit(data["blouw_scaling"])[0], data["blouw_idle"]["watts"]
    return [
        keyword_spotting(data["blouw_kws"], floor),
        scaling(data["blouw_scaling"]),
        *pilotnet_counts(data["pilotnet_lif"] | {"id": "V3a"}, network),
        *pilotnet_energy(data["pilotnet_lif"] | {"id": "V3b"}),
        sigma_delta(data["pilotnet_sdnn"]),
        *(floor_only(case, idle, floor) for case in data["floor"]),
        *many_chips(data["frady"]),
        *(case for network in data["ann"] for case in processors(network)),
        *average_fan_out(data["compare_ops"]),
    ]
