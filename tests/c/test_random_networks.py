"""The generated code against plain loops in int64, on random networks of all kinds, schedules and operations."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.c_networks import Together, train_of
from helpers.graphs import random_graph, random_images, random_outputs
from helpers.oracle import oracle
from helpers.sequences import random_sequence_graph, sequence_oracle
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from spikec.targets.c.code import Choices, generate

_CASES = (
    ("if", "pipelined"),
    ("if", "layerwise"),
    ("signed_if", "pipelined"),
    ("signed_if", "layerwise"),
    ("calibrated_if", "pipelined"),
    ("bit_serial", "layerwise"),
    ("graded", "layerwise"),
    ("cuba_lif", "pipelined"),
    ("sequence", "pipelined"),
)
_STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
_CLEAN = ("-fsanitize=undefined,address", "-fno-sanitize-recover=all")


def _network(seed, case):
    """A graph, images or sequences for it, and what plain loops give."""
    rng = np.random.default_rng(seed)
    kind, schedule = case
    timesteps = 1 if kind == "graded" else int(rng.integers(1, 8))
    if kind == "sequence":
        kinds, extreme, image = ("cuba_lif", "if", "signed_if"), rng.random() < 0.4, rng.random() < 0.4
        graph = random_sequence_graph(rng, kinds=kinds, extreme=bool(extreme), image=bool(image)).lasting(timesteps)
        top = int(rng.choice([2, 127]))
        given = rng.integers(-top, top + 1, (2, timesteps, *graph.input.shape))
        found = sequence_oracle(graph, given)
        return graph, given, found.spikes, {r.name: found.curves[r.output] for r in graph.readouts}
    options = {"kind": kind, "schedule": schedule, "timesteps": timesteps, "maxima": bool(rng.random() < 0.5)}
    options["small"] = bool(rng.random() < 0.6)
    if kind == "signed_if" and schedule == "pipelined" and rng.random() < 0.6:
        options["drain"] = int(rng.integers(0, 5))
    if kind in ("if", "signed_if") and rng.random() < 0.4:
        options["spikes"] = (1, 2, 3, 300)
    draw = random_outputs if kind != "cuba_lif" and rng.random() < 0.4 else random_graph
    graph = draw(rng, **options)
    given = random_images(rng, graph, 2)
    found = oracle(graph, given)
    curves = {r.name: (found.curves or {r.output: found.outputs[r.output][:, None]})[r.output] for r in graph.readouts}
    return graph, given, found.spikes, curves


def _choices(seed, graph):
    rng = np.random.default_rng(seed)
    rates = {p.name: float(rng.random()) for p in graph.populations}
    longest = graph.timesteps if graph.sequences else None
    return Choices(vectors=seed % 2 == 1, small=seed % 3 == 1, rates=rates, longest=longest)


def _check(folder, compiler, seeds, *flags):
    networks = [_network(seed, _CASES[number % len(_CASES)]) for number, seed in enumerate(seeds)]
    sources = [
        generate(graph, f"n{number}", _choices(seed + number, graph))
        for number, (seed, (graph, *_)) in enumerate(zip(seeds, networks, strict=True))
    ]
    together = Together(folder, sources, [given for _, given, *_ in networks])
    assert together.build(compiler.command, *_STRICT, *flags) == ""
    for source, (graph, integers, spikes, curves), got in zip(sources, networks, together.run(), strict=True):
        told = f"{graph.schedule} {graph.kind_names}, T = {graph.timesteps}, drain {graph.drain}"
        for name, want in spikes.items():
            sent = got.emitted[name]
            if source.numbers:
                kind = graph.nodes[name].neuron
                sent = np.array([train_of(kind, each[0], graph.timesteps) for each in sent])
            np.testing.assert_array_equal(sent[:, : want.shape[1]], want, err_msg=f"{name}: {told}")
        for name, want in curves.items():
            np.testing.assert_array_equal(got.read[name].reshape(want.shape), want, err_msg=f"{name}: {told}")
        steps = integers.shape[1] if graph.sequences else source.steps
        assert got.steps == [steps] * len(integers)


seeds = st.lists(st.integers(0, 2**32 - 1), min_size=18, max_size=18)
#: No shrinking: it would compile for minutes.
unshrunk = settings(
    deadline=None, suppress_health_check=list(HealthCheck), database=None, phases=[Phase.explicit, Phase.generate]
)


@settings(unshrunk, max_examples=2)
@given(seeds=seeds)
def test_equals_plain_loops(compiler, tmp_path_factory, seeds):
    _check(tmp_path_factory.mktemp("networks"), compiler, seeds, "-O0")


@pytest.mark.thorough
@settings(unshrunk, max_examples=12)
@given(seeds=seeds)
def test_equals_plain_loops_in_hundreds(compiler, tmp_path_factory, seeds):
    _check(tmp_path_factory.mktemp("networks"), compiler, seeds, "-O2", "-fno-tree-vectorize")


@pytest.mark.thorough
@pytest.mark.parametrize("level", ["-O0", "-O3"])
@settings(unshrunk, max_examples=2)
@given(seeds=seeds)
def test_has_no_undefined_behaviour(compiler, tmp_path_factory, level, seeds):
    if "zig" in " ".join(compiler.command):
        pytest.skip("the sanitizers of this compiler need libraries of their own")
    _check(tmp_path_factory.mktemp("networks"), compiler, seeds, level, *_CLEAN)
