"""What commands print: one document, or lines for people; progress that suits a terminal or a log."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, is_dataclass
from pathlib import PurePath
from types import TracebackType
from typing import Any, TextIO

from spikec.terminal import restart_line


def emit(args: argparse.Namespace, document: dict[str, Any], text: str) -> None:
    """Print the result of a command: ``document`` as JSON with ``--json``, else ``text``."""
    print(as_json({"command": args.command, **document}) if args.json else text, file=args.stdout)


def emit_error(sentence: str, code: int, json_to: TextIO | None) -> None:
    """One sentence on stderr, and a document for readers of JSON."""
    print(f"spikec: {sentence}", file=sys.stderr)
    if json_to is not None:
        print(as_json({"error": sentence, "exit_code": code}), file=json_to)


def as_json(document: Any) -> str:
    """Strict JSON: not-a-number becomes null, arrays lists, dataclasses objects."""
    import json

    return json.dumps(_plain(document), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value


class Progress:
    """``label 1200/10000 images`` on stderr: rewritten in place on a terminal, a line now and then in a log.

    Silent for work that is finished quickly.
    """

    TERMINAL_SECONDS = 0.2
    LOG_SECONDS = 15.0

    def __init__(self, label: str, total: int, unit: str = "images", stream: TextIO | None = None) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.stream = sys.stderr if stream is None else stream
        self.terminal = self.stream.isatty()
        self.done = 0
        self._shown = time.monotonic()
        self._open_line = False

    def advance(self, count: int) -> None:
        """``count`` more units are done."""
        self.done += count
        now = time.monotonic()
        if now - self._shown < (self.TERMINAL_SECONDS if self.terminal else self.LOG_SECONDS):
            return
        self._shown = now
        line = f"{self.label} {self.done}/{self.total} {self.unit}"
        if self.terminal:
            restart_line(self.stream)
        print(line, end="" if self.terminal else "\n", file=self.stream)
        self.stream.flush()
        self._open_line = self.terminal

    def reach(self, done: int, total: int) -> None:
        """``done`` of ``total`` units are done."""
        self.total = total
        self.advance(done - self.done)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open_line:
            restart_line(self.stream)
            self.stream.flush()


def note(text: str) -> None:
    """Print a remark on stderr."""
    print(text, file=sys.stderr)


def percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
