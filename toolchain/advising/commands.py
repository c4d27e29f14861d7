"""The commands that make what is recommended."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from spikec.advising.trials import Trial
from spikec.conversion import methods
from spikec.conversion.methods.base import training_of
from spikec.deployment.configuration import SETTINGS, Configuration
from spikec.deployment.settings import flag

#: The largest number of levels that training is suggested with; beyond, a level is finer than training can use.
_MOST_LEVELS = 15


def written_down(given: Mapping[str, Any]) -> str:
    """The command line that a file keeps: without its own name, and without what holds anyway."""
    anyway = {
        each.name: each.default
        for each in fields(Configuration)
        if each.name in SETTINGS and not (SETTINGS[each.name].derived or SETTINGS[each.name].precision)
    }
    kept = {name: value for name, value in given.items() if anyway.get(name, ...) != value}
    method = methods().get(str(given.get("method", Configuration.method)))
    if kept.get("options") and method is not None:
        own = {each.name: str(each.default) for each in fields(method)}
        kept["options"] = {name: value for name, value in kept["options"].items() if own.get(name) != str(value)}
    return export_command(kept, None)


def export_command(given: Mapping[str, Any], out: str | None) -> str:
    """``spikec export`` with the fields ``given``, in the order of its help; ``out`` None: without the file."""
    words: list[str] = []
    for name, about in SETTINGS.items():
        value = given.get(name)
        if not about.command or value is None or value is False or value == {}:
            continue
        option = flag(name, about)
        if not option.startswith("-"):
            words.append(str(value))
        elif about.table:
            words += [word for key, item in value.items() for word in (option, f"{key}={item}")]
        else:
            words += [option] if about.switch else [option, str(value)]
    return shlex.join(["spikec", "export", *words, *([] if out is None else ["-o", out])])


def train_command(trial: Trial, out: str) -> str:
    """``spikec train``: fine-tunes the network with as many levels as the neurons of ``trial`` tell apart."""
    given = trial.given
    training = training_of(methods()[trial.configuration.method])
    words = [str(given["model"])]
    for name in ("weights", "weights_entry", "data", "data_root", "max_pool"):
        if given.get(name) is not None:
            words += [flag(name, SETTINGS[name]), str(given[name])]
    levels = min(trial.resolution, _MOST_LEVELS)
    return shlex.join(["spikec", "train", *words, "--method", training, "--levels", str(levels), "-o", out])
