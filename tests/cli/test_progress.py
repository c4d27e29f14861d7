"""Progress: share, rate and time left; a moving line on a terminal, plain lines in a log, never on stdout."""

import contextlib
import fcntl
import io
import json
import os
import re
import struct
import termios
import time

import pytest
import torch
from torch import nn

import spikec as tc
from spikec.cli import doctor, progress
from spikec.cli.progress import Progress, displaying
from spikec.stages import stage, watching


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def at_once(monkeypatch):
    """Lines come every 10 ms instead of after seconds."""
    monkeypatch.setattr(progress, "TERMINAL_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(progress, "LOG_SECONDS", (0.01, 0.01))


def _shown_in(stream, text):
    """Wait until ``text`` is there: the thread that writes may be slow to come."""
    end = time.monotonic() + 10
    while text not in stream.getvalue():
        assert time.monotonic() < end, stream.getvalue()
        time.sleep(0.005)


def test_share_rate_and_time_left(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    work = Progress("golden", 100)
    work.started, now = 0.0, 30.0
    work.advance(25)
    assert work.line() == "golden 25 %, 25/100 images, 0.83 images/s, 01:30 left"
    wide = work.line(100)
    assert re.fullmatch(r"golden \|#+\d? +\| 25 %, 25/100 images, 0.83 images/s, 01:30 left", wide)
    assert len(wide) <= 100
    assert work.line(60) == "golden 25 %, 25/100 images, 0.83 images/s, 01:30 left"
    assert work.line(39) == "golden 25 %, 25/100, 01:30 left"  # nothing is cut off, that would be another number
    assert work.line(25) == "golden 25 %, 01:30 left"
    assert work.line(20) == "golden 25 %"
    work.detail = "last: qcfs"
    assert work.line(65).endswith("01:30 left, last: qcfs")
    assert work.line(60).endswith("01:30 left")
    begun = Progress("golden", 100)
    begun.started = -5.0
    assert begun.line() == "golden 0 %, 0/100 images, 00:35"
    assert begun.line(20) == "golden 0 %, 00:35"
    work.begin("sweep", 100, done=75)  # what was there took no time
    now = 40.0
    work.reach(80, 100)
    assert "0.50 images/s, 00:40 left" in work.line()
    assert Progress("reading").line().startswith("reading, 00:")


def test_a_terminal_gets_one_line_that_moves(at_once):
    stream = _Terminal()
    with displaying(stream, verbose=False), Progress("golden\x1b[31m", 4) as work:
        work.advance(3)
        _shown_in(stream, "golden\\x1b[31m")
        _shown_in(stream, "75 %, 3/4 images")
    assert "\n" not in stream.getvalue()
    assert "\x1b[31m" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize("columns", [40, 25, 120])
def test_a_real_terminal_is_never_overrun_and_is_left_clean(at_once, columns, monkeypatch):
    """A line as wide as the terminal would wrap, and what wraps cannot be taken away. Its width is that of stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    drawn = b""
    end = time.monotonic() + 10
    with open(theirs, "w") as stream, open(ours, "rb", buffering=0) as screen:
        with displaying(stream, verbose=False), Progress("measuring, weights", 40000) as work:
            work.advance(12345)
            work.detail = "last: error-compensation T=4 bits=6"
            while drawn.count(b" 31 %") < 2:
                assert time.monotonic() < end, drawn
                drawn += screen.read(4096)
        drawn += screen.read(4096)
    lines = drawn.decode().split("\r\x1b[K")
    assert lines[-1] == ""
    assert "\x1b" not in "".join(lines)  # no colour, so NO_COLOR has nothing to do
    assert all(len(line) < columns and "\n" not in line for line in lines)
    assert any("31 %" in line for line in lines)
    assert any(line.endswith("left") for line in lines) == (columns == 40)


def test_a_dumb_terminal_gets_plain_lines(at_once, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = _Terminal()
    with displaying(stream, verbose=False), Progress("golden", 4) as work:
        work.advance(1)
        _shown_in(stream, "golden 25 %, 1/4 images")
    assert "\x1b" not in stream.getvalue()


def test_lowering_placing_and_proving_say_how_much_is_done():
    seen = {}

    @contextlib.contextmanager
    def watcher(label, total, unit):
        seen.setdefault(label, []).append((total, []))
        yield seen[label][-1][1].append

    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with watching(watcher):
        graph = tc.lower(
            tc.convert(model, tc.QCFS(timesteps=2), example=torch.rand(4, 1, 2, 2), calibration=torch.rand(8, 1, 2, 2))
        )
        tc.place(graph, target="loihi1")
    for label, units in (("lowering to integers", 2), ("proving ranges", None), ("placing", None)):
        for total, done in seen[label]:
            assert units in (None, total)
            assert done == sorted(done), label
            assert done[0] <= 1, label
            assert total // 2 < done[-1] <= total or label == "placing"  # which is often done after a few tries
            assert done[-1] <= total


def test_a_log_gets_plain_lines(at_once):
    stream = io.StringIO()
    with displaying(stream, verbose=False), Progress("golden", 4) as work:
        work.advance(1)
        _shown_in(stream, "golden 25 %, 1/4 images")
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_stages_of_the_library_are_shown_while_they_last(at_once):
    stream = io.StringIO()
    with displaying(stream, verbose=True), Progress("export"):
        with stage("lowering", 5) as done:
            done(2)
            _shown_in(stream, "lowering 40 %, 2/5 layers")
        _shown_in(stream, "lowering, 2 layers: 0.")
        _shown_in(stream, "\nexport, 00:")
    assert "export: 0." in stream.getvalue()


def test_what_is_printed_takes_the_line_away(at_once, monkeypatch, capsys):
    stream = _Terminal()
    monkeypatch.setattr("sys.stderr", stream)

    def run(args):
        _shown_in(stream, "doctor, 00:00")
        print("to stdout", file=args.stdout)
        return 0

    monkeypatch.setattr(doctor, "run", run)
    from spikec.cli import main

    assert main(["doctor"]) == 0
    assert capsys.readouterr().out == "to stdout\n"
    assert stream.getvalue().endswith("\r\x1b[K")


def test_quick_work_shows_nothing(spikec):
    assert spikec("doctor", "--quick").err == ""


def test_quiet_leaves_errors_alone_and_json_leaves_stdout_clean(spikec, monkeypatch, at_once):
    def run(args):
        print("a library is talking")
        time.sleep(0.05)
        return 0

    monkeypatch.setattr(doctor, "run", run)
    assert "doctor, 00:00" in spikec("doctor", "--json").err
    assert spikec("doctor", "--json").out == ""
    assert spikec("--quiet", "doctor", "--json").err == ""
    assert spikec("--quiet", "inspect", "absent.nir").err == "spikec: no file absent.nir; spikec export writes one\n"


@pytest.mark.parametrize(
    "words", [("--json", "{}", "net.nir"), ("{}", "--json", "net.nir"), ("{}", "net.nir", "--json")]
)
def test_options_of_every_command_stand_anywhere(spikec, words):
    for command in ("inspect", "check"):
        result = spikec(*(word.format(command) for word in words))
        assert json.loads(result.out)["error"].startswith("no file net.nir")


def test_verbose_says_how_long_each_part_took(spikec, net):
    assert re.search(r"^check: \d+\.\d s$", spikec("check", net, "--verbose").err, re.M)
