"""The energy model against published measurements, misses included.

    python -m benchmarks.energy_validation [--network network.net] [--write docs/energy.md]

``--write`` also writes ``toolchain/reporting/page/validation.json``, the appendix of every report.

Constants were fitted on V2 (floor of Loihi 1) and V3b (the plane of Loihi 2); V3a and V11 test counts alone; V1, V5, V6
and V7 were held out. V10 (Quartz) is left out: its publication gives normalised numbers only. ``--network`` simulates
V3a from the weights that lie beside the benchmark notebook of lava-dl; without it the stored result of that
simulation is compared.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.energy_cases import Case, validate
from benchmarks.marked import write
from spikec.energy.render import si
from spikec.whole_files import replacing

APPENDIX = Path(__file__).resolve().parent.parent / "toolchain" / "reporting" / "page" / "validation.json"


def markdown(cases: list[Case]) -> str:
    """The table of ``docs/energy.md``."""
    lines = [
        "| | case | quantity | measured | predicted | 90 % interval | error | inside | role | note |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        interval = "" if case.interval is None else " to ".join(_number(case, end) for end in case.interval)
        inside = {True: "yes", False: "**no**", None: ""}[case.inside]
        cells = (
            case.id, f"{case.title} [{case.grade}]", case.quantity, _number(case, case.measured),
            _number(case, case.predicted), interval, _error(case), inside, case.role, case.note,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def appendix(cases: list[Case]) -> str:
    """The same table as data: the appendix of every report."""
    rows = [
        {
            "id": case.id, "case": case.title, "grade": case.grade, "quantity": case.quantity,
            "measured": _number(case, case.measured), "predicted": _number(case, case.predicted),
            "interval": [] if case.interval is None else [_number(case, end) for end in case.interval],
            "error": _error(case), "inside": case.inside, "role": case.role, "note": case.note,
        }
        for case in cases
    ]  # fmt: skip
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def _error(case: Case) -> str:
    return "" if case.error is None else f"{round(case.error, 3) + 0.0:+.1%}"


def _number(case: Case, value: float | None) -> str:
    if value is None:
        return "no profile"
    return si(value, case.unit, 3) if case.unit else f"{value:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="the energy model against published measurements")
    parser.add_argument("--network", type=Path, help="network.net of lava-dl's pilotnet_snn: simulate V3a from it")
    parser.add_argument("--write", type=Path, help="replace the table between the markers of this file")
    args = parser.parse_args()
    cases = validate(args.network)
    table = markdown(cases)
    if args.write is None:
        print(table)
        return
    write(args.write, "validation", table)
    with replacing(APPENDIX) as temporary:
        temporary.write_text(appendix(cases), encoding="utf-8")


if __name__ == "__main__":
    main()
