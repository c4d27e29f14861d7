"""Weight bits and scales on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from spikec import defaults
from spikec.cli.parser import UsageError

if TYPE_CHECKING:
    from spikec.quantization import Int8
    from spikec.quantization.scales import Scale


def overrides(words: Iterable[tuple[str, int | float | str]]) -> dict[str, int]:
    """Weight bits by pattern, from the words of ``--override``."""
    found = {}
    for name, value in words:
        if not isinstance(value, int):
            raise UsageError(f"--override {name}={value}: bits must be a whole number between 2 and 8")
        found[name] = value
    return found


def chosen_precision(args: argparse.Namespace, scale: Scale) -> Int8:
    """The precision the arguments ask for; 8 bits per layer and ``scale`` for what they leave open."""
    from spikec.quantization import Int8

    bits = defaults.BITS if args.bits is None else args.bits
    return Int8(per=args.per or defaults.PER, bits=bits, scale=args.scale or scale, overrides=overrides(args.override))
