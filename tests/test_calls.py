"""Calls with arguments that a function does not have."""

from __future__ import annotations

import inspect
import pickle
from functools import partial

import numpy as np
import pytest
import torch

import spikec as tc
from spikec.errors import InputWarning
from spikec.training import FitConfig


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
        (
            lambda: tc.simulate(None, None, counts=np.arange(3)),
            "counts is True, False or 'totals', not array(",
        ),
        (
            lambda: tc.simulate(None, None, counts=torch.arange(2)),
            "counts is True, False or 'totals', not tensor(",
        ),
        (lambda: tc.simulate(None, None, record=["spikes"]), "simulate: record is text or None, not ['spikes']"),
        (
            lambda: tc.simulate(None, None, overflow=np.array(["wrap"])),
            "overflow is 'exact', 'strict', 'saturate', '",
        ),
        (lambda: tc.simulate(None, None, format=np.arange(3)), "format is a NumberFormat, text or None, not array("),
        (lambda: tc.simulate(None, None, device=np.arange(3)), "simulate: device is text, not array([0, 1, 2])"),
        (lambda: tc.check(None, target=["loihi2"]), "check: target is text, not ['loihi2']"),
        (lambda: tc.estimate(None, None, book={}), "estimate: book is text or None, not {}"),
        (lambda: tc.estimate(None, None, first_layer=np.arange(3)), "estimate: first_layer is "),
        (
            lambda: tc.nir.repair("a", "b", in_place=np.arange(3)),
            "repair: in_place is True or False, not array(",
        ),
        (lambda: tc.nir.repair("a", "b", inplace=True), "repair has no argument 'inplace': did you mean 'in_place'?"),
        (lambda: tc.nir.diagnose("a", second=1), "diagnose has no argument 'second': did you mean 'seconds'?"),
        (lambda: tc.nir.compare("a"), "compare: missing a required argument: 'b'"),
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


def test_what_is_no_word_is_refused_where_the_options_are_not_known_by_name(random_graph):
    """Methods and targets check their words themselves."""
    graph = random_graph(np.random.default_rng(0), timesteps=2)
    images = np.zeros((1, *graph.input.output_shape), np.float32)
    program = tc.compile(graph, target="golden")
    for value in (np.arange(3), torch.arange(3), ["spikes"], {}, 2.5, object()):
        for call in (
            lambda: program.run(images, record=value),  # noqa: B023
            lambda: program.run(images, counts=value),  # noqa: B023
            lambda: tc.compile(graph, target="golden", overflow=value),  # noqa: B023
            lambda: tc.compile(graph, target="golden", format=value),  # noqa: B023
            lambda: tc.check_ranges(graph, format=value),  # noqa: B023
            lambda: tc.compile(graph, target=value),  # noqa: B023
            lambda: tc.check(graph, target=value),  # noqa: B023
            lambda: tc.Int8(per=value),  # noqa: B023
            lambda: tc.Int8(scale=value),  # noqa: B023
            lambda: tc.Int8(rounding=value),  # noqa: B023
            lambda: tc.Int8(units=1 if isinstance(value, dict) else value),  # noqa: B023
            lambda: FitConfig(epochs=1, optimizer=value),  # noqa: B023
            lambda: FitConfig(epochs=1, schedule=value),  # noqa: B023
            lambda: FitConfig(epochs=1, precision=value),  # noqa: B023
            lambda: tc.nir.compare("a", "b", tolerance="zz" if isinstance(value, float) else value),  # noqa: B023
        ):
            with pytest.raises(tc.ToolchainError) as caught:
                call()
            assert "\n" not in str(caught.value)
    assert program.run(images, counts=np.True_, record=np.str_("spikes")).spikes


def test_reading_is_bounded_by_numbers(tmp_path):
    for name, values in (("limit", (np.arange(3), 0, None, b"x")), ("seconds", (np.arange(3), {}, None, "zz"))):
        for value in values:
            for call in (tc.nir.diagnose, partial(tc.nir.repair, out=tmp_path / "o"), partial(tc.nir.compare, b="b")):
                with pytest.raises(tc.ToolchainError, match=f"{name} must be a"):
                    call(tmp_path / "a", **{name: value})


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


@pytest.mark.parametrize("wrap", [np.array, torch.tensor])
def test_a_number_in_an_array_without_axes_is_a_number(random_graph, wrap):
    rng = np.random.default_rng(0)
    graph = random_graph(rng)
    images = rng.random((2, *graph.input.shape))
    assert tc.simulate(graph, images, early_exit=wrap(0.5)).steps is not None
