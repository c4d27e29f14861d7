"""The state of a network: what is kept, and what takes turns in the same bytes."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.targets.c.code.numbers import size_of
from spikec.targets.c.code.text import Text, shown

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
    """Collects members, then lays them out. ``s->NAME`` is a kept one, ``s->now.NAME.it`` one that takes turns."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}

    def add(self, member: Member) -> str:
        """A C expression that points to its first number."""
        self.members[member.name] = member
        return self.at(member.name)

    def at(self, name: str) -> str:
        """The same, by name."""
        return f"s->{name}" if self.members[name].dies is None else f"s->now.{name}.it"

    def extend(self, name: str, station: int) -> None:
        """A member is still used at ``station``."""
        member = self.members[name]
        if member.dies is not None and station > member.dies:
            self.members[name] = Member(member.name, member.ctype, member.count, member.about, member.born, station)

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
        offsets = self.offsets()
        text.comment("What one layer leaves for the next: these take turns in the same bytes.")
        text.line("union {")
        for member in self.taking_turns:
            gap = f"unsigned char before[{offsets[member.name]}]; " if offsets[member.name] else ""
            inside = f"struct {{ {gap}{member.ctype} it[{member.count}]; }} {member.name};"
            text.verbatim(f"        {inside} /* {shown(member.about)} */")
        text.line("} now;")


def _meet(one: Member, other: Member) -> bool:
    """Whether two members are in use at the same time."""
    assert one.dies is not None
    assert other.dies is not None
    return one.born <= other.dies and other.born <= one.dies
