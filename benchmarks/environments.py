"""One environment per simulator or counting tool under ``.venv-interop/`` (Python 3.11), made on first use."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venv-interop"
CONSTRAINTS = "constraints/interop.txt"


@dataclass(frozen=True)
class Framework:
    """``packages`` are installed with what they ask for, ``bare`` without, because that is too old or missing.

    ``checkout``: whether this checkout is installed there too, for workers that import spikec.
    """

    name: str
    packages: tuple[str, ...]
    bare: tuple[str, ...] = ()
    base: tuple[str, ...] = ("torch==2.13.0", "nir==1.0.8")
    constraints: str = CONSTRAINTS
    checkout: bool = False


FRAMEWORKS = (
    Framework("nirtorch", ("nirtorch==2.6",), checkout=True),
    Framework("snntorch", ("snntorch==1.0.0", "nirtorch==2.6"), checkout=True),
    Framework("norse", ("norse==1.1.0", "nirtorch==2.6"), checkout=True),
    Framework("spikingjelly", ("spikingjelly==2.0.0", "nirtorch==2.6"), checkout=True),
    Framework("sinabs", ("nirtorch==2.6", "matplotlib", "pbr"), ("sinabs==3.1.3",), checkout=True),
)

#: Tools whose counts ``benchmarks.peer_counts`` compares; sinabs is among the simulators.
COUNTERS = (
    Framework("neurobench", ("neurobench==2.3.0",)),
    next(framework for framework in FRAMEWORKS if framework.name == "sinabs"),
    Framework(
        "syops",
        ("torchvision", "matplotlib", "scipy", "tqdm", "progress"),
        ("spikingjelly==0.0.0.0.12", "syops==0.0.5"),
        base=("torch==2.13.0",),
        constraints="constraints/syops.txt",
    ),
    Framework(
        "keras-spiking",
        ("packaging",),
        ("keras-spiking==0.3.0",),
        base=("tensorflow-cpu==2.15.1",),
        constraints="constraints/keras-spiking.txt",
    ),
)


def environment(framework: Framework) -> Path:
    """The interpreter of a framework's environment, made on first use."""
    folder = ENVIRONMENTS / framework.name
    ours = ("--editable", str(ROOT)) if framework.checkout else ()
    plan = "\n".join([*framework.packages, *framework.bare, *ours, (ROOT / framework.constraints).read_text()])
    stamp = folder / "plan.txt"
    if not stamp.exists() or stamp.read_text() != plan:
        print(f"{framework.name}: making its environment", file=sys.stderr)
        # torch first: where a CPU build is at hand it is taken, and the rest finds it there.
        run(ROOT / ".ci/environment", folder, "3.11", framework.constraints, *framework.base)
        pip = (folder / "bin/python", "-m", "pip", "install", "-qq", "--constraint", framework.constraints)
        if framework.packages:
            run(*pip, *framework.packages)
        if framework.bare or ours:
            run(*pip, "--no-deps", *framework.bare, *ours)
        stamp.write_text(plan)
    return folder / "bin/python"


def run(*command: str | Path) -> None:
    """Run a command in the checkout; its output goes to stderr."""
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True, stdout=sys.stderr)
