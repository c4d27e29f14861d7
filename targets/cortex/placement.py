"""A microcontroller has one core, which computes every neuron from one memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spikec.errors import DoesNotFit, ToolchainError
from spikec.ir.graph import IntegerGraph
from spikec.ir.types import Int64, Shape
from spikec.targets.cores import Core, Hops, Slice, Usage
from spikec.targets.cortex.limits import Limits
from spikec.targets.cortex.needs import least_flash, needs_of
from spikec.targets.placed import ShownPlacement
from spikec.terminal import in_markup

_WORDS = {"flash": "flash", "ram": "RAM"}


@dataclass(frozen=True, repr=False)
class Placement(ShownPlacement):
    """Everything on one core: no message is sent. Fields as those of :class:`spikec.targets.chips.Placement`."""

    target: str
    cores: tuple[Core, ...]
    assumptions: tuple[str, ...]
    shapes: Mapping[str, Shape] = field(repr=False)
    chips: int = 1
    lower_bound: int = 1
    shared: bool = True
    population_axons: tuple[str, ...] = ()

    @property
    def cores_of(self) -> dict[str, int]:
        return dict.fromkeys(self.shapes, 1)

    @property
    def core_of(self) -> dict[str, Int64]:
        return {layer: np.zeros(shape, np.int64) for layer, shape in self.shapes.items()}

    @property
    def places(self) -> Int64:
        return np.zeros((1, 3), np.int64)

    def messages(self, layer: str) -> Int64:
        return np.zeros(self.shapes[layer], np.int64)

    def hops(self, layer: str) -> Hops:
        none = self.messages(layer)
        return Hops(none, none, none)

    def messages_into(self, layer: str, spikes: Int64) -> Int64:
        return np.zeros(1, np.int64)

    def routes(self, layer: str, spikes: Int64) -> Int64:
        return np.zeros((0, 3), np.int64)

    def svg(self) -> str:
        """A bar for each memory, filled as far as it is used."""
        return _drawn(self.target, self.cores[0].usage)


def place(net: IntegerGraph, limits: Limits) -> Placement:
    """Raises ``DoesNotFit`` where the constants exceed the flash or the state the RAM, since a network cannot be
    divided, and where it cannot be written in C."""
    least = least_flash(net)
    if least > limits["flash"]:
        raise DoesNotFit(f"weights take at least {least} bytes of flash, {limits.title} has {limits['flash']}")
    try:
        needs = needs_of(net)
    except ToolchainError as refusal:
        raise DoesNotFit(str(refusal)) from refusal
    usage = {"flash": (needs.flash, limits["flash"]), "ram": (needs.ram, limits["ram"])}
    beyond = [f"{used} bytes of {_WORDS[key]}, limit {limit}" for key, (used, limit) in usage.items() if used > limit]
    if beyond:
        raise DoesNotFit(f"the network takes {' and '.join(beyond)} on {limits.title}, which is one core")
    slices = tuple(Slice(layer.name, tuple((0, n) for n in layer.shape)) for layer in net.layers)
    kept = f"{limits['flash_kept']} bytes of flash for instructions and {limits['ram_kept']} bytes of RAM for the stack"
    assumptions = ("flash is the constants of the generated C, ram its state", f"{kept} are not counted as used")
    shapes = {layer.name: layer.shape for layer in net.layers}
    return Placement(limits.name, (Core(0, 0, slices, usage),), assumptions, shapes)


def _drawn(title: str, usage: Usage) -> str:
    width, bar, line = 420, 18, 46
    rows = []
    for row, (key, (used, limit)) in enumerate(usage.items()):
        y = 40 + row * line
        full = round(width * used / limit, 1)
        rows += [
            f'<text x="20" y="{y}">{_WORDS[key]}: {used:,} of {limit:,} bytes</text>',
            f'<rect x="20" y="{y + 6}" width="{width}" height="{bar}" fill="#eef0f2"/>',
            f'<rect x="20" y="{y + 6}" width="{full}" height="{bar}" fill="#3b6fb6"/>',
        ]
    height = 40 + len(usage) * line
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 40} {height}" width="{width + 40}" '
        f'height="{height}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="20" y="20" font-weight="bold">{in_markup(title)}</text>{"".join(rows)}</svg>\n'
    )
