"""Changed files of every format that spikec reads: nothing may crash, hang, take much memory, end in an internal
error or be accepted with other integers than the file holds.

``python -m benchmarks.fuzz`` runs 100,000 changed NIR files, 20,000 of other formats and 10,000 single bits of three
exports, and prints a table; ``make fuzz`` a short round. ``--jobs``: so many processes share the files, which are the
same whatever their number. ``--start N`` leaves out the first N of each kind, so that a long round can be run in parts.
What was found is kept in ``--keep``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.fuzz_changes import changed_bytes, changed_datasets, changed_text, changed_tree
from benchmarks.fuzz_containers import changed_inside
from benchmarks.fuzz_corpus import deployments, others
from benchmarks.fuzz_watching import Turn, Worker
from benchmarks.fuzz_worker import outcome
from spikec.hdf5.seal import sealed

#: Seconds for one file. The reader's own limit for a file without an end is longer; the worker is then started anew.
PATIENCE = 5.0
_TEXTS = (".toml", ".json")
#: Readers that start a process for each file have one file where others have this many.
_SELDOM, _OF = ("decoded", "doctor", "plain"), 10
_FINDINGS = ("crash", "hang", "memory", "internal error", "wrong integers", "changed")
#: Files after which a process notes where it is, and seconds after which that is told: --start goes on from there.
_OFTEN, _TOLD = 50, 60.0
_ROUNDS = ("nir", "others", "flips")


@dataclass
class Tally:
    """What came of the files of one kind."""

    title: str
    found: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    seconds: float = 0.0
    slow: int = 0  # beyond the patience at the first look, and not alone

    def add(self, other: Tally) -> None:
        """The same kind of files, of another process."""
        self.found += other.found
        self.examples += other.examples
        self.seconds += other.seconds
        self.slow += other.slow


@dataclass
class Share:
    """What one process does: every ``of``-th file from ``first``. Its copy of the sound files is ``folder``."""

    kind: str
    folder: Path
    keep: Path
    count: int
    seed: int
    first: int
    of: int
    patience: float

    def rounds(self) -> Iterator[tuple[int, np.random.Generator]]:
        for number in range(self.first, self.count, self.of):
            if number // self.of % _OFTEN == 0:
                (self.folder / "at").write_text(str(number))
            yield number, np.random.default_rng([self.seed, _ROUNDS.index(self.kind), number])

    def run(self) -> list[Tally]:
        worker = Worker(self.patience, Turn(self.folder.parent))
        try:
            return {"nir": deployments_round, "others": others_round, "flips": flips_round}[self.kind](worker, self)
        finally:
            worker.close()


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


def deployments_round(worker: Worker, share: Share) -> list[Tally]:
    """Changed NIR files."""
    sources, tallies, target = sorted(share.folder.glob("*.nir")), dict[str, Tally](), share.folder / "changed"
    for number, rng in share.rounds():
        target.unlink(missing_ok=True)
        started = time.perf_counter()
        try:
            way = _nir(rng, sources, target, number)
        except Exception:  # what cannot be written is no file
            continue
        tally = tallies.setdefault(way, Tally(f"NIR, {way}"))
        _enter(tally, worker.read("nir", target), target, share.keep, f"nir-{share.seed}-{number}.nir", started)
    return list(tallies.values())


def others_round(worker: Worker, share: Share) -> list[Tally]:
    """Changed files of other formats. Each file is put back afterwards."""
    listed = [line.split("\t") for line in (share.folder / "list").read_text().splitlines()]
    often = [(reader, share.folder / name) for reader, name in listed if reader not in _SELDOM]
    seldom = [(reader, share.folder / name) for reader, name in listed if reader in _SELDOM]
    tallies: dict[str, Tally] = {}
    for number, rng in share.rounds():
        rest = number % (_OF * len(often) + len(seldom))
        reader, path = (often * _OF + seldom)[rest]
        whole, started = path.read_bytes(), time.perf_counter()
        try:
            _other(rng, path, whole)
        except Exception:  # what h5py cannot write
            path.write_bytes(whole)
            continue
        tally = tallies.setdefault(path.suffix or path.name, Tally(f"*{path.suffix}" if path.suffix else path.name))
        name = f"other-{share.seed}-{number}-{reader.replace(' ', '-')}-{path.name}"
        _enter(tally, worker.read(reader, path), path, share.keep, name, started)
        path.write_bytes(whole)
    return list(tallies.values())


def _other(rng: np.random.Generator, path: Path, whole: bytes) -> None:
    if rng.random() < 0.5 and (inside := changed_inside(rng, whole)) is not None:
        path.write_bytes(inside)
    elif path.suffix in _TEXTS and rng.random() < 0.7:
        path.write_text(changed_text(rng, whole.decode()), errors="replace")
    elif path.suffix in (".nir", ".hdf5") and rng.random() < 0.5 and h5py.is_hdf5(path):
        source = path.with_name("source")
        source.write_bytes(whole)
        changed_datasets(rng, source, path)
    else:
        path.write_bytes(changed_bytes(rng, whole))


def flips_round(worker: Worker, share: Share) -> list[Tally]:
    """Single bits of three exports: refused, or the same graph."""
    tally, target = Tally("NIR, one bit"), share.folder / "flipped"
    sources = sorted(share.folder.glob("*.nir"))[:3]
    hashes = {source: worker.read("nir", source)["text"] for source in sources}
    for number, rng in share.rounds():
        source, started = sources[number % 3], time.perf_counter()
        data = bytearray(source.read_bytes())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        target.write_bytes(data)
        found = worker.read("nir", target)
        if found["was"] == "accepted" and found["text"] != hashes[source]:
            found["was"] = "changed"
        _enter(tally, found, target, share.keep, f"flip-{share.seed}-{number}.nir", started)
    return [tally]


def _enter(tally: Tally, found: dict[str, Any], path: Path, keep: Path, name: str, started: float) -> None:
    tally.found[found["was"]] += 1
    tally.slow += bool(found.get("slow")) and found["was"] != "hang"
    tally.seconds += time.perf_counter() - started
    if found["was"] in _FINDINGS:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / name).write_bytes(path.read_bytes())
        tally.examples.append(f"{found['was']}: {keep / name}: {found['text'][:160]}")


def table(tallies: list[Tally]) -> str:
    """Markdown."""
    columns = ("accepted", "refused", *_FINDINGS)
    lines = [f"| files | number | {' | '.join(columns)} | slow once | ms each |", "|---" * (len(columns) + 4) + "|"]
    for tally in tallies:
        number = sum(tally.found.values())
        cells = " | ".join(str(tally.found[column]) for column in columns)
        lines.append(f"| {tally.title} | {number:,} | {cells} | {tally.slow} | {1000 * tally.seconds / number:.0f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nir", type=int, default=100_000, help="changed NIR files")
    parser.add_argument("--others", type=int, default=20_000, help="changed files of other formats")
    parser.add_argument("--flips", type=int, default=10_000, help="exports with one other bit")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds for a file (default 5)")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="leave out the first N files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the files (default 1)")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="folder for what was found")
    args = parser.parse_args()
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as name:
        for kind in _ROUNDS:
            if (count := getattr(args, kind)) > args.start:
                shares = _shares(Path(name) / kind, kind, count, args)
                context = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(len(shares), context) as pool:  # which raises where one of them dies
                    made = [pool.submit(Share.run, share) for share in shares]
                    while wait(made, _TOLD, FIRST_EXCEPTION).not_done:
                        if any(each.done() and each.exception() for each in made):
                            break
                        print(f"{kind}: {_reached(shares):,} of {count:,}", file=sys.stderr, flush=True)
                    for tally in (tally for part in made for tally in part.result()):
                        tallies.setdefault(tally.title, Tally(tally.title)).add(tally)
    print(table(list(tallies.values())))
    examples = [example for tally in tallies.values() for example in tally.examples]
    for example in examples[:20]:
        print(example)
    return 1 if examples else 0


def _reached(shares: list[Share]) -> int:
    """The number below which all files of a kind are done."""
    notes = [(share.folder / "at", share.first) for share in shares]
    return min(int(note.read_text() or first) if note.exists() else first for note, first in notes)


def _shares(folder: Path, kind: str, count: int, args: argparse.Namespace) -> list[Share]:
    """One for each process, each with a copy of the same sound files."""
    sound = folder / "sound"
    sound.mkdir(parents=True)
    if kind == "others":
        made = others(sound)
        for reader, path in made:  # changes to what is refused anyway would show nothing
            if (found := outcome(reader, path))["was"] != "accepted":
                raise RuntimeError(f"{path.name} is no sound file: {found['text']}")
        (sound / "list").write_text("".join(f"{reader}\t{path.relative_to(sound)}\n" for reader, path in made))
    else:
        deployments(sound)
    jobs = max(1, min(args.jobs, count - args.start))
    for number in range(jobs):
        shutil.copytree(sound, folder / str(number))
    keep = args.keep.absolute()
    return [
        Share(kind, folder / str(number), keep, count, args.seed, args.start + number, jobs, args.patience)
        for number in range(jobs)
    ]


if __name__ == "__main__":
    sys.exit(main())
