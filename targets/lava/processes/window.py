"""Which images and which logical step a process is at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Window:
    """Windows of ``steps`` logical steps, one window every ``stride`` Lava steps, the first at Lava step ``offset``
    (0-based). A logical step takes ``pace`` Lava steps; things happen at the first of them. Each window is for
    ``abreast`` of the ``images``, the last one for those that are left."""

    offset: int
    steps: int
    images: int
    stride: int
    pace: int = 1
    abreast: int = 1

    @classmethod
    def of(cls, get: Callable[[str], Any], delay: int = 0) -> Window:
        """The window that the parameters of a process name, ``delay`` Lava steps later."""
        names = ("steps", "images", "stride", "pace", "abreast")
        return cls(get("offset") + delay, *(get(name) for name in names))

    def at(self, time_step: int) -> tuple[int, int] | None:
        """(window, logical step) at Lava's ``time_step``, which starts at 1; None outside all windows, and between
        logical steps."""
        window, within = divmod(time_step - 1 - self.offset, self.stride)
        step, rest = divmod(within, self.pace)
        return (window, step) if 0 <= window < self.windows and step < self.steps and not rest else None

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return -(-self.images // self.abreast)

    def rows(self, window: int) -> slice:
        """The images of a window."""
        return slice(window * self.abreast, min((window + 1) * self.abreast, self.images))
