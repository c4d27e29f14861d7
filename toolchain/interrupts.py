"""Signals that end a program: each unwinds it, so that whatever it started or wrote by halves is cleaned up.

Ctrl-C (SIGINT), SIGTERM (kill, timeout, a batch system) and SIGHUP (the terminal was closed) raise :class:`Stopped`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal was closed"}
#: Seconds until a signal is sent again that somebody swallowed.
_AGAIN = 0.05


class Stopped(KeyboardInterrupt):
    """A signal asks the program to end. Code that cleans up after Ctrl-C cleans up after the others too."""

    def __init__(self, number: int) -> None:
        super().__init__(_WORDS[signal.Signals(number).name])
        self.number = number
        self.arrived = False

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal, as a shell reports it."""
        return 128 + self.number


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Inside, the signals above raise :class:`Stopped` in the main thread; signals that are ignored stay ignored.

    While the first one unwinds the program, SIGTERM and SIGHUP are ignored; a second Ctrl-C ends the cleaning. Code of
    others may swallow an exception that comes at any point, so it is raised again until it arrives here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = _Handlers()
    handlers.install()
    try:
        yield
    except Stopped as stopped:
        stopped.arrived = True
        raise
    finally:
        handlers.restore()


class _Handlers:
    def __init__(self) -> None:
        self._before: dict[int, object] = {}
        self._flying: weakref.ref[Stopped] | None = None  # the exception while it exists
        self._unraisable = sys.unraisablehook

    def install(self) -> None:
        for name in _WORDS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                self._before[number] = signal.signal(number, self._stop)
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._ignored

    def restore(self) -> None:
        sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._flying is not None and self._flying() is not None and number != signal.SIGINT:
            return
        stopped = Stopped(number)
        self._flying = weakref.ref(stopped, lambda _: self._lost(number, state))
        state = vars(stopped)  # outlives it
        try:
            raise stopped
        finally:
            del stopped  # this frame belongs to its traceback: it would keep itself alive

    def _ignored(self, told: sys.UnraisableHookArgs) -> None:
        """Python tells of an exception that nobody can get, with a traceback; one of ours comes again."""
        if not isinstance(told.exc_value, Stopped):
            self._unraisable(told)

    def _lost(self, number: int, state: dict[str, object]) -> None:
        """The exception is gone: either it arrived, or somebody swallowed it."""
        if state["arrived"] or number not in self._before:
            return
        # Not from here: what is raised while an object is freed is lost as well.
        again = threading.Timer(_AGAIN, signal.pthread_kill, (threading.main_thread().ident, number))
        again.daemon = True
        again.start()
