"""Four ways to read a module, on random modules of the grammar in ``tests/helpers/idioms.py``.

    python -m benchmarks.front_ends [--modules 100]

``torch.fx.symbolic_trace``, ``make_fx`` with ``pre_dispatch``, ``torch.export`` with ``strict=False``, and the recorder
of ``spikec.frontend``. Each reads the module on two images; what it made then runs on others. "equal": relative error
at most 1e-3; "refused": an error was raised; "different": another network without a word.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, given, seed, settings
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from spikec.frontend import canonicalize

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=int, default=100)
    modules = parser.parse_args().modules
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    print(f"torch {torch.__version__}, {modules} modules")
    for name, read in READERS.items():
        counts: Counter[str] = Counter()
        start = time.process_time()
        for case in _cases(modules):
            counts[_outcome(case, read)] += 1
        parts = ", ".join(f"{counts[kind]} {kind}" for kind in ("equal", "refused", "different"))
        print(f"{name:20} {parts}; {time.process_time() - start:.0f} CPU s")


def _cases(number: int) -> list[tuple[str, str]]:
    from helpers.idioms import sources

    found: list[tuple[str, str]] = []

    @seed(1)
    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(sources())
    def collect(case: tuple[str, str]) -> None:
        found.append(case)

    collect()
    return found[:number]


def _outcome(case: tuple[str, str], read: Callable[[nn.Module, Tensor], Any]) -> str:
    from helpers.idioms import network

    module = network(*case).eval()
    generator = torch.Generator().manual_seed(0)
    example, others = (torch.randn(2, 3, 6, 6, generator=generator) for _ in range(2))
    with torch.no_grad():
        try:
            made = read(module, example)
        except Exception:  # whatever a reader raises is a refusal
            return "refused"
        for each in (*module.modules(), *getattr(made, "modules", tuple)()):
            if getattr(each, "levels", None) is not None:
                each.levels = 2**20  # rounding in folded weights may move a value across a step
        wanted = module(others.clone())
        try:
            given = made(others.clone())
        except Exception:
            return "different"
    same = given.shape == wanted.shape and float((given - wanted).abs().max()) <= 1e-3 * float(wanted.abs().max())
    return "equal" if same else "different"


READERS: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    "symbolic_trace": lambda module, _: torch.fx.symbolic_trace(module),
    "make_fx": lambda module, x: make_fx(lambda images: module(images), pre_dispatch=True)(x.clone()),
    "torch.export": lambda module, x: torch.export.export(module, (x.clone(),), strict=False).module(),
    "recorder": canonicalize,
}

if __name__ == "__main__":
    main()
