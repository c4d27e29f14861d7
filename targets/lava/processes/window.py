"""Which image and which logical step a process is at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """``images`` windows of ``steps`` steps, one every ``stride``, the first at Lava step ``offset`` (0-based)."""

    offset: int
    steps: int
    images: int
    stride: int

    def at(self, time_step: int) -> tuple[int, int] | None:
        """(image, logical step) at Lava's ``time_step``, which starts at 1; None outside all windows."""
        local = time_step - 1 - self.offset
        image, step = divmod(local, self.stride)
        return (image, step) if 0 <= image < self.images and step < self.steps else None
