"""Progress and JSON."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikec.cli.output import Progress, as_json


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@dataclass
class _Pair:
    a: int
    b: float


def test_json_holds_plain_values():
    document = {
        "array": np.arange(3),
        "scalar": np.float32(0.5),
        "nan": float("nan"),
        "inf": [np.inf],
        "path": Path("x"),
        "pair": _Pair(1, 2.0),
        1: (1, 2),
    }
    assert json.loads(as_json(document)) == {
        "array": [0, 1, 2],
        "scalar": 0.5,
        "nan": None,
        "inf": [None],
        "path": "x",
        "pair": {"a": 1, "b": 2.0},
        "1": [1, 2],
    }


def test_progress_rewrites_one_line_on_a_terminal(monkeypatch):
    monkeypatch.setattr(Progress, "TERMINAL_SECONDS", 0.0)
    stream = _Terminal()
    with Progress("golden", 4, stream=stream) as progress:
        progress.advance(1)
        progress.advance(3)
    text = stream.getvalue()
    assert "\rgolden 1/4 images".replace("\r", "\r\033[K") in text
    assert "golden 4/4 images" in text
    assert "\n" not in text
    assert text.endswith("\r\033[K")


def test_progress_writes_plain_lines_in_a_log(monkeypatch):
    monkeypatch.setattr(Progress, "LOG_SECONDS", 0.0)
    stream = io.StringIO()
    with Progress("golden", 4, stream=stream) as progress:
        progress.advance(1)
        progress.advance(3)
    assert stream.getvalue() == "golden 1/4 images\ngolden 4/4 images\n"


def test_progress_is_silent_for_short_work():
    stream = io.StringIO()
    with Progress("golden", 1, stream=stream) as progress:
        progress.advance(1)
    assert stream.getvalue() == ""
