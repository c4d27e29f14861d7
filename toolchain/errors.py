"""Every error a user can cause. The command line prints them as one sentence; the library raises them. And the one
kind of warning that callers may want to tell from others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class ToolchainError(Exception):
    """Base of all errors this package raises on purpose. ``str(error)`` is fit to be shown to a user.

    ``head``, ``items`` and ``tail``: the parts of an error that lists several things (:meth:`listing`), for whoever
    shows them one a line."""

    head: str = ""
    items: tuple[str, ...] = ()
    tail: str = ""

    @classmethod
    def listing(cls, head: str, items: Sequence[str], tail: str = "", most: int | None = None) -> Self:
        """The error ``head: item; item. tail``, with the first ``most`` items and how many more there are."""
        left = 0 if most is None else len(items) - most
        more = f" (and {left} more)" if left > 0 else ""
        end = f"; {tail}" if tail else ""
        error = cls(f"{head}{': ' if head else ''}{'; '.join(items[:most])}{more}{end}")
        error.head, error.items = head, (*items[:most], *([more.strip()] if more else []))
        error.tail = tail
        return error


class UnsupportedOperation(ToolchainError):
    """The network uses an operation that has no spiking counterpart here."""


class ConversionError(ToolchainError):
    """The network can be traced but not converted as asked."""


class RangeError(ToolchainError):
    """A number leaves the range of the integers that have to hold it."""


class GraphError(ToolchainError):
    """A NIR graph is malformed, foreign, damaged or inconsistent."""


class DoesNotFit(ToolchainError):
    """A graph exceeds a limit of its target."""


class TargetUnavailable(ToolchainError):
    """The target's software is not installed here."""


class VerificationMismatch(ToolchainError):
    """Two executions of one graph differ."""


class ArgumentError(ToolchainError, TypeError):
    """A function was called with an argument that it does not have, without one that it needs, with what is no path, or
    with a switch that is neither True nor False."""


class PackageMissing(ToolchainError, ImportError):
    """A package that few people need is not installed here."""


class MissingImplementation(ToolchainError):
    """A neuron kind or an operation lacks code that some part of the toolchain needs for it."""


class DataError(ToolchainError):
    """Input data are missing, malformed or out of range."""


class InputWarning(UserWarning):
    """Images lose much to the input coding, or are unlike those the network was made with."""
