"""Checkpoints of our own hold no pickle, and hostile ones are one sentence."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from spikec.errors import DataError
from spikec.training.checkpoint import load_checkpoint, read_state, save_checkpoint
from spikec.training.config import FitConfig

STATE = {
    "model": {"a": torch.arange(4.0), "n": torch.tensor(3)},
    "averaged": {},
    "optimizer": {"state": {0: {"m": torch.ones(2), "step": 1.5}}, "param_groups": [{"betas": (0.9, 0.1), "lr": None}]},
    "best": {"a": torch.arange(4.0)},
    "best_epoch": 0,
    "history": [{"epoch": 0, "loss": float("inf")}],
    "sigma": [0.1],
    "generator": torch.Generator().get_state(),
    "global_generator": torch.get_rng_state(),
}


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and (all(map(same, a, b)) if isinstance(a, list | tuple) else a == b)


def test_everything_comes_back_and_the_file_holds_no_pickle(tmp_path):
    path = tmp_path / "run.checkpoint"
    save_checkpoint(path, FitConfig(), {"data": ("x", 1)}, STATE)
    found = load_checkpoint(path, FitConfig(), {"data": ("x", 1)})
    assert same({key: found[key] for key in STATE}, STATE)
    with safe_open(path, "pt") as file:
        assert len(file.keys()) == 6
    with pytest.raises(TypeError, match="cannot hold a Generator"):
        save_checkpoint(path, FitConfig(), {}, {**STATE, "model": torch.Generator()})


def test_a_loss_that_was_no_number_comes_back(tmp_path):
    """A run with such an epoch can be resumed: only a training loss has to be finite."""
    path = tmp_path / "run.checkpoint"
    history = [{"validation_loss": loss} for loss in (float("nan"), float("inf"), -float("inf"), 1e308)]
    save_checkpoint(path, FitConfig(), {}, {**STATE, "history": history})
    assert repr(load_checkpoint(path, FitConfig(), {})["history"]) == repr(history)


class Touch:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_runs_no_code(tmp_path):
    path, mark = tmp_path / "run.checkpoint", tmp_path / "mark"
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1)), path)
    with pytest.raises(DataError, match="cannot resume from"):
        load_checkpoint(path, FitConfig(), {})
    for zipped in (True, False):
        torch.save({"format": "spikec-training/1", "config": Touch(mark)}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(DataError, match="cannot resume from"):
            load_checkpoint(path, FitConfig(), {})
    path.write_bytes(pickle.dumps(Touch(mark)))
    with pytest.raises(DataError, match="cannot resume from"):
        load_checkpoint(path, FitConfig(), {})
    assert not mark.exists()


@pytest.mark.parametrize(
    "header",
    [
        "[" * 100_000,
        "{",
        '{"dict": [[{"tensor": "9"}, 1]]}',
        '{"dict": [[1, 2, 3]]}',
        '{"dict": [[{"dict": []}, 1]]}',
        '{"other": 1}',
        "{}",
        '{"tensor": "0"}',
        '{"dict": [["format", "spikec-training/1"]]}',
    ],
)
def test_headers_that_no_run_wrote_are_one_sentence(tmp_path, header):
    save_file({"0": torch.ones(1)}, tmp_path / "run.checkpoint", {"spikec-training": header})
    with pytest.raises(DataError, match=r"run\.checkpoint"):
        load_checkpoint(tmp_path / "run.checkpoint", FitConfig(), {})


def test_damage_anywhere_is_one_sentence(tmp_path):
    path = tmp_path / "run.checkpoint"
    save_checkpoint(path, FitConfig(), {}, STATE)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    said = []
    for at in random.integers(0, 3000, 60):
        path.write_bytes(whole[:at] + bytes(random.integers(0, 256, 4, np.uint8)) + whole[at + 4 :])
        try:
            load_checkpoint(path, FitConfig(), {})
        except DataError as error:
            said.append(str(error))
    assert len(said) > 20
    assert all("run.checkpoint" in sentence for sentence in said)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", "b")
    with pytest.raises(DataError):
        read_state(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="is a pipe"):
        load_checkpoint(path, FitConfig(), {})
