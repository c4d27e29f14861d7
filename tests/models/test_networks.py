"""Architectures, MODEL specifications and weight files."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from spikec.errors import ConversionError, DataError
from spikec.evidence.intervals import wilson
from spikec.models import load_weights, prepare, pretrained, resolve, save_weights, trained
from spikec.models.data import open_dataset
from spikec.models.recipes import default_recipe
from spikec.models.weights import FOLDER, index, weights_path
from spikec.models.zoo import REGISTRY
from spikec.training import ClipFloorShift, evaluate

PARAMETERS = {"digits-cnn": 23_038, "fashion-vgg": 185_239, "fashion-resnet": 149_721, "resnet20": 269_722 + 19}


@pytest.mark.parametrize("name", list(REGISTRY))
def test_architecture_maps_its_images_to_classes(name: str) -> None:
    with torch.device("meta"):  # shapes only: some are ImageNet networks
        model = resolve(name, num_classes=7)
        channels, height, width = REGISTRY[name].input_shape
        assert model(torch.rand(2, channels, height, width)).shape == (2, 7)
        relu = resolve(name, activation=nn.ReLU)
    assert not any(isinstance(m, ClipFloorShift) for m in relu.modules())


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_number_of_parameters(name: str) -> None:
    assert sum(p.numel() for p in resolve(name).parameters()) == PARAMETERS[name]


SOURCE = """
from torch import nn
def build(): return nn.Linear(2, 3)
ready = nn.Linear(4, 5)
number = 3
def fails(): raise RuntimeError("inside")
def leaves(): raise SystemExit(3)
def returns_none(): return None
"""


def test_file_and_module_specifications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_net_for_test.py").write_text(SOURCE)
    assert isinstance(resolve(f"{tmp_path}/my_net_for_test.py:build"), nn.Linear)
    assert resolve(f"{tmp_path}/my_net_for_test.py:ready").out_features == 5
    (tmp_path / "beside_for_test.py").write_text("from my_net_for_test import build")
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert isinstance(resolve(f"{tmp_path}/beside_for_test.py:build"), nn.Linear)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert isinstance(resolve("my_net_for_test:build"), nn.Linear)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fashion-vg", "did you mean 'fashion-vgg'"),
        ("nothing-alike", "known: digits-cnn"),
        ("{0}/net.py:missing", "has no 'missing'"),
        ("{0}/net.py:number", "of type int"),
        ("{0}/net.py:leaves", "SystemExit: 3"),
        ("{0}/script.py:build", "exit code 2.*: put what it runs as a script under if __name__"),
        ("{0}/net.py:fails", "RuntimeError: inside"),
        ("{0}/net.py:returns_none", "returned a NoneType"),
        ("{0}/other.py:build", "no file"),
        ("{0}/broken.py:build", "SyntaxError"),
        ("no_such_package_anywhere:build", "ModuleNotFoundError"),
        (":build", "no network called"),
    ],
)
def test_wrong_specifications_are_one_sentence(tmp_path: Path, spec: str, message: str) -> None:
    (tmp_path / "net.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def build(:")
    (tmp_path / "script.py").write_text("raise SystemExit(2)")  # as argparse does with words that are not for it
    with pytest.raises(DataError, match=message):
        resolve(spec.format(tmp_path))


def make(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), ClipFloorShift(4, 2.0))


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


def test_safetensors_round_trip_restores_levels(tmp_path: Path) -> None:
    source, target = make(0), make(1)
    save_weights(source, tmp_path / "w.safetensors", {"levels": 8})
    load_weights(target, tmp_path / "w.safetensors")
    assert_same(source, target)
    assert target[2].levels == 8
    assert not target.training


@pytest.mark.parametrize("wrap", [None, "state_dict", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
def test_torch_files_with_wrappers_and_prefixes(tmp_path: Path, wrap: str | None, prefix: str) -> None:
    source, target = make(0), make(1)
    state = {prefix + k: v for k, v in source.state_dict().items()}
    torch.save({wrap: state, "epoch": 3} if wrap else state, tmp_path / "w.pth")
    load_weights(target, tmp_path / "w.pth")
    assert_same(source, target)


def test_all_differences_in_one_message_and_nothing_loaded(tmp_path: Path) -> None:
    state = make(0).state_dict()
    del state["1.weight"]
    state["extra"] = torch.zeros(1)
    state["0.weight"] = torch.zeros(2, 1, 5, 5)
    torch.save(state, tmp_path / "w.pt")
    target, untouched = make(1), make(1)
    with pytest.raises(DataError) as error:
        load_weights(target, tmp_path / "w.pt")
    for part in ("missing: 1.weight", "unexpected: extra", "0.weight [2, 1, 5, 5] for [2, 1, 3, 3]"):
        assert part in str(error.value)
    assert_same(target, untouched)


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("1/0",))


def test_unsafe_and_damaged_files_are_refused(tmp_path: Path) -> None:
    torch.save({"w": RunsCode()}, tmp_path / "code.pt")
    torch.save(make(0), tmp_path / "module.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"a": 1}, tmp_path / "numbers.pt")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps({"w": RunsCode()}))
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "marks.pt").write_bytes(b"one")  # looks like pickle to the end of its stack
    for number in range(256):  # every first instruction of a pickle, with nothing sensible behind it
        (tmp_path / f"{number}.pt").write_bytes(bytes([number]) + b"unk")
    (tmp_path / "text.safetensors").write_text("hello")
    for path in [*tmp_path.iterdir(), tmp_path / "missing.pt"]:
        with pytest.raises(DataError):
            load_weights(make(0), path)


@pytest.mark.parametrize("name", list(index()))
def test_shipped_weights_load_and_their_record_is_consistent(name: str) -> None:
    entry = index()[name]
    model = pretrained(name)
    assert {m.levels for m in model.modules() if isinstance(m, ClipFloorShift)} == {entry["levels"]}
    correct = round(entry["test_accuracy"] * entry["test_images"])
    assert correct / entry["test_images"] == pytest.approx(entry["test_accuracy"], abs=1e-9)
    assert entry["test_interval_95"] == pytest.approx(wilson(correct, entry["test_images"]))


def test_shipped_digits_measure_what_the_index_says() -> None:
    entry = index()["digits-cnn"]
    _, accuracy = evaluate(pretrained("digits-cnn"), open_dataset("digits", split="test"))
    # Another processor may round one borderline image the other way.
    assert accuracy == pytest.approx(entry["test_accuracy"], abs=1.5 / entry["test_images"])


def test_shipped_weights_are_small() -> None:
    assert all(p.stat().st_size < 1_500_000 for p in FOLDER.glob("*.safetensors"))


def test_an_entry_of_no_file_is_refused() -> None:
    data, recipe = open_dataset("digits", split="train"), default_recipe("digits-cnn")
    for make in (
        lambda: trained("digits-cnn", None, data, "ema"),
        lambda: prepare("digits-cnn", recipe, data, entry="ema"),
    ):
        with pytest.raises(ConversionError, match="entry='ema' chooses among the sets of weights"):
            make()


def test_damaged_shipped_weights_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in FOLDER.iterdir():
        if path.suffix in (".json", ".safetensors"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr("spikec.models.weights.FOLDER", tmp_path)
    path = weights_path("digits-cnn")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DataError, match="damaged"):
        pretrained("digits-cnn")
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        pretrained("digits-cnn")
    with pytest.raises(DataError, match="did you mean 'digits-cnn'"):
        pretrained("digit-cnn")
