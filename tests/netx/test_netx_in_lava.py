"""netx files in Lava: soft reset through our loader, hard reset in stock netx, and stock netx refusing."""

import subprocess
import sys

import numpy as np
import pytest

from spikec import QCFS, Int8, convert, lower
from spikec.ir import as_integer
from spikec.models import pretrained
from spikec.models.data import open_dataset
from spikec.simulation import compare, simulate
from spikec.targets.netx import NetxProgram, run_hard_reset, write, write_hard_reset

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava_dl")]


@pytest.fixture(scope="module")
def digits():
    """(graph, 6 test images) of the shipped digits network at T = 4."""
    train, test = open_dataset("digits", split="train"), open_dataset("digits", split="test")
    calibration = train.images(slice(128))
    snn = convert(pretrained("digits-cnn"), QCFS(timesteps=4), example=calibration[:1], calibration=calibration)
    return as_integer(lower(snn, Int8())), test.images(slice(6)).numpy()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("if", {"pools": True, "small": False, "spikes": 1}),
        ("if", {"schedule": "layerwise", "spikes": 3}),
        ("signed_if", {"drain": 1, "spikes": 1}),
        ("signed_if", {"drain": 1, "spikes": 7}),
        ("calibrated_if", {}),
        ("bit_serial", {"schedule": "layerwise"}),
        ("graded", {"schedule": "layerwise", "timesteps": 1}),
    ],
)
def test_soft_reset_equals_plain_loops(feedforward, random_images, oracle, tmp_path, kind, options):
    rng = np.random.default_rng(7)
    graph = feedforward(rng, kind=kind, **options)
    integers = random_images(rng, graph, 2)
    write(graph, tmp_path / "net.hdf5")
    trace = NetxProgram.load(tmp_path / "net.hdf5").run(integers * graph.input.scale, record="spikes")
    expected = oracle(graph, integers)
    np.testing.assert_array_equal(trace.output, expected.output)
    for name, train in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], train, name)
    assert trace.membrane == expected.membrane


def test_digits_equal_the_golden_model(digits, tmp_path):
    graph, images = digits
    write(graph, tmp_path / "net.hdf5")
    trace = NetxProgram.load(tmp_path / "net.hdf5").run(images, record="spikes")
    assert compare(simulate(graph, images, record="spikes"), trace) is None


LOAD = (
    "import sys; from lava.lib.dl import netx; print(netx.hdf5.Network(net_config=sys.argv[1], input_message_bits=16))"
)


def load_in_stock_netx(path):
    return subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=False)


@pytest.mark.thorough
def test_stock_netx_refuses_soft_reset(digits, tmp_path):
    write(digits[0], tmp_path / "net.hdf5")
    result = load_in_stock_netx(tmp_path / "net.hdf5")
    assert result.returncode == 1
    assert "AttributeError: 'NoneType' object has no attribute 'pop'" in result.stderr
    assert "neuron_params" in result.stderr


def test_stock_netx_loads_hard_reset(digits, tmp_path):
    write_hard_reset(digits[0], tmp_path / "net.hdf5")
    result = load_in_stock_netx(tmp_path / "net.hdf5")
    assert result.returncode == 0, result.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in result.stdout.splitlines()]
    assert [row for row in rows if row and row[0] in ("Conv", "Dense")] == [
        ["Conv", "8", "8", "16"],
        ["Conv", "8", "8", "32"],
        ["Conv", "4", "4", "32"],
        ["Dense", "1", "1", "64"],
        ["Dense", "1", "1", "10"],
    ]


def test_hard_reset_in_stock_netx(digits, hard_reset_oracle, tmp_path):
    graph, images = digits
    write_hard_reset(graph, tmp_path / "net.hdf5")
    integers = np.rint(images.astype(np.float64) / graph.input.scale).astype(np.int64)
    integers = np.clip(integers, graph.input.low, graph.input.high)
    found, expected = run_hard_reset(tmp_path / "net.hdf5", images), hard_reset_oracle(graph, integers)
    np.testing.assert_array_equal(found.output, expected.output)
    for name, train in expected.spikes.items():
        assert train.any()
        np.testing.assert_array_equal(found.spikes[name], train, name)
    soft = simulate(graph, images)
    assert any((soft.counts[name] != expected.counts[name]).any() for name in soft.counts)  # a different network
