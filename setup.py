"""Maps the folders of the repository to the one package that is installed; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

FOLDERS = {"spikec": "toolchain", "spikec.targets": "targets", "spikec.models": "models"}

setup(
    package_dir=FOLDERS,
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in (package, *(f"{package}.{inner}" for inner in find_packages(folder)))
    ],
)
