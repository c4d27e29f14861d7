"""The generated C on processors that are not this one, of both byte orders: every output equals the golden model's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import one_layer, small_network

import spikec as tc
from benchmarks.c_cycles import cycles
from benchmarks.c_machines import MACHINES, Firmware, Part, build, lacking, run
from spikec.errors import ToolchainError
from spikec.simulation.encode import encode
from spikec.targets.c.code import generate
from spikec.targets.c.cost import cost

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(5)
    graph = small_network(rng)
    return graph, generate(graph, "net"), rng.random((2, *graph.input.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def firmware(network) -> Firmware:
    return build(network[1], MACHINES["cortex-m4"], Part())


@pytest.mark.parametrize("machine", ["cortex-m4", "powerpc"])
def test_outputs_are_those_of_the_golden_model(network, firmware, machine):
    graph, source, images = network
    built = firmware if machine == "cortex-m4" else build(source, MACHINES[machine], Part())
    found = run(built, encode(graph.input, images))
    for name, expected in tc.simulate(graph, images).outputs.items():
        np.testing.assert_array_equal(found.outputs[name], expected)


def test_numbers_of_64_bits_on_a_processor_of_32():
    rng = np.random.default_rng(1)
    graph = one_layer(
        weight=rng.integers(-100, 100, (5, 9)), bias=rng.integers(-(2**33), 2**33, 5), theta=2**34, schedule="layerwise"
    )
    source, images = generate(graph, "wide"), rng.integers(0, 256, (1, 9)).astype(np.float32)
    assert "int64_t" in source.body
    expected = tc.simulate(graph, images).output
    for machine in ("cortex-m4", "powerpc"):
        found = run(build(source, MACHINES[machine], Part()), encode(graph.input, images))
        np.testing.assert_array_equal(found.outputs["output"], expected)


def test_sizes_are_those_of_the_linked_program(network, firmware):
    _, source, _ = network
    program = firmware.program
    assert program.flash == program.code + program.constants + program.data
    assert program.flash >= source.memory.flash
    assert program.ram - firmware.buffers == pytest.approx(source.memory.ram, abs=16)  # and what aligns them


def test_the_stack_and_the_cycles_stay_within_what_the_cost_says(network, firmware):
    graph, source, images = network
    found = run(firmware, encode(graph.input, images[:1]))
    said = cost(graph, tc.simulate(graph, images[:1], counts=True), source=source)
    own = 64 + 48  # the room below the top that a call is given, and the frame of the function that calls
    assert found.stack <= said.code[0].stack + own
    low, high = said.cycles
    ends = cycles(firmware, found)
    assert low <= (found.instructions if ends is None else ends[1])
    assert (found.instructions if ends is None else ends[0]) <= high


def test_what_does_not_fit_is_refused_by_the_linker(network):
    with pytest.raises(ToolchainError, match="will not fit in region 'FLASH'"):
        build(network[1], MACHINES["cortex-m4"], Part(flash=512))


def test_a_program_that_leaves_its_memory_stops(network, firmware):
    graph, _, images = network
    reached = max(at + size for at, size in firmware.program.symbols.values() if at >= 0x2000_0000)
    stack_only = replace(firmware, part=Part(ram=reached - 0x2000_0000 + 64))
    with pytest.raises(ToolchainError, match="the program stopped on ARM Cortex-M4"):
        run(stack_only, encode(graph.input, images[:1]))
