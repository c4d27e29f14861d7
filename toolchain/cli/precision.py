"""Weight bits and scales on the command line: ``spikec export`` lowers with them, ``spikec train`` fine-tunes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from toolchain.cli.parser import Parser, UsageError, at_least

if TYPE_CHECKING:
    from toolchain.quantization import Int8
    from toolchain.quantization.scales import Scale

#: What the header of a weights file calls the units it was trained with.
TRAINED = "trained_precision"


def add_precision(command: Parser, flag: str, default: str, help: str) -> None:
    """``--per``, the bits under ``flag``, ``--override``, ``--scale``; None where not given."""
    command.add_argument(flag, dest="bits", type=at_least(2), metavar="B", help=help)
    command.add_argument("--per", choices=("layer", "channel"), help="one weight scale per layer (default) or channel")
    command.add_argument(
        "--override",
        action="append",
        type=option,
        default=[],
        metavar="LAYERS=B",
        help="other weight bits for layers whose name matches, such as 'classifier.*=6'; may be repeated",
    )
    command.add_argument(
        "--scale",
        choices=("max", "power_of_two", "spikes"),
        help="choice of the weight scale: largest weight, power of two, or the one that changes fewest spike counts "
        f"(default {default})",
    )


def option(text: str) -> tuple[str, int | float | str]:
    """Argument type: NAME=VALUE, the value a number where it can be one."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def chosen_precision(args: argparse.Namespace, scale: Scale) -> Int8:
    """The precision the words ask for; 8 bits per layer and ``scale`` where they say nothing."""
    import toolchain as tc

    overrides = {name: _bits(name, value) for name, value in args.override}
    bits = 8 if args.bits is None else args.bits
    return tc.Int8(per=args.per or "layer", bits=bits, scale=args.scale or scale, overrides=overrides)


def export_precision(args: argparse.Namespace, info: dict[str, Any]) -> Int8:
    """The precision to lower with: that of the words, or where they say nothing the one that the weights were
    fine-tuned with, as ``info``, the header of their file, tells."""
    import toolchain as tc

    trained = info.get(TRAINED)
    if trained is None or args.bits is not None or args.per is not None or args.scale is not None or args.override:
        return chosen_precision(args, "max")
    for name in ("method", "format"):
        if getattr(args, name) != trained[name]:
            raise UsageError(
                f"the weights were fine-tuned for --{name} {trained[name]}, not {getattr(args, name)}: give that, or "
                "--bits to round them anew"
            )
    return tc.Int8(**{name: trained[name] for name in ("per", "bits", "scale", "overrides", "units")})


def _bits(name: str, value: int | float | str) -> int:
    if not isinstance(value, int):
        raise UsageError(f"--override {name}={value}: bits must be a whole number between 2 and 8")
    return value
