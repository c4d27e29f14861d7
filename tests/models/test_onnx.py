"""Networks in ONNX files: node by node against ONNX's reference, refused by name, deployed from the command line."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from spikec.deployment import fill
from spikec.deployment.filling import with_files
from spikec.errors import DataError, UnsupportedOperation
from spikec.models import load_weights, resolve, save_weights
from spikec.models.from_onnx import onnx_files, proof, read_onnx
from spikec.models.from_onnx.registry import NEVER, OPERATORS

RNG = np.random.default_rng(0)


def write(
    tmp_path: Path,
    nodes: Sequence[Any],
    stored: dict[str, Any] | None = None,
    *,
    shape: Sequence[int | str] = ("n", 3, 8, 8),
    output: Sequence[str] = ("y",),
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
) -> Path:
    """A file of nodes from "x" to ``output`` with ``stored`` tensors."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [onnx.ValueInfoProto(name=name) for name in output],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (stored or {}).items()],
    )
    for value in graph.output:
        value.type.tensor_type.elem_type = dtype
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(tmp_path / "net.onnx"))
    return tmp_path / "net.onnx"


def node(operator: str, *inputs: str, name: str = "", outputs: Sequence[str] = ("y",), **about: Any) -> Any:
    return helper.make_node(operator, list(inputs), list(outputs), name=name or operator.lower(), **about)


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def whole(*values: int) -> Any:
    return np.array(values, np.int64)


def run(path: Path, images: Any) -> Any:
    """ONNX's own implementation, image by image."""
    evaluator = onnx.reference.ReferenceEvaluator(str(path))
    return np.concatenate([evaluator.run(None, {"x": image[None]})[0] for image in images])


#: Nodes with what they read, by operator; each is compared with the reference when it is read, and here once more.
NODES: list[tuple[Any, dict[str, Any], int]] = [
    (node("Conv", "x", "w", "b", pads=[1, 1, 1, 1]), {"w": floats(4, 3, 3, 3), "b": floats(4)}, 11),
    (node("Conv", "x", "w", pads=[0, 1, 1, 2], strides=[2, 1]), {"w": floats(4, 3, 3, 3)}, 17),
    (node("Conv", "x", "w", auto_pad="SAME_UPPER", strides=[2, 2]), {"w": floats(4, 3, 3, 3)}, 22),
    (node("Conv", "x", "w", auto_pad="SAME_LOWER", strides=[3, 3], group=3), {"w": floats(6, 1, 4, 4)}, 17),
    (node("ConvTranspose", "x", "w", strides=[2, 2], pads=[1, 1, 1, 1]), {"w": floats(3, 2, 3, 3)}, 17),
    (node("ConvTranspose", "x", "w", strides=[2, 2], pads=[1, 1, 0, 0]), {"w": floats(3, 2, 3, 3)}, 17),
    (node("BatchNormalization", "x", *"abcd"), dict(zip("abcd", np.abs(floats(4, 3)), strict=True)), 15),
    (node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2]), {}, 12),
    (node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"), {}, 17),
    (node("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), {}, 17),
    (node("AveragePool", "x", kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1), {}, 22),
    (node("GlobalAveragePool", "x"), {}, 22),
    (node("GlobalMaxPool", "x"), {}, 17),
    (node("Flatten", "x"), {}, 25),
    (node("Reshape", "x", "s"), {"s": whole(0, -1)}, 14),
    (node("Reshape", "x", "s"), {"s": whole(-1, 6, 4, 8)}, 14),
    (node("Transpose", "x", perm=[0, 2, 3, 1]), {}, 17),
    (node("Concat", "x", "c", "x", axis=1), {"c": floats(1, 2, 8, 8)}, 17),
    (node("Slice", "x", "a", "b", "c", "d"), {"a": whole(1), "b": whole(2**60), "c": whole(-1), "d": whole(3)}, 17),
    (node("Slice", "x", starts=[-7], ends=[-1], axes=[2]), {}, 9),
    (node("Gather", "x", "i", axis=1), {"i": whole(2, 0, -1)}, 17),
    (node("Gather", "x", "i", axis=2), {"i": np.array(-2)}, 17),
    (node("Pad", "x", "p"), {"p": whole(0, 1, 2, 0, 0, 0, 1, 3)}, 17),
    (node("Pad", "x", "p", mode="reflect"), {"p": whole(0, 0, 2, 0, 0, 0, 1, 3)}, 17),
    (node("Pad", "x", "p", "v", "a"), {"p": whole(1, 2), "v": np.float32(3), "a": whole(3)}, 18),
    (node("ReduceMean", "x", axes=[2, 3]), {}, 13),
    (node("ReduceMean", "x", "a", keepdims=0), {"a": whole(-1, 2)}, 18),
    (node("ReduceSum", "x", "a"), {"a": whole(1)}, 13),
    (node("ReduceMax", "x", "a", keepdims=0), {"a": whole(2)}, 18),
    (node("Relu", "x"), {}, 17),
    (node("LeakyRelu", "x", alpha=0.3), {}, 17),
    (node("PRelu", "x", "s"), {"s": floats(3, 1, 1)}, 17),
    (node("Clip", "x", "a", "b"), {"a": np.float32(0), "b": np.float32(6)}, 17),
    (node("Clip", "x", min=0.0, max=3.4028234663852886e38), {}, 6),
    (node("Clip", "x", "", "b"), {"b": np.float32(0.5)}, 17),
    (node("Max", "x", "z"), {"z": np.float32(0)}, 17),
    (node("Min", "x", "c"), {"c": floats(3, 1, 1)}, 17),
    (node("Elu", "x"), {}, 17),
    (node("Softmax", "x", axis=1), {}, 17),
    (node("HardSigmoid", "x", alpha=1 / 6), {}, 17),
    (node("Sub", "c", "x"), {"c": floats(3, 1, 1)}, 17),
    (node("Div", "x", "c"), {"c": np.abs(floats(1, 3, 1, 1)) + 1}, 17),
    (node("Mul", "x", "x"), {}, 17),
    (node("Sum", "x", "x", "x"), {}, 17),
    (node("Mean", "x", "x"), {}, 17),
    (node("Squeeze", "thin", "a"), {"a": whole(2)}, 17),
    (node("DepthToSpace", "deep", blocksize=2), {}, 17),
    (node("DepthToSpace", "deep", blocksize=2, mode="CRD"), {}, 17),
    (node("SpaceToDepth", "x", blocksize=4), {}, 17),
    (node("Resize", "x", "", "s", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
     {"s": np.array([1, 1, 2, 3], np.float32)}, 17),
    (node("Resize", "x", "", "", "z", mode="linear", coordinate_transformation_mode="align_corners"),
     {"z": whole(1, 3, 5, 16)}, 19),
    (node("Resize", "x", "", "s", mode="linear"), {"s": np.array([1, 1, 2, 2], np.float32)}, 13),
    (node("Upsample", "x", "s"), {"s": np.array([1, 1, 2, 2], np.float32)}, 9),
    (node("Expand", "x", "s"), {"s": whole(1, 3, 8, 1)}, 17),
    (node("MatMul", "x", "w"), {"w": floats(8, 5)}, 17),
    (node("MatMul", "w", "x"), {"w": floats(5, 8)}, 17),
    (node("MatMul", "x", "x"), {}, 17),
    (node("Einsum", "x", "x", equation="nchw,nchw->nc"), {}, 17),
    (node("Dropout", "x", "r"), {"r": np.float32(0.5)}, 17),
    (node("Cast", "x", to=TensorProto.FLOAT), {}, 17),
    (node("Identity", "x"), {}, 17),
    (node("Exp", "x"), {}, 17),
]  # fmt: skip
DOUBLE = {"s": np.array([1, 1, 2, 2], np.float32)}
BEFORE = {
    "thin": node("Unsqueeze", "x", "two", outputs=["thin"]),
    "deep": node("Concat", "x", "x", "x", "x", axis=1, outputs=["deep"]),
}


@pytest.mark.parametrize(("about", "stored", "opset"), NODES, ids=lambda each: getattr(each, "op_type", None))
def test_nodes_are_what_the_reference_says(tmp_path: Path, about: Any, stored: dict[str, Any], opset: int) -> None:
    before = [made for name, made in BEFORE.items() if name in about.input]
    path = write(tmp_path, [*before, about], {**stored, "two": whole(2)} if before else stored, opset=opset)
    images = floats(3, 3, 8, 8)
    wanted, found = run(path, images), read_onnx(path)(torch.from_numpy(images)).detach().numpy()
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_every_operator_is_tried_or_has_a_sentence() -> None:
    tried = {each.op_type for each, _, _ in NODES} | {each.op_type for each in BEFORE.values()}
    simple = {
        "Sigmoid",
        "Tanh",
        "HardSwish",
        "Softsign",
        "Softplus",
        "Mish",
        "Neg",
        "Abs",
        "Sqrt",
        "Log",
        "Erf",
        "Floor",
    }
    simple |= {"Ceil", "Round", "Sign", "Reciprocal", "Add", "Pow", "Celu", "Gelu", "LogSoftmax"}  # a table of names
    assert OPERATORS.keys() - tried - simple == {"Gemm", "Split"}  # tests of their own
    assert not OPERATORS.keys() & NEVER.keys()
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    assert known >= OPERATORS.keys() | NEVER.keys() - {"SequenceMap"}


@given(
    size=st.integers(4, 9),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    groups=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=drawn(30), deadline=None)
def test_convolutions_of_any_form(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: list[int],
    groups: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    weight, image = (
        rng.integers(-3, 4, shape).astype(np.float32) for shape in ((4, 2 // groups, *kernel), (2, size, size))
    )
    conv = node("Conv", "x", "w", pads=pads, strides=list(strides), group=groups)
    path = write(tmp_path_factory.mktemp("o"), [conv], {"w": weight}, shape=("n", 2, "h", "w"))
    found = read_onnx(path, image.shape)(torch.from_numpy(image[None]))[0].detach().numpy()
    padded = np.pad(image, [(0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    for (o, i, j), value in np.ndenumerate(found):
        part = padded[:, i * strides[0] : i * strides[0] + kernel[0], j * strides[1] : j * strides[1] + kernel[1]]
        first = o // (4 // groups) * (2 // groups)
        assert value == (part[first : first + 2 // groups] * weight[o]).sum()
    assert found.shape[1:] == tuple((size + pads[a] + pads[a + 2] - kernel[a]) // strides[a] + 1 for a in range(2))


@given(
    operator=st.sampled_from(["MaxPool", "AveragePool"]),
    sizes=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    kernel=st.tuples(st.integers(2, 3), st.integers(2, 4)),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    pads=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    up=st.booleans(),
    counted=st.booleans(),
)
@settings(max_examples=drawn(60), deadline=None)
def test_pools_of_any_form(
    tmp_path_factory: pytest.TempPathFactory,
    operator: str,
    sizes: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, int],
    up: bool,
    counted: bool,
) -> None:
    """Reading compares PyTorch's pools with those in NumPy of the proof."""
    about = {"count_include_pad": int(counted)} if operator == "AveragePool" else {}
    pool = node(operator, "x", kernel_shape=kernel, strides=strides, pads=[*pads, *pads], ceil_mode=int(up), **about)
    read_onnx(write(tmp_path_factory.mktemp("p"), [pool], shape=("n", 2, *sizes), opset=19))


class Small(nn.Module):
    """Layers with and without names, a shape in the code, max pools and a split."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = torch.split(self.body(x), [1, 3], dim=1)
        return self.head(torch.cat([b, a], 1).view(x.size(0), -1))


def exported(
    tmp_path: Path, opset: int = 17, batch: int = 1, open_sizes: Sequence[int] = (0,)
) -> tuple[Path, nn.Module]:
    torch.manual_seed(0)
    model = Small().eval()
    axes = {"image": {i: f"d{i}" for i in open_sizes}} if open_sizes else None
    options = {"dynamo": False} if "dynamo" in torch.onnx.export.__code__.co_varnames else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, torch.rand(batch, 1, 8, 8), str(tmp_path / "small.onnx"), opset_version=opset,
            input_names=["image"], dynamic_axes=axes, **options,
        )  # fmt: skip
    return tmp_path / "small.onnx", model


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize(("batch", "open_sizes"), [(1, ()), (4, ()), (1, (0,)), (2, (0, 2, 3))])
def test_networks_that_pytorch_exports(tmp_path: Path, opset: int, batch: int, open_sizes: tuple[int, ...]) -> None:
    path, model = exported(tmp_path, opset, batch, open_sizes)
    network = read_onnx(path, (1, 8, 8))
    images = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(network(images), model(images), rtol=1e-4, atol=1e-5)
    names = dict(network.named_modules())
    assert isinstance(names["body.body.0.Conv"], nn.Conv2d)
    assert isinstance(names["body.body.3.MaxPool"], nn.MaxPool2d)
    assert isinstance(names["head.Gemm"], nn.Linear)


def test_weights_trained_for_a_file_are_loaded_into_it(tmp_path: Path) -> None:
    path, _ = exported(tmp_path)
    network = resolve(str(path), image_shape=(1, 8, 8))
    with torch.no_grad():
        for value in network.parameters():
            value.add_(1)
    save_weights(network, tmp_path / "w.safetensors", {})
    again = resolve(str(path), image_shape=(1, 8, 8))
    load_weights(again, tmp_path / "w.safetensors")
    assert torch.equal(again(torch.ones(1, 1, 8, 8)), network(torch.ones(1, 1, 8, 8)))


def test_images_with_channels_last(tmp_path: Path) -> None:
    back = node("Transpose", "x", perm=[0, 3, 1, 2], outputs=["t"])
    path = write(tmp_path, [back, node("Conv", "t", "w")], {"w": floats(4, 3, 3, 3)}, shape=("n", 8, 6, 3))
    network = read_onnx(path, (3, 8, 6))
    assert [type(module) for module in network.children()] == [nn.Conv2d]
    images = floats(2, 8, 6, 3)
    found = network(torch.from_numpy(images).permute(0, 3, 1, 2)).detach().numpy()
    np.testing.assert_allclose(found, run(path, images), rtol=1e-4, atol=1e-5)
    path = write(tmp_path, [node("ReduceMean", "x", axes=[1])], shape=("n", 8, 6, 3))
    found = read_onnx(path, (3, 8, 6))(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(found, run(path, images), rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match=r"takes images of 8x6x3, the data have 3x7x6"):
        read_onnx(path, (3, 7, 6))


def test_several_outputs_have_their_names(tmp_path: Path) -> None:
    parts = node("Split", "x", outputs=["a", "b"], axis=1, num_outputs=2)
    path = write(tmp_path, [parts, node("Relu", "b", outputs=["c"])], output=("a", "c"), opset=18)
    found = read_onnx(path)(torch.from_numpy(images := floats(2, 3, 8, 8)))
    assert list(found) == ["a", "c"]
    assert np.array_equal(found["a"].numpy(), images[:, :2])
    assert np.array_equal(found["c"].numpy(), np.maximum(images[:, 2:], 0))


def test_a_gemm_of_any_form(tmp_path: Path) -> None:
    stored = {"w": floats(5, 4), "c": floats(1, 4)}
    path = write(tmp_path, [node("Gemm", "x", "w", "c", alpha=2.0, beta=0.5)], stored, shape=("n", 5))
    images = floats(3, 5)
    found = read_onnx(path)(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(found, 2 * images @ stored["w"] + stored["c"] / 2, rtol=1e-5, atol=1e-6)


def test_shapes_are_followed_and_weights_that_two_nodes_share(tmp_path: Path) -> None:
    nodes = [
        node("Shape", "x", outputs=["s"]),
        node("Gather", "s", "zero", outputs=["n"]),
        node("Unsqueeze", "n", "axis", outputs=["n1"]),
        node("Concat", "n1", "rest", axis=0, outputs=["t"]),
        node("Identity", "w", outputs=["w2"]),
        node("MatMul", "x", "w", outputs=["a"], name="one"),
        node("MatMul", "a", "w2", outputs=["b"], name="one"),
        node("Reshape", "b", "t"),
    ]
    stored = {"zero": np.array(0), "axis": whole(0), "rest": whole(4, 2), "w": floats(8, 8)}
    path = write(tmp_path, nodes, stored, shape=("n", 8))
    network = read_onnx(path)
    images = floats(4, 8)
    np.testing.assert_allclose(network(torch.from_numpy(images)).detach().numpy(), run(path, images), rtol=1e-4)
    assert [name for name, _ in network.named_children()] == ["one", "one_6", "reshape"]


def test_half_precision_files_run_in_float32(tmp_path: Path) -> None:
    path = write(
        tmp_path, [node("Conv", "x", "w")], {"w": floats(4, 3, 3, 3).astype(np.float16)}, dtype=TensorProto.FLOAT16
    )
    assert {value.dtype for value in read_onnx(path).parameters()} == {torch.float32}


def test_obstacles_come_together_and_by_kind(tmp_path: Path) -> None:
    nodes = [
        node("LayerNormalization", "x", "s", outputs=["a"], name="first/norm"),
        node("Relu", "a", outputs=["b"]),
        node("LayerNormalization", "b", "s", outputs=["c"], name="second/norm"),
        node("Det", "x", outputs=["d"], name="odd"),
        node("LSTM", "c", "r", "r", outputs=["y"], name="memory", hidden_size=1),
    ]
    path = write(tmp_path, nodes, {"s": floats(8), "r": floats(1, 4, 8)})
    with pytest.raises(UnsupportedOperation) as error:
        read_onnx(path)
    for part in (
        "LayerNormalization: it normalises by statistics of each image",
        "(at first/norm, second/norm)",
        "Det: it has no counterpart here; write it with other operators (at odd)",
        "LSTM: recurrent networks come in as NIR files (docs/sequences.md) (at memory)",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("about", "stored", "words"),
    [
        (node("Conv", "x", "x"), {}, "its weight is computed from the image"),
        (node("Reshape", "x", "s"), {"s": whole(-1, 2)}, "mixes images|more|other"),
        (node("Transpose", "x", perm=[1, 0, 2, 3]), {}, "moves the dimension of images"),
        (node("ReduceMean", "x", axes=[0]), {}, "along the dimension of images"),
        (node("Add", "x", "c"), {"c": floats(2, 3, 8, 8)}, "differs between images"),
        (node("BatchNormalization", "x", *"abcd", outputs=["y", "m", "v"], training_mode=1),
         dict(zip("abcd", floats(4, 3), strict=True)), "training mode; export the network after model.eval"),
        (node("MaxPool", "x", kernel_shape=[2, 2], outputs=["y", "i"]), {}, "its places are used"),
        (node("Resize", "x", "", "s", mode="cubic"), DOUBLE, "no counterpart in PyTorch"),
        (node("Slice", "x", *"abcd"), dict(zip("abcd", map(whole, (7, 0, 2, -1)), strict=True)), "backwards"),
        (node("DequantizeLinear", "q", "s"), {}, "export the network in floating point"),
    ],
    ids=lambda each: getattr(each, "op_type", ""),
)  # fmt: skip
def test_nodes_without_a_counterpart_say_why(tmp_path: Path, about: Any, stored: dict[str, Any], words: str) -> None:
    before = [node("QuantizeLinear", "x", "s", outputs=["q"])] if "q" in about.input else []
    path = write(tmp_path, [*before, about], {**stored, "s": np.float32(0.1)} if before else stored)
    with pytest.raises((UnsupportedOperation, DataError), match=words):
        read_onnx(path)


def test_a_node_that_differs_from_onnx_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "Sigmoid", lambda _: nn.Hardsigmoid())
    nodes = [node("Relu", "x", outputs=["a"]), node("Sigmoid", "a", name="gate")]
    with pytest.raises(DataError, match=r"its node gate \(Sigmoid\) gives other values here than ONNX says, by 0.0"):
        read_onnx(write(tmp_path, nodes))
    monkeypatch.setattr(proof, "_TOLERANCE", math.inf)
    read_onnx(write(tmp_path, nodes))


def test_random_numbers_and_quantised_weights(tmp_path: Path) -> None:
    nodes = [node("RandomNormal", outputs=["r"], shape=[1, 3, 8, 8], seed=1.0, name="noise"), node("Add", "x", "r")]
    with pytest.raises(UnsupportedOperation, match=r"RandomNormal: it draws random numbers.* \(at noise\)"):
        read_onnx(write(tmp_path, nodes))
    whole_weights, scale = RNG.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), np.abs(floats(4))
    nodes = [node("DequantizeLinear", "q", "s", axis=0, outputs=["w"]), node("Conv", "x", "w")]
    network = read_onnx(write(tmp_path, nodes, {"q": whole_weights, "s": scale}, opset=19))
    assert np.array_equal(network.conv.weight.detach().numpy(), whole_weights * scale[:, None, None, None])


def test_files_that_cannot_be_taken_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "empty.onnx").write_bytes(b"")
    cases: dict[Path, str] = {
        tmp_path / "none.onnx": "no file",
        tmp_path / "text.onnx": "cannot read .* as ONNX",
        tmp_path / "empty.onnx": "holds no ONNX graph",
    }
    for path, words in cases.items():
        with pytest.raises(DataError, match=words):
            read_onnx(path)
    two = write(tmp_path, [node("Relu", "x")])
    model = onnx.load(str(two))
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, (1,)))
    onnx.save(model, str(two))
    with pytest.raises(DataError, match=r"takes 2 inputs \(x, mask\)"):
        read_onnx(two)
    with pytest.raises(DataError, match=r"its input x is no float"):
        read_onnx(write(tmp_path, [node("Cast", "x", to=1)], dtype=TensorProto.UINT8))
    with pytest.raises(DataError, match=r"leaves the size of images open \(3x\?x\?\)"):
        read_onnx(write(tmp_path, [node("Relu", "x")], shape=("n", 3, "h", "w")))
    with pytest.raises(DataError, match=r"output k does not depend on the image"):
        read_onnx(
            write(tmp_path, [node("Relu", "x"), node("Identity", "c", outputs=["k"])], {"c": floats(2)}, output=["k"])
        )
    model = onnx.load(str(write(tmp_path, [node("Relu", "x")])))
    model.opset_import[0].version = 999
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match=r"written in opset 999, and onnx .* upgrade it"):
        read_onnx(tmp_path / "net.onnx")
    foreign = node("FusedConv", "x", "w", domain="com.microsoft", name="fused")
    path = write(tmp_path, [foreign, node("Relu", "z", outputs=["r"])], {"w": floats(4, 3, 3, 3), "z": floats(1)})
    model = onnx.load(str(path))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model.graph.output[0].type.tensor_type.shape.dim.add()
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedOperation, match=r"FusedConv: it belongs to com.microsoft, .* \(at fused\)"):
        read_onnx(path)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(DataError, match=r"pip install 'spikec\[onnx\]'"):
        read_onnx(two)


def test_weights_outside_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, [node("Conv", "x", "w")], {"w": floats(64, 3, 3, 3)})
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    before = read_onnx(path).state_dict()["conv.weight"].clone()
    assert onnx_files(path) == [path, tmp_path / "net.data"]
    configuration, _ = fill({"model": str(path), "method": "qcfs"})
    known = with_files(configuration).files["model"]
    data = (tmp_path / "net.data").read_bytes()
    (tmp_path / "net.data").write_bytes(data[:-4] + b"\0\0\0\0")
    assert not torch.equal(read_onnx(path).state_dict()["conv.weight"], before)
    assert with_files(configuration).files["model"] != known
    (tmp_path / "net.data").write_bytes(data[:100])
    with pytest.raises(DataError, match="cannot read the weights"):
        read_onnx(path)
    (tmp_path / "net.data").unlink()
    with pytest.raises(DataError, match=r"keeps its weights in net.data, which must lie beside it"):
        read_onnx(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("net.h5", "model.export.*tf2onnx.*network.onnx as MODEL"),
        ("net.keras", "network of Keras"),
        ("net.tflite", "--tflite file.tflite"),
        ("net.pt", "a file of weights.*--weights"),
        ("net.pt2", "an exported program"),
    ],
)
def test_other_files_as_the_network(name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        resolve(name)
