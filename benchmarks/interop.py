"""Deployment files in five other simulators: the same spikes as the golden model, or not.

    python -m benchmarks.interop [--only sinabs,norse] [--keep FOLDER]

Makes one environment per framework under ``.venv-interop/`` (Python 3.11, once), runs the conformance network and the
trained digits network there, compares every spike of every step with the golden model, prints the table and writes the
support matrix of ``docs/interoperability.md``. Exit code 3 where an adapter differs, or where an importer alone no
longer does: then the adapter and the documentation are out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import spikec as tc
from benchmarks.environments import FRAMEWORKS, ROOT, Framework, environment, run
from benchmarks.interop_cases import trained_cases
from benchmarks.marked import write
from spikec.ir import IntegerGraph
from spikec.ir.profile.build import requirements
from spikec.simulation import Trace
from spikec.targets.interop import adapter
from spikec.targets.interop.conformance import Case, beyond, conformance_cases, from_zero, write_case

#: Traces a run may agree with, by case and mode.
Golden = dict[tuple[str, str], list[Trace]]

PAGE = ROOT / "docs" / "interoperability.md"
#: Rows of the matrix for runs other than through the adapter.
SPECIAL = {
    "portable": "portable form, from zero",
    "importer": "importer alone, from zero",
    "file": "importer takes the deployment file",
    "portable-file": "importer takes the portable file",
}


@dataclass(frozen=True)
class Outcome:
    """One run against the golden model: ``status`` is "ran", "refused: ..." or the error."""

    case: Case
    mode: str
    status: str
    bins: int = 0
    differences: int = 0

    @property
    def exact(self) -> bool:
        return self.status == "ran" and self.differences == 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="frameworks, with commas; the matrix is not written then")
    parser.add_argument("--keep", type=Path, help="keep files, spikes and logs here")
    args = parser.parse_args(arguments)
    wanted = [f for f in FRAMEWORKS if not args.only or f.name in args.only.split(",")]
    cases = [*conformance_cases(), *trained_cases()]
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        golden = prepare(cases, folder)
        outcomes = {f.name: evaluate(cases, golden, execute(f, folder), folder / f.name) for f in wanted}
    print(table(outcomes))
    if not args.only:
        write(PAGE, "support", matrix(outcomes))
        print(f"wrote the support matrix of {PAGE.relative_to(ROOT)}")
    problems = complaints(outcomes)
    print("\n".join(problems) or "no adapter differs from the golden model; every importer alone does")
    return 3 if problems else 0


def prepare(cases: list[Case], folder: Path) -> Golden:
    """Write what the workers read; golden traces by case and mode, several where several would do.

    An importer alone starts from zero; neurons that fire on the threshold and those that fire beyond it are both right.
    """
    folder.mkdir(parents=True, exist_ok=True)
    golden: Golden = {}
    plan = []
    for case in cases:
        write_case(case, folder)
        plan.append({"name": case.name, "plain": case.plain is not None, "modes": modes(case)})
        if not case.refused:
            golden[case.name, "adapter"] = golden[case.name, "portable"] = [reference(case.graph, case)]
        if case.raw:
            golden[case.name, "importer"] = [
                reference(graph, case) for graph in (from_zero(case.graph), beyond(case.graph))
            ]
    (folder / "plan.json").write_text(json.dumps(plan))
    return golden


def modes(case: Case) -> list[str]:
    """How a case is run; see ``benchmarks.interop_worker.execute``."""
    found = ["adapter"]
    if case.raw:
        found.append("importer")
    if case.portable:
        found += ["portable", "file", "portable-file"]
    return found


def reference(graph: IntegerGraph, case: Case) -> Trace:
    """The golden model's trace of a case, with rasters."""
    return tc.simulate(graph, case.images, record="spikes", threads=1)


def execute(framework: Framework, folder: Path) -> dict[str, str]:
    """Run the plan in a framework's environment; the status of every run by ``case.mode``."""
    python = environment(framework)
    results = folder / framework.name
    results.mkdir(exist_ok=True)
    run(python, "-m", "benchmarks.interop_worker", framework.name, folder)
    status: dict[str, str] = json.loads((results / "results.json").read_text())
    return status


def evaluate(cases: list[Case], golden: Golden, status: dict[str, str], results: Path) -> list[Outcome]:
    """Every run of a framework against the golden model."""
    outcomes = []
    for case in cases:
        for mode in modes(case):
            said = status[f"{case.name}.{mode}"]
            bins = differences = 0
            if said == "ran" and not mode.endswith("file"):
                with np.load(results / f"{case.name}.{mode}.npz") as result:
                    found = [difference(trace, result) for trace in golden[case.name, mode]]
                bins, differences = min(found, key=lambda pair: pair[1])
            outcomes.append(Outcome(case, mode, said, bins, differences))
    return outcomes


def difference(trace: Trace, result: Mapping[str, npt.NDArray[np.int64]]) -> tuple[int, int]:
    """Spikes compared, one per neuron, step and image; how many differ, values of the readout included."""
    bins = differences = 0
    for name, spikes in trace.spikes.items():
        bins += spikes.size
        differences += int((spikes != result[name]).sum())
    return bins, differences + int((trace.output_curve != result["curve"]).sum())


def complaints(outcomes: Mapping[str, list[Outcome]]) -> list[str]:
    """What is not as the adapters and the documentation say."""
    found = []
    for name, runs in outcomes.items():
        for outcome in runs:
            where = f"{name}, {outcome.case.name}, {outcome.mode}"
            needs = set(requirements(outcome.case.graph)) - adapter(name).honours
            if outcome.mode == "adapter" and needs:
                if not outcome.status.startswith("refused"):
                    found.append(f"{where}: should be refused for {', '.join(sorted(needs))}, but: {outcome.status}")
            elif outcome.mode in ("adapter", "portable") and not outcome.exact:
                found.append(f"{where}: {outcome.status}, {outcome.differences} of {outcome.bins} differ")
        if all(outcome.exact for outcome in runs if outcome.mode == "importer"):
            found.append(f"{name}: its importer alone is exact now; the adapter may be dropped")
    return found


def rows(runs: list[Outcome]) -> dict[str, list[Outcome]]:
    """Runs by row of the matrix, in order."""
    found: dict[str, list[Outcome]] = {}
    for outcome in runs:
        feature = outcome.case.feature if outcome.mode == "adapter" else SPECIAL[outcome.mode]
        found.setdefault(feature, []).append(outcome)
    last = list(SPECIAL.values())
    return dict(sorted(found.items(), key=lambda item: last.index(item[0]) if item[0] in last else -1))


def cell(runs: list[Outcome]) -> str:
    """A row of one framework in a few words."""
    failed = [outcome for outcome in runs if outcome.status != "ran"]
    if runs[0].mode.endswith("file"):
        if not failed:
            return "yes"
        return "drops the readout" if failed[0].status.startswith("AttributeError") else "no"
    if failed and failed[0].status.startswith("refused"):
        return "refused"
    bins, differences = sum(o.bins for o in runs), sum(o.differences for o in runs)
    said = [f"{differences} of {bins} spikes differ"] if differences else []
    said += [f"{len(failed)} of {len(runs)} runs fail"] if failed else []
    return ", ".join(said) or "same spikes"


def table(outcomes: Mapping[str, list[Outcome]]) -> str:
    """What was compared, per framework and row."""
    lines = [f"{'framework':<14}{'what':<46}{'spikes compared':>16}{'differences':>13}"]
    for name, runs in outcomes.items():
        for feature, group in rows(runs).items():
            bins, differences = sum(o.bins for o in group), sum(o.differences for o in group)
            shown = f"{bins:>16}{differences:>13}" if bins else f"{cell(group):>29}"
            lines.append(f"{name:<14}{feature:<46}{shown}")
    return "\n".join(lines)


def matrix(outcomes: Mapping[str, list[Outcome]]) -> str:
    """The support matrix in Markdown: a row per feature, a column per framework."""
    columns = {name: {feature: cell(group) for feature, group in rows(runs).items()} for name, runs in outcomes.items()}
    versions = [next(iter(f.bare or f.packages)).replace("==", " ") for f in FRAMEWORKS if f.name in columns]
    lines = [f"| | {' | '.join(versions)} |", "|---" * (len(columns) + 1) + "|"]
    for feature in next(iter(columns.values())):
        lines.append(f"| {feature} | {' | '.join(column[feature] for column in columns.values())} |")
    totals = [
        f"{sum(o.bins for o in runs if o.mode == 'adapter')} spikes, "
        f"{sum(o.differences for o in runs if o.mode == 'adapter')} differ"
        for runs in outcomes.values()
    ]
    lines.append(f"| all runs through the adapter | {' | '.join(totals)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
