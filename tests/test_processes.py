"""Processes know each other by more than their number, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from spikec.processes import has_ended, this_process

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system does not show its processes")


@dataclass
class Family:
    """A parent and those that end with it, by their numbers."""

    parent: subprocess.Popen[str]
    others: list[int]


@pytest.fixture
def family():
    """``family(program, number) -> Family``: it prints ``number`` process numbers, a line each, and waits."""
    started = []

    def start(program, number):
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        started.append(Family(parent, []))
        started[-1].others += [int(parent.stdout.readline()) for _ in range(number)]
        assert not any(map(has_ended, started[-1].others))
        return started[-1]

    yield start
    for each in started:
        for pid in (each.parent.pid, *each.others):
            if not has_ended(pid):
                os.kill(pid, signal.SIGKILL)
        each.parent.communicate()


CHILD = """
import os, sys, time
from spikec import processes
{change}
processes.end_with(int(sys.argv[1]))
{fork}
os.write(1, b"%d\\n" % os.getpid())
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys
subprocess.run([sys.executable, "-c", {child!r}, str(os.getpid())])
"""


@pytest.mark.parametrize(
    ("change", "fork", "number"),
    [("", "os.fork(); os.fork()", 4), ("processes._tell_of_parent = lambda _: False", "", 1)],
    ids=["with what it forked", "where the system does not tell"],
)
def test_a_child_ends_with_its_parent(family, change, fork, number):
    found = family(PARENT.format(child=CHILD.format(change=change, fork=fork)), number)
    found.parent.kill()
    assert_ended(found)


def test_a_child_whose_parent_has_ended_does_not_begin():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    child = CHILD.format(change="", fork="")
    assert subprocess.run([sys.executable, "-c", child, str(gone.pid)], timeout=30).returncode == -signal.SIGKILL


def test_the_child_that_reads_nir_files_ends_with_its_parent(family, tmp_path):
    (tmp_path / "net.nir").touch()
    told = "os.write(1, b'%d\\n%d\\n' % (os.getppid(), os.getpid()))"
    stay = f"import os, time; child.answer = lambda *_: ({told}, time.sleep(60))"
    program = f"""
import subprocess, sys
from spikec.hdf5 import process, starting
starting._START = starting._START_IMPORTS + {"; " + stay + "; "!r} + starting._START_MAIN
popen = subprocess.Popen
starting.subprocess.Popen = lambda words, **options: popen(words, **options | dict(stdout=sys.stdout))
process.read({str(tmp_path / "net.nir")!r})
"""
    found = family(program, 2)
    found.parent.kill()
    assert_ended(found)


def test_a_process_is_told_from_a_later_one_of_its_number():
    here = this_process()
    assert not here.has_ended()
    assert here.pid == os.getpid()
    assert here._replace(start=here.start + 1).has_ended()
    assert here._replace(boot="before").has_ended()


def test_nothing_is_known_of_processes_elsewhere():
    assert not this_process()._replace(machine="another", boot="another", start=1).has_ended()


def assert_ended(found):
    end = time.monotonic() + 3
    while not all(map(has_ended, found.others)):
        assert time.monotonic() < end, "alive after 3 s"
        time.sleep(0.02)
