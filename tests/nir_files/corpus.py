"""Broken, odd and sound NIR files, each with what the doctor must find in it: every trap once at least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
from helpers.networks import digits_network
from helpers.nir_files import chain, conv_net, convolution, dense, ends, f32, full, lif_net, neurons, write

import spikec as tc
from spikec.ir import build


@dataclass
class Case:
    """``errors``: the rules of all findings that are errors. ``others``: rules that must be among the rest. ``means``:
    nodes and edges of the network that the repaired file must mean, where it is one that can be run."""

    name: str
    make: Callable[[Path], Any]
    errors: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    means: Any = None

    def __str__(self) -> str:
        return self.name


CASES: list[Case] = []


def add(name, made, errors=(), others=(), means=None, **options):
    """``made``: nodes and edges, or a function that writes a file to a path."""
    make = made if callable(made) else (lambda path: write(path, *made, **options))
    CASES.append(Case(name, make, set(errors), set(others), means))


def in_conv(name, **changes):
    """The convolutional net with fields of one node changed."""
    nodes, edges = conv_net()
    nodes[name] = {**nodes[name], **changes}
    return nodes, edges


def in_lif(name, **changes):
    nodes, edges = lif_net()
    nodes[name] = {**nodes[name], **changes}
    return nodes, edges


def with_edges(net, *more, without=()):
    nodes, edges = net
    return nodes, [pair for pair in edges if pair not in without] + list(more)


def with_nodes(net, **more):
    nodes, edges = net
    return {**nodes, **more}, edges


def content(text):
    return lambda path: path.write_bytes(text)


def hdf5(fill):
    def make(path):
        with h5py.File(path, "w") as file:
            fill(file)

    return make


def changed(change, net=None):
    return lambda path: write(path, *(net or lif_net()), change=change)


def truncated(path):
    write(path, *conv_net())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# --- sound ---------------------------------------------------------------------------------------------------------
SPIKING = {"reset", "not_in_nir"}
add("sound convolutions", conv_net(), others=SPIKING, means=conv_net())
add("sound recurrent LIF", lif_net(), others={*SPIKING, "dt_unknown", "cycle"}, means=lif_net())
add("of nir 0.2.0", in_lif("lif", v_reset=None), others={"missing_field"}, means=lif_net(), version="0.2.0")

# --- the file ------------------------------------------------------------------------------------------------------
add("no HDF5", content(b"hello"), {"not_hdf5"})
add("empty", content(b""), {"damaged"})
add("cut off", truncated, {"damaged"})
add("HDF5 of something else", hdf5(lambda file: file.create_group("layer")), {"not_nir"})
add("node is a number", hdf5(lambda file: file.create_dataset("node", data=3)), {"not_nir"})
add("no version", lif_net(), others={"version"}, version=None, means=lif_net())
add("odd version", lif_net(), others={"version"}, version="latest", means=lif_net())
add("more than a graph", changed(lambda file: file.create_group("weights")), others={"extra_content"})
add(
    "one node without a graph",
    hdf5(lambda file: file.create_group("node").create_dataset("type", data="LIF")),
    {"root"},
)
add(
    "type_check in the file",
    changed(lambda f: f["node"].create_dataset("type_check", data=True)),
    {"root"},
    means=lif_net(),
)
add("no nodes", changed(lambda file: file["node"].pop("nodes")), {"root", "edge_end_missing", "inputs", "outputs"})
add("link to nothing", changed(lambda f: f["node/nodes"].__setitem__("gone", h5py.SoftLink("/absent"))), {"soft_link"})


def soft(file):
    file.move("node/nodes/fc/weight", "weights")
    file["node/nodes/fc/weight"] = h5py.SoftLink("/weights")


def around(file):
    file["node/a"] = h5py.SoftLink("/node/b")
    file["node/b"] = h5py.SoftLink("/node/a")


def external(file):
    file["node/nodes/fc/weight2"] = h5py.ExternalLink("/etc/other.h5", "/x")


def raw_elsewhere(file):
    del file["node/nodes/fc/bias"]
    file["node/nodes/fc"].create_dataset("bias", (5,), "f4", external=[("absent.raw", 0, 20)])


def virtual(file):
    del file["node/nodes/fc/bias"]
    layout = h5py.VirtualLayout((5,), "f4")
    layout[:] = h5py.VirtualSource("absent.h5", "x", (5,))
    file["node/nodes/fc"].create_virtual_dataset("bias", layout)


def huge(file):
    del file["node/nodes/fc/weight"]
    file["node/nodes/fc"].create_dataset("weight", (2**24, 2**24), "f4", chunks=(2, 2), compression="gzip")


def deep(file):
    group = file["node/nodes/fc"]
    for _ in range(60):
        group = group.create_group("x")


add("soft link inside", changed(soft), others={"soft_link", "extra_content"}, means=lif_net())
add("soft links in a ring", changed(around), {"soft_link"})
add("external link", changed(external), {"external_link"})
add("raw data in another file", changed(raw_elsewhere), {"external_link", "field_type"})
add("virtual data", changed(virtual), {"external_link", "field_type"})
add("hard links in a ring", changed(lambda f: f["node/nodes/fc"].__setitem__("up", f["node"])), {"link_cycle"})
add("huge", changed(huge), {"shape_mismatch", "bias_shape"}, {"too_large"})
add("very deep", changed(deep), {"too_large", "unknown_field"})

# --- nodes and fields ----------------------------------------------------------------------------------------------
add("no type", in_lif("fc", type=None), {"node_type"})
add("type is a number", in_lif("fc", type=3), {"node_type"})
add("dataset for a node", changed(lambda f: f["node/nodes"].create_dataset("x", data=1)), {"node_type"})
add("unknown kind", in_lif("lif", type="Lif"), {"unknown_kind"})
add("a kind of no NIR", in_lif("lif", type="LSTM"), {"unknown_kind"})
add("pool behind a kind of no NIR", in_conv("fire", type="LSTM"), {"unknown_kind"}, {"shape_unknown"})


def renamed(new, net):
    nodes, edges = net
    return (
        {new if name == "fc" else name: node for name, node in nodes.items()},
        [tuple(new if end == "fc" else end for end in pair) for pair in edges],
    )


add("slash in a name", renamed("block/fc", lif_net()), {"slash_in_name"}, means=renamed("block.fc", lif_net()))
add("slash under a node", renamed("lif/fc", lif_net()), {"slash_in_name"}, means=renamed("lif.fc", lif_net()))
add("odd names", renamed("Schicht 1 µ", lif_net()), others={"name_characters"}, means=renamed("Schicht 1 µ", lif_net()))
add("no weight", in_lif("fc", weight=None), {"missing_field"})
add("no w_in", in_lif("read", w_in=None), others={"missing_field"}, means=lif_net())
add("no input_shape", in_conv("conv", input_shape=None), {"missing_field"}, means=conv_net())
add("field too many", in_lif("lif", beta=full(5, 0.9)), {"unknown_field"})
add("misspelt field", in_lif("lif", v_leak=None, vleak=full(5, 0)), {"unknown_field", "missing_field"})
add("group in a node", in_lif("lif", extra={"a": 1}), {"unknown_field"})
add("text for weights", in_lif("fc", weight="random"), {"field_type"})
add("compound weights", in_lif("fc", weight=np.zeros((5, 6), [("a", "f4"), ("b", "f4")])), {"field_type"})
add("complex weights", in_lif("fc", weight=f32(5, 6) * 1j), {"field_type"})
add("weights of one axis", in_lif("fc", weight=f32(6)), {"field_type"})
add("empty parameters", in_lif("lif", r=np.zeros(0, "f4")), {"field_type", "parameter_shapes"})
add("stride 0", in_conv("conv", stride=np.array([0, 1])), {"field_type", "shape_mismatch"})
add("fractional stride", in_conv("conv", stride=np.array([1.5, 1.0])), {"field_type", "shape_mismatch"})
add("unknown padding", in_conv("conv", padding="reflect"), {"field_type", "shape_mismatch"})
add("int8 weights", in_lif("fc", weight=np.arange(30).reshape(5, 6).astype(np.int8)), others={"integer_weights"})
add("half weights", in_lif("fc", weight=f32(5, 6, seed=1).astype(np.float16)), others={"integer_weights"})
add(
    "big-endian weights",
    in_lif("fc", weight=f32(5, 6, seed=1).astype(">f4")),
    others={"integer_weights"},
    means=lif_net(),
)
add("integers too large for float32", in_lif("fc", weight=np.full((5, 6), 2**24 + 1)), others={"integer_weights"})
add("boolean weights", in_lif("fc", weight=np.ones((5, 6), bool)), others={"integer_weights"})
add("NaN", in_lif("fc", bias=full(5, np.nan)), {"not_finite"})
add("infinite threshold", in_lif("lif", v_threshold=full(5, np.inf)), {"not_finite"})
add("one bias for all", in_conv("conv", bias=full((), 0.25)), {"bias_shape"}, means=in_conv("conv", bias=full(4, 0.25)))
add("bias of another size", in_lif("fc", bias=f32(4)), {"bias_shape"})
add(
    "some parameters as one number",
    in_lif("lif", tau=full((), 2), v_threshold=full(1, 0.5)),
    {"parameter_shapes"},
    means=lif_net(),
)
add("parameters of different sizes", in_lif("lif", tau=full(4, 2)), {"parameter_shapes"})
add("axis order of parameters unknown", in_conv("fire", r=full(8, 1)), {"parameter_shapes"})
one = {key: full((4, 1, 1), value) for key, value in (("r", 1), ("v_threshold", 0.5), ("v_reset", 0))}
add("one parameter per channel", in_conv("fire", **one), {"broadcast_parameter"}, means=conv_net())
one = {key: full((), value) for key, value in (("r", 1), ("v_threshold", 0.5), ("v_reset", 0))}
add("one parameter for all", in_conv("fire", **one), {"broadcast_parameter"}, means=conv_net())
add("list of text in metadata", lif_net(), others={"metadata_value"}, metadata={"tags": ["a", "b"]}, means=lif_net())
add("nested metadata", lif_net(), others={"metadata_value"}, metadata={"a": {"b": 1}}, means=lif_net())
add("metadata is a number", in_lif("fc", metadata=3), others={"metadata_value"})
add("compound metadata", lif_net(), others={"metadata_value"}, metadata={"x": np.zeros(2, [("a", "f4")])})

# --- edges and structure -------------------------------------------------------------------------------------------


def edges_as(value):
    def change(file):
        del file["node/edges"]
        if value is not None:
            file["node/edges"] = value

    return changed(change)


LOOSE = {"edges", "no_source"}
add("edges are numbers", edges_as([[0, 1]]), LOOSE, {"dead_end"})
add("no edges", edges_as(None), LOOSE, {"dead_end"})
add("edges of three", edges_as(np.array([["a", "b", "c"]], dtype=object)), LOOSE, {"dead_end"})
add("edge to nowhere", with_edges(lif_net(), ("lif", "haed")), {"edge_end_missing"})
add("edge from nowhere to nowhere", with_edges(lif_net(), ("x", "y")), {"edge_end_missing"}, means=lif_net())
add("edge twice", with_edges(lif_net(), ("input", "fc")), {"duplicate_edge"}, means=lif_net())
add(
    "neuron feeds itself",
    with_edges(lif_net(), ("lif", "lif")),
    others={"cycle"},
    means=with_edges(lif_net(), ("lif", "lif")),
)
add("cycle without state", with_edges(lif_net(), ("rec", "rec")), {"cycle_without_state"})
add(
    "no Input",
    with_edges(
        (lambda n: ({k: v for k, v in n[0].items() if k != "input"}, n[1]))(lif_net()), without=[("input", "fc")]
    ),
    {"inputs"},
    {"no_source"},
)
add("two Inputs", with_edges(with_nodes(lif_net(), second=ends((6,), (6,))[0]), ("second", "fc")), others={"inputs"})
add("Input with a source", with_edges(lif_net(), ("rec", "input")), {"inputs"})
add(
    "no Output",
    ({k: v for k, v in lif_net()[0].items() if k != "output"}, [p for p in lif_net()[1] if "output" not in p]),
    {"outputs"},
    {"dead_end"},
)
add("Output with a reader", with_edges(lif_net(), ("output", "lif")), {"outputs", "shape_mismatch"})
add("two Outputs", with_edges(with_nodes(lif_net(), more=ends((3,), (3,))[1]), ("read", "more")), others={"outputs"})
add("probe", with_edges(with_nodes(lif_net(), probe=neurons("LI", 5)), ("lif", "probe")), others={"dead_end"})
add("unfed node", with_edges(with_nodes(lif_net(), drive=neurons("I", 5)), ("drive", "lif")), others={"no_source"})
island = with_nodes(lif_net(), p=neurons("LIF", 2), q=neurons("LIF", 2))
add("island", with_edges(island, ("p", "q"), ("q", "p")), others={"unreachable", "cycle"})


def inner(*nodes, first=(6,), last=(5,)):
    start, end = ends(first, last)
    nodes, edges = chain(("i", start), *nodes, ("o", end))
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges}


def nested_net(block):
    first, last = ends((6,), (5,))
    return chain(("input", first), ("block", block), ("output", last))


block = inner(("fc", dense(5, 6)), ("lif", neurons("LIF", 5)))
add("graph inside", nested_net(block), others={"nested_graph", *SPIKING}, means=nested_net(block))
deeper = inner(("in", inner(("fc", dense(5, 6)))), ("lif", neurons("LIF", 5)))
add("graph inside a graph inside", nested_net(deeper), others={"nested_graph"}, means=nested_net(deeper))
recurrent = {**block, "edges": [*block["edges"], ("lif", "lif")]}
add("recurrent graph inside", nested_net(recurrent), others={"nested_graph", "cycle"}, means=nested_net(recurrent))
headless = {**block, "nodes": {**block["nodes"], "i2": ends((6,), (6,))[0]}, "edges": [*block["edges"], ("i2", "fc")]}
add("graph inside with two Inputs", nested_net(headless), {"nir_read"}, {"nested_graph", "inputs"})
broken = {**block, "nodes": {**block["nodes"], "fc": dense(5, 7)}}
add("wrong graph inside", nested_net(broken), {"shape_mismatch"}, {"nested_graph"})

# --- shapes --------------------------------------------------------------------------------------------------------
add("weights do not fit", in_lif("head", weight=f32(3, 4)), {"shape_mismatch"})
skip = with_edges(with_nodes(lif_net(), skip=dense(4, 6)), ("input", "skip"), ("skip", "lif"))
add("sources of different shapes", skip, {"shape_mismatch"})
unflat = [(k, v) for k, v in conv_net()[0].items() if k != "flat"]
add("no Flatten", chain(*unflat), {"shape_mismatch"})
add(
    "pool of a vector",
    chain(("input", ends((6,), (1,))[0]), ("p", conv_net()[0]["pool"]), ("output", ends((6,), (1,))[1])),
    {"shape_mismatch"},
)
add("Input with a batch axis", in_lif("input", shape=np.array([1, 6])), {"batch_axis"}, means=lif_net())
add("Output with a batch axis", in_lif("output", shape=np.array([1, 3])), {"batch_axis"}, means=lif_net())
add("images with a batch axis", in_conv("input", shape=np.array([1, 2, 8, 8])), {"batch_axis"}, means=conv_net())
add("kernel too large", in_conv("conv", weight=f32(4, 2, 11, 11)), {"kernel_too_large"})
add("window too large", in_conv("pool", kernel_size=[9, 9]), {"kernel_too_large"})
add("groups do not divide", in_conv("conv", groups=3), {"shape_mismatch"})
add("same padding with a stride", in_conv("conv", padding="same", stride=np.array([2, 2])), {"shape_mismatch"})


def convolved(shape, out, **options):
    first, last = ends(shape, out)
    conv = convolution(shape, **options)
    return chain(("input", first), ("conv", conv), ("fire", neurons("IF", out)), ("output", last))


def reshaped(name, shape, out, **options):
    net = convolved(shape, out, **options)
    add(name, net, {"type_check_wrong"}, means=net)


reshaped("depthwise", (4, 6, 6), (4, 6, 6), weight=f32(4, 1, 3, 3), groups=4)
reshaped("grouped", (4, 6, 6), (6, 3, 3), weight=f32(6, 2, 3, 3), groups=2, stride=(2, 2))
reshaped("kernel 3 x 1", (2, 8, 8), (4, 8, 8), weight=f32(4, 2, 3, 1), padding=(1, 0))
reshaped(
    "kernel 1 x 5 dilated", (2, 7, 9), (3, 4, 5), weight=f32(3, 2, 1, 5), padding=(0, 4), dilation=(1, 2), stride=(2, 2)
)
reshaped("kernel 3 x 1 valid", (2, 8, 8), (4, 6, 8), weight=f32(4, 2, 3, 1), padding="valid")
reshaped("grouped kernel 5 x 3", (4, 9, 9), (2, 7, 7), weight=f32(2, 2, 5, 3), padding=(1, 0), groups=2)
mixed = convolved((2, 8, 8), (4, 7, 6), weight=f32(4, 2, 2, 3), padding=(0, 0))
add("kernel 2 x 3", mixed, {"type_check_wrong"})
same = convolved((2, 8, 8), (4, 8, 8), weight=f32(4, 2, 3, 1), padding="same")
add("kernel 3 x 1 same", same, means=same)
signal = {"type": "Conv1d", "input_shape": 9, "weight": f32(4, 1, 3), "bias": f32(4), "stride": 1, "padding": 1}
signal |= {"dilation": 1, "groups": 2}
first, last = ends((2, 9), (4, 9))
add("grouped Conv1d", chain(("input", first), ("conv", signal), ("output", last)), {"type_check_wrong"})
add("Conv1d", chain(("input", ends((1, 9), ())[0]), ("conv", {**signal, "groups": 1}), ("output", last)))

# --- meaning -------------------------------------------------------------------------------------------------------
add("Flatten as NIR has it", in_conv("flat", start_dim=1), {"flatten_start_dim", "shape_mismatch"}, means=conv_net())
maps = chain(*[(k, v) for k, v in conv_net()[0].items() if k in ("input", "flat")], ("output", ends((), (2, 64))[1]))
maps[0]["flat"] = {"type": "Flatten", "input_type": np.array([2, 8, 8]), "start_dim": 1, "end_dim": -1}
add("Flatten that is meant so", maps, others={"flatten_start_dim"})
add("padded average", in_conv("pool", type="AvgPool2d", kernel_size=[3, 3], padding=[1, 1]), others={"avgpool_padding"})
add("tau 0", in_lif("lif", tau=full(5, 0)), {"time_constant"})
add("negative tau_syn", in_lif("read", tau_syn=full(3, -1)), {"time_constant"})
delayed = with_edges(
    with_nodes(lif_net(), late={"type": "Delay", "delay": full(5, -1)}), ("rec", "late"), ("late", "lif")
)
add("negative delay", delayed, {"time_constant"}, {"dt_unknown"})
add("threshold 0", in_lif("lif", v_threshold=full(5, 0)), {"threshold"})
add("threshold below 0", in_lif("lif", v_threshold=full(5, -1), v_reset=full(5, -2)), others={"threshold", "v_reset"})
add("v_reset", in_lif("lif", v_reset=full(5, 0.25)), others={"v_reset"}, means=in_lif("lif", v_reset=full(5, 0.25)))
add("r of an IF", in_conv("fire", r=full((4, 8, 8), 0.5)), others={"dt_unknown"})
add("dt in metadata", lif_net(), others={"dt_unknown"}, metadata={"dt": 1e-4})


# --- our own -------------------------------------------------------------------------------------------------------
def edited(path):
    tc.save(build(digits_network()), path)
    with h5py.File(path, "r+") as file:
        file["node/nodes/conv/weight"][0, 0, 0, 0] += 1


def plain_of(path):
    nir.write(str(path), tc.portable(build(digits_network())))


add("deployment", lambda path: tc.save(build(digits_network()), path), others={"deployment"})
add("edited deployment", edited, {"deployment_edited"})
add("portable form", plain_of, others={"portable"})
