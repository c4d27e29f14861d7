"""Kill and terminate commands at random moments, run them again, and look at what is left.

    python -m benchmarks.kills [--kills 100] [--seed 0] [--only sweep train]

Each round works in a new folder: the command is started and killed (SIGKILL), terminated (SIGTERM) or interrupted
(SIGINT), once to three times at moments that are drawn over its whole length; then it runs to its end. Checked: three
seconds after each signal no process of it is alive, also none that its children started; SIGTERM and SIGINT end it with
their exit code, without a traceback, and leave nothing temporary; after the last run all files are those of a run that
nobody disturbed (``benchmarks/same_files.py``), and nothing temporary is left beside them, in the folder for temporary
files or in shared memory. The exit code is 1 where anything else was found.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.kill_cases import CASES, Case, prepare
from benchmarks.same_files import differences
from spikec.processes import has_ended

PATIENCE = 3.0
#: SIGKILL twice: it is the one that nothing in the program can answer.
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_MARK = "SPIKEC_KILLS"
_LIMIT = 600
_SHARED_MEMORY = Path("/dev/shm")


@dataclass
class Found:
    """What the rounds of one case found. ``slowest``: seconds until the last process had ended, after each signal."""

    case: str
    seconds: float
    kills: int = 0
    early: int = 0  # the signal came after the end
    rounds: int = 0
    slowest: float = 0.0
    complaints: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="of all commands together (default 100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--only", nargs="+", choices=tuple(CASES), default=tuple(CASES), metavar="CASE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills") as folder:
        found = list(rounds(Path(folder), args.only, args.kills, args.seed))
    print(table(found))
    for each in found:
        for complaint in each.complaints:
            print(f"{each.case}: {complaint}")
    return int(any(each.complaints for each in found))


def rounds(folder: Path, names: Sequence[str], kills: int, seed: int) -> Iterator[Found]:
    """Disturb each case so often that all together take ``kills`` signals."""
    draw = random.Random(seed)
    inputs = folder / "inputs"
    prepare(inputs, names)
    for number, name in enumerate(names):
        case = CASES[name]
        if case.missing() is not None:
            print(f"{name}: left out, {case.missing()}", file=sys.stderr)
            continue
        undisturbed = _Place(folder / f"{name}-whole", inputs)
        started = time.monotonic()
        code = undisturbed.start(case).wait(_LIMIT)
        found = Found(name, time.monotonic() - started)
        if code or undisturbed.temporary():
            found.complaints.append(
                f"undisturbed: exit code {code}, left {undisturbed.temporary()}: {undisturbed.said}"
            )
        share = kills // len(names) + (number < kills % len(names))
        while found.kills < share and not found.complaints:
            place = _Place(folder / f"{name}-{found.rounds}", inputs)
            _round(place, case, undisturbed, found, min(draw.randint(1, 3), share - found.kills), draw)
            shutil.rmtree(place.folder)
        print(table([found]).splitlines()[-1], file=sys.stderr, flush=True)
        yield found


def table(found: Sequence[Found]) -> str:
    """A row for each command."""
    rows = [("command", "alone", "signals", "too late", "rounds", "slowest end", "complaints")]
    for f in found:
        numbers = (str(f.kills), str(f.early), str(f.rounds), f"{f.slowest:.2f} s", str(len(f.complaints)))
        rows.append((f.case, f"{f.seconds:.1f} s", *numbers))
    total = sum(f.kills for f in found), sum(f.early for f in found), sum(f.rounds for f in found)
    slowest = max((f.slowest for f in found), default=0.0)
    if len(found) > 1:
        complaints = sum(len(f.complaints) for f in found)
        rows.append(("all", "", *map(str, total), f"{slowest:.2f} s", str(complaints)))
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def _round(place: _Place, case: Case, undisturbed: _Place, found: Found, kills: int, draw: random.Random) -> None:
    found.rounds += 1
    for _ in range(kills):
        number, moment = draw.choice(SIGNALS), draw.uniform(0, found.seconds)
        what = f"{number.name} after {moment:.2f} s"
        process = place.start(case)
        time.sleep(moment)
        found.early += process.poll() is not None
        process.send_signal(number)
        found.kills += 1
        sent = time.monotonic()
        while (alive := place.alive()) and time.monotonic() - sent < PATIENCE:
            process.poll()
            time.sleep(0.02)
        found.slowest = max(found.slowest, time.monotonic() - sent)
        if alive:
            found.complaints.append(f"{what}: alive after {PATIENCE:g} s: {alive}")
            place.end()
        code = process.wait(_LIMIT)
        # Before Python runs the command, the system itself ends it.
        if number != signal.SIGKILL and code not in (0, -number, 128 + number):
            found.complaints.append(f"{what}: exit code {code}: {place.said}")
        if code == 128 + number and "Traceback" in place.said:
            found.complaints.append(f"{what}: {place.said}")
        if number != signal.SIGKILL and place.new_temporary():
            found.complaints.append(f"{what}: left {place.new_temporary()}")
    code = place.start(case).wait(_LIMIT)
    if code:
        found.complaints.append(f"run again: exit code {code}: {place.said}")
    if place.temporary():
        found.complaints.append(f"run again: left {place.temporary()}")
    found.complaints += [f"other than undisturbed: {what}" for what in differences(place.work, undisturbed.work)]


class _Place:
    """A folder to work in, with one for temporary files, and the processes that work there."""

    def __init__(self, folder: Path, inputs: Path) -> None:
        self.folder, self.work, self._temporary = folder, folder / "w", folder / "t"
        self._log, self._mark = folder / "log", uuid.uuid4().hex
        self._before: set[str] = set()
        self._temporary.mkdir(parents=True)
        shutil.copytree(inputs, self.work)
        self._shared = _shared_memory()

    def start(self, case: Case) -> subprocess.Popen[bytes]:
        settings = {"TMPDIR": str(self._temporary), _MARK: self._mark, "OMP_NUM_THREADS": "1"}
        self._before = set(self.temporary())
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "spikec", *case.words],
                cwd=self.work,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_interruptible,
            )

    @property
    def said(self) -> str:
        """The end of what the last process printed."""
        return " ".join(self._log.read_text(errors="replace").split())[-400:]

    def temporary(self) -> list[str]:
        """Whatever is in the place for temporary files, what has a temporary name, and new shared memory."""
        beside = [str(path.relative_to(self.work)) for path in self.work.rglob(".*spikec_*")]
        return [path.name for path in self._temporary.iterdir()] + beside + sorted(_shared_memory() - self._shared)

    def new_temporary(self) -> list[str]:
        """That of the last process alone."""
        return sorted(set(self.temporary()) - self._before)

    def alive(self) -> list[str]:
        """Processes that inherited the mark of this place and have not ended."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"{_MARK}={self._mark}".encode() in (entry / "environ").read_bytes()
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if marked and not has_ended(int(entry.name)):
                found.append(f"{entry.name} {words[:80]}")
        return found

    def end(self) -> None:
        """Kill what should have ended."""
        for process in self.alive():
            os.kill(int(process.split()[0]), signal.SIGKILL)


def _shared_memory() -> set[str]:
    """Blocks of processes that have ended: others may run Lava at the same time."""
    blocks = [path.name for path in _SHARED_MEMORY.glob("spikec_*_*_*_*_*")]
    return {name for name in blocks if has_ended(int(name.split("_")[3]))}


def _interruptible() -> None:
    """A shell that runs the benchmark in the background has its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
