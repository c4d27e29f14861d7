"""A microcontroller as a chip: its memories as the C code fills them, and everything that works without an energy."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import spikec as tc
from spikec.errors import DoesNotFit, RangeError
from spikec.ir import as_integer
from spikec.reporting.fits import estimates_of, fits_of, profiles
from spikec.targets.c.code import generate
from spikec.targets.cortex import limits as data
from spikec.targets.cortex.needs import least_flash

NAME = "cortex-m4"


def changed(net, name, **values):
    """``net`` with other values in one node."""
    return replace(net, nodes={**net.nodes, name: replace(net.nodes[name], **values)}, content_sha256="")


@pytest.fixture
def small(monkeypatch):
    """``small(flash=..., ram=..., ...)``: other limits."""

    def set_limits(**values):
        known = data.load_limits(NAME)
        limits = {key: replace(each, value=values.get(key, each.value)) for key, each in known.limits.items()}
        monkeypatch.setattr("spikec.targets.cortex.chip.load_limits", lambda name: replace(known, limits=limits))

    return set_limits


def test_usage_is_that_of_the_generated_code(network):
    graph = network()
    memory = generate(as_integer(graph)).memory
    placement = tc.place(graph, NAME)
    (core,) = placement.cores
    assert core.usage == {"flash": (memory.flash, 512 * 1024), "ram": (memory.ram, 128 * 1024)}
    assert core.load == max(memory.flash / (512 * 1024), memory.ram / (128 * 1024))
    assert [part.layer for part in core.slices] == [layer.name for layer in as_integer(graph).layers]
    assert (placement.chips, placement.lower_bound, placement.shared) == (1, 1, True)
    assert tc.check(graph, NAME) == tc.check(graph, NAME, placement=placement) == []
    drawing = ElementTree.fromstring(placement.svg())
    assert sum(each.tag.endswith("rect") for each in drawing) == 1 + 2 * 2


def test_all_violations_at_once_with_number_limit_and_hint(network, small):
    graph = network()
    memory = generate(as_integer(graph)).memory
    small(flash=memory.flash - 1, ram=memory.ram - 1)
    found = tc.check(graph, NAME)
    assert [(v.rule, v.actual, v.limit, v.severity) for v in found] == [
        ("flash in bytes", memory.flash, memory.flash - 1, "error"),
        ("RAM in bytes", memory.ram, memory.ram - 1, "error"),
    ]
    assert all(v.hint for v in found)
    with pytest.raises(DoesNotFit, match=f"{memory.flash} bytes of flash.* and {memory.ram} bytes of RAM"):
        tc.place(graph, NAME)


def test_a_full_memory_warns(network, small):
    graph = network()
    memory = generate(as_integer(graph)).memory
    small(flash=memory.flash, ram=memory.ram)
    assert [(v.rule, v.severity) for v in tc.check(graph, NAME)] == [
        ("flash in bytes", "warning"),
        ("RAM in bytes", "warning"),
    ]
    tc.place(graph, NAME)
    small(flash=memory.flash, flash_kept=0)
    assert tc.check(graph, NAME) == []


def test_weights_alone_may_say_that_it_does_not_fit(network, small):
    graph = network()
    net = as_integer(graph)
    least = least_flash(net)
    assert 0 < least <= generate(net).memory.flash
    small(flash=least - 1)
    (violation,) = tc.check(graph, NAME)
    assert (violation.actual, violation.severity) == (f"at least {least}", "error")
    with pytest.raises(DoesNotFit, match=f"at least {least} bytes of flash"):
        tc.place(graph, NAME)


def test_least_flash_by_hand(network):
    net = as_integer(network())
    bits = 0
    for node in net.synapses:
        w = node.weight >> node.weight_exp
        width = next(n for n in (2, 4, 8) if -(2 ** (n - 1)) <= w.min() and w.max() < 2 ** (n - 1))
        bits += width * int((w != 0).sum())
    assert least_flash(net) == -(-bits // 8)


def test_numbers_beyond_32_bits_warn(network):
    net = as_integer(network())
    graph = changed(net, "conv2", bias=np.full(net.nodes["conv2"].bias.shape, 2**31 - 1))
    found = tc.check(graph, NAME)
    assert found
    assert {v.severity for v in found} == {"warning"}
    assert any(v.layer == "conv2" and "bias" in v.rule for v in found)
    assert all("64 bits" in v.hint for v in found)


def test_what_has_no_form_in_c_is_a_violation(network, monkeypatch):
    def refused(net):
        raise RangeError("conv1: sums do not fit 64 bits")

    for module in ("rules", "placement"):
        monkeypatch.setattr(f"spikec.targets.cortex.{module}.needs_of", refused)
    (violation,) = tc.check(network(), NAME)
    assert (violation.rule, violation.actual) == ("form in C", "conv1: sums do not fit 64 bits")
    assert violation.severity == "error"
    with pytest.raises(DoesNotFit, match="conv1: sums do not fit"):
        tc.place(network(), NAME)
    fits, placements = fits_of(as_integer(network()))
    assert NAME not in placements
    assert next(fit for fit in fits if fit.target == NAME).cores is None


def test_a_chip_without_energy_stands_in_reports(network):
    graph = as_integer(network())
    fits, placements = fits_of(graph)
    assert "cortex-m4" in {fit.target for fit in fits} & set(placements)
    assert None not in profiles()
    assert "cortex-m4" not in profiles().values()
    images = np.random.default_rng(0).random((2, *graph.input.shape)).astype(np.float32)
    trace = tc.simulate(graph, images, counts=True)
    assert [e.profile for e in estimates_of(graph, trace, placements)] == list(profiles())


def test_no_message_leaves_the_core(network):
    graph = as_integer(network())
    placement = tc.place(graph, NAME)
    for layer in graph.populations:
        ones = np.ones(layer.shape, np.int64)
        assert not placement.messages(layer.name).any()
        assert not placement.messages_into(layer.name, ones).any()
        assert len(placement.routes(layer.name, ones)) == 0
        assert not placement.hops(layer.name).east_west.any()
    assert not any(each.any() for each in placement.core_of.values())
