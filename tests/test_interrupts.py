"""Signals that end a program unwind it, whatever other code does with exceptions."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from spikec.cli import doctor, main
from spikec.interrupts import Stopped, stopping

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _usual_handlers():
    """A shell that runs the tests in the background has them ignore Ctrl-C."""
    usual = (signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL)
    before = [signal.signal(*pair) for pair in zip(SIGNALS, usual, strict=True)]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == list(usual)
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), list(zip(SIGNALS, (130, 143, 129), strict=True)))
def test_each_raises_what_ctrl_c_raises(number, code):
    cleaned = []

    def work():
        try:
            send(number)
            time.sleep(10)
        finally:
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt) as caught, stopping():
        work()
    assert isinstance(caught.value, Stopped)
    assert caught.value.exit_code == code
    assert cleaned


def test_one_that_is_swallowed_comes_again():
    passed = []

    def work():
        try:
            send(signal.SIGTERM)
        except BaseException:  # as libraries do around optional imports
            passed.append(True)
        time.sleep(10)
        passed.append(False)

    with pytest.raises(Stopped), stopping():
        work()
    assert passed == [True]


def test_one_that_python_loses_comes_again_without_a_traceback(capfd, monkeypatch):
    """In a finaliser nobody can get an exception, and Python tells of it."""

    class Finalised:
        def __del__(self):
            send(signal.SIGTERM)
            time.sleep(0.01)

    class Failing:
        def __del__(self):
            raise ValueError("another one")

    def work():
        Failing()
        Finalised()
        time.sleep(10)

    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(str(args.exc_value)))
    with pytest.raises(Stopped) as caught, stopping():
        work()
    assert caught.value.number == signal.SIGTERM
    assert told == ["another one"]
    assert "Stopped" not in capfd.readouterr().err


def test_one_that_arrived_does_not_come_again():
    with pytest.raises(Stopped), stopping():
        send(signal.SIGTERM)
    time.sleep(0.2)


def test_cleaning_up_is_ended_by_a_second_ctrl_c_only():
    passed = []

    def work():
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            send(signal.SIGHUP)
            passed.append("others")
            send(signal.SIGINT)
            passed.append("Ctrl-C")

    with pytest.raises(Stopped) as caught, stopping():
        work()
    assert passed == ["others"]
    assert caught.value.number == signal.SIGINT


def test_what_is_ignored_stays_ignored():
    """``nohup spikec ...`` and ``spikec ... &``."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping():
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_get_no_handlers():
    seen = []

    def inside():
        with stopping():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (2, 130, "interrupted")])
def test_a_command_ends_with_one_line(capsys, monkeypatch, number, code, word):
    monkeypatch.setattr(doctor, "run", lambda _: send(number))
    assert main(["doctor"]) == code
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", f"spikec: {word}")
