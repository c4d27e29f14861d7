"""Sound files to start from: deployments of several kinds, and one or more of every other format that spikec reads."""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import spikec as tc
from benchmarks.fuzz_formats import add_data, add_networks, add_tables
from spikec.sharding.job import Job
from spikec.sharding.work import Work
from spikec.simulation.kept import write_trace
from spikec.sweeping.grid import read_grid
from spikec.sweeping.store import Store, result
from spikec.training import FitConfig
from spikec.training.checkpoint import save_checkpoint

#: Where a folder ends that holds one picture of each of two classes.
PICTURES = "pictures"


def deployments(folder: Path) -> list[Path]:
    """NIR files of small networks: kinds, schedules, a max pool, a skip connection, several outputs."""
    torch.manual_seed(0)
    images = torch.rand(8, 1, 8, 8)
    methods = {
        "qcfs": tc.QCFS(timesteps=4),
        "drain": tc.ErrorCompensation(timesteps=3),
        "bits": tc.ErrorFree(timesteps=3),
        "levels": tc.Graded(levels=4),
        "calibrated": tc.OffsetSpikes(timesteps=4),
    }
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, method in methods.items():
            network = tc.convert(_network(), method, example=images, calibration=images)
            found.append(folder / f"{name}.nir")
            tc.save(tc.lower(network, tc.Int8(per="channel" if name == "bits" else "layer")), found[-1])
    return found


def _network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 3),
    ).eval()  # fmt: skip


def others(folder: Path) -> list[tuple[str, Path]]:
    """Files of other formats, each with the name of its reader in ``fuzz_worker.READERS``."""
    torch.manual_seed(1)
    rng, state = np.random.default_rng(0), _network().state_dict()
    made: list[tuple[str, Path]] = []

    def add(reader: str, name: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made.append((reader, path))
        return path

    np.savez_compressed(add("archive", "images.npz"), x=rng.random((6, 1, 5, 5)), y=rng.integers(0, 3, 6))
    np.savez(add("archive", "plain.npz"), x=rng.integers(0, 9, (6, 1, 5, 5), np.uint8), y=rng.random((6, 2)))
    torch.save(state, add("weights", "weights.pt"))
    one = {"0.weight": state["0.weight"]}  # the old format sorts storages by their addresses in memory
    torch.save({"model": one, "epoch": 3}, add("weights", "old.pth"), _use_new_zipfile_serialization=False)
    _numbered(made[-1][1])
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, add("weights", "weights.safetensors"))
    save_checkpoint(add("checkpoint", "run.checkpoint"), FitConfig(), {}, {"epoch": 2, "model": state, "log": [1.5]})
    add("grid", "grid.toml").write_text(_GRID)
    package = Path(tc.__file__).parent
    profile = package / "energy/profiles/energy_cmos45.toml"
    add("profile", "profile.toml").write_bytes(profile.read_bytes())
    form = package / "analysis/number_formats/format_generic24.toml"
    add("format", "format.toml").write_bytes(form.read_bytes())
    made.append(("result", _result(folder)))
    for number, suffix in enumerate(("png", "jpg")):
        for place in ("train", "test"):
            path = folder / PICTURES / place / "ab"[number] / f"one.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(path)
            if place == "test":
                made.append(("picture", path))
    simple = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    images = torch.rand(4, 1, 4, 4)
    network = tc.convert(simple, tc.QCFS(timesteps=4), example=images, calibration=images)
    tc.save(tc.lower(network), folder / "base.nir")
    trace = tc.simulate(tc.load(folder / "base.nir"), images.numpy(), measure=True)
    write_trace(add("piece", "0.npz"), replace(trace, seconds=0.0), "piece")
    job = Job("base.nir", "0" * 64, "digits", None, 40, "1" * 64, Work(running={"memory": "1GB"}), 10)
    add("shards", "shards/job.json").write_text(json.dumps(job.document(), indent=2) + "\n")
    add("job array", "slurm/job.json").write_text(json.dumps({"job": "17", "tasks": [["0-10", "10-20"], ["20-40"]]}))
    for bits, place in ((8, add("report", "report.json")), (2, folder / "another.json")):
        graph = tc.lower(network, tc.Int8(bits=bits))
        tc.report(graph, images=images.numpy(), labels=[0, 1, 2, 0], path=place.with_suffix(".html"), date="2026-01-01")
    add_networks(add, rng, folder / "base.nir")
    add_data(add, rng)
    add_tables(add, state)
    for _, path in made:
        if path.suffix == ".npz":
            _undated(path)
    return made


def _numbered(path: Path) -> None:
    """The same weights, whose storages are counted: the old format calls them by their addresses."""
    content = path.read_bytes()
    for number, key in enumerate(dict.fromkeys(re.findall(rb"(?<![0-9])[0-9]{8,16}(?![0-9])", content))):
        content = content.replace(key, b"%0*d" % (len(key), number))
    path.write_bytes(content)


def _undated(path: Path) -> None:
    """The same archive without the time at which it was written: equal seeds have to give equal files."""
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w") as new:
        for info in old.infolist():
            plain = zipfile.ZipInfo(info.filename)
            plain.compress_type = info.compress_type
            new.writestr(plain, old.read(info))
    path.write_bytes(content.getvalue())


_GRID = """
[defaults]
model = "digits-cnn"
data = "digits"
limit = 20
[[grid]]
method = ["qcfs", "error-free"]
timesteps = [2, 4]
"""


def _result(folder: Path) -> Path:
    """A finished run of a sweep."""
    grid = folder / "base.toml"
    grid.write_text(_GRID)
    configuration = read_grid(grid).runs[0].configuration
    store = Store(folder / "sweep")
    store.prepare()
    store.write(result(configuration, "done", accuracy=0.5) | {"finished": "2026-01-01T00:00:00Z"})
    return store.path(configuration.id)
