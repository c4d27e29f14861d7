"""ONNX files that reach outside their folder, or ask for far more than they hold."""

import os

import numpy as np
import pytest

from spikec.errors import DataError, UnsupportedOperation
from spikec.models.from_onnx import read_onnx
from spikec.models.from_onnx.file import onnx_package

onnx = pytest.importorskip("onnx")
helper = onnx.helper


def model(nodes, stored=(), functions=()):
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 4]) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], list(stored))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=8)


def written(tmp_path, made):
    (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
    return tmp_path / "net.onnx"


def outside(location):
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4, 4])
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], [weights])


def test_weights_outside_the_folder_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    np.ones(16, np.float32).tofile(tmp_path / "w.bin")
    (tmp_path / "in/link.bin").symlink_to(tmp_path / "w.bin")
    for location in ("../w.bin", str(tmp_path / "w.bin"), "/etc/passwd", "link.bin", "a/../../w.bin", "a\0b", "."):
        with pytest.raises(DataError, match=r"net\.onnx takes weights from .*outside its folder"):
            read_onnx(written(tmp_path / "in", outside(location)), (4,))
    for location in ("a" * 300, "b/" * 1500 + "w.bin"):  # longer than a path may be
        with pytest.raises(DataError, match=r"net\.onnx (takes|keeps its) weights"):
            read_onnx(written(tmp_path / "in", outside(location)), (4,))
    os.mkfifo(tmp_path / "in/w.bin")
    with pytest.raises(DataError, match="is a pipe"):
        read_onnx(written(tmp_path / "in", outside("w.bin")), (4,))


def test_functions_that_write_out_to_too_many_nodes_are_refused(tmp_path):
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]

    def function(name, *calls):
        nodes = [
            helper.make_node(call, [f"v{n}"], [f"v{n + 1}"], domain="" if call == "Relu" else "own")
            for n, call in enumerate(calls)
        ]
        return helper.make_function("own", name, ["v0"], [f"v{len(calls)}"], nodes, imports)

    doubling = [function("f0", "Relu"), *(function(f"f{n}", f"f{n - 1}", f"f{n - 1}") for n in range(1, 40))]
    call = [helper.make_node("f39", ["x"], ["y"], domain="own")]
    with pytest.raises(DataError, match=r"has [\d,]+ nodes, its functions written out; at most 100,000"):
        read_onnx(written(tmp_path, model(call, functions=doubling)), (4,))
    call = [helper.make_node("f", ["x"], ["y"], domain="own")]
    with pytest.raises(DataError, match=r"its function f is nested too deeply"):
        read_onnx(written(tmp_path, model(call, functions=[function("f", "f")])), (4,))


@pytest.mark.parametrize(
    ("operator", "constants"),
    [
        ("ConstantOfShape", [np.array([2**20, 2**20])]),
        ("Expand", [np.ones(1, np.float32), np.array([2**35])]),
        ("Tile", [np.ones(1, np.float32), np.array([2**35])]),
        ("Range", [np.array(0), np.array(2**40), np.array(1)]),
        ("Pad", [np.ones((2, 2), np.float32), np.array([0, 2**20, 2**20, 0])]),
        ("OneHot", [np.zeros(9, np.int64), np.array(2**33), np.array([0, 1])]),
    ],
)
def test_constants_that_nodes_blow_up_are_refused(tmp_path, operator, constants):
    stored = [onnx_package().numpy_helper.from_array(value, f"c{n}") for n, value in enumerate(constants)]
    nodes = [
        helper.make_node(operator, [each.name for each in stored], ["big"]),
        helper.make_node("ReduceMax", ["big"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["real"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "real"], ["y"]),
    ]
    with pytest.raises(UnsupportedOperation, match=rf"{operator}: it cannot be computed: it makes .* values"):
        read_onnx(written(tmp_path, model(nodes, stored)), (4,))


def test_stored_tensors_that_lie_about_their_shape_are_refused(tmp_path):
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[2**40, 4], raw_data=b"1234")
    with pytest.raises(DataError, match=r"net\.onnx is damaged: the weights w have the shape"):
        read_onnx(written(tmp_path, model([helper.make_node("MatMul", ["x", "w"], ["y"])], [weights])), (4,))


def test_what_onnx_does_not_check_is_said_in_a_sentence(tmp_path):
    """A name that is no text, and values that end early: the checker of onnx lets both pass."""
    nodes = [helper.make_node("MatMul", ["x", "wei"], ["y"], name="name_of_node")]
    weights = onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), "wei")
    whole = model(nodes, [weights]).SerializeToString()
    short = onnx.TensorProto(name="wei", data_type=1, dims=[4, 4], raw_data=bytes(60))
    for content in (whole.replace(b"name_of_node", b"name_of_nod\xff"), model(nodes, [short]).SerializeToString()):
        (tmp_path / "net.onnx").write_bytes(content)
        with pytest.raises((DataError, UnsupportedOperation), match=r"net\.onnx"):
            read_onnx(tmp_path / "net.onnx")


def test_weights_of_a_sparse_file_are_weighed_before_they_are_read(tmp_path):
    made = outside("big.bin")
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(2**43)
    with pytest.raises(DataError, match=r"have 8.8e\+03 GB, and there are .* GB of memory"):
        read_onnx(written(tmp_path, made))
