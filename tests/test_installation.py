"""Installed, the distribution offers ``spikec`` and nothing else, and works where a user has packages called as our
folders are."""

from __future__ import annotations

import os
import re
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


def test_links_have_the_layout_of_the_installed_package(tmp_path):
    """For tools that read files: ``.ci/links``, run in a copy."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/links").write_bytes((ROOT / ".ci/links").read_bytes())
    for place in ("toolchain/ir/graph.py", "toolchain/version.py", "targets/lava/job.py", "models/zoo.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"# {place}\n")
    for _ in range(2):
        subprocess.run(["bash", tmp_path / ".ci/links"], check=True)
    for name in ("ir/graph.py", "version.py", "targets/lava/job.py", "models/zoo.py"):
        place = f"toolchain/{name}" if name[0] in "iv" else name
        assert (tmp_path / ".links/spikec" / name).resolve() == tmp_path / place
    (tmp_path / ".links/spikec/targets/lava/job.py").write_text("edited")
    assert (tmp_path / "targets/lava/job.py").read_text() == "edited"


def test_tools_that_read_files_look_at_the_links():
    settings = (ROOT / "pyproject.toml").read_text()
    assert 'mypy_path = ".links"' in settings
    assert '[tool.pyright]\nextraPaths = [".links"]' in settings
    recipe = (ROOT / "Makefile").read_text().split("\ncheck:")[1].split("\n\n")[0]
    assert recipe.index(".ci/links") < recipe.index("mypy") < recipe.index("PYTHONPATH=.links .venv/bin/lint-imports")


def test_the_repository_holds_no_links_and_no_folder_of_the_package():
    command = ["git", "-C", ROOT, "ls-files", "-s"]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout")
    assert not [line for line in listed.stdout.splitlines() if line.startswith("120000")]
    assert not (ROOT / "src").exists()


def test_what_make_and_continuous_integration_run():
    """As CONTRIBUTING.md says."""
    recipes = dict(re.findall(r"^([\w-]+):[^\n]*\n((?:\t[^\n]*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert "-m pytest" in recipes["test"]
    assert "-m thorough" in recipes["thorough"]
    for tool in ("ruff check .", "ruff format --check .", "-m mypy", "lint-imports"):
        assert tool in recipes["check"]
    for benchmark in ("docs_commands", "notebooks", "example_scripts"):
        assert f"-m benchmarks.{benchmark}\n" in recipes["docs-run"]
    run = re.findall(r"^make (.*)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert {word for words in run for word in words.split()} == {
        "check", "test", "test-core", "thorough", "fuzz", "docs", "docs-run"
    }  # fmt: skip
    assert 'license = "BSD-3-Clause"' in (ROOT / "pyproject.toml").read_text()
