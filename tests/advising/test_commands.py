"""The printed commands, read by the parser of the command line: they state exactly the fields that were given."""

import shlex

import pytest

from spikec.advising.commands import export_command, train_command
from spikec.advising.portfolio import PORTFOLIO
from spikec.advising.trials import PURPOSES, trials_of
from spikec.cli import build_parser
from spikec.cli.parser import parse
from spikec.cli.settings import given
from spikec.deployment.configuration import DEFAULTS, SETTINGS

_FIELDS = [name for name, about in SETTINGS.items() if about.command and name != "model"]


def _sample(name):
    """A value that is not the default."""
    about = SETTINGS[name]
    if about.choices:
        return next(choice for choice in about.choices if choice != DEFAULTS[name])
    if about.table:
        return {"a.*": 3, "b": 4}
    if about.least is not None:
        return about.least + 1
    return True if about.switch else 0.5 if about.number else "a name with 'quotes'"


def _read(command):
    program, *words = shlex.split(command)
    assert program == "spikec"
    return parse(build_parser(), words)


@pytest.mark.parametrize("name", _FIELDS)
def test_every_field_can_be_stated(name):
    fields = {"model": "m.py:net", name: _sample(name)}
    args = _read(export_command(fields, "out.nir"))
    stated = {key: value for key, value in given(args).items() if value != DEFAULTS.get(key)}
    assert stated == fields
    assert str(args.out) == "out.nir"


def test_training_for_a_trial_takes_its_network_and_its_levels(tmp_path):
    shared = {"model": "m.py:net", "weights": "w.pt", "data": "npz:a b.npz", "max_pool": "average"}
    line = {"method": "error-free", "timesteps": 2, "options": {}}
    (trial,) = trials_of([line], shared)
    args = _read(train_command(trial, str(tmp_path / "t.safetensors")))
    assert (args.model, str(args.weights), args.data, args.max_pool) == tuple(shared.values())
    assert (args.method, args.levels) == ("error-free", 3)


def test_a_short_budget_tries_something_for_each_purpose_first():
    first = trials_of(PORTFOLIO[: len(PURPOSES)], {"model": "digits-cnn"})
    assert {trial.purpose for trial in first} == set(PURPOSES)
