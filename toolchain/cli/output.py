"""What commands print: one document, or lines for people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, is_dataclass
from pathlib import PurePath
from typing import Any, TextIO


def emit(
    args: argparse.Namespace,
    document: dict[str, Any] | Callable[[], dict[str, Any]],
    text: str,
    files: Iterable[object] = (),
) -> None:
    """Print the result of a command: ``document`` as JSON with ``--json``, else ``text`` and then the ``files`` that
    the command wrote. A function makes the document where it holds what takes long and ``text`` does not, such as the
    identity of a large network."""
    if not args.json:
        print("\n".join([text, *_written([str(file) for file in files])]), file=args.stdout)
        return
    made = document() if callable(document) else document
    print(as_json({"command": args.command, **made}), file=args.stdout)


def emit_error(sentence: str, code: int, stderr: TextIO, json_to: TextIO | None) -> None:
    """One sentence on ``stderr``, and a document for readers of JSON."""
    print(f"spikec: {sentence}", file=stderr)
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


def _written(files: list[str]) -> list[str]:
    """The last line of every command that wrote ``files``; none without any."""
    first, last = files[:-1], files[-1:]
    return [f"written: {' and '.join([', '.join(first), *last] if first else last)}"] if files else []


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
