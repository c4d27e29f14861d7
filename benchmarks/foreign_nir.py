"""Networks of four other frameworks, exported by their own exporters and deployed here: the same spikes, or why not.

    python -m benchmarks.foreign_nir [--only sinabs,norse] [--keep FOLDER]

In the environment of each framework (``benchmarks.environments``) small random networks of its own neurons run in float
on random spikes and are exported to NIR. Here each file is imported, stepped in float by NIR's equations and as
integers, and both are compared with the framework's spikes, layer by layer and step by step. Where the float run
differs, the reason is a rule that is run too (``benchmarks.foreign_rules``). A file that ``nir.read`` refuses is
diagnosed, repaired and then compared. Writes the tables of ``docs/interoperability.md``. Exit code 3 where a file is
refused or differs otherwise than ``benchmarks.foreign_cases`` says: then these lines and the page are out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

import spikec as tc
from benchmarks.environments import FRAMEWORKS, ROOT, Framework, environment, run
from benchmarks.foreign_cases import CASES, Foreign, Stage
from benchmarks.foreign_rules import NIR, rounded, run_rule
from benchmarks.marked import write
from spikec.conversion.from_nir.running import run_float
from spikec.targets.base import get_target

PAGE = ROOT / "docs" / "interoperability.md"
SEED, SEQUENCES, STEPS, RATE, IN_LAVA = 0, 40, 100, 0.2, 4
#: Neurons of the input and of both layers; standard deviations of weights and biases.
SIZES, SPREAD, BIAS = (12, 16, 8), 0.35, 0.02

#: What each layer emits [N, steps, neurons].
Emitted = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Outcome:
    """How far a network came, what was ``said`` where that was not all the way, and ``findings``: errors of its file.

    ``compared``: neuron-steps; ``spikes``: those in which the framework's neurons fire. Those that differ from the
    framework: ``in_float``, with the rule (``explained``, None where none is needed) and ``in_integers``. Those that
    differ from NIR's equations in float: integers (``lowered``), and float with weights of 8 bits (``weights``).
    ``lava``: "identical", the difference, or why it did not run. ``chip``: what keeps it off a Loihi 2, or empty.
    """

    case: Foreign
    stage: Stage
    said: str = ""
    findings: tuple[str, ...] = ()
    compared: int = 0
    spikes: int = 0
    in_float: int = 0
    explained: int | None = None
    in_integers: int = 0
    lowered: int = 0
    weights: int = 0
    lava: str = ""
    chip: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="frameworks, with commas; the table is not written then")
    parser.add_argument("--keep", type=Path, help="keep files and spikes here")
    args = parser.parse_args(arguments)
    used = {case.framework for case in CASES}
    wanted = [f for f in FRAMEWORKS if f.name in used and (not args.only or f.name in args.only.split(","))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        chosen_on, sequences = prepare(folder)
        outcomes = []
        for framework in wanted:
            results = execute(framework, folder)
            for case in CASES:
                if case.framework == framework.name:
                    found = results[case.name]
                    outcomes.append(evaluate(case, found, folder / framework.name, chosen_on, sequences))
    parts = {"foreign": table(outcomes), "foreign-refused": refusals(outcomes)}
    print("\n\n".join(parts.values()))
    if not args.only:
        for name, part in parts.items():
            write(PAGE, name, part)
        print(f"wrote the tables of {PAGE.relative_to(ROOT)}")
    problems = [complaint for outcome in outcomes for complaint in complaints(outcome)]
    print("\n".join(problems) or "every file is refused, agrees or differs as benchmarks.foreign_cases says")
    return 3 if problems else 0


def prepare(folder: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Write what the workers read; sequences [N, steps, features] that lowering sees, and those that are compared."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    weights = {}
    for index, (n_in, n_out) in enumerate(pairwise(SIZES)):
        weights[f"weight{index}"] = SPREAD * rng.standard_normal((n_out, n_in))
        weights[f"bias{index}"] = BIAS * rng.standard_normal(n_out)
        weights[f"recurrent{index}"] = SPREAD * rng.standard_normal((n_out, n_out))
    chosen_on, sequences = (rng.random((2, SEQUENCES, STEPS, SIZES[0])) < RATE).astype(np.float32)
    np.savez(folder / "weights.npz", **{name: weight.astype(np.float32) for name, weight in weights.items()})
    np.savez(folder / "input.npz", x=sequences)
    plan: dict[str, dict[str, float]] = {}
    for case in CASES:
        plan.setdefault(case.framework, {})[case.name] = case.scale
    (folder / "plan.json").write_text(json.dumps(plan))
    return chosen_on, sequences


def execute(framework: Framework, folder: Path) -> dict[str, dict[str, str]]:
    """Build, export and run the networks in a framework's environment; how far each came."""
    python = environment(framework)
    (folder / framework.name).mkdir(exist_ok=True)
    run(python, "-m", "benchmarks.foreign_worker", framework.name, folder)
    results: dict[str, dict[str, str]] = json.loads((folder / framework.name / "results.json").read_text())
    return results


def evaluate(
    case: Foreign,
    result: Mapping[str, str],
    folder: Path,
    chosen_on: npt.NDArray[np.float32],
    sequences: npt.NDArray[np.float32],
) -> Outcome:
    """One network: import, lower, run, compare."""
    if result["stage"] == "run":
        raise RuntimeError(f"{case.framework}, {case.name}: the network does not run there: {result['said']}")
    if result["stage"] != "done":
        return Outcome(case, "export" if result["stage"] == "export" else "write", result["said"])
    path = folder / f"{case.name}.nir"
    refusal, findings = "", ()
    try:
        nir.read(path)
    except Exception as error:  # nir raises many kinds
        refusal = f"{type(error).__name__}: {error}"
        repaired = tc.nir.repair(path, folder / f"{case.name}-repaired.nir")
        path, findings = Path(repaired.out), tuple(sorted({finding.rule for finding in repaired.before.errors}))
    given = {"dt": case.dt, "integration": case.integration, "subtract": case.subtract}
    network = tc.import_sequences(path, example=chosen_on, **given)
    with np.load(folder / f"{case.name}.npz") as kept:
        theirs = dict(zip(network.neurons, kept.values(), strict=True))
    graph = tc.lower(network, tc.Int8(per="channel"))
    x = sequences.astype(np.float64)
    ours, integers = run_float(network, x).spikes, tc.simulate(graph, x, record="spikes").spikes
    refused = [violation for violation in tc.check(graph, target="loihi2") if violation.severity == "error"]
    return Outcome(
        case,
        "repaired" if refusal else "compared",
        refusal,
        findings,
        compared=sum(train.size for train in theirs.values()),
        spikes=sum(int((train > 0).sum()) for train in theirs.values()),
        in_float=differences(theirs, ours),
        explained=None if case.rule is NIR else differences(theirs, run_rule(network, case.rule, x)),
        in_integers=differences(theirs, integers),
        lowered=differences(ours, integers),
        weights=differences(ours, run_float(rounded(network), x).spikes),
        lava=_lava(graph, x[:IN_LAVA]),
        chip=refused[0].rule if refused else "",
    )


def _lava(graph: nir.NIRGraph, sequences: npt.NDArray[np.float64]) -> str:
    if get_target("lava").available() is not None:
        return "Lava is not installed"
    result = tc.crosscheck(graph, "lava", sequences)
    return "identical" if result.identical else str(result.difference)


def differences(some: Emitted, others: Emitted) -> int:
    """Neuron-steps in which two runs emit something else."""
    return sum(int((train.astype(np.float64) != others[name]).sum()) for name, train in some.items())


def complaints(outcome: Outcome) -> list[str]:
    """What is not as ``benchmarks.foreign_cases`` says."""
    case = outcome.case
    where = f"{case.framework}, {case.name}"
    if outcome.stage != case.stage:
        return [f"{where}: should come as far as {case.stage!r}, but {outcome.stage!r}: {outcome.said}"]
    if outcome.stage in ("export", "write"):
        return []
    found = []
    if not outcome.spikes:
        found.append(f"{where}: no neuron fires")
    if outcome.stage == "repaired" and not outcome.findings:
        found.append(f"{where}: nir.read refuses it, but the doctor finds no error")
    if outcome.explained is None and outcome.in_float:
        found.append(f"{where}: {outcome.in_float} spikes differ in float, and no reason is known")
    if outcome.explained:
        found.append(f"{where}: {outcome.explained} spikes differ with the rule that should explain them")
    if outcome.explained is not None and not outcome.in_float:
        found.append(f"{where}: nothing differs in float; the rule is not needed")
    if outcome.lava not in ("identical", "Lava is not installed"):
        found.append(f"{where}: Lava differs from the golden model: {outcome.lava}")
    return found


_COLUMNS = (
    "framework",
    "network",
    "dt, reset",
    "neuron-steps",
    "spikes",
    "differ in float",
    "differ as integers",
    "integers and our float",
    "8-bit weights alone",
    "golden and Lava",
    "fits Loihi 2",
    "why float differs",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """What was compared, in Markdown."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for o in outcomes:
        if o.stage in ("compared", "repaired"):
            kind = "" if o.case.integration == "euler" else ", exponential"
            step = f"{o.case.dt:g}{kind}, {'subtract' if o.case.subtract else 'v_reset'}"
            counts = (f"{n:,}" for n in (o.compared, o.spikes, o.in_float, o.in_integers, o.lowered, o.weights))
            why = f"{o.case.rule.says}; stepped so, {o.explained:,} differ" if o.explained is not None else ""
            rows.append((*_named(o), step, *counts, o.lava, f"no: {o.chip}" if o.chip else "yes", why))
    return _markdown(rows)


def refusals(outcomes: Sequence[Outcome]) -> str:
    """What was refused, where and how, in Markdown; the doctor's errors where a file exists."""
    where = {"export": "its exporter", "write": "`nir.write`", "repaired": "`nir.read`"}
    rows: list[tuple[str, ...]] = [("framework", "network", "refused by", "which says", "`spikec nir doctor`")]
    for o in outcomes:
        if o.stage in where:
            found = f"{', '.join(f'`{rule}`' for rule in o.findings)}; compared after `spikec nir repair`"
            rows.append((*_named(o), where[o.stage], f"`{o.said.split('. ')[0]}`", found if o.findings else ""))
    return _markdown(rows)


def _named(outcome: Outcome) -> tuple[str, str]:
    framework = next(f for f in FRAMEWORKS if f.name == outcome.case.framework)
    return next(iter(framework.bare or framework.packages)).replace("==", " "), outcome.case.label


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


if __name__ == "__main__":
    sys.exit(main())
