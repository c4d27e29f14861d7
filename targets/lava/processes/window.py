"""Which image and which logical step a process is at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Window:
    """``images`` windows of ``steps`` logical steps, one window every ``stride`` Lava steps, the first at Lava step
    ``offset`` (0-based). A logical step takes ``pace`` Lava steps; things happen at the first of them."""

    offset: int
    steps: int
    images: int
    stride: int
    pace: int = 1

    @classmethod
    def of(cls, get: Callable[[str], Any], delay: int = 0) -> Window:
        """The window that the parameters of a process name, ``delay`` Lava steps later."""
        return cls(get("offset") + delay, get("steps"), get("images"), get("stride"), get("pace"))

    def at(self, time_step: int) -> tuple[int, int] | None:
        """(image, logical step) at Lava's ``time_step``, which starts at 1; None outside all windows, and between
        logical steps."""
        image, within = divmod(time_step - 1 - self.offset, self.stride)
        step, rest = divmod(within, self.pace)
        return (image, step) if 0 <= image < self.images and step < self.steps and not rest else None
