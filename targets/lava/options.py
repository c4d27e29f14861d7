"""The options of the target ``lava``, as the API and the command line take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from spikec.errors import ToolchainError
from spikec.targets.lava.paths import InputCoding
from spikec.targets.options import option
from spikec.words import option as said

#: Which neurons are Lava's own.
Neuron = Literal["lif", "soft_reset", "atrlif"]


@dataclass(frozen=True)
class LavaOptions:
    """How a graph is run. None of the options changes a result.

    ``neuron``: "lif" (Lava's own ``LIFReset`` for every population of leaky neurons that it can replace, our processes
    for all others), "soft_reset" (our processes everywhere) or "atrlif" (an independent cross-check: Lava's own
    ``ATRLIF`` for every population that it can replace, ours elsewhere; runs one image at a time). Membranes of Lava's
    own neurons are not seen.
    ``precision``: the tag of the process models; "floating_pt" computes the same integers in float64, with Lava's own
    ``Conv`` and ``Dense``. ``input``: "current" (the host computes the first layer's integer current; its neurons add
    it) or "graded" (the image is sent as graded spikes, as sequences always are). ``stock``: Lava's own models of
    ``Conv`` and ``Dense`` instead of the fast ones. ``models``: drop-in models by Process class,
    ``{"SoftResetIF": "module:class"}``. ``abreast``: images that go through the processes side by side, at most; by
    default as many as memory holds, and one where Lava's own ``Conv`` and ``Dense``, ``ATRLIF`` or ``models`` take no
    more. ``workers``: interpreters that share the images, at most: none is started for fewer images than fill two
    windows. ``chunk``: images per interpreter start; by default, as many as 256 MiB of files hold.
    ``stall_seconds``: give up if no process advances for so long (at least a minute while starting).
    ``resume_dir``: a folder for the results of finished chunks (50 images by default); those already there are reused.
    ``progress``: called with (images done, images).
    """

    input: InputCoding = option(
        "current", "first layer on the host (default) or in Lava", choices=("current", "graded")
    )
    neuron: Neuron = option(
        "lif",
        "Lava's own LIF where a leaky layer can be one (default), our processes only, or Lava's own ATRLIF where a "
        "layer can be one",
        choices=get_args(Neuron),
    )
    precision: Literal["fixed_pt", "floating_pt"] = option(
        "fixed_pt", "tag of the process models", choices=("fixed_pt", "floating_pt")
    )
    stock: bool = option(False, "Lava's own models of Conv and Dense", switch=True)
    models: Mapping[str, str] = field(default_factory=dict)
    abreast: int | None = option(None, "images side by side in each process", least=1, metavar="N")
    workers: int = option(1, "interpreters that share the images, at most", least=1, metavar="N")
    chunk: int | None = option(None, "images per start of an interpreter", least=1, metavar="N")
    stall_seconds: float = 120.0
    resume_dir: str | Path | None = option(
        None, "keep finished chunks, go on there", flag="resume", parse=Path, metavar="DIR"
    )
    progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if self.input not in ("current", "graded"):
            raise ToolchainError(f"input is {self.input!r}; give 'current' or 'graded'")
        if self.neuron not in get_args(Neuron):
            raise ToolchainError(f"neuron is {self.neuron!r}; give 'lif', 'soft_reset' or 'atrlif'")
        if self.precision not in ("fixed_pt", "floating_pt"):
            raise ToolchainError(f"precision is {self.precision!r}; give 'fixed_pt' or 'floating_pt'")
        if self.neuron == "atrlif" and self.precision == "floating_pt":
            raise ToolchainError(
                f"{said('neuron', 'atrlif')} is a check of the integers: it needs {said('precision', 'fixed_pt')}"
            )
        if (self.abreast or 1) > 1 and (alone := self.one_image_at_a_time):
            raise ToolchainError(
                f"{said('abreast', self.abreast)} does not go with {alone}: there, a process carries one image"
            )
        for name in ("abreast", "workers", "chunk", "stall_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ToolchainError(f"{name} is {value}; give a positive number")

    @property
    def one_image_at_a_time(self) -> str:
        """The options by which processes carry one image; empty where they can carry several."""
        if self.neuron == "atrlif":
            return said("neuron", self.neuron)
        if self.precision == "floating_pt":
            return said("precision", self.precision)
        if self.models.keys() & {"Conv", "Dense"}:
            return "models of Conv or Dense"
        return said("stock", True) if self.stock else ""
