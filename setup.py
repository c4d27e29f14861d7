"""Maps the folders of the repository to the one package that is installed, and reads its version where it is written;
everything else is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "toolchain" / "version.py").read_text("utf-8"), re.MULTILINE)
FOLDERS = {"spikec": "toolchain", "spikec.targets": "targets", "spikec.models": "models"}

setup(
    version=VERSION[1],
    package_dir=FOLDERS,
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in (package, *(f"{package}.{inner}" for inner in find_packages(folder)))
    ],
)
