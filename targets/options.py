"""A target states its own options, so the command line can offer them without a list of its own.

If the class of a target has an attribute ``options``, an :class:`Options`, ``spikec run`` and ``verify`` offer them. A
dataclass can state an option in each field, with :func:`option`; :func:`options_of` collects them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from spikec.errors import DataError


@dataclass(frozen=True)
class Option:
    """One option: a keyword ``name`` of the target's ``compile``, or of its program's ``run`` (``at`` says which).

    On the command line it is ``--flag VALUE``; ``flag`` is ``name`` unless given. The value is one of ``choices``, or a
    whole number of at least ``least``, or what ``parse`` makes of the word; ``parse`` raises ``ToolchainError`` for a
    wrong word. A ``switch`` takes no value. ``metavar`` stands for the value in the help. ``changes``: the option may
    change results, so comparisons do not offer it.
    """

    name: str
    help: str
    flag: str = ""
    at: Literal["compile", "run"] = "compile"
    choices: tuple[str, ...] = ()
    least: int | None = None
    parse: Callable[[str], Any] | None = None
    switch: bool = False
    metavar: str | None = None
    changes: bool = False

    @property
    def word(self) -> str:
        """The option as it is typed: ``--early-exit``."""
        return f"--{(self.flag or self.name).replace('_', '-')}"


@dataclass(frozen=True)
class Options:
    """The options of one target, under a ``title``."""

    title: str
    options: tuple[Option, ...]


def early_exit(at: Literal["compile", "run"]) -> Option:
    """``--early-exit margin[:X]``, of targets that can stop an image as the golden model does."""
    return Option(
        "early_exit",
        "stop an image when no further step can change its class (proven); with X, also when its largest logit leads "
        "by X",
        at=at,
        parse=margin,
        metavar="margin[:X]",
        changes=True,
    )


def margin(text: str) -> str | float:
    """``margin`` as it is, the number X of ``margin:X``. Raises ``DataError`` for anything else."""
    name, _, number = text.partition(":")
    try:
        value = float(number) if number else None
    except ValueError:
        value = float("nan")
    if name != "margin" or (value is not None and not 0 < value < float("inf")):
        raise DataError(f"{text!r}: write margin, or margin:X with X logits, e.g. margin:1.5")
    return name if value is None else value


def option(default: Any, help: str, **about: Any) -> Any:
    """A dataclass field that is an option of a target. ``about``: further fields of its :class:`Option`."""
    return field(default=default, metadata={"option": (help, about)})


def options_of(cls: type, title: str) -> Options:
    """The options that a dataclass states with :func:`option`, in the order of its fields."""
    stated = {each.name: each.metadata["option"] for each in fields(cls) if "option" in each.metadata}
    return Options(title, tuple(Option(name, help, **about) for name, (help, about) in stated.items()))
