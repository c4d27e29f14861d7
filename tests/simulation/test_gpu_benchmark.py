"""The benchmark for a GPU, on the CPU with tiny sizes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import gpu, gpu_training

SMALL = replace(gpu.Sizes.tiny(), kinds=("if",), random=1)


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def results(folder, minutes=5.0):
    return gpu.Results.opened(folder, "cpu", minutes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_ends_with_one_sentence(capsys, tmp_path):
    assert gpu.main(["--folder", str(tmp_path / "none")]) == 4
    said = capsys.readouterr()
    assert not said.out
    assert "sees no GPU here: run this where there is one, or" in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_a_difference_is_counted_and_kept(monkeypatch, tmp_path, one_thread):
    assert gpu.equality(SMALL, "cpu", results(tmp_path), 0.0) == 0
    compared = [total for _, total in results(tmp_path).figures.values()]
    assert len(compared) == 2
    assert min(compared) > 100
    honest = gpu.tc.simulate

    def wrong(graph, shown, **options):
        trace = honest(graph, shown, **options)
        if not options.get("measure"):
            next(iter(trace.spikes.values()))[0, 0].flat[0] += 1
        return trace

    monkeypatch.setattr(gpu.tc, "simulate", wrong)
    assert gpu.equality(SMALL, "cpu", results(tmp_path / "again"), 0.0) == 2
    assert gpu.equality(SMALL, "cpu", results(tmp_path), 0.0) == 0  # from the file
    assert gpu.equality(SMALL, "cpu", results(tmp_path / "late", minutes=0.0), 1.0) == 0
    assert not results(tmp_path / "late").figures


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_run(seed):
    network, shape = gpu.random_network(seed)
    with torch.no_grad():
        assert network(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.thorough
def test_a_training_without_time_goes_on_in_the_next_run(tmp_path, one_thread):
    training = replace(gpu.Sizes.tiny().trainings[1], tested=5)
    given = (training, "cpu", results(tmp_path).get)
    said = gpu_training.trained(*given, 0.0, tmp_path, gpu.Sources())
    assert said.endswith("not finished in its 0 s; the next run goes on")
    assert "images" in gpu_training.trained(*given, 300.0, tmp_path, gpu.Sources())
    found = results(tmp_path).figures[training.name]
    assert 0 <= found["golden"] <= 1
    assert gpu_training.trained(*given, 0.0, tmp_path, gpu.Sources()).endswith("of 5 images")  # not trained again


@pytest.mark.thorough
def test_every_path(tmp_path, capsys, one_thread):
    assert gpu.main(["--device", "cpu", "--tiny", "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "equality: 0 of" in said
    assert said.count("of 20 images") == len(gpu_training.METHODS)
    figures = json.loads((tmp_path / "gpu.cpu.json").read_text())
    rates = [value for key, value in figures.items() if key.startswith(("golden", "torch."))]
    assert len(rates) == 3
    assert all(np.isfinite(rates))
    assert min(rates) > 0
