"""Networks of four other frameworks, exported by their own exporters and deployed here: the same spikes, or why not.

    python -m benchmarks.foreign_nir [--only sinabs,norse] [--keep FOLDER]

In the environment of each framework (``benchmarks.environments``) small random networks of its own neurons run in float
on random spikes and are exported to NIR. Here each file is imported, stepped in float by NIR's equations and as
integers, and both are compared with the framework's spikes, layer by layer and step by step. Where the float run
differs, the reason is a rule that is run too (``benchmarks.foreign_rules``). Writes the table of
``docs/interoperability.md``. Exit code 3 where a file is refused or differs otherwise than ``benchmarks.foreign_cases``
says: then these lines and the documentation are out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np
import numpy.typing as npt

import spikec as tc
from benchmarks.environments import FRAMEWORKS, ROOT, Framework, environment, run
from benchmarks.foreign_cases import CASES, Foreign, Stage
from benchmarks.foreign_rules import NIR, run_rule
from benchmarks.marked import write
from spikec.conversion.from_nir.running import run_float

PAGE = ROOT / "docs" / "interoperability.md"
SEED, SEQUENCES, STEPS, RATE = 0, 40, 100, 0.2
#: Neurons of the input and of both layers; standard deviations of weights and biases.
SIZES, SPREAD, BIAS = (12, 16, 8), 0.35, 0.02

Emitted = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Outcome:
    """How far a network came, and what was said where it ended. ``compared``: neuron-steps; ``spikes``: those of them in
    which the framework's neurons fire; how many differ ``in_float``, with the rule (``explained``, None where none is
    needed) and ``in_integers``. ``chip``: what keeps it off a Loihi 2, empty if nothing does."""

    case: Foreign
    stage: Stage
    said: str = ""
    compared: int = 0
    spikes: int = 0
    in_float: int = 0
    explained: int | None = None
    in_integers: int = 0
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
    text = table(outcomes)
    print(text)
    if not args.only:
        write(PAGE, "foreign", text)
        print(f"wrote the table of {PAGE.relative_to(ROOT)}")
    problems = [complaint for outcome in outcomes for complaint in complaints(outcome)]
    print("\n".join(problems) or "every file is refused, agrees or differs as benchmarks.foreign_cases says")
    return 3 if problems else 0


def prepare(folder: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Write what the workers read; sequences [N, steps, features] that lowering sees, and those that are compared."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    weights = {}
    for index, (n_in, n_out) in enumerate(zip(SIZES[:-1], SIZES[1:], strict=True)):
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
    try:
        nir.read(path)
    except Exception as error:  # nir raises many kinds
        return Outcome(case, "read", f"{type(error).__name__}: {error}")
    given = {"dt": case.dt, "integration": case.integration, "subtract": case.subtract}
    network = tc.import_sequences(path, example=chosen_on, **given)
    with np.load(folder / f"{case.name}.npz") as kept:
        theirs = dict(zip(network.neurons, kept.values(), strict=True))
    graph = tc.lower(network, tc.Int8(per="channel"))
    x = sequences.astype(np.float64)
    refused = [violation for violation in tc.check(graph, target="loihi2") if violation.severity == "error"]
    return Outcome(
        case,
        "compared",
        compared=sum(train.size for train in theirs.values()),
        spikes=sum(int((train > 0).sum()) for train in theirs.values()),
        in_float=differences(theirs, run_float(network, x).spikes),
        explained=None if case.rule is NIR else differences(theirs, run_rule(network, case.rule, x)),
        in_integers=differences(theirs, tc.simulate(graph, x, record="spikes").spikes),
        chip=refused[0].rule if refused else "",
    )


def differences(theirs: Emitted, ours: Mapping[str, npt.NDArray[np.generic]]) -> int:
    """Neuron-steps in which two runs emit something else."""
    return sum(int((train != ours[name].astype(np.float64)).sum()) for name, train in theirs.items())


def complaints(outcome: Outcome) -> list[str]:
    """What is not as ``benchmarks.foreign_cases`` says."""
    case = outcome.case
    where = f"{case.framework}, {case.name}"
    if outcome.stage != case.stage:
        return [f"{where}: should come as far as {case.stage!r}, but {outcome.stage!r}: {outcome.said}"]
    if outcome.stage != "compared":
        return []
    found = []
    if not outcome.spikes:
        found.append(f"{where}: no neuron fires")
    if outcome.explained is None and outcome.in_float:
        found.append(f"{where}: {outcome.in_float} spikes differ in float, and no reason is known")
    if outcome.explained:
        found.append(f"{where}: {outcome.explained} spikes differ with the rule that should explain them")
    if outcome.explained is not None and not outcome.in_float:
        found.append(f"{where}: nothing differs in float; the rule is not needed")
    return found


_ENDS = {"export": "its exporter fails", "write": "nir.write refuses it", "read": "nir.read refuses it"}


def table(outcomes: Sequence[Outcome]) -> str:
    """The table of the documentation in Markdown."""
    head = ("framework", "network", "step", "neuron-steps", "spikes", "differ in float", "differ as integers", "why")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    versions = {f.name: next(iter(f.bare or f.packages)).replace("==", " ") for f in FRAMEWORKS}
    for o in outcomes:
        case, cells = o.case, ["", "", "", "", ""]
        why = f"{_ENDS[o.stage]}: {_code(o.said)}" if o.stage != "compared" else ""
        if o.stage == "compared":
            reset = "subtract" if case.subtract else "reset to v_reset"
            kind = "" if case.integration == "euler" else f", {case.integration}"
            numbers = (o.compared, o.spikes, o.in_float, o.in_integers)
            cells = [f"dt {case.dt:g}{kind}, {reset}", *(f"{number:,}" for number in numbers)]
            why = f"{case.rule.says}; stepped so, {o.explained:,} differ" if o.explained is not None else ""
            why = "; ".join(part for part in (why, f"not for Loihi 2: {o.chip}" if o.chip else "") if part)
        lines.append(f"| {' | '.join([versions[case.framework], case.label, *cells, why])} |")
    return "\n".join(lines)


def _code(text: str) -> str:
    return f"`{text.replace('|', '/')}`"


if __name__ == "__main__":
    sys.exit(main())
