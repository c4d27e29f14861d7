"""How long and in which order the layers of a network run."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.ir.types import Schedule


@dataclass(frozen=True)
class Timing:
    """How long the layers of a network run: T = ``timesteps``, then ``drain`` steps with image and biases off.

    ``rehearsal``: steps that some layer runs before it chooses its starting membrane; every layer then emits for at
    least as many steps.
    """

    timesteps: int
    schedule: Schedule
    drain: int = 0
    rehearsal: int = 0

    @property
    def counted_steps(self) -> int:
        """Steps that counts and readout take: T + drain."""
        return self.timesteps + self.drain

    @property
    def emission_steps(self) -> int:
        """Steps every population emits: T + drain, or the rehearsal where that is longer."""
        return max(self.counted_steps, self.rehearsal)

    @property
    def driven_steps(self) -> int:
        """Steps in which image and biases are on."""
        return self.emission_steps - self.drain
