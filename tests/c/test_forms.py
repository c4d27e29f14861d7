"""Forms of code that random networks hardly meet, each against plain loops in int64."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers.c_networks import Together, train_of
from helpers.nodes import affine, convolution, flatten, graph_of, pool, population, readout
from helpers.oracle import oracle

from spikec.errors import DoesNotFit, RangeError
from spikec.ir.coding import InputNode
from spikec.ir.graph import Readout
from spikec.ir.operations import MaxPool, Unflatten
from spikec.ir.operations.base import forget
from spikec.targets.c.code import Choices, generate

_STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
_SANE = ("-fsanitize=undefined,address", "-fno-sanitize-recover=all")


def _ints(seed, low, high, shape):
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(np.int64)


def _image(shape, dtype="uint8"):
    return InputNode("input", shape, dtype, 1 / 255)


def _matrix(inputs, outputs, low=-127, high=127, exponent=0, density=1.0, seed=1):
    weight = _ints(seed, low, high, (outputs, inputs)) << exponent
    kept = np.random.default_rng(seed).random(weight.shape) < density
    return affine("matrix", ["fire"], weight * kept, _ints(2, -500, 500, outputs), exponent)


def _around(node, *, inputs, kind="if", timesteps=3, schedule="pipelined", theta=90, **fields):
    """Image, neurons, a matrix, neurons, readout."""
    first = affine("first", ["input"], _ints(3, -9, 9, (inputs, 20)))
    size = node.output_shape[0]
    thresholds = _ints(4, 1, 1 + int(np.abs(node.weight).sum(axis=1).max()) // 5, size)
    return graph_of(
        [
            _image((20,)), first, population("fire", ["first"], (inputs,), kind, theta=theta, **fields), node,
            population("behind", ["matrix"], (size,), kind, theta=thresholds, **fields),
            affine("last", ["behind"], _ints(5, -128, 127, (3, size))), readout("readout", ["last"], 3, 7),
        ],
        timesteps,
        schedule,
    )  # fmt: skip


def _convolved(shape, weight, **options):
    """Image, neurons of its shape, a convolution, neurons, a matrix, readout."""
    node = convolution("conv", ["fire"], shape, weight, _ints(6, -300, 300, len(weight)), **options)
    behind = population("behind", ["conv"], node.output_shape, theta=700)
    flat = flatten("flat", ["behind"], node.output_shape)
    last = affine("last", ["flat"], _ints(7, -20, 20, (4, int(np.prod(node.output_shape)))))
    fire = population("fire", ["input"], shape, theta=_ints(8, 1, 300, (shape[0], 1, 1)))
    return graph_of([_image(shape), fire, node, behind, flat, last, readout("readout", ["last"], 4)], 4)


def _unflattened():
    first = affine("first", ["input"], _ints(3, -9, 9, (24, 20)))
    image = Unflatten("image", ("fire",), (24,), (2, 3, 4))
    conv = convolution("conv", ["image"], (2, 3, 4), _ints(4, -128, 127, (5, 2, 3, 3)), padding=1)
    nodes = [_image((20,)), first, population("fire", ["first"], (24,), theta=60), image, conv]
    nodes += [population("behind", ["conv"], (5, 3, 4), theta=300), flatten("flat", ["behind"], (5, 3, 4))]
    nodes += [affine("last", ["flat"], _ints(5, -9, 9, (3, 60))), readout("readout", ["last"], 3)]
    return graph_of(nodes)


def _flat_neurons():
    """Neurons that read a map as a vector, and a readout that reads neurons themselves."""
    shape = (3, 4, 5)
    conv = convolution("conv", ["input"], shape, _ints(1, -20, 20, (3, 3, 3, 3)), padding=1)
    nodes = [_image(shape, "int8"), conv, flatten("flat", ["conv"], shape)]
    nodes += [population("fire", ["flat"], (60,), theta=200), population("map", ["conv"], shape, theta=150)]
    nodes.append(flatten("again", ["map"], shape))
    whole = Readout("whole", ("map",), shape, _ints(2, -9, 9, shape), 1.0, output="map")
    both = Readout("both", ("fire", "again"), (60,), np.zeros(60, np.int64), 1.0, output="sum")
    return graph_of([*nodes, whole, both])


def _pooled_image(dtype, kind, schedule):
    """A max pool of the image that plain neurons read."""
    shape, kernel = (2, 6, 6), (2, 2)
    window = MaxPool("window", ("input",), shape, (2, 3, 3), kernel, kernel)
    nodes = [_image(shape, dtype), window, population("fire", ["window"], (2, 3, 3), kind, theta=40)]
    nodes += [flatten("flat", ["fire"], (2, 3, 3)), affine("last", ["flat"], _ints(1, -9, 9, (2, 18)))]
    return graph_of([*nodes, readout("readout", ["last"], 2)], 4, schedule)


def _two_sources(first, second, sparse=False):
    """An operation that reads two populations, which send up to so many spikes in a step."""
    made = affine("made", ["input"], _ints(3, -9, 9, (60, 20)))
    nodes = [_image((20,)), made]
    nodes += [population(n, ["made"], (60,), theta=30, spikes=k) for n, k in (("one", first), ("two", second))]
    kept = np.random.default_rng(1).random((17, 60)) < (0.05 if sparse else 1)
    nodes += [affine("matrix", ["one", "two"], _ints(4, -128, 127, (17, 60)) * kept)]
    nodes += [population("fire", ["matrix"], (17,), theta=900), affine("last", ["fire"], _ints(5, -9, 9, (2, 17)))]
    return graph_of([*nodes, readout("readout", ["last"], 2)])


def _two_orders():
    """A matrix that reads a flattened map and a vector, whose numbers lie in different orders."""
    shape = (3, 2, 2)
    nodes = [_image(shape), population("map", ["input"], shape, theta=200), flatten("flat", ["map"], shape)]
    nodes += [flatten("pixels", ["input"], shape), affine("own", ["pixels"], _ints(1, -9, 9, (12, 12)))]
    nodes += [
        population("vector", ["own"], (12,), theta=90),
        affine("last", ["flat", "vector"], _ints(2, -99, 99, (3, 12))),
    ]
    return graph_of([*nodes, readout("readout", ["last"], 3)])


def _alike():
    """Names of nodes that make the same words with what the code adds to them."""
    nodes = [
        _image((20,)),
        affine("first", ["input"], _ints(3, -9, 9, (8, 20))),
        population("b", ["first"], (8,), theta=60),
    ]
    nodes += [affine("second", ["b"], _ints(4, -9, 9, (8, 8))), population("to_b", ["second"], (8,), theta=20)]
    nodes += [affine("w_first", ["to_b"], _ints(5, -9, 9, (2, 8)))]
    return graph_of([*nodes, readout("k_w_first", ["w_first"], 2)])


def _far(theta, v_init):
    """Numbers that need 64 bits."""
    graph = _around(_matrix(70, 4), inputs=70, timesteps=5)
    behind = replace(graph.nodes["behind"], theta=np.full(4, theta), v_init=np.full(4, v_init))
    return replace(graph, nodes=graph.nodes | {"behind": behind})


_GRAPHS = {
    "more inputs than are searched at a time": _around(_matrix(700, 33), inputs=700),
    "so many inputs, several spikes": _around(_matrix(513, 7), inputs=513, spikes=5, theta=9),
    "so many inputs, levels": _around(_matrix(600, 20), inputs=600, kind="graded", levels=300, timesteps=1,
                                      schedule="layerwise", theta=2),
    "a power of two": _around(_matrix(40, 17, exponent=7), inputs=40),
    "a power of two, levels": _around(_matrix(40, 17, exponent=5), inputs=40, kind="graded", levels=9, timesteps=1,
                                      schedule="layerwise", theta=30),
    "few weights": _around(_matrix(300, 40, density=0.05), inputs=300),
    "few weights, signed": _around(_matrix(300, 40, density=0.05, exponent=3), inputs=300, kind="signed_if"),
    "no weights": _around(_matrix(30, 4, density=0.0), inputs=30),
    "weights of 4 bits": _around(_matrix(50, 9, -8, 7), inputs=50),
    "weights of 2 bits": _around(_matrix(50, 9, -2, 1), inputs=50),
    "weights of 4 bits, one output": _around(_matrix(50, 1, -8, 7), inputs=50),
    "lowest weights": _around(_matrix(300, 16, -128, -128), inputs=300),
    "bits": _around(_matrix(90, 16), inputs=90, kind="bit_serial", timesteps=7, schedule="layerwise", theta=3),
    "many bits": _around(_matrix(30, 5), inputs=30, kind="bit_serial", timesteps=15, schedule="layerwise", theta=1),
    "levels beyond a byte": _around(_matrix(30, 5), inputs=30, kind="graded", levels=32767, timesteps=1,
                                    schedule="layerwise", theta=1),
    "each channel for itself": _convolved((33, 6, 5), _ints(1, -128, 127, (33, 1, 3, 3)), groups=33, padding=1),
    "each channel for itself, 4 bits": _convolved((8, 6, 5), _ints(1, -8, 7, (8, 1, 3, 3)), groups=8, stride=2),
    "two of each channel": _convolved((6, 6, 5), _ints(1, -128, 127, (12, 1, 3, 2)), groups=6),
    "groups": _convolved((12, 6, 5), _ints(1, -128, 127, (40, 6, 3, 3)), groups=2, padding=(2, 1)),
    "a wide stride": _convolved((20, 11, 9), _ints(1, -128, 127, (17, 20, 3, 3)), stride=(3, 2), padding=1),
    "dilated": _convolved((5, 9, 9), _ints(1, -128, 127, (18, 5, 3, 3)), dilation=(2, 3), padding=(1, 4)),
    "a row": _convolved((5, 1, 30), _ints(1, -128, 127, (20, 5, 1, 7)), padding=(0, 3)),
    "a kernel larger than the map": _convolved((4, 2, 2), _ints(1, -128, 127, (6, 4, 5, 5)), padding=3),
    "channels in and out": _convolved((70, 2, 1), _ints(1, -60, 60, (40, 70, 2, 1))),
    "a matrix as convolution": _convolved((40, 1, 1), _ints(1, -128, 127, (50, 40, 1, 1))),
    "a matrix as convolution in groups": _convolved((40, 1, 1), _ints(1, -128, 127, (50, 20, 1, 1)), groups=2),
    "unflattened": _unflattened(),
    "flat neurons": _flat_neurons(),
    "pixels pooled, fires": _pooled_image("uint8", "signed_if", "pipelined"),
    "signed pixels pooled, layer by layer": _pooled_image("int8", "if", "layerwise"),
    "two senders of different reach": _two_sources(2, 200),
    "two senders of different reach, few weights": _two_sources(2, 1000, sparse=True),
    "two orders": _two_orders(),
    "names alike": _alike(),
    "thresholds of 40 bits": _far(2**40, 2**40 - 300),
    "membranes far below": _far(5, -(2**45)),
}  # fmt: skip
_FORMS = {"plain": Choices(), "small": Choices(small=True), "vectors": Choices(vectors=True)}
_FORMS["all inputs"] = Choices(vectors=True, rates={"fire": 1.0, "behind": 1.0})


#: A minute of plain loops.
_LONG = {"many channels in and out": _convolved((300, 2, 2), _ints(1, -60, 60, (130, 300, 2, 2)))}


@cache
def _wanted(name):
    """Images, and what plain loops give. A network that is silent somewhere would prove nothing."""
    graph = (_GRAPHS | _LONG)[name]
    images = np.random.default_rng(0).integers(graph.input.low, graph.input.high + 1, (2, *graph.input.shape))
    found = oracle(graph, images)
    silent = name in ("no weights", "lowest weights", "membranes far below")  # by what they are made of
    assert silent or all(spikes.any() for spikes in found.spikes.values()), name
    return images, found


@pytest.mark.parametrize("form", list(_FORMS))
def test_every_form_equals_plain_loops(compiler, tmp_path, form):
    _equal(compiler, tmp_path, form, _GRAPHS)


@pytest.mark.thorough
@pytest.mark.parametrize("form", list(_FORMS))
def test_long_forms_equal_plain_loops(compiler, tmp_path, form):
    _equal(compiler, tmp_path, form, _LONG)


def _equal(compiler, tmp_path, form, graphs):
    sources = [generate(graph, f"n{number}", _FORMS[form]) for number, graph in enumerate(graphs.values())]
    given = [_wanted(name)[0] for name in graphs]
    together = Together(tmp_path, sources, given)
    thorough = form == "vectors" and "zig" not in " ".join(compiler.command)
    assert together.build(compiler.command, *_STRICT, *(("-O1", *_SANE) if thorough else ("-O0",))) == ""
    for (name, graph), source, got in zip(graphs.items(), sources, together.run(), strict=True):
        want = _wanted(name)[1]
        for layer, spikes in want.spikes.items():
            sent = got.emitted[layer]
            if source.numbers:
                sent = np.array([train_of(graph.nodes[layer].neuron, each[0], graph.timesteps) for each in sent])
            np.testing.assert_array_equal(sent, spikes, err_msg=f"{name}: {layer}")
        for output in graph.readouts:
            read, wanted = got.read[output.name][:, -1], want.outputs[output.output]
            np.testing.assert_array_equal(read.reshape(wanted.shape), wanted, err_msg=f"{name}: {output.name}")


def test_packed_weights_take_less():
    sizes = {}
    for bits, (low, high) in {8: (-128, 127), 4: (-8, 7), 2: (-2, 1)}.items():
        graph = _around(_matrix(64, 16, low, high), inputs=64)
        sizes[bits] = generate(graph, "n").memory.constants["w_matrix"]
    assert sizes == {8: 1024, 4: 512, 2: 256}


def test_small_keeps_the_image_instead_of_its_sums():
    graph = _convolved((8, 6, 5), _ints(1, -128, 127, (8, 8, 3, 3)))
    state = {form: generate(graph, "n", _FORMS[form]).memory.state for form in ("plain", "small")}
    assert state["plain"]["x_fire"] == 2 * 240
    assert state["small"]["e_input"] == 240
    assert "x_fire" not in state["small"]


def test_sums_beyond_62_bits_are_refused():
    wide = _matrix(700, 4, 127, 127, exponent=44)
    with pytest.raises(RangeError, match="beyond 62 bits"):
        generate(_around(wide, inputs=700, spikes=32767), "n")


def test_an_operation_without_a_form_is_refused_by_the_name_of_its_node():
    from extending.scale_operation import Scale

    forget(Scale)
    graph = _convolved((4, 6, 5), _ints(1, -128, 127, (4, 4, 1, 1)))
    scale = Scale("scaled", ("fire",), (4, 6, 5), (4, 6, 5), np.arange(1, 5))
    conv = replace(graph.nodes["conv"], sources=("scaled",))
    nodes = {}
    for name, node in graph.nodes.items():
        nodes |= {"scaled": scale, "conv": conv} if name == "conv" else {name: node}
    with pytest.raises(DoesNotFit, match=r"^scaled cannot be written in C: "):
        generate(replace(graph, nodes=nodes), "n")


def test_pools_of_spikes_are_summed():
    shape = (5, 6, 6)
    fire = population("fire", ["input"], shape, theta=200)
    nodes = [_image(shape), fire, pool("pool", ["fire"], shape, 2), flatten("flat", ["pool"], (5, 3, 3))]
    graph = graph_of([*nodes, affine("last", ["flat"], _ints(1, -9, 9, (2, 45))), readout("readout", ["last"], 2)])
    assert generate(graph, "n").memory.parts["d_pool"] == 45
