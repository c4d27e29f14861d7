"""Wall clock of a target, and what ``run`` and ``verify`` print of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.simulation import Trace


@dataclass
class Speed:
    """Wall clock of a target over the batches seen so far, and of its own steps if it has them, as Lava does."""

    images: int = 0
    seconds: float = 0.0
    steps: int = 0
    step_seconds: float = 0.0
    info: dict[str, str] = field(default_factory=dict)

    def add(self, trace: Trace) -> None:
        """The trace of the next images."""
        self.images += trace.images
        self.seconds += trace.seconds
        self.info = dict(trace.info)
        own = trace.target_steps
        if own is None:
            return
        self.steps += own.steps
        self.step_seconds += own.seconds
        self.info |= {
            "processes": str(own.processes),
            "lava_steps": str(own.steps),
            "ms_per_step": f"{own.ms_per_step:.4g}",
            "latency_steps": str(own.latency),
        }

    @property
    def images_per_second(self) -> float | None:
        """Images per second, the start of the interpreters included; None if no time was measured."""
        return self.images / self.seconds if self.seconds else None

    @property
    def ms_per_step(self) -> float | None:
        """Milliseconds per step of one interpreter, without its start."""
        return 1000 * self.step_seconds / self.steps if self.step_seconds else None

    @property
    def document(self) -> dict[str, Any]:
        return {"images_per_second": self.images_per_second, "ms_per_step": self.ms_per_step, "target_info": self.info}

    @property
    def lines(self) -> list[str]:
        """``3.1 images/s, 2.40 ms per Lava step``, and which layers are Lava's own neurons."""
        if self.images_per_second is None:
            return []
        step = "" if self.ms_per_step is None else f", {self.ms_per_step:.2f} ms per Lava step"
        lines = [f"{self.images_per_second:.1f} images/s{step}"]
        for own in ("lif", "atrlif"):
            if own in self.info:
                lines += [f"Lava's own neurons: {self.info[own]}", f"ours: {self.info[f'not_{own}']}"]
        return lines
