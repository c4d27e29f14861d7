"""Calls with arguments that a function does not have."""

from __future__ import annotations

import inspect
import pickle
from functools import partial

import numpy as np
import pytest

import spikec as tc
from spikec.errors import InputWarning


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tc.QCFS(T=4), "QCFS has no argument 'T': did you mean 'timesteps'?"),
        (lambda: tc.SRP(timestep=4), "did you mean 'timesteps'?"),
        (lambda: tc.ErrorCompensation(4, negativ=0.5), "did you mean 'negative'?"),
        (lambda: tc.Graded(L=4), "did you mean 'levels'?"),
        (lambda: tc.QCFS(), "timesteps"),
        (lambda: tc.Int8(num_bits=4), "did you mean 'bits'?"),
        (lambda: tc.lower(None, bits=4), "bits belong to the precision, such as tc.Int8(bits=4)"),
        (lambda: tc.convert(None, T=4), "timesteps belong to the method, such as tc.QCFS(timesteps=4)"),
        (lambda: tc.simulate(None, None, n=10), "give fewer images, such as images[:10]"),
        (lambda: tc.check(None, chip="loihi2"), "did you mean 'target'?"),
        (lambda: tc.ClipFloorShift(level=4), "did you mean 'levels'?"),
        (lambda: tc.Calibration(zzz=1), "there is none like it; Calibration takes thresholds"),
        (
            lambda: tc.simulate(None, None, measure=np.arange(3)),
            "simulate: measure is True or False, not array([0, 1, 2])",
        ),
        (lambda: tc.lower(None, force="yes"), "lower: force is True or False, not 'yes'"),
        (lambda: tc.sweep(None, None, retry_failed="no"), "sweep: retry_failed is True or False, not 'no'"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_one(call, said):
    with pytest.raises(tc.ToolchainError) as caught:
        call()
    assert said in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert "\n" not in str(caught.value)


def test_an_error_inside_the_function_stays_what_it_is():
    with pytest.raises(tc.ToolchainError) as caught:
        tc.QCFS(timesteps=0)
    assert not isinstance(caught.value, TypeError)


def test_signatures_and_pickles_are_those_of_the_functions():
    assert next(iter(inspect.signature(tc.lower).parameters)) == "network"
    assert next(iter(inspect.signature(tc.QCFS).parameters)) == "timesteps"
    assert pickle.loads(pickle.dumps(tc.simulate)) is tc.simulate
    method = tc.QCFS(timesteps=4)
    assert pickle.loads(pickle.dumps(method)) == method


def test_warnings_point_at_the_line_that_called_the_package(random_graph):
    graph = random_graph(np.random.default_rng(0), timesteps=2)
    far = np.full((2, *graph.input.output_shape), 1e9, np.float32)
    ways = {
        "simulate": lambda: tc.simulate(graph, far),
        "compile": lambda: tc.compile(graph, target="golden").run(far),
        "certify": lambda: tc.certify(graph, far),
        "crosscheck": lambda: tc.crosscheck(graph, "golden", far),
    }
    for name, way in ways.items():
        with pytest.warns(InputWarning) as seen:
            way()
        assert {each.filename for each in seen} == {__file__}, name


def test_a_wrong_option_of_a_target_is_answered_likewise(random_graph):
    """``compile`` and ``crosscheck`` take what the target takes; ``compile`` says so also where it cannot run here."""
    graph = random_graph(np.random.default_rng(0), timesteps=2)
    images = np.zeros((1, *graph.input.output_shape), np.float32)
    calls = [(name, partial(tc.compile, graph, target=name, T=4)) for name in ("golden", "c", "lava")]
    calls.append(("golden", partial(tc.crosscheck, graph, "golden", images, options={"T": 4})))
    for target, call in calls:
        with pytest.raises(tc.ToolchainError) as caught:
            call()
        assert str(caught.value).startswith(
            f"compile for {target} has no argument 'T': timesteps belong to the method, such as tc.QCFS(timesteps=4); "
        )
        assert isinstance(caught.value, TypeError)
        assert "\n" not in str(caught.value)


def test_a_wrong_option_of_a_target_has_its_nearest_name(random_graph):
    graph = random_graph(np.random.default_rng(0), timesteps=2)
    wrong = {"golden": ("overflw", "overflow"), "c": ("thread", "threads"), "lava": ("worker", "workers")}
    for target, (given, meant) in wrong.items():
        with pytest.raises(tc.ToolchainError, match=f"did you mean {meant!r}"):
            tc.compile(graph, target=target, **{given: 1})
