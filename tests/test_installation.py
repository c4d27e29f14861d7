"""Installed, the distribution offers ``spikec`` and nothing else, and works where a user has packages called as our
folders are."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import spikec

ROOT = Path(spikec.__file__).resolve().parent.parent
FOLDERS = {"toolchain": "spikec", "targets": "spikec/targets", "models": "spikec/models"}


def _tracked(*folders: str) -> list[str]:
    """Files of the checkout, new ones too."""
    command = ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", *folders]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout")
    return listed.stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout; setuptools is that of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    for name in _tracked():
        if name.split("/")[0] in (*FOLDERS, "pyproject.toml", "setup.py", "README.md", "LICENSE"):
            source, target = ROOT / name, copy / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, copy]
    subprocess.run(command, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_one_package_and_all_of_it(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in held} == {"spikec"}
    wanted = set()
    for name in _tracked(*FOLDERS):
        folder, _, rest = name.partition("/")
        if (ROOT / name).is_file():
            wanted.add(f"{FOLDERS[folder]}/{rest}")
    assert held == wanted


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A user's folder with packages of the names of our folders, one of which holds a network."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise_on_use = True\n")
    (tmp_path / "models" / "nets.py").write_text(
        "from torch import nn\n\n\ndef mlp():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))\n"
    )
    return tmp_path


def _spikec(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spikec", *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def _use(folder: Path, **environment: str) -> None:
    """The way of a network of the user's own, through commands that import every part of ours."""
    code = "import spikec as tc, spikec.targets, spikec.models, models, targets, toolchain; print(models.raise_on_use)"
    imported = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert imported.stdout.strip() == "True", imported.stderr
    for words in (
        ("--help",),
        ("export", "models.nets:mlp", "-T", "2", "-o", "net.nir"),
        ("inspect", "net.nir"),
        ("run", "net.nir", "--limit", "5"),
        ("verify", "net.nir", "--target", "golden", "--limit", "2"),
        ("ranges", "net.nir"),
        ("check", "net.nir"),
        ("map", "net.nir", "--svg", "map.svg"),
        ("energy", "net.nir", "--limit", "5"),
        ("report", "net.nir", "--limit", "5", "-o", "report.html"),
        ("diff", "net.nir", "net.nir"),
        ("doctor", "--quick"),
    ):
        done = _spikec(folder, *words, **environment)
        assert done.returncode == 0, (words, done.stderr)


@pytest.mark.thorough
def test_beside_packages_of_the_same_names_in_this_environment(crowded):
    _use(crowded)


@pytest.mark.thorough
def test_beside_packages_of_the_same_names_from_the_wheel(crowded, wheel, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(command, check=True)
    where = _python(crowded, "import spikec; print(spikec.__file__)", PYTHONPATH=str(site))
    assert Path(where).is_relative_to(site)
    _use(crowded, PYTHONPATH=str(site))


def _python(folder: Path, code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
