"""Lava's own fixed-point LIF, stepped by hand, against the golden model and plain loops: spikes, membranes, wraps."""

import subprocess
import sys
from pathlib import Path

import helpers
import numpy as np
import pytest
from helpers.leaky import leaky
from helpers.sequences import run_sequence

import spikec as tc
from spikec.ir import Affine, Delayed, InputNode, IntegerGraph, Population, Readout
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import Leak
from spikec.targets.lava.lif import unfit

pytestmark = pytest.mark.lava

STEPS, CASES = 40, 200


def affine(name, source, weight):
    return Affine(name, (source,), weight.shape[::-1][:1], weight.shape[:1], weight, np.zeros(len(weight), int))


def random_case(rng):
    """One layer: its graph, the frames of one sequence, and what the stepped model needs."""
    n, inputs = int(rng.integers(1, 5)), int(rng.integers(1, 8))
    wild = rng.random() < 0.5  # currents wrap, membranes saturate
    weight = rng.integers(-128, 128, (n, inputs))
    back = rng.integers(-128, 128, (n, n)) * int(rng.random() < 0.5)
    du, dv = (int(rng.choice([0, 4095, rng.integers(0, 4096)])) for _ in range(2))
    mantissa, exponent = rng.integers(-4096, 4096, n) // int(rng.choice([1, 4096])), rng.integers(0, 8, n)
    theta = int(rng.choice([1, 131071, rng.integers(1, 131072 if wild else 500)]))
    frames = rng.integers(-128, 128, (STEPS, inputs)) if wild else rng.integers(-3, 4, (STEPS, inputs))
    if rng.random() < 0.3:  # more than 24 bits in a step
        weight = weight << int(rng.integers(0, 9))
    if rng.random() < 0.3:
        frames, weight = (np.abs(x) for x in (np.maximum(frames, -127), weight))
    bias = mantissa << exponent
    leak = Leak(np.full(n, du), np.full(n, dv), bias)
    before = Delayed.named("lif", (n,))
    nodes = [
        InputNode("input", (inputs,), "int8", 1.0, encoding="sequence"),
        before,
        affine("w", "input", weight),
        affine("r", before.name, back),
        Population("lif", ("w", "r"), (n,), CubaLIF(leak.du, leak.dv, bias), np.full(n, theta), np.zeros(n, int)),
        affine("out", "lif", np.eye(n, dtype=int)),
        Readout("readout", ("out",), (n,), np.zeros(n, int), 1.0),
    ]
    graph = IntegerGraph({node.name: node for node in nodes}, 1, "pipelined")
    case = {"z": frames @ weight.T, "back": back, "bias_mant": mantissa, "bias_exp": exponent}
    return graph, frames, case | {"du": du, "dv": dv, "vth": theta, "reset": 0}


def stepped(folder, cases):
    """What Lava's model does with each case."""
    given = {f"{k}.{name}": value for k, case in enumerate(cases) for name, value in case.items()}
    np.savez(folder / "in.npz", cases=len(cases), **given)
    script = Path(helpers.__path__[0]) / "stock_lif.py"
    subprocess.run([sys.executable, script, folder / "in.npz", folder / "out.npz"], check=True, timeout=120)
    with np.load(folder / "out.npz") as file:
        return [{name: file[f"{k}.{name}"] for name in ("s", "v", "u")} for k in range(len(cases))]


def looped(graph, z, back):
    """Currents and membranes after reset of the one layer, from plain integers."""
    node = graph.populations[0]
    leak, n = Leak.of(node.neuron, node.shape), node.shape[0]
    u, v, s, found = [0] * n, [0] * n, np.zeros(n, int), {"s": [], "v": [], "u": [], "wrapped": 0, "saturated": 0}
    for arriving in z:
        total = arriving + back @ s
        for i in range(n):
            plain = u[i] * (4095 - int(leak.du[i])) / 4096 + 64 * int(total[i])
            u[i], m = leaky(leak, (i,), u[i], v[i], int(total[i]))
            found["wrapped"] += abs(plain - u[i]) > 2**23
            found["saturated"] += abs(m) == 2**23 - 1
            s[i] = m > 64 * node.theta[i]
            v[i] = 0 if s[i] else m
        for name, value in (("s", s), ("v", v), ("u", u)):
            found[name].append(np.array(value))
    return found


def test_lavas_model_equals_the_golden_model_and_loops(lava, tmp_path):
    rng = np.random.default_rng(2)
    made = [case for case in (random_case(rng) for _ in range(CASES)) if not unfit(case[0], pace=1)]
    seen = {"far": 0, "wrapped": 0, "saturated": 0, "recurrent": 0, "negative": 0, "fired": 0}
    for (graph, frames, case), found in zip(made, stepped(tmp_path, [case for *_, case in made]), strict=True):
        expected = looped(graph, case["z"], case["back"])
        for name in ("s", "v", "u"):
            np.testing.assert_array_equal(found[name], np.array(expected[name]), err_msg=name)
        trace = tc.simulate(graph, frames[None], record="spikes", measure=True)
        np.testing.assert_array_equal(trace.spikes["lif"][0], found["s"])
        trains, membranes, *_ = run_sequence(graph, frames)
        np.testing.assert_array_equal(np.array(trains["lif"]), found["s"])
        np.testing.assert_array_equal(np.where(found["s"], 0, membranes["lif"]), found["v"])
        assert trace.membrane["lif"] == (np.min(membranes["lif"]), np.max(membranes["lif"]))
        seen["wrapped"] += expected["wrapped"]
        seen["far"] += int((np.abs(found["u"]) > 2**23).sum())
        seen["saturated"] += expected["saturated"]
        seen["recurrent"] += int(case["back"].any() and found["s"].any())
        seen["negative"] += int((found["v"] < 0).any())
        seen["fired"] += int(found["s"].sum())
    assert min(seen.values()) > 20, seen  # the cases show what they are for


def test_lif_reset_forgets_at_every_window(lava, tmp_path):
    """A window of ``LIFReset`` is a run of its own; windows of a single step too."""
    rng = np.random.default_rng(3)
    for interval in (1, 2, 7):
        graph, _, case = random_case(rng)
        case |= {"reset": interval, "back": np.zeros_like(case["back"])}
        found = stepped(tmp_path, [case])[0]
        for start in range(0, STEPS, interval):
            expected = looped(graph, case["z"][start : start + interval], case["back"])
            np.testing.assert_array_equal(found["v"][start : start + interval], np.array(expected["v"]))
            np.testing.assert_array_equal(found["s"][start : start + interval], np.array(expected["s"]))
