"""Progress of long work on stderr: a line that moves on a terminal, a plain line now and then in a log.

A command says what it is doing, and how much of it is done, with :class:`Progress`. A thread shows the innermost one,
so that work which reports nothing for a while is seen to go on, and short work shows nothing. tqdm draws the line; it
is imported when the first one is shown.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TextIO

from spikec.stages import Done, watching
from spikec.terminal import restart_line, shown

#: Seconds until the first line, and between lines.
TERMINAL_SECONDS = (2.0, 0.25)
LOG_SECONDS = (15.0, 15.0)

_SHARE = "{percentage:.0f} %, {n_fmt}/{total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left"
_BAR = "|{bar}| " + _SHARE
#: For narrow terminals, the longest that has room: a number that is cut off would be another number.
_SHORTER = ("{percentage:.0f} %, {n_fmt}/{total_fmt}, {remaining} left", "{percentage:.0f} %, {remaining} left")
#: A bar shorter than this says nothing.
_LEAST_BAR = 10


class Progress:
    """Context manager: inside, ``label`` is what the command is doing: ``total`` units, 0 where that is not known."""

    def __init__(self, label: str, total: int = 0, unit: str = "images") -> None:
        self.label, self.total, self.unit = label, total, unit
        self.detail = ""
        self.done = self._before = 0
        self.started = time.monotonic()

    def advance(self, count: int) -> None:
        """``count`` more units are done."""
        self.done += count

    def reach(self, done: int, total: int) -> None:
        """``done`` of ``total`` units are done."""
        self.total, self.done = total, done

    def begin(self, label: str, total: int = 0, done: int = 0) -> None:
        """Other work begins, of which ``done`` units are there already: rate and time left are those of the rest."""
        if label != self.label:
            self._finish()
            self.started = time.monotonic()
        self.label, self.total, self.done, self._before = label, total, done, done

    def line(self, width: int | None = None) -> str:
        """What to show now: ``golden 35 %, 3500/10000 images, 290 images/s, 00:22 left``; with a bar where ``width``
        columns have room for one. Without a total, the time since the start."""
        from tqdm import tqdm

        seconds = time.monotonic() - self.started
        detail = f", {self.detail}" if self.detail else ""
        if not self.total:
            text = f"{self.label}, {tqdm.format_interval(seconds)}{detail}"
            return text if width is None else text[:width]

        percent = f"{self.label} {100 * min(self.done, self.total) / self.total:.0f} %"
        if self.done <= self._before:
            took = tqdm.format_interval(seconds)
            texts = [f"{percent}, {self.done}/{self.total} {self.unit}, {took}"]
            return _fitting([f"{texts[0]}{detail}", *texts, f"{percent}, {took}", percent], width)

        def share(form: str, columns: int | None = None) -> str:
            text: str = tqdm.format_meter(
                min(self.done, self.total),
                self.total,
                seconds,
                initial=self._before,
                unit=f" {self.unit}",
                bar_format=form,
                ncols=columns,
                ascii=True,
            )
            return text.replace(",  ", ", ")  # rates are padded

        text = f"{self.label} {share(_SHARE)}"
        if width is not None and width - len(text) - len(detail) - len("|| ") >= _LEAST_BAR:
            return f"{self.label} {share(_BAR, width - len(self.label) - len(detail) - 1)}{detail}"[:width]
        return _fitting(
            [f"{text}{detail}", text, *(f"{self.label} {share(form)}" for form in _SHORTER), percent], width
        )

    def _finish(self) -> None:
        if _display is not None and _display.verbose:
            _display.said(self)

    def __enter__(self) -> Progress:
        self.started = time.monotonic()
        if _display is not None:
            _display.stack.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _display is not None and self in _display.stack:
            _display.stack.remove(self)
            self._finish()
            _display.clear()


def _fitting(texts: Sequence[str], width: int | None) -> str:
    """The first text of at most ``width`` columns, else what of the last one has room."""
    if width is None:
        return texts[0]
    return next((text for text in texts if len(text) <= width), texts[-1][:width])


class Display:
    """Shows the innermost :class:`Progress` on ``stream``. ``verbose``: a line for each one that has ended, too."""

    def __init__(self, stream: TextIO, verbose: bool = False) -> None:
        self.stream, self.verbose = stream, verbose
        self.stack: list[Progress] = []
        self.terminal = stream.isatty() and os.environ.get("TERM") != "dumb"  # which knows no empty line
        self.muted = False
        self._open = False
        self._lock = threading.RLock()
        self._stop = threading.Event()

    def run(self) -> None:
        """In a thread of its own, until :meth:`end`."""
        wait, again = TERMINAL_SECONDS if self.terminal else LOG_SECONDS
        while not self._stop.wait(wait):
            wait = again
            try:
                self.show()
            except (OSError, ValueError):  # nobody reads it any more
                return

    def end(self) -> None:
        self._stop.set()

    def show(self) -> None:
        """Write the line now."""
        with self._lock:
            if self.muted or not self.stack or self._stop.is_set():
                return
            width = self._columns() - 1 if self.terminal else None
            line = shown(self.stack[-1].line(width)).replace("\n", " ")
            if self.terminal:
                restart_line(self.stream)
            self.stream.write(line if self.terminal else f"{line}\n")
            self.stream.flush()
            self._open = self.terminal

    def _columns(self) -> int:
        """Of this terminal: standard output, which ``shutil`` asks, may be a file or a pipe."""
        try:
            columns = os.get_terminal_size(self.stream.fileno()).columns
        except (OSError, ValueError):  # no terminal of the system's
            columns = 0
        return columns or shutil.get_terminal_size().columns

    def said(self, progress: Progress) -> None:
        """One line for work that has ended."""
        with self._lock:
            self.clear()
            many = f", {progress.done} {progress.unit}" if progress.done else ""
            self.stream.write(shown(f"{progress.label}{many}: {time.monotonic() - progress.started:.1f} s\n"))
            self.stream.flush()

    def clear(self) -> None:
        """Take the moving line away: something else is written, or nothing is left to do."""
        if self._open:
            with self._lock:
                self._open = False
                restart_line(self.stream)
                self.stream.flush()


#: That of the command that runs; progress outside of one is not shown.
_display: Display | None = None


@contextlib.contextmanager
def _staged(label: str, total: int, unit: str) -> Iterator[Done]:
    """Shows what the library says it is doing."""
    with Progress(label, total, unit) as progress:
        yield lambda done: progress.reach(done, total)


@contextlib.contextmanager
def displaying(stream: TextIO, verbose: bool) -> Iterator[Display]:
    """Inside, progress is shown on ``stream``, which is written to as it is."""
    global _display
    before, _display = _display, Display(stream, verbose)
    display = _display
    threading.Thread(target=display.run, name="progress", daemon=True).start()
    try:
        with watching(_staged):
            yield display
    finally:
        display.end()
        with contextlib.suppress(OSError, ValueError):
            display.clear()
        _display = before


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Inside, nothing is shown: what runs there has a line of its own."""
    display = _display
    if display is None:
        yield
        return
    display.clear()
    display.muted = True
    try:
        yield
    finally:
        display.muted = False


def clear() -> None:
    """Take the moving line away, so that something else can be written."""
    if _display is not None:
        _display.clear()
