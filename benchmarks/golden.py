"""The golden model beside the float ANN, four other simulators and Lava: images/s, ratios, agreement, memory.

    python -m benchmarks.golden [--networks digits-cnn,fashion-vgg] [--only ann,golden] [--rounds 5] [--threads 1]
                                [--isa AVX2] [--data cifar10=folder:PATH]

Same networks, integers, T, batch and threads for all. Every row is a process of its own, simulators in environments
under ``.venv-interop/`` (made once, Python 3.11); they run in turns, and the best of all rounds counts. ``--clock cpu``
counts CPU seconds, which on a shared machine are steadier than wall clock. "differ" is the number of spike counts
(and outputs) that are not those of the golden model. "golden-kernels" is the time the golden model spends inside 8-bit
kernels: what no neuron code can undercut. "c" is the C target as Python calls it, "c-bare" the time inside the
generated ``NAME_run`` alone, images already in integers, one thread; both are built here, for vectors. ``--isa`` lets
oneDNN use no more than that instruction set, in every row but those of C, as on an older processor: AVX512_CORE and
AVX2 have no VNNI. Then, unless ``--no-scaling``, time against T, depth, width and number of images, each with its
fitted exponent.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spikec as tc
from benchmarks.environments import FRAMEWORKS, ROOT, environment
from benchmarks.golden_cases import KINDS, NETWORKS, Case, Sources, images
from benchmarks.golden_scaling import scaling
from spikec.ir.kinds import IF
from spikec.targets.c import CTarget
from spikec.targets.lava import LavaTarget

PEERS = ("spikingjelly", "snntorch", "sinabs", "norse")
LAVA = ("lava", "lava-stock")
C = ("c", "c-bare")
ROWS = ("ann", "golden", "golden-kernels", "golden-float32", "golden-measured", *C, *PEERS, *LAVA)
#: Images of a pass, by batch; Lava takes one after the other, and its own models need minutes per image of 32 x 32.
IMAGES = {1: 8, 128: 128}
LAVA_IMAGES = {"lava": 8, "lava-stock": 1}
LAVA_SMALL = ("digits-cnn", "fashion-vgg")


@dataclass
class Row:
    """What was measured of one way to run a case."""

    name: str
    seconds: float = float("inf")  # per image
    megabytes: float | None = None
    differ: int | None = None
    skipped: str = ""


@dataclass
class Worker:
    """A process that runs cases in one way."""

    name: str
    process: subprocess.Popen[str] = field(repr=False)

    @classmethod
    def start(cls, name: str, folder: Path, threads: int, isa: str | None) -> Worker:
        """In the environment where the row ``name`` can run."""
        python: str | Path = sys.executable
        if name in PEERS:
            python = environment(next(f for f in FRAMEWORKS if f.name == name))
        command = [str(python), "-m", "benchmarks.golden_worker", name, str(folder), str(threads)]
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        settings = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": path}
        if isa:
            settings["ONEDNN_MAX_CPU_ISA"] = isa
        pipe = subprocess.PIPE
        return cls(name, subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=settings))

    def order(self, **order: Any) -> dict[str, float]:
        """Send an order and wait for the answer; see ``benchmarks.golden_worker``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended; its message is above")
        found: dict[str, float] = json.loads(answer)
        return found

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    args = _arguments(arguments)
    limit = f", oneDNN up to {args.isa}" if args.isa else ""
    print(f"{machine()}{limit}; {args.threads} thread(s), {args.clock} clock, best of {args.rounds} rounds")
    sources = Sources.given(args)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for network in args.networks:
            shown = images(network, max(IMAGES.values()), sources=sources)
            np.save(folder / f"{network}.npy", shown.numpy())
        workers = {name: Worker.start(name, folder, args.threads, args.isa) for name in args.only if name not in LAVA}
        try:
            for case in [Case(n, t, k) for n in args.networks for t in args.timesteps for k in args.kinds]:
                case.write(folder, sources)
                for batch in args.batch:
                    rows = measure(case, batch, args, folder, workers)
                    title = f"{case.network}, {case.kind}, T = {case.timesteps}, batch {batch}"
                    print(f"\n{title}\n{table(rows)}", flush=True)
        finally:
            for worker in workers.values():
                worker.stop()
    if args.scaling:
        print("\n" + scaling(args.threads, args.rounds))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    def words(known: Sequence[str]) -> Any:
        def split(text: str) -> list[str]:
            found = text.split(",")
            if set(found) - set(known):
                raise argparse.ArgumentTypeError(f"known: {', '.join(known)}")
            return found

        return split

    def numbers(text: str) -> list[int]:
        return [int(word) for word in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=words(tuple(NETWORKS)), default=list(NETWORKS))
    parser.add_argument(
        "--kinds", type=words(tuple(KINDS)), default=[IF.name], help="neurons; other simulators know if"
    )
    parser.add_argument("--only", type=words(ROWS), default=[row for row in ROWS if row != "golden-measured"])
    parser.add_argument("--timesteps", type=numbers, default=[4, 8])
    parser.add_argument("--batch", type=numbers, default=[128, 1], help="1, 128 or both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--isa", help="ONEDNN_MAX_CPU_ISA, such as AVX512_CORE or AVX2")
    Sources.options(parser)
    parser.add_argument("--keep", type=Path, help="keep deployments, counts and images here")
    parser.add_argument("--no-scaling", dest="scaling", action="store_false")
    return parser.parse_args(arguments)


def measure(case: Case, batch: int, args: argparse.Namespace, folder: Path, running: Mapping[str, Worker]) -> list[Row]:
    """All rows of one case, in turns."""
    rows = {name: Row(name, skipped=reason(name, case, batch)) for name in args.only}
    workers = {name: worker for name, worker in running.items() if not rows[name].skipped}
    order = {"case": case.name, "network": case.network, "images": IMAGES[batch], "batch": batch}
    for name, worker in workers.items():
        worker.order(**order, save=str(folder / f"{case.name}.{name}.npz"))
    for _ in range(args.rounds):
        for name, worker in workers.items():
            answer = worker.order(**order)
            rows[name].seconds = min(rows[name].seconds, answer[args.clock] / order["images"])
            rows[name].megabytes = max(rows[name].megabytes or 0.0, answer["megabytes"])
    for name in set(LAVA) & set(rows):
        if not rows[name].skipped:
            run_lava(rows[name], case, folder)
    for name, row in rows.items():
        if not row.skipped and name not in ("ann", "golden") and "golden" in workers:
            row.differ = differences(folder / f"{case.name}.golden.npz", folder / f"{case.name}.{name}.npz")
    return list(rows.values())


def reason(name: str, case: Case, batch: int) -> str:
    """Why a row cannot run here, or nothing."""
    if name in (*PEERS, *LAVA, "golden-float32") and case.kind != IF.name:
        return "IF neurons only"
    if name == "c-bare" and batch > 1:
        return "runs image after image; see batch 1"
    if name in C:
        return CTarget.available() or ""
    if name in LAVA:
        if case.network not in LAVA_SMALL and case.timesteps > 4:
            return "minutes per image; see T = 4"
        return LavaTarget.available() or ""
    return ""


def run_lava(row: Row, case: Case, folder: Path) -> None:
    """One image after the other; the time is that of Lava's steps, without the start of the interpreter."""
    number = LAVA_IMAGES[row.name] if case.network in LAVA_SMALL else 1
    pixels = np.load(folder / f"{case.network}.npy")[:number]
    program = tc.compile(tc.load(folder / f"{case.name}.nir"), target="lava", stock=row.name == "lava-stock", abreast=1)
    trace = program.run(pixels)
    assert trace.target_steps is not None
    row.seconds = trace.target_steps.ms_per_step / 1000 * case.timesteps
    np.savez(folder / f"{case.name}.{row.name}.npz", **trace.counts, output=trace.output)


def differences(golden: Path, other: Path) -> int:
    """Counts and outputs that differ."""
    with np.load(golden) as a, np.load(other) as b:
        assert set(a.files) == set(b.files)
        return sum(int((a[key][: len(b[key])] != b[key]).sum()) for key in a.files)


def table(rows: Sequence[Row]) -> str:
    """One line per row; "of ANN" and "of golden": speed against the float ANN and the golden model, "golden is":
    how many times faster the golden model."""
    seconds = {row.name: row.seconds for row in rows}
    lines = [f"{'':<17}{'images/s':>10}{'of ANN':>9}{'of golden':>11}{'golden is':>11}{'differ':>9}{'MB':>7}"]
    for row in rows:
        if row.skipped:
            lines.append(f"{row.name:<17}skipped: {row.skipped}")
            continue
        of_ann = f"{seconds['ann'] / row.seconds:.3f}" if "ann" in seconds else ""
        faster = f"{row.seconds / seconds['golden']:.1f}x" if "golden" in seconds else ""
        times = f"{seconds['golden'] / row.seconds:.2f}x" if "golden" in seconds else ""
        differ = "" if row.differ is None else str(row.differ)
        megabytes = "" if row.megabytes is None else f"{row.megabytes:.0f}"
        lines.append(
            f"{row.name:<17}{1 / row.seconds:>10.1f}{of_ann:>9}{times:>11}{faster:>11}{differ:>9}{megabytes:>7}"
        )
    return "\n".join(lines)


def machine() -> str:
    """What decides speed, without a name: kernels and versions."""
    known = ("avx512_vnni", "avx_vnni", "avx512f", "avx2", "amx_int8")
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.exists() else set()
    found = [flag for flag in known if flag in flags]
    return f"{os.cpu_count()} cores ({', '.join(found) or 'no known vector extension'}), torch {torch.__version__}"


if __name__ == "__main__":
    main()
