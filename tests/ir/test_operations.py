"""What operations say of themselves, against the matrix that plain loops make of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.drawn import drawn
from helpers.nodes import affine, windows
from helpers.operations import ALL, LINEAR, SYNAPSES, around, boxes, connected, inside, matrix, max_pools
from helpers.oracle import operate, pooled
from helpers.same import same
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spikec.errors import MissingImplementation, RangeError
from spikec.ir.operations import (
    OPERATIONS,
    Affine,
    Convolution,
    Flatten,
    MaxPool,
    Operation,
    SumPool,
    Synapse,
    Unflatten,
    operation_of,
)
from spikec.ir.operations.base import forget, register
from spikec.ir.operations.boxes import hull, volume, whole
from spikec.ir.operations.max_pool import adaptive_places
from spikec.ir.operations.windows import output_size, taps, taps_met

_SETTINGS = settings(max_examples=drawn(60), deadline=None)


def test_every_operation_is_drawn():
    assert set(OPERATIONS.values()) == {Convolution, Affine, SumPool, MaxPool, Flatten, Unflatten}


def images(node, seed, n=2, largest=100):
    return np.random.default_rng(seed).integers(-largest, largest + 1, (n, *node.input_shape))


# --- windows and boxes -------------------------------------------------------------------------------------------

_AXIS = {
    "size": st.integers(1, 9), "kernel": st.integers(1, 5), "stride": st.integers(1, 4), "dilation": st.integers(1, 3)
}  # fmt: skip


@given(**_AXIS, padding=st.integers(0, 5))
def test_output_size_counts_the_windows(size, kernel, stride, dilation, padding):
    fit = [start for start in range(0, size + padding, stride) if start + dilation * (kernel - 1) < size + padding]
    found = output_size(size, kernel, stride, padding, dilation)
    assert max(found, 0) == len(fit)
    assert windows(size, kernel, stride, padding, dilation) == output_size(size, kernel, stride, 2 * padding, dilation)


@given(**_AXIS, padding=st.integers(0, 3))
def test_taps_are_the_inputs_of_windows(size, kernel, stride, dilation, padding):
    outputs = output_size(size, kernel, stride, 2 * padding, dilation)
    assume(outputs > 0)
    of_inputs, of_outputs = np.zeros((size, kernel), int), np.zeros((outputs, kernel), int)
    for output in range(outputs):
        for tap in range(kernel):
            position = output * stride - padding + tap * dilation
            if 0 <= position < size:
                of_inputs[position, tap] += 1
                of_outputs[output, tap] += 1
    np.testing.assert_array_equal(taps(size, outputs, kernel, stride, padding, dilation), of_inputs)
    np.testing.assert_array_equal(taps_met(size, outputs, kernel, stride, padding, dilation), of_outputs)


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), data=st.data())
def test_boxes(shape, data):
    first, second = boxes(data, shape), boxes(data, shape)
    assert volume(first) == inside(first, shape).sum()
    assert hull([first, second]) == around(inside(first, shape) | inside(second, shape))
    assert inside(whole(shape), shape).all()
    assert volume(((2, 1), *whole(shape))) == 0


# --- values ------------------------------------------------------------------------------------------------------


@_SETTINGS
@given(node=ALL, seed=st.integers(0, 2**32))
def test_application_is_that_of_plain_loops(node, seed):
    x = images(node, seed)
    expected = np.array([operate(node, each, bias=False) for each in x])
    assert expected.shape[1:] == node.output_shape
    for dtype in (torch.float32, torch.float64, torch.int64):
        found = node.apply(torch.from_numpy(x).to(dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), expected)
    if isinstance(node, Synapse):
        other = replace(node, weight=-2 * node.weight)
        given_weight = torch.from_numpy(other.weight).double()
        found = node.apply(torch.from_numpy(x).double(), given_weight).numpy()
        np.testing.assert_array_equal(found, [operate(other, each, bias=False) for each in x])
        biased = expected + node.spread_bias()
        np.testing.assert_array_equal(biased, [operate(node, each, bias=True) for each in x])


@_SETTINGS
@given(node=LINEAR, seed=st.integers(0, 2**32))
def test_pull_back_is_the_adjoint_of_the_application(node, seed):
    """<after, A x> = <A* after, x>."""
    rng = np.random.default_rng(seed)
    x, after = images(node, seed, n=1)[0], rng.integers(-9, 10, node.output_shape)
    back = node.pull_back(after, node.weight if isinstance(node, Synapse) else None)
    assert back.shape == node.input_shape
    assert (back * x).sum() == (after * operate(node, x, bias=False)).sum()
    np.testing.assert_array_equal(back.reshape(-1), after.reshape(-1) @ matrix(node))


@_SETTINGS
@given(node=ALL, seed=st.integers(0, 2**32))
def test_connections_are_carried_both_ways(node, seed):
    rng = np.random.default_rng(seed)
    after, events = rng.integers(-9, 10, node.output_shape), rng.integers(0, 9, node.input_shape)
    mask = node.structure() if isinstance(node, Synapse) else None
    reached = connected(node).astype(np.int64)
    if isinstance(node, Synapse):
        reached = matrix(replace(node, weight=mask))
    np.testing.assert_array_equal(node.pull_back(after, mask).reshape(-1), after.reshape(-1) @ reached)
    given_mask = None if mask is None else torch.from_numpy(mask).double()
    delivered = node.delivered(torch.from_numpy(events)[None].double(), given_mask)[0].numpy()
    np.testing.assert_array_equal(delivered.reshape(-1), reached @ events.reshape(-1))


@_SETTINGS
@given(node=ALL, seed=st.integers(0, 2**32), radix=st.sampled_from([1, 2]), steps=st.integers(1, 4))
def test_steps_are_those_of_plain_loops(node, seed, radix, steps):
    """``radix`` 2: bits, most significant first."""
    rng = np.random.default_rng(seed)
    low = 0 if radix == 2 else -2
    x = rng.integers(low, 2, (steps, 2, *node.input_shape))
    weight = torch.from_numpy(node.weight).double() if isinstance(node, Synapse) else None
    found = node.apply_to_steps(torch.from_numpy(x).double(), weight, radix).numpy()
    for image in range(2):
        if isinstance(node, MaxPool):
            expected, _ = pooled(node, x[:, image], radix)
        else:
            expected = [operate(node, step, bias=False) for step in x[:, image]]
        np.testing.assert_array_equal(found[:, image], expected)
    lowest, highest, largest = node.interval(np.full(node.input_shape, low), np.ones(node.input_shape, np.int64))
    assert (found >= lowest).all()
    assert (found <= highest).all()
    assert abs(found).max(initial=0) <= largest


@_SETTINGS
@given(node=max_pools(), seed=st.integers(0, 2**32))
def test_interval_of_a_maximum(node, seed):
    rng = np.random.default_rng(seed)
    low = rng.integers(-20, 20, node.input_shape)
    high = low + rng.integers(0, 30, node.input_shape)
    lowest, highest, largest = node.interval(low, high)
    np.testing.assert_array_equal(lowest, -operate(node, -low, bias=False))
    np.testing.assert_array_equal(highest, operate(node, high, bias=False))
    assert largest == max(abs(lowest).max(), abs(highest).max())


@_SETTINGS
@given(node=max_pools(), seed=st.integers(0, 2**32))
def test_a_regular_pool_is_that_of_torch(node, seed):
    assume(not node.adaptive)
    x = torch.from_numpy(images(node, seed)).double()
    shape = node.output_shape[1:]
    pads = [
        max(0, (m - 1) * s - p + (k - 1) * d + 1 - n)
        for n, m, k, s, p, d in zip(
            node.input_shape[1:], shape, node.kernel, node.stride, node.padding, node.dilation, strict=True
        )
    ]
    padded = F.pad(x, (node.padding[1], pads[1], node.padding[0], pads[0]), value=-torch.inf)
    expected = F.max_pool2d(padded, node.kernel, node.stride, 0, node.dilation)[..., : shape[0], : shape[1]]
    np.testing.assert_array_equal(node.apply(x).numpy(), expected.numpy())


@given(shape=st.tuples(*[st.integers(1, 9)] * 4))
def test_adaptive_windows_are_those_of_torch(shape):
    height, width, rows, columns = shape
    x = torch.arange(height * width).double().reshape(1, 1, height, width)
    kernel = adaptive_places(height, rows).shape[1], adaptive_places(width, columns).shape[1]
    node = MaxPool("a", ("x",), (1, height, width), (1, rows, columns), kernel, kernel, adaptive=True)
    np.testing.assert_array_equal(node.apply(x).numpy(), F.adaptive_max_pool2d(x, (rows, columns)).numpy())


@_SETTINGS
@given(node=LINEAR, seed=st.integers(0, 2**32))
def test_interval_is_attained_and_never_left(node, seed):
    rng = np.random.default_rng(seed)
    low = rng.integers(-20, 20, node.input_shape)
    high = low + rng.integers(0, 30, node.input_shape)
    lowest, highest, largest = node.interval(low, high)
    weights, ends = matrix(node), np.array([low.reshape(-1), high.reshape(-1)])
    for found, corner in ((lowest, weights < 0), (highest, weights > 0)):
        chosen = np.where(corner, ends[1], ends[0])  # the input that drives each output furthest, [outputs, inputs]
        np.testing.assert_array_equal(found.reshape(-1), (weights * chosen).sum(1))
        assert (found.shape, found.dtype) == (node.output_shape, np.int64)
    assert largest == (abs(weights) * abs(ends).max(0)).sum(1).max()


@_SETTINGS
@given(node=SYNAPSES, seed=st.integers(0, 2**32), bits=st.sampled_from([30, 45]))
def test_interval_of_wide_numbers_is_exact(node, seed, bits):
    rng = np.random.default_rng(seed)
    low = rng.integers(-20, 20, node.input_shape)
    high = low + rng.integers(0, 30, node.input_shape)
    wide = replace(node, weight=node.weight * (2**bits + 1))
    for found, plain in zip(wide.interval(low, high)[:2], node.interval(low, high)[:2], strict=True):
        np.testing.assert_array_equal(found, plain * (2**bits + 1))


def test_intervals_do_not_depend_on_settings_of_torch():
    rng = np.random.default_rng(0)
    node = affine("dense", ["x"], rng.integers(-127, 128, (5, 700)))
    low, high = rng.integers(-300, 1, 700), rng.integers(0, 300, 700)
    expected = node.interval(low, high)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = node.interval(low, high)
    finally:
        torch.set_float32_matmul_precision("highest")
    exact = np.maximum(node.weight * low, node.weight * high).sum(1)
    np.testing.assert_array_equal(found[1], exact)
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[2] == expected[2]


def test_interval_of_nothing_is_nothing():
    for node in (affine("a", ["x"], np.ones((2, 3))), Flatten("f", ("x",), (1, 2, 2), (4,))):
        zero = np.zeros(node.input_shape, np.int64)
        lowest, highest, largest = node.interval(zero, zero)
        assert not lowest.any()
        assert not highest.any()
        assert largest == 0


def test_sums_beyond_62_bits_are_refused():
    node = affine("dense", ["x"], np.array([[2**60, 2**60]]))
    one = np.ones(2, np.int64)
    with pytest.raises(RangeError, match=r"^dense: a sum may reach 2\.31e\+18, beyond 62 bits"):
        node.interval(0 * one, one)
    assert node.interval(0 * one, np.array([1, 0]))[1] == 2**60


# --- connections -------------------------------------------------------------------------------------------------


@_SETTINGS
@given(node=SYNAPSES)
def test_structure_and_counts_of_weights(node):
    structure, reached = node.structure(), connected(node)
    assert set(np.unique(structure)) <= {0, 1}
    np.testing.assert_array_equal(node.nonzero(), (node.weight != 0) & (structure == 1))
    met = 0
    fullest = int(structure.reshape(len(structure), -1).sum(1).argmax())
    for place in np.argwhere(structure[fullest]):
        alone = np.zeros_like(structure)
        alone[(fullest, *place)] = 1
        met += matrix(replace(node, weight=alone)).any()
    assert node.weights_met == met
    each = math.prod(node.output_shape) // len(structure)
    assert node.padded_macs == each * int(structure.sum())
    assert reached.sum() <= node.padded_macs
    np.testing.assert_array_equal(node.entered().reshape(-1), reached.any(0))
    np.testing.assert_array_equal(node.mantissas << node.weight_exp, node.weight)


@_SETTINGS
@given(node=SYNAPSES)
def test_fan_out_is_the_pull_back_of_ones(node):
    ones = np.ones(node.output_shape, np.int64)
    for mask in (node.structure(), node.nonzero()):
        fan_out = node.fan_out(mask)
        assert fan_out.shape == node.input_shape
        assert fan_out.dtype == np.int64
        np.testing.assert_array_equal(fan_out, node.pull_back(ones, mask))
        np.testing.assert_array_equal(fan_out.reshape(-1), matrix(replace(node, weight=mask)).sum(0))


@_SETTINGS
@given(node=ALL, data=st.data())
def test_field_holds_the_inputs_of_a_box(node, data):
    box = boxes(data, node.output_shape)
    reached = connected(node)[inside(box, node.output_shape).reshape(-1)].any(0).reshape(node.input_shape)
    field = node.field(box)
    assert len(field) == len(node.input_shape)
    if not reached.any():
        assert volume(field) >= 0  # windows that see padding alone
        return
    assert not (reached & ~inside(field, node.input_shape)).any()
    assert all(0 <= low <= high <= size for (low, high), size in zip(field, node.input_shape, strict=True))
    if not isinstance(node, Convolution):  # its strides and dilations leave gaps, at the border too
        assert field == around(reached)


@_SETTINGS
@given(node=SYNAPSES, data=st.data())
def test_cells_and_connections_of_a_box(node, data):
    box = boxes(data, node.output_shape)
    reached = connected(node)[inside(box, node.output_shape).reshape(-1)]
    count, field = node.cells(box)
    assert count == reached.any(0).sum()
    assert field == node.field(box)
    assert node.connections(box) == reached.sum()


# --- files -------------------------------------------------------------------------------------------------------


@_SETTINGS
@given(node=ALL)
def test_survives_the_form_of_files(node):
    stored = node.to_nir()
    assert operation_of(stored) is type(node)
    assert all(hasattr(stored, field) for field in (*node.hashed, *node.exact))
    assert set(node.exact) == ({"weight", "bias"} if isinstance(node, Synapse) else set())
    typed = not isinstance(node, Convolution) or node.passes_type_check
    assert list(type(node).problems(stored, typed)) == []
    read = type(node).from_nir("node", stored, ("a",), node.input_shape)
    assert same(read, node.squared() if isinstance(node, Convolution) else node)
    np.testing.assert_array_equal(matrix(read), matrix(node))
    np.testing.assert_array_equal(connected(read), connected(node))


@given(node=ALL)
def test_says_what_it_is(node):
    short = {"convolution": "conv", "sum pool": "sumpool", "max pool": "maxpool"}
    assert node.title.startswith(short.get(node.word, node.word))
    assert isinstance(node.numbers, str)
    reached = connected(node)
    assert node.adds == (not isinstance(node, Flatten | Unflatten | MaxPool))
    assert not node.rearranges or (reached.sum(1) == 1).all()
    if isinstance(node, Synapse):
        assert node.described() == node.described("*").replace("*", "x")
        assert node.groups == getattr(node, "groups", 1)


# --- what is missing ---------------------------------------------------------------------------------------------


def test_an_operation_that_lacks_a_rule_says_so():
    class Mirror(Operation):
        pass

    node = Mirror("m", ("a",), (2,), (2,))
    two = np.ones(2, np.int64)
    for use, what in (
        (lambda: node.apply(torch.ones(1, 2)), "application"),
        (lambda: node.interval(two, two), "interval"),
        (lambda: node.pull_back(two), "pull-back"),
        (lambda: node.field(((0, 1),)), "field"),
        (node.to_nir, "NIR form"),
        (lambda: node.title, "title"),
        (lambda: node.numbers, "numbers"),
    ):
        with pytest.raises(MissingImplementation, match=f"^operation Mirror has no {what}: write it in its own file$"):
            use()


def test_a_synapse_that_lacks_a_rule_says_so():
    class Strange(Synapse):
        pass

    node = Strange("s", ("a",), (2,), (2,), np.eye(2, dtype=np.int64), np.zeros(2, np.int64))
    box = ((0, 1),)
    for use, what in (
        (lambda: node.weight_exp, "weight_exp"),
        (lambda: node.groups, "groups"),
        (node.structure, "structure"),
        (node.nonzero, "structure"),
        (lambda: node.fan_out(node.weight), "fan-out"),
        (lambda: node.cells(box), "cells"),
        (lambda: node.connections(box), "connections"),
        (lambda: node.weights_met, "weights_met"),
        (lambda: node.padded_macs, "padded_macs"),
        (node.described, "described"),
    ):
        with pytest.raises(MissingImplementation, match=f"^operation Strange has no {what}: write it in its own file$"):
            use()


_FACTS = {"nir_node": int, "hashed": (), "exact": (), "word": "mirror", "adds": False, "rearranges": True}


@pytest.mark.parametrize("fact", list(_FACTS))
def test_an_operation_states_its_facts(fact):
    facts = {name: value for name, value in _FACTS.items() if name != fact}
    before = dict(OPERATIONS)
    with pytest.raises(TypeError, match=f"^the operation Mirror does not state {fact}$"):
        register(type("Mirror", (Operation,), facts))
    assert before == OPERATIONS


def test_an_operation_from_outside_is_known_by_its_node():
    mirror = type("Mirror", (Operation,), _FACTS)
    try:
        assert register(mirror) is mirror
        assert operation_of(3) is mirror
    finally:
        forget(mirror)
    assert operation_of(3) is None
