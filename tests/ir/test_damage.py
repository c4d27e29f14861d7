"""Files that were edited, cut off, or never were deployments: refused in one sentence, or provably unchanged."""

from __future__ import annotations

import gzip
import json
import re
import shutil

import h5py
import nir
import numpy as np
import pytest
import torch
from helpers.same import same
from safetensors.torch import save_file
from torch import nn

import spikec as tc
from spikec.ir import decode
from spikec.ir.metadata import KEY, TYPE_CHECK_OFF
from spikec.ir.profile.files import write_nir
from spikec.ir.profile.hashes import CONTENT_KEY, HASH_KEY

#: What NIR stores beside the graph, or twice: changing it changes nothing that is read.
_HARMLESS = {"version"}
_BROKEN = "the file was damaged after it was written: its bytes do not match the SHA-256 at its end"


def _datasets(path):
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def _variants(value):
    """Other values of a dataset: another first and last element; another text."""
    array = np.asarray(value)
    if array.dtype.kind in "SO":
        texts = [v.decode() if isinstance(v, bytes) else v for v in array.reshape(-1)]
        changed = texts[0][:-1] if len(texts[0]) > 1 else texts[0] + "x"
        yield np.array([changed, *texts[1:]], dtype=object).reshape(array.shape)
        return
    for index in {0, array.size - 1} if array.size else ():
        other = array.copy().reshape(-1)
        other[index] = other[index] + 1 if other[index] + 1 != other[index] else other[index] / 2
        yield other.reshape(array.shape)


def _replace(path, name, value):
    with h5py.File(path, "r+") as file:
        del file[name]
        if np.asarray(value).dtype.kind == "O":
            value = np.asarray(value, dtype=h5py.string_dtype())
        file[name] = value


def _loaded(path):
    """The graph, or None for a file that is refused: in one sentence that names it."""
    try:
        return decode(tc.load(path))
    except tc.GraphError as error:
        message = str(error)
    assert message.startswith(f"{path}")
    assert "\n" not in message
    return None


def _refused(path):
    return _loaded(path) is None


def test_every_edit_of_every_dataset_is_refused(deployment, tmp_path):
    path, copy = tc.save(deployment("signed"), tmp_path / "net.nir"), tmp_path / "edited.nir"
    original = decode(tc.load(path))
    passed = set()
    for dataset in _datasets(path):
        with h5py.File(path) as file:
            value = file[dataset][()]
        for variant in _variants(value):
            shutil.copy(path, copy)
            _replace(copy, dataset, variant)
            found = _loaded(copy)
            if found is not None:
                assert same(found, original), dataset
                passed.add(dataset)
    assert passed <= _HARMLESS


@pytest.mark.thorough
def test_every_removed_dataset_is_refused(deployment, tmp_path):
    path, copy = tc.save(deployment("signed"), tmp_path / "net.nir"), tmp_path / "edited.nir"
    original = decode(tc.load(path))
    for dataset in _datasets(path):
        shutil.copy(path, copy)
        with h5py.File(copy, "r+") as file:
            del file[dataset]
        found = _loaded(copy)
        assert found is None or same(found, original), dataset


def test_every_added_metadata_is_refused(deployment, tmp_path):
    path, copy = tc.save(deployment("qcfs"), tmp_path / "net.nir"), tmp_path / "edited.nir"
    with h5py.File(path) as file:
        groups = []
        file.visititems(lambda name, item: groups.append(name) if name.endswith("metadata/spikec") else None)
    assert len(groups) > 10
    for group in groups:
        shutil.copy(path, copy)
        with h5py.File(copy, "r+") as file:
            file[group]["weight_exp" if "weight_exp" not in file[group] else "extra"] = 0
        assert _refused(copy), group


def test_renamed_and_retyped_nodes_are_refused(deployment, tmp_path):
    path, copy = tc.save(deployment("qcfs"), tmp_path / "net.nir"), tmp_path / "edited.nir"
    nodes = list(deployment("qcfs").nodes)
    for node in nodes:
        shutil.copy(path, copy)
        with h5py.File(copy, "r+") as file:
            file["node/nodes"].move(node, f"{node}x")
        assert _refused(copy), node
    for node, kind in (("spikes", "I"), ("readout", "IF"), ("hidden", "Linear"), ("hidden.pool", "AvgPool2d")):
        shutil.copy(path, copy)
        _replace(copy, f"node/nodes/{node}/type", np.array(kind, dtype=h5py.string_dtype()))
        assert _refused(copy), node


def test_a_single_changed_weight_is_refused_in_one_sentence(deployment, tmp_path):
    path = tc.save(deployment("qcfs"), tmp_path / "net.nir")
    with h5py.File(path, "r+") as file:
        file["node/nodes/hidden/weight"][0, 0] += 1
    with pytest.raises(tc.GraphError) as error:
        tc.load(path)
    assert str(error.value) == (
        f"{path}: not a sound spikec graph: hidden: weight differs from weight_int in 1 of 180 values: the node was "
        "edited; content_sha256 does not match: nodes or edges were changed after the graph was built"
    )


def test_a_changed_initial_membrane_is_refused(deployment, tmp_path):
    path = tc.save(deployment("qcfs"), tmp_path / "net.nir")
    with h5py.File(path, "r+") as file:
        file["node/nodes/last/metadata/spikec/v_init_int"][0] += 1
    with pytest.raises(tc.GraphError, match=r"metadata was changed after the file was written$"):
        tc.load(path)


def _renamed(path, old, new):
    with h5py.File(path, "r+") as file:
        file["node/metadata/spikec"].move(old, new)


@pytest.mark.parametrize("key", ["metadata_sha256", "content_sha256", "producer"])
def test_a_damaged_name_of_a_hash_is_refused(key, deployment, tmp_path):
    """One byte, after which nothing would guard the file."""
    path = tc.save(deployment("qcfs"), tmp_path / "net.nir")
    _renamed(path, key, f"{key[:-1]}x")
    with pytest.raises(tc.GraphError, match=rf"metadata '{key[:-1]}x' is not part of the profile; is it {key}\?"):
        tc.load(path)


@pytest.mark.parametrize("key", ["metadata_sha256", "content_sha256"])
def test_files_of_ours_have_both_hashes(key, deployment, tmp_path):
    path = tc.save(deployment("qcfs"), tmp_path / "net.nir")
    with h5py.File(path, "r+") as file:
        del file["node/metadata/spikec"][key]
    with pytest.raises(tc.GraphError, match=rf"it names spikec as its producer and has no {key}: it was changed after"):
        tc.load(path)


def test_a_damaged_name_is_refused_in_a_later_minor_version_too(deployment, tmp_path):
    """Which may have keys that this version does not know."""
    graph = deployment("qcfs")
    graph.metadata["spikec"] |= {"schema": "spikec.nir/1.9", "news": 1}
    path = tc.save(graph, tmp_path / "net.nir")
    assert decode(tc.load(path)).timesteps == 3
    _renamed(path, "metadata_sha256", "metadata_sha25x")
    with pytest.raises(tc.GraphError, match="and has no metadata_sha256"):
        tc.load(path)


@pytest.mark.parametrize("producer", [None, "another"])
def test_other_writers_may_leave_the_hashes_out(producer, deployment, tmp_path):
    graph = deployment("qcfs")
    own = graph.metadata["spikec"]
    del own["content_sha256"], own["producer"]
    own |= {} if producer is None else {"producer": producer}
    nir.write(tmp_path / "net.nir", graph)
    expected = decode(graph)
    assert same(decode(tc.load(tmp_path / "net.nir")), expected)
    own["metadata_sha256"] = "0" * 64  # a hash that is there must match
    nir.write(tmp_path / "net.nir", graph)
    with pytest.raises(tc.GraphError, match="metadata was changed after the file was written"):
        tc.load(tmp_path / "net.nir")


def test_truncated_files_are_refused(deployment, tmp_path):
    data = tc.save(deployment("qcfs"), tmp_path / "net.nir").read_bytes()
    path = tmp_path / "cut.nir"
    for size in {*np.linspace(0, len(data) - 1, 40).astype(int), 1, 8, 64, 512, len(data) - 2}:
        path.write_bytes(data[:size])
        with pytest.raises(tc.GraphError) as error:
            tc.load(path)
        assert str(error.value) in (
            f"{path} is damaged or holds no NIR graph: export it again, or ask tc.nir.diagnose",
            f"{path} cannot be read: {_BROKEN}; get it again",
            f"{path} cannot be read: the file is empty; get it again",
        )


_WAY_OUT = "spikec export MODEL --weights FILE makes a NIR file of a network and its weights"
#: Every format is written by the library whose it is.
_FOREIGN = {
    "empty": (lambda path: path.write_bytes(b""), "the file is empty; get it again"),
    "text": (
        lambda path: path.write_text("a NIR file,\n  honestly\n" * 2000),
        "it is no HDF5 file but text that begins with 'a NIR file, honestly a NIR fil'; spikec export and nir.write "
        "write NIR files",
    ),
    "text in UTF-8": (lambda path: path.write_text("zéro " * 2000, encoding="utf-8"), "begins with 'z\\xe9ro z"),
    "bytes": (lambda path: path.write_bytes(bytes(range(1, 256))), "of a format that is not known here"),
    "torch.save": (lambda path: torch.save({"a": torch.ones(3)}, path), f"but what torch.save writes; {_WAY_OUT}"),
    "old torch.save": (
        lambda path: torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False),
        f"but a pickle of Python, as old PyTorch weights are; {_WAY_OUT}",
    ),
    "safetensors": (lambda path: save_file({"a": torch.ones(3)}, path), f"but weights in safetensors; {_WAY_OUT}"),
    "npy": (lambda path: np.save(path.open("wb"), np.ones(3)), "but a NumPy array; "),
    "npz": (lambda path: np.savez(path.open("wb"), x=np.ones(3)), "but an archive of NumPy arrays; it may be data"),
    "zip": (lambda path: shutil.make_archive(str(path.with_suffix("")), "zip", path.parent / "in"), "a zip archive; "),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x" * 100)), "but compressed with gzip; unpack it first"),
    "page": (lambda path: path.write_text("<html>404</html>"), "what a server answered instead of the file; get it"),
    "Git LFS": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"),
        "but a pointer of Git LFS, not the file itself; fetch the file with git lfs pull",
    ),
    "other HDF5": (
        lambda path: h5py.File(path, "w").close(),
        "is damaged or holds no NIR graph: export it again, or ask tc.nir.diagnose",
    ),
}


@pytest.mark.parametrize("name", _FOREIGN)
def test_files_that_are_no_nir_are_refused_by_what_they_are(name, tmp_path):
    make, says = _FOREIGN[name]
    path = tmp_path / ("net.zip" if name == "zip" else "net.nir")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    make(path)
    with pytest.raises(tc.GraphError, match=re.escape(says)) as error:
        tc.load(path)
    assert "\n" not in str(error.value)
    assert "file id" not in str(error.value) + str(tc.nir.diagnose(path))


def test_an_onnx_file_is_told(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["x2"])], "g", [value], [value])
    onnx.save(onnx.helper.make_model(graph, producer_name="test"), tmp_path / "n.onnx")
    with pytest.raises(tc.GraphError, match="but an ONNX file, by its first bytes; give it to spikec export as MODEL"):
        tc.load(tmp_path / "n.onnx")


@pytest.mark.parametrize("block", [512, 4096])
def test_a_block_before_hdf5_is_no_other_format(deployment, tmp_path, block):
    """HDF5 may begin behind a block of the user's own."""
    with (
        h5py.File(tmp_path / "net.nir", "w", userblock_size=block) as file,
        h5py.File(tc.save(deployment("qcfs"), tmp_path / "own.nir")) as own,
    ):
        for name in own:
            own.copy(own[name], file, name)
    with (tmp_path / "net.nir").open("r+b") as file:
        file.write(b"these are my own words")
    tc.load(tmp_path / "net.nir")


def test_plain_nir_is_refused(tmp_path):
    ones = np.ones(3, np.float32)
    nodes = {
        "input": nir.Input(np.array([3])),
        "linear": nir.Affine(np.eye(3, dtype=np.float32), ones),
        "spikes": nir.IF(ones, ones, 0 * ones),
        "output": nir.Output(np.array([3])),
    }
    graph = nir.NIRGraph(nodes, [("input", "linear"), ("linear", "spikes"), ("spikes", "output")])
    nir.write(tmp_path / "plain.nir", graph)
    with pytest.raises(tc.GraphError, match=r"no spikec metadata: .* needs an explicit import \(tc.import_nir"):
        tc.load(tmp_path / "plain.nir")
    nir.write(tmp_path / "node.nir", nodes["linear"])
    with pytest.raises(
        tc.GraphError, match=r"node\.nir is damaged or holds no NIR graph: export it again, or ask tc.nir.diagnose$"
    ):
        tc.load(tmp_path / "node.nir")


def test_metadata_of_the_wrong_kind_is_refused(deployment, tmp_path):
    """Values that no writer of ours makes: every one is an error of ours, none of numpy's or h5py's."""
    path, copy = tc.save(deployment("signed"), tmp_path / "net.nir"), tmp_path / "edited.nir"
    odd = [np.array([[1.5, 2.5]]), np.array(b"text"), np.array([np.nan])]
    for dataset in [name for name in _datasets(path) if "/last/" in name or name.startswith("node/metadata")]:
        for value in odd:
            shutil.copy(path, copy)
            _replace(copy, dataset, value)
            assert _refused(copy), (dataset, value)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(tc.GraphError, match=r"^there is no file \S+none\.nir$"):
        tc.load(tmp_path / "none.nir")
    with pytest.raises(tc.GraphError, match=r"^\S+ is a folder, not a NIR file$"):
        tc.load(tmp_path)


def test_unknown_major_version_is_refused(deployment, tmp_path):
    path = tc.save(deployment("qcfs"), tmp_path / "net.nir")
    _replace(path, "node/metadata/spikec/schema", np.array("spikec.nir/2", dtype=h5py.string_dtype()))
    with pytest.raises(tc.GraphError, match=r"schema 'spikec\.nir/2' is not 'spikec\.nir/1': this version cannot read"):
        tc.load(path)


def test_requirements_are_those_of_the_graph(any_deployment):
    requires = json.loads(any_deployment.metadata["spikec"]["requires"])
    graph = decode(any_deployment)
    kinds = {population.neuron.requirement for population in graph.populations} - {None}
    assert {item for item in requires if item == "signed_spikes" or item.startswith("kind=")} == kinds
    signed = any(population.neuron.emission[0] < 0 for population in graph.populations)
    assert ("signed_spikes" in requires) == signed
    assert ("schedule=layerwise" in requires) == (graph.schedule == "layerwise")
    assert ("drain" in requires) == bool(graph.drain)


def test_a_file_says_where_nir_infers_other_sizes(tmp_path):
    """A pool with padding on one side only, which nir.read refuses unless its type check is off."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(8, 3))
    images = torch.rand(4, 1, 5, 5)
    network = tc.convert(nn.Sequential(*layers).eval(), tc.QCFS(timesteps=2), example=images, calibration=images)
    graph = tc.lower(network)
    about = graph.metadata[KEY]
    node = next(node for node in graph.nodes.values() if isinstance(node, nir.SumPool2d))
    node.padding = np.array([1, 0])
    about["requires"] = json.dumps([item for item in json.loads(about["requires"]) if item != TYPE_CHECK_OFF])
    about |= {"producer": "another writer"}
    for key in (CONTENT_KEY, HASH_KEY):
        about.pop(key, None)
    write_nir(graph, tmp_path / "net.nir")
    with pytest.raises(ValueError, match="Type inference error"):
        nir.read(tmp_path / "net.nir")
    with pytest.raises(
        tc.GraphError, match=f"NIR infers another size for it, and requires does not list {TYPE_CHECK_OFF}"
    ):
        tc.load(tmp_path / "net.nir")
    tc.save(graph, tmp_path / "net.nir")  # which lists what a graph needs
    tc.load(tmp_path / "net.nir")
