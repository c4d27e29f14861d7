"""Checkpoints as other people's training writes them: found, or refused by name, and nothing in them is run."""

from __future__ import annotations

import argparse
import json
import pickle
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune
from torch.optim.swa_utils import AveragedModel

from spikec.deployment.weights_file import weights_file
from spikec.errors import DataError
from spikec.models import load_weights, save_weights
from spikec.models.loading import fits

Wrapped = dict[str, Any]


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        made[1].running_mean.normal_()
    return made


def state(seed: int = 0, prefix: str = "") -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in net(seed).state_dict().items()}


def save(tmp_path: Path, content: Any) -> Path:
    torch.save(content, tmp_path / "w.pt")
    return tmp_path / "w.pt"


def loaded(path: Path, into: nn.Module | None = None, **options: Any) -> tuple[nn.Module, list[str]]:
    target = net(9) if into is None else into
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        load_weights(target, path, **options)
    return target, [str(each.message) for each in said]


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether all parameters and statistics of ``a`` are those of ``b``, in the order in which both have them."""
    first, second = ([v for k, v in m.state_dict().items() if "batches" not in k] for m in (a, b))
    return len(first) == len(second) and all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


SEGMENTS = st.lists(
    st.sampled_from(["module", "_orig_mod", "_fsdp_wrapped_module", "model", "net", "backbone", "0"]), max_size=4
)


@given(SEGMENTS, st.lists(st.sampled_from(["state_dict", "model", "best", "ema"]), max_size=3), st.booleans())
@settings(max_examples=drawn(40), deadline=None)
def test_any_prefix_in_any_dictionary(
    tmp_path_factory: pytest.TempPathFactory, segments: list[str], places: list[str], averaged: bool
) -> None:
    content: Any = state(0, "".join(f"{each}." for each in segments))
    if averaged:
        content["n_averaged"] = torch.tensor(3)
    for place in places:
        content = {"epoch": 1, place: content, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}
    model, said = loaded(save(tmp_path_factory.mktemp("w"), content))
    assert same(model, net(0))
    assert not said


@pytest.mark.parametrize("wrapper", [nn.DataParallel, AveragedModel])
def test_wrapped_networks_and_weights_either_way_round(tmp_path: Path, wrapper: type[nn.Module]) -> None:
    model, _ = loaded(save(tmp_path, {"model": wrapper(net(0)).state_dict(), "best_acc": 0.5}))
    assert same(model, net(0))
    plain, _ = loaded(save(tmp_path, state(0)), nn.DataParallel(net(9)))
    assert same(plain, net(0))

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = net(9)

    held, _ = loaded(save(tmp_path, {"state_dict": state(0, "model.")}), Holder())
    assert same(held, net(0))


def test_a_wrapper_inside_the_network(tmp_path: Path) -> None:
    inside = {
        f"{name.partition('.')[0]}._orig_mod.module.{name.partition('.')[2]}": value for name, value in state().items()
    }
    assert same(loaded(save(tmp_path, inside))[0], net(0))


def test_averaged_and_plain_weights_are_a_choice(tmp_path: Path) -> None:
    path = save(tmp_path, {"state_dict": state(0), "state_dict_ema": state(1), "epoch": 3})
    with pytest.raises(DataError, match="2 sets of weights that fit and differ: state_dict, state_dict_ema; choose"):
        loaded(path)
    assert not fits(net(), path)
    assert same(loaded(path, entry="state_dict_ema")[0], net(1))
    assert fits(net(), path, "state_dict")
    with pytest.raises(DataError, match="no entry 'ema'; it has state_dict, state_dict_ema"):
        loaded(path, entry="ema")
    with pytest.raises(DataError, match="no entry 'ema'; it holds one set of weights, which has no name: leave"):
        loaded(save(tmp_path, state(0)), entry="ema")
    both = save(tmp_path, {**state(0), "ema": state(1)})
    with pytest.raises(DataError, match=r"no entry 'x'; it has ema, and '\.', the weights beside these"):
        loaded(both, entry="x")
    assert same(loaded(both, entry=".")[0], net(0))
    counted = {**state(0), "1.num_batches_tracked": torch.tensor(7)}
    equal = save(tmp_path, {"state_dict": state(0), "state_dict_ema": {k: v.double() for k, v in counted.items()}})
    assert same(loaded(equal)[0], net(0))


def test_a_choice_behind_prefixes(tmp_path: Path) -> None:
    path = save(tmp_path, {"state_dict": {**state(0, "student."), **state(1, "teacher.")}})
    with pytest.raises(DataError, match="state_dict/student, state_dict/teacher"):
        loaded(path)
    assert same(loaded(path, entry="state_dict/teacher")[0], net(1))


def test_what_is_no_part_of_the_network_is_left_out_and_named(tmp_path: Path) -> None:
    beside = {"criterion.weight": torch.ones(3), "class_weights": torch.ones(3), "total_ops": torch.zeros(1)}
    model, said = loaded(save(tmp_path, {"state_dict": {**state(0, "model."), **beside}}))
    assert same(model, net(0))
    assert len(said) == 1
    assert said[0].endswith("left out, as no part of the network: criterion.weight, class_weights")
    bare = {**state(0), "loss_fn.pos_weight": torch.ones(3), "aux.0.weight": torch.ones(3)}
    assert "loss_fn.pos_weight, aux.0.weight" in loaded(save(tmp_path, bare))[1][0]


def test_a_larger_network_does_not_fit_a_smaller_one(tmp_path: Path) -> None:
    larger = {**state(0, "model."), "model.5.weight": torch.ones(3, 3)}
    for content in (larger, {"state_dict": larger}):
        with pytest.raises(DataError, match=r"unexpected: model.5.weight"):
            loaded(save(tmp_path, content))


def test_a_layer_of_another_name_is_not_taken_for_the_network(tmp_path: Path) -> None:
    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

    content = {"a.weight": torch.ones(2, 2), "a.bias": torch.ones(2), "b.weight": torch.ones(2, 3)}
    with pytest.raises(DataError, match=r"missing: fc.weight, fc.bias"):
        loaded(save(tmp_path, content), One())


def test_missing_names_are_listed_for_the_nearest_dictionary(tmp_path: Path) -> None:
    content = {"opt": {"a": torch.ones(1)}, "state_dict": state(0, "model.")}
    del content["state_dict"]["model.4.bias"]
    with pytest.raises(DataError, match=r"\(state_dict/model\) does not fit the network: missing: 4.bias$"):
        loaded(save(tmp_path, content))


def test_a_dictionary_for_each_part(tmp_path: Path) -> None:
    model = nn.ModuleDict({"body": net(9), "head": nn.Linear(3, 2)})
    source = nn.ModuleDict({"body": net(0), "head": nn.Linear(3, 2)})
    path = save(tmp_path, {name: part.state_dict() for name, part in source.items()})
    assert same(loaded(path, model)[0], source)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight


def test_tied_parameters(tmp_path: Path) -> None:
    source, content = Tied(), Tied().state_dict()
    del content["b.weight"]  # as files keep one of them
    model, _ = loaded(save(tmp_path, content), Tied())
    assert torch.equal(model.b.weight, content["a.weight"])
    save_weights(source, tmp_path / "w.safetensors", {})
    assert same(loaded(tmp_path / "w.safetensors", Tied())[0], source)
    content["b.weight"] = torch.zeros(3, 3)
    with pytest.raises(DataError, match=r"one tensor in the network, two in the file: b.weight and a.weight"):
        loaded(save(tmp_path, content), Tied())


def test_lazy_layers_become_plain_ones(tmp_path: Path) -> None:
    lazy = nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    images = torch.rand(2, 1, 4, 4)
    model, _ = loaded(save(tmp_path, state(0)), lazy)
    assert [type(layer) for layer in model] == [type(layer) for layer in net()]
    assert (model[0].in_channels, model[1].num_features, model[4].in_features) == (1, 2, 8)
    assert torch.equal(model(images), net(0).eval()(images))
    dead = net(0).state_dict()
    del dead["4.weight"]
    with pytest.raises(DataError, match=r"missing: 4.weight"):
        loaded(save(tmp_path, dead), nn.Sequential(*lazy[:4], nn.LazyLinear(3)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_and_layouts(tmp_path: Path, dtype: torch.dtype) -> None:
    source = net(0).to(dtype).to(memory_format=torch.channels_last)
    model, _ = loaded(save(tmp_path, source.state_dict()))
    assert same(model, source.float())
    assert all(value.dtype == torch.float32 for value in model.parameters())


def test_sparse_and_pruned_weights(tmp_path: Path) -> None:
    content = net(0).state_dict()
    content["4.weight"] = content["4.weight"].to_sparse()
    assert same(loaded(save(tmp_path, content))[0], net(0))
    pruned = net(0)
    prune.l1_unstructured(pruned[0], "weight", amount=0.5)
    model, _ = loaded(save(tmp_path, pruned.state_dict()))
    assert torch.equal(model[0].weight, pruned[0].weight)
    assert (model[0].weight == 0).sum() == 9


def test_numbers_without_their_scale_and_no_numbers(tmp_path: Path) -> None:
    content = {**state(0), "4.weight": torch.ones(3, 8, dtype=torch.int8)}
    with pytest.raises(DataError, match=r"without their scale: 4.weight int8 for float32"):
        loaded(save(tmp_path, content))
    for value in (torch.nan, torch.inf):
        content["4.weight"] = torch.full((3, 8), value)
        with pytest.raises(DataError, match=r"infinite or no numbers in 4.weight"):
            loaded(save(tmp_path, content))


def test_hints_for_files_of_changed_networks(tmp_path: Path) -> None:
    normed = net(0)
    nn.utils.weight_norm(normed[4])
    with pytest.raises(DataError, match="remove_weight_norm"):
        loaded(save(tmp_path, normed.state_dict()))
    quantised = torch.ao.quantization.quantize_dynamic(net(0), {nn.Linear})
    with pytest.raises(DataError, match="the same quantised modules"):
        loaded(save(tmp_path, quantised.state_dict()))
    again = torch.ao.quantization.quantize_dynamic(net(9), {nn.Linear})
    assert torch.equal(loaded(save(tmp_path, quantised.state_dict()), again)[0][4].weight(), quantised[4].weight())


def test_shards(tmp_path: Path) -> None:
    parts = {"a-1.safetensors": ["0.weight", "0.bias"], "a-2.safetensors": list(state())[2:]}
    for file, names in parts.items():
        save_file({name: state()[name] for name in names}, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: file for file, names in parts.items() for name in names}}))
    assert same(loaded(index)[0], net(0))
    before = weights_file(index).sha256
    with pytest.raises(DataError, match=r"is a folder; .*: model.safetensors.index.json"):
        loaded(tmp_path)
    save_file({name: 2 * state()[name] for name in parts["a-1.safetensors"]}, tmp_path / "a-1.safetensors")
    assert weights_file(index).sha256 != before
    assert not same(loaded(index)[0], net(0))
    save_file({"0.weight": state()["0.weight"]}, tmp_path / "a-1.safetensors")
    with pytest.raises(DataError, match=r"says that a-1.safetensors holds 0.bias, which it does not"):
        loaded(index)
    (tmp_path / "a-1.safetensors").unlink()
    with pytest.raises(DataError, match=r"not beside it: a-1.safetensors"):
        loaded(index)
    index.write_text(json.dumps({"weight_map": {"0.weight": "a" * 300, "0.bias": "a\0b"}}))
    with pytest.raises(DataError, match=r"not beside it: a\0b, aaa"):  # no name that a system takes
        loaded(index)
    for table in ({"weight_map": {"a": "../a.safetensors"}}, {"weight_map": {}}, {}, []):
        index.write_text(json.dumps(table))
        with pytest.raises(DataError, match=r"outside its folder|names no files|no index"):
            loaded(index)


def test_values_of_known_packages_beside_the_weights_are_not_read(tmp_path: Path) -> None:
    content = {
        "state_dict": net(0).state_dict(),
        "best_acc": np.float64(0.5),
        "history": np.arange(3),
        "args": argparse.Namespace(lr=0.1, out=Path("x")),
    }
    assert same(loaded(save(tmp_path, content))[0], net(0))
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(loaded(tmp_path / "old.pt")[0], net(0))


class Marks:
    """Calls ``function`` when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_of_a_file_is_run(tmp_path: Path, zipped: bool) -> None:
    mark = tmp_path / "mark"
    for function, arguments in (
        (exec, (f"open({str(mark)!r}, 'w')",)),
        (Path.touch, (mark,)),
        (pickle.loads, (pickle.dumps(Marks(open, str(mark), "w")),)),
        (np.save, (str(mark), np.zeros(1))),
    ):
        content = {"state_dict": net(0).state_dict(), "extra": Marks(function, *arguments)}
        torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
        with suppress(DataError):  # or loaded, and that value left unread
            load_weights(net(9), tmp_path / "w.pt")
        assert not list(tmp_path.glob("mark*"))


def test_functions_that_files_may_call_cannot_be_changed(tmp_path: Path) -> None:
    code = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aX\x01\x00\x00\x00bsb."
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/data.pkl", code)
        archive.writestr("w/version", "3\n")
    with pytest.raises(DataError, match="may not change functions"):
        load_weights(net(), tmp_path / "w.pt")


@pytest.mark.filterwarnings("ignore")
def test_programs_are_refused_before_they_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.jit.save(torch.jit.trace(net().eval(), torch.rand(1, 1, 4, 4)), tmp_path / "script.pt")
    torch.export.save(torch.export.export(net().eval(), (torch.rand(1, 1, 4, 4),)), tmp_path / "exported.pt2")

    def loads(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(torch, "load", loads)
    monkeypatch.setattr(torch.jit, "load", loads)
    with pytest.raises(DataError, match=r"TorchScript archive, .*torch.save\(model.state_dict\(\)"):
        load_weights(net(), tmp_path / "script.pt")
    with pytest.raises(DataError, match=r"exported program of torch.export"):
        load_weights(net(), tmp_path / "exported.pt2")


def test_whole_modules_and_foreign_files_have_a_way_out(tmp_path: Path) -> None:
    for content in (net(), {"epoch": 1, "model": net()}):
        with pytest.raises(DataError, match=r"names torch.nn.*torch.save\(model.state_dict\(\), \"weights.pt\"\)"):
            load_weights(net(), save(tmp_path, content))
    for start, words in (
        (b"\x89HDF\r\n\x1a\n", "tf2onnx"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"<!doctype html>", "download them again"),
        (b"", "empty"),
        (b"PK\x03\x04 and no more", "cannot read"),
    ):
        (tmp_path / "w.pt").write_bytes(start)
        with pytest.raises(DataError, match=words):
            load_weights(net(), tmp_path / "w.pt")
    np.savez(tmp_path / "w.npz", a=np.zeros(1))
    with pytest.raises(DataError, match="archive of NumPy arrays"):
        load_weights(net(), tmp_path / "w.npz")
    with pytest.raises(DataError, match=r"no state dictionary, only epoch \(int\)"):
        load_weights(net(), save(tmp_path, {"epoch": 1}))


def test_safetensors_by_content_whatever_the_name(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "pytorch_model.bin")
    assert same(loaded(tmp_path / "pytorch_model.bin")[0], net(0))
    torch.save(state(), tmp_path / "w.safetensors")
    assert same(loaded(tmp_path / "w.safetensors")[0], net(0))
