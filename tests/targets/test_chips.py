"""Chips of other packages, found by their entry points, and their data files, found without importing them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spikec.analysis import formats
from spikec.analysis.formats import load_format
from spikec.analysis.widths import signed_bits
from spikec.data_files import chip_files
from spikec.energy.profile import profile_names
from spikec.errors import ToolchainError
from spikec.targets.chips import chip_names, get_chip, placed

OWN = Path(formats.__file__).parent / "number_formats"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution with the chip ``walnut``: code that must not be imported for its data, and a number format."""
    package = tmp_path / "nuts" / "brown"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('imported')\n")
    own = chip_files("format", OWN)["generic24"].read_text()
    (package / "format_walnut.toml").write_text(own.replace('name = "generic24"', 'name = "walnut"'))
    metadata = tmp_path / "nuts-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: nuts\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[spikec.chips]\nwalnut = nuts.brown:Walnut\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "nuts"]:
        del sys.modules[name]


def test_a_chip_of_another_package_is_found_with_its_data(installed):
    assert chip_names() == ["cortex-m4", "loihi1", "loihi2", "walnut"]
    assert load_format("walnut").name == "walnut"
    assert "nuts" not in sys.modules
    with pytest.raises(ImportError, match="imported"):
        get_chip("walnut")


def test_chips_name_their_numbers_and_their_energy_profile():
    for name in chip_names():
        chip = get_chip(name)
        assert (chip.name, chip.form.name) == (name, name)
        assert chip.profile is None or chip.profile in profile_names()
        assert all(limit.source for limit in chip.limits.values())


def test_an_unknown_chip_and_a_profile_of_no_chip(network):
    with pytest.raises(ToolchainError, match="unknown chip 'loihi3', did you mean 'loihi2'"):
        get_chip("loihi3")
    assert placed(network(), "cmos45") is None
    assert placed(network(), "loihi1").target == "loihi1"


def test_widths_by_trying_every_one():
    for low in range(-17, 18):
        for high in range(low, 18):
            fits = next(n for n in range(1, 9) if -(2 ** (n - 1)) <= low and high < 2 ** (n - 1))
            assert signed_bits(low, high) == fits
