"""A pickle as plain values: the program that a pickle is, run by a machine that cannot call anything by itself.

Python's own reader asks for each name and calls what it is given, keeps a table as large as any number in the file, and
hashes whatever is used as a key. Here a name becomes what ``named`` makes of it, and only an instance of
:class:`Allowed` is ever called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable
from typing import Any

from spikec.errors import DataError

_MARK = object()
#: Opcodes that a pickle may have, some seconds; a checkpoint has some thousand.
_LONGEST = 2**23
#: Parts of a tuple that is used as a key.
_KEY_PARTS = 16
_PLAIN = (str, bytes, int, float, bool, type(None))


class Refused(DataError):
    """The pickle asks for something that is not allowed; ``str``: a clause that goes on after ``it``. Whoever reads a
    file makes a sentence of it."""


class Unread:
    """The place of a value that was not read: takes any content and does nothing."""


class Allowed:
    """A function that a pickle may call."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


#: What a name in a pickle stands for: an :class:`Allowed`, the class :class:`Unread`, or a plain value. Raises
#: :class:`Refused`.
Named = Callable[[str, str], Any]


def read_pickle(
    stream: Any, named: Named, persistent: Callable[[Any], Any] | None = None, *, byte_strings: bool = False
) -> Any:
    """The value of the next pickle in ``stream``, which stands behind it afterwards.

    ``persistent`` gives the value of a persistent name. ``byte_strings``: strings of Python 2 are bytes, not text.
    Raises :class:`Refused`, ``ValueError`` and whatever damaged pickles cause.
    """
    return _Machine(named, persistent, byte_strings).run(stream)


class _Machine:
    def __init__(self, named: Named, persistent: Callable[[Any], Any] | None, byte_strings: bool) -> None:
        self._named, self._persistent, self._byte_strings = named, persistent, byte_strings
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: Any) -> Any:
        for number, (operation, argument, _) in enumerate(pickletools.genops(stream)):
            if number > _LONGEST:
                raise Refused(f"has more than {_LONGEST:,} steps")
            name = operation.name
            if name == "STOP":
                return self._stack.pop()
            step = _STEPS.get(name)
            if step is None:
                raise Refused(f"uses {name}")
            step(self, argument)
        raise ValueError("it has no end")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _text(self, text: Any) -> None:
        raw = text.encode("latin-1") if isinstance(text, str) else bytes(text)
        self._push(raw if self._byte_strings else raw.decode("utf-8", "replace"))

    def _to_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                items = self._stack[place + 1 :]
                del self._stack[place:]
                return items
        raise ValueError("a mark is missing")

    def _pop_mark(self, _: Any) -> None:
        self._to_mark()

    def _tuple(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise ValueError("the stack is empty")
        del self._stack[-count:]
        self._push(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            target.update(map(_key, items))
        elif not isinstance(target, Unread):
            raise Refused(f"adds to a {type(target).__name__}")

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, dict):
            target.update(_pairs(items))
        elif not isinstance(target, Unread):
            raise Refused(f"sets items of a {type(target).__name__}")

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push(self._named(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name is no text")
        self._push(self._named(module, name))

    def _call(self, function: Any, arguments: Any) -> None:
        if isinstance(function, Allowed):
            self._push(function.function(*arguments))
        elif function is Unread:
            self._push(Unread())
        else:
            raise Refused(f"calls a {type(function).__name__}")

    def _reduce(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _new_with_keywords(self, _: Any) -> None:
        self._stack.pop()
        self._reduce(_)

    def _object(self, _: Any) -> None:
        function, *arguments = self._to_mark()
        self._call(function, arguments)

    def _instance(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        arguments = self._to_mark()
        self._call(self._named(module, name), arguments)

    def _build(self, _: Any) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Allowed | type):
            raise Refused("changes what it names, and a file may not change functions")
        take = getattr(type(target), "take_state", None)
        if take is not None:
            self._stack[-1] = take(target, state)

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._push(self._memo[index])

    def _persist(self, name: Any) -> None:
        if self._persistent is None:
            raise Refused("refers to something outside the file")
        self._push(self._persistent(name))


def _key(value: Any) -> Any:
    """What is used as a key: the hash of a nested value may take for ever."""
    parts = value if isinstance(value, tuple) and len(value) <= _KEY_PARTS else (value,)
    return value if all(isinstance(part, _PLAIN) for part in parts) else Unread()


def _pairs(items: list[Any]) -> Iterable[tuple[Any, Any]]:
    if len(items) % 2:
        raise ValueError("a key has no value")
    return ((_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True))


Step = Callable[[_Machine, Any], None]


def _ignore(machine: _Machine, argument: Any) -> None:
    """Opcodes that say nothing about values."""


def _pushes(make: Callable[[], Any]) -> Step:
    return lambda machine, _: machine._push(make())


#: By the name of an opcode. What is missing is refused: extensions and buffers outside the pickle.
_STEPS: dict[str, Step] = {
    **dict.fromkeys(("PROTO", "FRAME"), _ignore),
    **dict.fromkeys(
        (
            *("INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
            *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
            *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        ),
        _Machine._push,
    ),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _Machine._text),
    "NONE": _pushes(lambda: None),
    "NEWTRUE": _pushes(lambda: True),
    "NEWFALSE": _pushes(lambda: False),
    "MARK": _pushes(lambda: _MARK),
    "EMPTY_LIST": _pushes(list),
    "EMPTY_TUPLE": _pushes(tuple),
    "EMPTY_DICT": _pushes(dict),
    "EMPTY_SET": _pushes(set),
    "LIST": lambda m, _: m._push(m._to_mark()),
    "TUPLE": lambda m, _: m._push(tuple(m._to_mark())),
    "DICT": lambda m, _: m._push(dict(_pairs(m._to_mark()))),
    "FROZENSET": lambda m, _: m._push(frozenset(map(_key, m._to_mark()))),
    "TUPLE1": lambda m, _: m._tuple(1),
    "TUPLE2": lambda m, _: m._tuple(2),
    "TUPLE3": lambda m, _: m._tuple(3),
    "POP": _Machine._pop,
    "POP_MARK": _Machine._pop_mark,
    "DUP": lambda m, _: m._push(m._stack[-1]),
    "APPEND": lambda m, _: m._extend([m._stack.pop()]),
    "APPENDS": lambda m, _: m._extend(m._to_mark()),
    "ADDITEMS": lambda m, _: m._extend(m._to_mark()),
    "SETITEM": lambda m, _: m._set([m._stack.pop(-2), m._stack.pop()]),
    "SETITEMS": lambda m, _: m._set(m._to_mark()),
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine._reduce),
    "NEWOBJ_EX": _Machine._new_with_keywords,
    "OBJ": _Machine._object,
    "INST": _Machine._instance,
    "BUILD": _Machine._build,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine._put),
    "MEMOIZE": lambda m, _: m._put(len(m._memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine._get),
    "PERSID": _Machine._persist,
    "BINPERSID": lambda m, _: m._persist(m._stack.pop()),
}
