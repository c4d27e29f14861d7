"""The state of a network: what is kept, and what takes turns in the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spikec.targets.c.code.numbers import size_of
from spikec.targets.c.code.tables import unused
from spikec.targets.c.code.text import Text

_ALIGNMENT = 8


@dataclass(frozen=True)
class Member:
    """An array of the state. ``born`` and ``dies``: the first and the last station of a run that use it; a member with
    no ``dies`` is kept."""

    name: str
    ctype: str
    count: int
    about: str
    born: int = 0
    dies: int | None = None

    @property
    def size(self) -> int:
        return size_of(self.ctype) * self.count


class State:
    """Collects members, then lays them out. ``s->NAME`` is a kept one; one that takes turns is a part of ``s->now``,
    which a macro names."""

    def __init__(self, prefix: str) -> None:
        self.members: dict[str, Member] = {}
        self._prefix = prefix

    def add(self, member: Member) -> str:
        """A C expression that points to its first number. Where its name is taken it gets another."""
        chosen = unused(member.name, self.members)
        self.members[chosen] = replace(member, name=chosen)
        return self.at(chosen)

    def at(self, name: str) -> str:
        """The same, by name."""
        return f"s->{name}" if self.members[name].dies is None else f"{self._prefix}_at_{name}(s)"

    @property
    def kept(self) -> list[Member]:
        return [member for member in self.members.values() if member.dies is None]

    @property
    def taking_turns(self) -> list[Member]:
        return [member for member in self.members.values() if member.dies is not None]

    def offsets(self) -> dict[str, int]:
        """Where each member that takes turns starts: the largest first, each at the lowest place that no member of the
        same time takes."""
        placed: list[tuple[int, Member]] = []
        for member in sorted(self.taking_turns, key=lambda m: (-m.size, m.born)):
            at = 0
            for start, other in sorted(
                ((start, other) for start, other in placed if _meet(member, other)), key=lambda pair: pair[0]
            ):
                if at + member.size <= start:
                    break
                at = max(at, -(-(start + other.size) // _ALIGNMENT) * _ALIGNMENT)
            placed.append((at, member))
        return {member.name: start for start, member in placed}

    @property
    def shared(self) -> int:
        """Bytes of the part that is used in turns."""
        offsets = self.offsets()
        most = max((offsets[m.name] + m.size for m in self.taking_turns), default=0)
        return -(-most // _ALIGNMENT) * _ALIGNMENT

    def declare(self, text: Text) -> None:
        """The members as C."""
        for member in self.kept:
            text.comment(member.about)
            text.line(f"{member.ctype} {member.name}[{member.count}];")
        if not self.taking_turns:
            return
        text.comment(
            "What one layer leaves for the next: these take turns in the same bytes.",
            *(f"  {member.name}: {_place(member, start)}, {member.about}" for member, start in self._placed()),
        )
        with text.members("union", "now"):
            for ctype in sorted({member.ctype for member in self.taking_turns}):
                text.line(f"{ctype} {_part(ctype)}[{self.shared // size_of(ctype)}];")

    def define(self, text: Text) -> None:
        """Macros for the members that take turns."""
        for member, start in self._placed():
            place = _place(member, start)
            text.line(f"#define {self._prefix}_at_{member.name}(s) ((s)->now.{place})")

    def _placed(self) -> list[tuple[Member, int]]:
        offsets = self.offsets()
        return [(member, offsets[member.name]) for member in self.taking_turns]


def _part(ctype: str) -> str:
    """The member of the union for numbers of a type."""
    return f"as_{ctype.removesuffix('_t')}"


def _place(member: Member, start: int) -> str:
    """Where a member starts, as an expression."""
    first = start // size_of(member.ctype)
    return f"{_part(member.ctype)} + {first}" if first else _part(member.ctype)


def _meet(one: Member, other: Member) -> bool:
    """Whether two members are in use at the same time."""
    assert one.dies is not None
    assert other.dies is not None
    return one.born <= other.dies and other.born <= one.dies
