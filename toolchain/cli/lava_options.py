"""Options of ``run`` and ``verify`` for the target ``lava``, and what they print of its speed."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.cli.parser import Parser, UsageError, at_least

if TYPE_CHECKING:
    from toolchain.simulation import Trace

_OPTIONS = ("input", "neuron", "precision", "stock", "workers", "chunk", "resume_dir")


def add_lava(command: Parser) -> None:
    """Options that are left at their defaults for any other target."""
    group = command.add_argument_group("options of the target lava, none of which changes a result")
    group.add_argument("--input", choices=["current", "graded"], help="first layer on the host (default) or in Lava")
    group.add_argument("--neuron", choices=["soft_reset", "atrlif"], help="Lava's own ATRLIF where a layer can be one")
    group.add_argument("--precision", choices=["fixed_pt", "floating_pt"], help="tag of the process models")
    group.add_argument("--stock", action="store_true", default=None, help="Lava's own models of Conv and Dense")
    group.add_argument("--workers", type=at_least(1), metavar="N", help="interpreters that share the images")
    group.add_argument("--chunk", type=at_least(1), metavar="N", help="images per start of an interpreter")
    group.add_argument(
        "--resume", dest="resume_dir", type=Path, metavar="DIR", help="keep finished chunks, go on there"
    )


def lava_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options given, as ``compile`` takes them; refused for another target."""
    given = {name: value for name in _OPTIONS if (value := getattr(args, name)) is not None}
    if given and args.target != "lava":
        name = next(iter(given)).replace("resume_dir", "resume")
        raise UsageError(f"--{name} is an option of --target lava, not of {args.target}")
    return given


@dataclass
class Speed:
    """Wall clock of a target over the batches seen so far, and of Lava's steps where the target tells."""

    images: int = 0
    seconds: float = 0.0
    steps: int = 0
    step_seconds: float = 0.0
    info: dict[str, str] = field(default_factory=dict)

    def add(self, trace: Trace) -> None:
        """The trace of the next images."""
        self.images += trace.images
        self.seconds += trace.seconds
        self.info = trace.info
        steps = int(trace.info.get("lava_steps", 0))
        self.steps += steps
        self.step_seconds += steps * float(trace.info.get("ms_per_step", 0.0)) / 1000

    @property
    def images_per_second(self) -> float | None:
        """With the start of the interpreters."""
        return self.images / self.seconds if self.seconds else None

    @property
    def ms_per_step(self) -> float | None:
        """Milliseconds per Lava step of one interpreter, without its start."""
        return 1000 * self.step_seconds / self.steps if self.step_seconds else None

    @property
    def document(self) -> dict[str, Any]:
        return {"images_per_second": self.images_per_second, "ms_per_step": self.ms_per_step, "target_info": self.info}

    @property
    def lines(self) -> list[str]:
        """``3.1 images/s, 2.40 ms per step``, and which layers are Lava's own neurons."""
        if self.images_per_second is None:
            return []
        step = "" if self.ms_per_step is None else f", {self.ms_per_step:.2f} ms per Lava step"
        lines = [f"{self.images_per_second:.1f} images/s{step}"]
        if "atrlif" in self.info:
            lines += [f"Lava's own neurons: {self.info['atrlif']}", f"ours: {self.info['not_atrlif']}"]
        return lines
