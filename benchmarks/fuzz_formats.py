"""Sound files of formats that come from other programs: ONNX, recordings of events, published data sets, lava-dl."""

from __future__ import annotations

import base64
import gzip
import io
import json
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nir
import numpy as np
from PIL import Image

import spikec as tc
from spikec import models
from spikec.targets import netx

#: Registers a file with the name of its reader in ``fuzz_worker.READERS``, and returns its path.
Add = Callable[[str, str], Path]
Rng = np.random.Generator
#: A file of 12 events that dv-processing 2.0.4 wrote, compressed.
AEDAT4 = zlib.decompress(
    base64.b85decode(
        "c-oCr-%G<V5Wa0?$e2GKL<Wk~=%cPhhoEf3sS^jf!5sboU&@-zpi4@c4(8wLgRlM<CT+IWT5$(g^7Zb%uXjnhyVGcP4=x+MO4(j6"
        "Y~=t-0MP1OHzBkFtb+kXSdy#AiqbcXX#JH1sJdfwjJZ!3t)auRjp_wcT9q;vo75TM8e)NH(E&rI=ZKdYvNX1IYBJsam1xIP!*oXo"
        "ZocA44fWZ`<JedF$P^P#68M4>Iz;t$r`@btD)rB5#>tRS=k1oc!5eN%{UpgPqwGSy=gtEs0`mn4JAv>5kw%Eem<s<N8dY+M{XQq2"
        "Na^e%@C6&0t|Oc<VzN-KyZ~#<mGWdjFi(;;?|XNt1hKs#Y5QnfB(a?-+CF*5k5frP1*%ul#8RrBepDSTQpEz^|26o2YIBzAE_M)O"
        "c)G4y?zlcZ|DV!7q_0U=69dT0+hNEjfT8b4=4`vPSI9#aGGR?_hO;5gYn;>Z)mc2UQX+pdfy)VeGUJQvRO5`styw(!qMMkW!d;CO"
        "QutZ-chzg0C;L<J^^kQ1_GPz*L|d>Y(R@C~x%s~WV)K~ld;`U@^UV"
    )
)


def add_networks(add: Add, rng: Rng, deployed: Path) -> None:
    """ONNX files, lava-dl files and NIR graphs of others."""
    if find_spec("onnx") is not None:
        _onnx(add("onnx", "net.onnx"), rng)
    graph = tc.load(deployed)
    netx.write(graph, add("netx", "net.hdf5"))
    netx.write_hard_reset(graph, add("netx-hard", "hard.hdf5"))
    _plain(add("plain", "plain.nir"), rng)
    _leaky(add("doctor", "leaky.nir"), rng)


def _onnx(path: Path, rng: Rng) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    stored = {"w": rng.normal(size=(2, 1, 3, 3)), "b": rng.normal(size=2), "v": rng.normal(size=(3, 8))}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("MaxPool", ["r"], ["m"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Constant", [], ["s"], "shape", value=numpy_helper.from_array(np.array([0, -1]), "k")),
        helper.make_node("Reshape", ["m", "s"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "v"], ["y"], "head", transB=1),
    ]
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 1, 4, 4))
    given = helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 3))
    kept = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "g", [taken], [given], kept)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def _written(path: Path, nodes: dict[str, Any]) -> None:
    nir.write(path, nir.NIRGraph(nodes, list(zip(nodes, list(nodes)[1:], strict=False))))


def _plain(path: Path, rng: Rng) -> None:
    one = np.ones(3)
    nodes = {
        "input": nir.Input({"input": np.array([1, 4, 4])}),
        "conv": nir.Conv2d((4, 4), rng.normal(size=(2, 1, 3, 3)), 1, 1, 1, 1, rng.normal(size=2)),
        "fire": nir.IF(np.ones((2, 4, 4)), np.ones((2, 4, 4)), np.zeros((2, 4, 4))),
        "flat": nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1),
        "fc": nir.Affine(rng.normal(size=(3, 32)), rng.normal(size=3)),
        "last": nir.IF(one, one, 0 * one),
        "output": nir.Output({"output": np.array([3])}),
    }
    _written(path, nodes)


def _leaky(path: Path, rng: Rng) -> None:
    one = np.ones(3)
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "fc": nir.Linear(rng.normal(size=(3, 4))),
        "fire": nir.LIF(0.02 * one, one, 0 * one, one, 0 * one),
        "output": nir.Output({"output": np.array([3])}),
    }
    _written(path, nodes)


def add_data(add: Add, rng: Rng) -> None:
    """Recordings of events, sequences, pictures of further formats, Fashion-MNIST, CIFAR."""
    np.savez(add("sequences", "seq.npz"), x=rng.integers(0, 9, (4, 5, 2, 3, 3)), y=rng.integers(0, 2, 4),
             lengths=rng.integers(1, 6, 4))  # fmt: skip
    events = np.stack([np.arange(60) * 500, rng.integers(0, 12, 60), rng.integers(0, 10, 60), rng.integers(0, 2, 60)]).T
    rows = events.tolist()
    atis = b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for t, x, y, p in rows)
    add("events", "one.bin").write_bytes(atis)
    second = b"".join(struct.pack(">II", (127 - y) << 8 | x << 1 | p, t) for t, x, y, p in rows)
    add("events", "two.aedat").write_bytes(b"#!AER-DAT2.0\r\n# HardwareInterface: DVS128\r\n" + second)
    third = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in rows)
    head = struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, 60, 60, 60)
    add("events", "three.aedat").write_bytes(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n" + head + third)
    if find_spec("expelliarmus") is not None:
        from expelliarmus import Wizard

        columns = np.zeros(60, dtype=[("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
        for name, values in zip("txyp", events.T, strict=True):
            columns[name] = values
        for encoding, name in (("dat", "four.dat"), ("evt2", "five.raw"), ("evt3", "six.raw")):
            Wizard(encoding=encoding).save(fpath=str(add("decoded", name)), arr=columns)
    if find_spec("aedat") is not None:
        add("decoded", "seven.aedat4").write_bytes(AEDAT4)
    pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
    for kind in ("bmp", "gif", "ppm", "tiff", "webp"):
        Image.fromarray(pixels).save(add("one picture", f"one.{kind}"))
    idx = struct.pack(">4I", 0x0803, 2, 4, 4) + rng.integers(0, 256, 32, np.uint8).tobytes()
    add("idx", "images-idx3-ubyte").write_bytes(idx)
    add("idx", "images-idx3-ubyte.gz").write_bytes(gzip.compress(idx, mtime=0))
    image = rng.integers(0, 256, (2, 3072), np.uint8)
    add("cifar", "cifar-pickles/test_batch").write_bytes(pickle.dumps({b"data": image, b"labels": [1, 2]}, protocol=2))
    add("cifar", "cifar-binary/test_batch.bin").write_bytes(b"".join(bytes([1]) + row.tobytes() for row in image))
    with tarfile.open(add("tar", "set.tar"), "w") as archive:
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, "PNG")
        for name, content in (("a.png", packed.getvalue()), ("a.cls", b"1")):
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))


def add_tables(add: Add, weights: dict[str, Any]) -> None:
    """Recipes, and the index of weights in several files."""
    recipe = Path(models.__file__).parent / "recipes/digits-cnn.toml"
    add("recipe", "recipe.toml").write_bytes(recipe.read_bytes())
    index = {"metadata": {"total_size": 9}, "weight_map": dict.fromkeys(weights, "weights.safetensors")}
    add("weights", "model.safetensors.index.json").write_text(json.dumps(index))
