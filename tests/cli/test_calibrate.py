"""``spikec export --calibrate`` and ``--rounding``: what they write into the file, and what they refuse."""

from __future__ import annotations

import pytest

import spikec as tc
from spikec.ir import as_integer

_MODEL = """
import torch
from torch import nn

def relu():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 10))
"""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model.py").write_text(_MODEL)
    return "model.py:relu"


def test_the_file_says_how_it_was_calibrated(spikec, model):
    options = ("--method", "error-free", "-T", "3", "--per", "channel", "--calibration", "64")
    assert spikec("export", model, *options, "--calibrate", "full", "--rounding", "gptq", "-o", "full.nir").code == 0
    assert spikec("export", model, *options, "-o", "plain.nir").code == 0
    full, plain = as_integer(tc.load("full.nir")), as_integer(tc.load("plain.nir"))
    assert full.info["calibrate"] == "full"
    assert "rounding gptq" in full.info["weights"]
    assert "calibrate" not in plain.info
    assert full.content_sha256 != plain.content_sha256


@pytest.mark.parametrize(
    ("given", "said"), [("fulll", "did you mean 'full'"), ("full,shifts=all", "shifts is one of none, channel, neuron")]
)
def test_what_it_does_not_know_it_says(spikec, model, given, said):
    result = spikec("export", model, "--calibrate", given, "-o", "net.nir")
    assert result.code == 1
    assert said in result.err
    assert "Traceback" not in result.err
