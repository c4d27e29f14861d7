"""ONNX files as MODEL on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write(path: Path) -> Path:
    rng = np.random.default_rng(0)
    stored = {"w": rng.standard_normal((8, 1, 3, 3)), "v": rng.standard_normal((10, 288)) / 10, "b": np.zeros(10)}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], name="first/Conv"),
        helper.make_node("Relu", ["a"], ["r"], name="first/Relu"),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "v", "b"], ["y"], name="head", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ("n", 1, 8, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 10))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in stored.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_an_onnx_file_is_exported_and_trained(spikec, tmp_path):
    path = write(tmp_path / "net.onnx")
    made = spikec("export", path, "--data", "digits", "--measure", 20, "-o", "net.nir")
    assert made.code == 0, made.err
    listing = spikec("inspect", "net.nir").out
    assert "first.Conv" in listing
    assert "head" in listing
    assert spikec("verify", "net.nir", "--target", "golden", "--limit", 2).code == 0
    trained = spikec("train", path, "--data", "digits", "--epochs", 1, "-o", "w.safetensors", "--json")
    assert trained.code == 0, trained.err
    assert trained.json["test_accuracy"] > 0.5
    again = spikec("export", path, "--weights", "w.safetensors", "--data", "digits", "--measure", 20, "-o", "b.nir")
    assert again.code == 0, again.err


def test_wrong_files_are_one_sentence(spikec, tmp_path):
    (tmp_path / "net.onnx").write_text("no ONNX")
    for name, words in (("net.onnx", "as ONNX"), ("net.h5", "tf2onnx"), ("gone.onnx", "no file")):
        failed = spikec("export", name, "-o", "net.nir")
        assert failed.code == 1
        assert words in failed.err
        assert "Traceback" not in failed.err


def test_a_checkpoint_with_several_sets_of_weights(spikec, tmp_path):
    import torch

    from spikec.models import pretrained

    state = pretrained("digits-cnn").state_dict()
    torch.save({"state_dict": state, "state_dict_ema": {k: v * 2 for k, v in state.items()}}, tmp_path / "w.pt")
    words = ("export", "digits-cnn", "--weights", "w.pt", "--data", "digits", "--measure", 0, "-o", "net.nir")
    failed = spikec(*words)
    assert failed.code == 1
    assert "state_dict, state_dict_ema; choose one with --weights-entry" in failed.err
    assert spikec(*words, "--weights-entry", "state_dict_ema").code == 0
