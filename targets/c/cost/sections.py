"""Flash and RAM of the generated code, sorted by what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikec.targets.c.code import Memory

#: What the first word of an array's name says.
_CONSTANTS = {
    "w": "weights",
    "to": "weights",
    "starts": "weights",
    "bias": "biases",
    "theta": "thresholds",
    "negative": "thresholds",
    "start": "initial membranes",
}
_STATE = {
    "v": "membranes",
    "x": "image, summed once",
    "e": "emissions",
    "z": "sums of a step",
    "d": "sums of a step",
    "i": "sums of a step",
}
_OTHER = "other"


@dataclass(frozen=True)
class Sections:
    """Bytes by what they are. ``constants`` lie in flash, ``state`` in RAM; ``turns``: bytes of RAM that layers use one
    after the other, and ``sharing``: what lies in them, which together may be more."""

    constants: Mapping[str, int]
    state: Mapping[str, int]
    turns: int
    sharing: Mapping[str, int]

    @property
    def flash(self) -> int:
        return sum(self.constants.values())

    @property
    def ram(self) -> int:
        return sum(self.state.values()) + self.turns


def sections(memory: Memory) -> Sections:
    """The same bytes as in ``memory``, by what they are."""
    state, sharing = _sorted(memory.state, _STATE), _sorted(memory.parts, _STATE)
    return Sections(_sorted(memory.constants, _CONSTANTS), state, memory.shared, sharing)


def _sorted(sizes: Mapping[str, int], words: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, size in sizes.items():
        word = words.get(name.split("_")[0], _OTHER)
        found[word] = found.get(word, 0) + size
    order = [*dict.fromkeys(words.values()), _OTHER]
    return {word: found[word] for word in order if word in found}
