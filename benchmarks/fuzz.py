"""Changed files of every format that spikec reads: nothing may crash, hang, take much memory, end in an internal
error or be accepted with other integers than the file holds.

``python -m benchmarks.fuzz`` runs 100,000 changed NIR files, 20,000 of other formats and 10,000 single bytes of three
exports, and prints a table; ``make fuzz`` a short round. What was found is kept in ``--keep``.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_changes import changed_bytes, changed_datasets, changed_text, changed_tree
from benchmarks.fuzz_corpus import deployments, others
from spikec.hdf5.seal import sealed

#: Seconds for one file. The reader's own limit for a file without an end is longer; the worker is then started anew.
PATIENCE = 5.0
#: Bytes by which a worker may grow over one file.
MEMORY = 2**30
_TEXTS = (".toml", ".json")
_FINDINGS = ("crash", "hang", "memory", "internal error", "wrong integers", "changed")


class Worker:
    """A process that reads files; a new one where it died."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzz_worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, errors="replace",
        )  # fmt: skip
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process, self._answers), daemon=True).start()
        self._fresh = True

    @staticmethod
    def _listen(process: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            answers.put(line)
        answers.put("")

    def read(self, reader: str, path: Path) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{reader}\t{path}\n")
        self._process.stdin.flush()
        try:
            answer = self._answers.get(
                timeout=60 + self._patience if self._fresh else self._patience
            )  # it imports torch first
        except queue.Empty:
            return self._again("hang")
        self._fresh = False
        if not answer:
            return self._again("crash")
        found: dict[str, Any] = json.loads(answer)
        if found["grown"] * 1024 > MEMORY:
            found["was"] = "memory"
        return found

    def _again(self, was: str) -> dict[str, Any]:
        self.close()
        self._start()
        return {"was": was, "text": ""}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass
class Tally:
    """What came of the files of one kind."""

    title: str
    found: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    seconds: float = 0.0


def _nir(rng: np.random.Generator, sources: list[Path], target: Path, number: int) -> str:
    source = sources[number % len(sources)]
    match number // len(sources) % 4:
        case 0:
            target.write_bytes(changed_bytes(rng, source.read_bytes()))
            return "bytes"
        case 1:
            target.write_bytes(sealed(changed_bytes(rng, source.read_bytes())))
            return "bytes, sealed again"
        case 2:
            changed_datasets(rng, source, target)
            return "datasets"
        case _:
            changed_tree(rng, source, target)
            return "tree"


def _rounds(count: int, seed: int, kind: int) -> Iterator[tuple[int, np.random.Generator]]:
    for number in range(count):
        yield number, np.random.default_rng([seed, kind, number])


def deployments_round(worker: Worker, folder: Path, keep: Path, count: int, seed: int) -> list[Tally]:
    """Changed NIR files."""
    sources, tallies, target = deployments(folder), {}, folder / "changed.nir"
    for number, rng in _rounds(count, seed, 0):
        target.unlink(missing_ok=True)
        started = time.perf_counter()
        try:
            way = _nir(rng, sources, target, number)
        except Exception:  # what cannot be written is no file
            continue
        tally = tallies.setdefault(way, Tally(f"NIR, {way}"))
        _enter(tally, worker.read("nir", target), target, keep, f"nir-{seed}-{number}", started)
    return list(tallies.values())


def others_round(worker: Worker, folder: Path, keep: Path, count: int, seed: int) -> list[Tally]:
    """Changed files of other formats. Each file is put back afterwards."""
    sources, tallies = others(folder), {}
    for number, rng in _rounds(count, seed, 1):
        reader, path = sources[number % len(sources)]
        whole, started = path.read_bytes(), time.perf_counter()
        if path.suffix in _TEXTS and rng.random() < 0.7:
            path.write_text(changed_text(rng, whole.decode()), errors="replace")
        else:
            path.write_bytes(changed_bytes(rng, whole))
        tally = tallies.setdefault(path.suffix, Tally(f"*{path.suffix}"))
        _enter(tally, worker.read(reader, path), path, keep, f"other-{seed}-{number}", started)
        path.write_bytes(whole)
    return list(tallies.values())


def flips_round(worker: Worker, folder: Path, keep: Path, count: int, seed: int) -> list[Tally]:
    """Single bits of three exports: refused, or the same graph."""
    tally, target = Tally("NIR, one bit"), folder / "flipped.nir"
    sources = deployments(folder)[:3]
    hashes = {source: worker.read("nir", source)["text"] for source in sources}
    for number, rng in _rounds(count, seed, 2):
        source, started = sources[number % 3], time.perf_counter()
        data = bytearray(source.read_bytes())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        target.write_bytes(data)
        found = worker.read("nir", target)
        if found["was"] == "accepted" and found["text"] != hashes[source]:
            found["was"] = "changed"
        _enter(tally, found, target, keep, f"flip-{seed}-{number}", started)
    return [tally]


def _enter(tally: Tally, found: dict[str, Any], path: Path, keep: Path, name: str, started: float) -> None:
    tally.found[found["was"]] += 1
    tally.seconds += time.perf_counter() - started
    if found["was"] in _FINDINGS:
        keep.mkdir(parents=True, exist_ok=True)
        kept = keep / f"{name}{path.suffix}"
        kept.write_bytes(path.read_bytes())
        tally.examples.append(f"{found['was']}: {kept}: {found['text'][:160]}")


def table(tallies: list[Tally]) -> str:
    """Markdown."""
    columns = ("accepted", "refused", *_FINDINGS)
    lines = [f"| files | number | {' | '.join(columns)} | ms each |", "|---" * (len(columns) + 3) + "|"]
    for tally in tallies:
        number = sum(tally.found.values())
        cells = " | ".join(str(tally.found[column]) for column in columns)
        lines.append(f"| {tally.title} | {number:,} | {cells} | {1000 * tally.seconds / number:.0f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nir", type=int, default=100_000, help="changed NIR files")
    parser.add_argument("--others", type=int, default=20_000, help="changed files of other formats")
    parser.add_argument("--flips", type=int, default=10_000, help="exports with one other bit")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds for a file (default 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="folder for what was found")
    args = parser.parse_args()
    tallies: list[Tally] = []
    worker = Worker(args.patience)
    with tempfile.TemporaryDirectory() as name:
        rounds = ((deployments_round, args.nir), (others_round, args.others), (flips_round, args.flips))
        for number, (run, count) in enumerate(rounds):
            folder = Path(name) / str(number)
            folder.mkdir()
            if count:
                tallies += run(worker, folder, args.keep, count, args.seed)
    worker.close()
    print(table(tallies))
    examples = [example for tally in tallies for example in tally.examples]
    for example in examples[:20]:
        print(example)
    return 1 if examples else 0


if __name__ == "__main__":
    sys.exit(main())
