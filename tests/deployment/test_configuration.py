"""A configuration is written once: identities that stay, words that agree, options and grid keys from its fields."""

import dataclasses
import json
from typing import get_args, get_type_hints

import pytest

from spikec import defaults
from spikec.cli import main
from spikec.conversion import methods
from spikec.conversion.methods.base import default_timesteps
from spikec.deployment import Configuration, checks
from spikec.deployment.configuration import SETTINGS
from spikec.deployment.settings import Setting, defaults_of, setting, settings_of
from spikec.energy import profile_names
from spikec.ir.types import Schedule
from spikec.quantization import Int8
from spikec.quantization.scales import Scale
from spikec.sweeping import read_grid

#: Computed before fields had settings; results of old sweeps are found by it.
OLD = {
    "model": "m",
    "weights": None,
    "data": "digits",
    "data_root": "x",
    "max_pool": None,
    "method": "qcfs",
    "options": {},
    "timesteps": 4,
    "schedule": "pipelined",
    "per": "layer",
    "bits": 8,
    "override": {},
    "scale": "max",
    "format": "generic24",
    "limit": None,
    "calibration": 256,
    "seed": 0,
    "energy": [],
    "as_trained": False,
    "files": {},
}
OLD_ID = "feae7c438d0c"


def test_identities_stay():
    made = Configuration.from_json(OLD)
    assert made.id == OLD_ID
    assert made.to_json() == OLD
    assert list(made.to_json()) == list(OLD)


@pytest.mark.parametrize("name", [name for name, about in SETTINGS.items() if about.identity == "unless default"])
def test_later_fields_change_the_identity_where_they_say_something(name):
    assert dataclasses.replace(Configuration.from_json(OLD), **{name: "said"}).id != OLD_ID


def test_a_field_with_a_name_or_a_number_has_a_check():
    """What no check looks at could be anything in a grid file."""
    for name, about in SETTINGS.items():
        if about.grid:
            assert about.check or about.choices or about.least is not None or about.path or about.switch, name


def test_words_agree_with_those_of_the_types():
    """They stand twice, since the command line builds its options without torch."""
    assert SETTINGS["schedule"].choices == get_args(Schedule)
    assert SETTINGS["scale"].choices == get_args(Scale)
    assert SETTINGS["per"].choices == get_args(get_type_hints(Int8)["per"])
    assert default_timesteps(methods()[defaults.METHOD]) == defaults.TIMESTEPS
    assert {name: getattr(Int8(), name) for name in ("per", "bits", "scale")} == {
        name: defaults_of(Configuration)[name] for name in ("per", "bits", "scale")
    }


def test_every_field_is_an_option_or_a_key_or_derived():
    derived = {"as_trained", "data_assumed", "files"}
    assert {each.name for each in dataclasses.fields(Configuration)} == derived | {
        name for name, about in SETTINGS.items() if about.command or about.grid or name == "options"
    }


@pytest.fixture
def flavour(monkeypatch):
    """One more field, declared once, as if it stood in :class:`Configuration`."""

    @dataclasses.dataclass(frozen=True)
    class More:
        flavour: str = setting("sweet", "taste of it (default {default})", choices=("sweet", "sour"))

    monkeypatch.setitem(SETTINGS, "flavour", settings_of(More)["flavour"])
    return "flavour"


def test_a_new_field_is_an_option(flavour, capsys):
    assert main(["export", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--flavour {sweet,sour}" in out
    assert "taste of it (default " in out
    assert main(["export", "digits-cnn", "--flavour", "swet", "-o", "x.nir"]) == 1
    assert "did you mean 'sweet'?" in capsys.readouterr().err


def test_a_new_field_is_a_grid_key(flavour):
    assert SETTINGS["flavour"].wrong("sour") is None
    assert SETTINGS["flavour"].wrong("swet") == "unknown 'swet', did you mean 'sweet'?"
    assert settings_of(Configuration)["bits"].wrong(9) == "must be a whole number between 2 and 8, not 9"


@pytest.mark.parametrize(
    ("about", "right", "wrong"),
    [
        (Setting(least=1), 3, 0),
        (Setting(choices=("a", "b")), "a", "c"),
        (Setting(path=True), __file__, "absent"),
        (Setting(check=checks.energy), list(profile_names())[:1], ["absent"]),
        (Setting(switch=True), True, 1),
        (Setting(number=True), 0.5, "half"),
        (Setting(), "text", 3),
    ],
)
def test_values_are_checked(about, right, wrong):
    assert about.wrong(right) is None
    assert about.wrong(wrong)


def test_grids_and_configurations_in_python_agree():
    (run,) = read_grid({"run": [{"model": "digits-cnn"}]}).runs
    plain = Configuration("digits-cnn", schedule="pipelined", files=run.configuration.files)
    assert run.configuration == plain
    assert json.loads(json.dumps(plain.to_json())) == plain.to_json()
