"""C == golden model: every emission and output, for compilers, levels of optimisation, forms of the code and kinds.

    python -m benchmarks.c_equality [--cases digits-cnn:if:449,resnet20:if:200] [--compilers "gcc;clang-17"]
                                    [--levels O3] [--data-root DIR] [--data cifar10=folder:PATH]

Each build runs the test images and is compared with the golden model: spikes of every layer and step, counts, events,
outputs after every step. "warnings": the generated file alone under ``-Wall -Wextra -Wconversion``, as errors.
"sanitizers": a program of its own (``c_check.c``), built with the undefined-behaviour and address sanitizers, compares
the outputs of the first images. Ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

import spikec as tc
from benchmarks.golden_cases import KINDS, NETWORKS, Case, Sources, images, on_this_machine
from spikec.ir import IntegerGraph, as_integer, load
from spikec.simulation import GoldenModel, encode
from spikec.targets.c import building
from spikec.targets.c.code import Choices, generate
from spikec.targets.c.compilers import Compiler, find_compiler
from spikec.targets.c.program import CProgram

#: Network, kind and images; all kinds on the smallest.
CASES = (*(("digits-cnn", kind, 449) for kind in KINDS), ("fashion-vgg", "if", 2000), ("resnet20", "if", 200))
FORMS = {"plain": Choices(), "vectors": Choices(vectors=True)}
LEVELS = ("O0", "O3")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
SANITIZED_BUILD = ("-O1", "-g", "-fno-sanitize-recover=all")
#: Sets of sanitizers, and the faults that they must see; the first that a compiler has is taken.
SANITIZERS = {"undefined,address": ("overflow", "read beside memory"), "undefined": ("overflow",)}
#: Images whose rasters are in memory at a time; images that run under sanitizers, which take ten times as long.
PIECE, SANITIZED = 100, 100
_FAULTS = {
    "read beside memory": """#include <stdlib.h>
int main(int argc, char **argv) {
    volatile signed char *p = malloc(8);
    (void)argv;
    return p[7 + argc] == 0 ? 0 : 0;
}
""",
    "overflow": """int main(int argc, char **argv) {
    volatile int most = 2147483647, sum = most + argc;
    (void)argv;
    return sum == 0;
}
""",
}
_CHECK = Path(__file__).with_name("c_check.c")


@dataclass
class Build:
    """One build of one form of the code, and the first thing that was wrong with it."""

    title: str
    program: CProgram
    wrong: str = ""
    images: int = 0

    def compare(self, pixels: npt.NDArray[np.float32], golden: tc.Trace) -> None:
        """Run ``pixels`` and compare everything that traces hold."""
        found = tc.compare(golden, self.program.run(pixels, record="spikes"))
        self.images += len(pixels)
        self.wrong = self.wrong or str(found or "")

    def __str__(self) -> str:
        return self.wrong or "equal"


@dataclass
class Checked:
    """One case in one form: what each build, the warnings and the sanitizers gave."""

    case: Case
    form: str
    builds: list[Build]
    others: dict[str, str] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        silent = all(said in ("silent", "not here") or said.startswith("clean") for said in self.others.values())
        return silent and not any(build.wrong for build in self.builds)


def main() -> None:
    args = _arguments()
    compilers, sources = _compilers(args.compilers), Sources.given(args)
    for name, compiler in compilers.items():
        print(f"{name}: {compiler.version}")
    columns = [f"{name} -{level}" for name in compilers for level in args.levels]
    others = [f"{name} {what}" for name in compilers for what in ("warnings", "sanitizers")]
    print(f"\n| network | kind | images | form | {' | '.join(columns + others)} |")
    print("|" + "---|" * (4 + len(columns + others)))
    equal = True
    with tempfile.TemporaryDirectory() as temporary:
        for network, kind, number in args.cases:
            case = Case(network, args.timesteps, kind)
            case.write(Path(temporary), sources)
            graph = as_integer(load(Path(temporary) / f"{case.name}.nir"))
            noise = "" if on_this_machine(network, sources) else " of noise"
            pixels = images(network, number, sources=sources).numpy()
            for found in check(case, graph, pixels, compilers, args.levels):
                cells = [*map(str, found.builds), *(found.others[key] for key in others)]
                shown = f"{found.builds[0].images:,}{noise}"
                print(f"| {network} | {kind} | {shown} | {found.form} | {' | '.join(cells)} |", flush=True)
                equal = equal and found.equal
    sys.exit(0 if equal else 1)


def check(
    case: Case,
    graph: IntegerGraph,
    pixels: npt.NDArray[np.float32],
    compilers: dict[str, Compiler],
    levels: Sequence[str] = LEVELS,
) -> Iterator[Checked]:
    """The forms of one case; the golden model runs once for all of them."""
    all_ = {
        form: Checked(case, form, list(_builds(graph, choices, compilers, levels))) for form, choices in FORMS.items()
    }
    model, outputs = GoldenModel(graph), []
    for first in range(0, len(pixels), PIECE):
        piece = pixels[first : first + PIECE]
        golden = model.run(piece, record="spikes")
        outputs.append(golden.output)
        for found in all_.values():
            for build in found.builds:
                build.compare(piece, golden)
    expected = np.concatenate(outputs)[:SANITIZED]
    for form, found in all_.items():
        for name, compiler in compilers.items():
            with tempfile.TemporaryDirectory() as folder:
                alone = Alone(Path(folder), graph, FORMS[form], compiler)
                found.others[f"{name} warnings"] = alone.warnings()
                found.others[f"{name} sanitizers"] = alone.sanitized(pixels[:SANITIZED], expected)
        yield found


def _builds(
    graph: IntegerGraph, choices: Choices, compilers: dict[str, Compiler], levels: Sequence[str]
) -> Iterator[Build]:
    for name, compiler in compilers.items():
        for level in levels:
            flags = tuple(f"-{level}" if flag == "-O2" else flag for flag in building.FLAGS)
            program = CProgram(graph, choices, compiler)
            with patch.object(building, "FLAGS", flags):
                built = program.library()
            assert f"-{level}" in built.flags
            yield Build(f"{name} -{level}", program)


@dataclass(frozen=True)
class Alone:
    """The files of a network as a user has them, in ``folder``, beside a program that checks their outputs."""

    folder: Path
    graph: IntegerGraph
    choices: Choices
    compiler: Compiler

    def __post_init__(self) -> None:
        source = generate(self.graph, "net", self.choices)
        (self.folder / "net.h").write_text(source.header, encoding="utf-8")
        (self.folder / "net.c").write_text(source.body, encoding="utf-8")
        shutil.copy(_CHECK, self.folder / "check.c")

    def warnings(self) -> str:
        """``silent``, or the first line of what the compiler says."""
        done = self._run([*self.compiler.command, "-std=c99", "-O2", *WARNINGS, "-c", "net.c", "-o", "net.o"])
        return "silent" if done.returncode == 0 and not done.stderr.strip() else _first_line(done)

    def sanitized(self, pixels: npt.NDArray[np.float32], expected: npt.NDArray[np.int64]) -> str:
        """``clean`` and by what, or what is wrong; ``not here`` where the sanitizers miss a fault made on purpose."""
        chosen = next((name for name in SANITIZERS if self._sees(name)), None)
        if chosen is None:
            return "not here"
        built = self._run([*self._sanitizing(chosen), "-std=c99", "net.c", "check.c", "-o", "check"])
        if built.returncode != 0:
            return _first_line(built)
        encode(self.graph.input, pixels).astype(self.graph.input.dtype).tofile(self.folder / "images.bin")
        expected.astype(np.int64).tofile(self.folder / "outputs.bin")
        done = self._run(["./check", "images.bin", "outputs.bin"])
        if done.returncode != 0 or done.stderr.strip():
            return _first_line(done)
        return (
            f"clean ({chosen})"
            if done.stdout.split() == [str(len(pixels)), "0"]
            else f"images, differences: {done.stdout}"
        )

    def _sees(self, sanitizers: str) -> bool:
        """Whether programs with the faults that these must see end with an error."""
        for fault in SANITIZERS[sanitizers]:
            (self.folder / "fault.c").write_text(_FAULTS[fault], encoding="utf-8")
            built = self._run([*self._sanitizing(sanitizers), "fault.c", "-o", "fault"])
            if built.returncode != 0 or self._run(["./fault"]).returncode == 0:
                return False
        return True

    def _sanitizing(self, sanitizers: str) -> list[str]:
        return [*self.compiler.command, *SANITIZED_BUILD, f"-fsanitize={sanitizers}"]

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)


def _first_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else f"ended {done.returncode}")


def _compilers(given: str | None) -> dict[str, Compiler]:
    """Those named, separated by semicolons, else all of gcc, clang and ziglang that are here."""
    if given:
        names = given.split(";")
    else:
        names = [name for name in ("gcc", "clang") if shutil.which(name)]
        if importlib.util.find_spec("ziglang") is not None:
            names.append(f"{sys.executable} -m ziglang cc")
    found = [find_compiler(name) for name in names]
    return {compiler.name: compiler for compiler in found}


def _arguments() -> argparse.Namespace:
    def cases(text: str) -> list[tuple[str, str, int]]:
        found = []
        for word in text.split(","):
            network, kind, number = word.split(":")
            if network not in NETWORKS or kind not in KINDS:
                raise argparse.ArgumentTypeError(f"networks: {', '.join(NETWORKS)}; kinds: {', '.join(KINDS)}")
            found.append((network, kind, int(number)))
        return found

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=cases, default=CASES, help="NETWORK:KIND:IMAGES, separated by commas")
    parser.add_argument("--levels", type=lambda text: text.split(","), default=LEVELS, help="default: O0,O3")
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--compilers", help="commands, separated by semicolons (default: gcc, clang and ziglang)")
    Sources.options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
