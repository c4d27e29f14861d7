"""``spikec sweep``: many configurations, on this machine or on a cluster; resumable."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec.cli import parser
from spikec.cli.output import emit, note
from spikec.cli.parser import Parser, UsageError, at_least
from spikec.cli.paths import output_folder
from spikec.cli.progress import Progress
from spikec.cli.shards import add_slurm_option, check_no_shards, refuse_shards
from spikec.cluster import EXECUTORS

if TYPE_CHECKING:
    from spikec.sweeping import Configuration, Plan, Sweep

_AGAIN = "finished runs are kept, the same command goes on"


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "sweep",
        "many configurations, on this machine or a cluster; resumable",
        "spikec sweep grid.toml -o results",
        "spikec sweep grid.toml -o results --dry-run",
        "spikec sweep grid.toml -o results --executor slurm --slurm-option time=2:00:00",
    )
    command.add_argument("grid", type=Path, metavar="GRID.toml", help="which configurations; see docs/sweep.md")
    command.add_argument("-o", "--out", type=output_folder, required=True, metavar="DIR", help="folder of the results")
    command.add_argument("--executor", metavar="WHERE", default="local", help="local (default) or slurm")
    command.add_argument(
        "--jobs",
        type=at_least(1),
        metavar="N",
        help="worker processes (default: cores / threads), or SLURM tasks at once",
    )
    command.add_argument(
        "--threads", type=at_least(1), metavar="N", help="threads of each (default: cores / jobs; SLURM: 1)"
    )
    command.add_argument("--retry-failed", action="store_true", help="compute failed runs again")
    command.add_argument("--dry-run", action="store_true", help="list the runs and their state, compute nothing")
    command.add_argument(
        "--limit", type=at_least(1), metavar="N", help="the first N test images, whatever the grid says"
    )
    refuse_shards(command)
    group = command.add_argument_group("options of the executor slurm")
    add_slurm_option(group)
    group.add_argument("--no-wait", action="store_true", help="submit and return; the same command later collects")
    return command


def run(args: argparse.Namespace) -> int:
    check_no_shards(args, "a run of a sweep is one process, and many run at once (--jobs)")
    if args.executor not in EXECUTORS:
        from spikec.targets.told_apart import wrong

        raise UsageError(f"--executor: {wrong(args.executor, 'executor of sweeps', list(EXECUTORS))}")
    if args.executor != "slurm" and (args.slurm_option or args.no_wait):
        raise UsageError("--slurm-option and --no-wait belong to --executor slurm")
    from spikec.sweeping import look, read_grid, sweep
    from spikec.sweeping.store import Store

    plan = read_grid(args.grid, limit=args.limit)
    for remark in plan.remarks:
        note(f"spikec: warning: {remark}")
    if args.dry_run:
        return _list(args, look(plan, args.out))
    store = Store(args.out)
    for each in plan.runs:
        if store.damaged(each.configuration.id):
            note(f"{store.path(each.configuration.id)} is damaged: computed again")
    progress = _Runs()
    with progress:
        try:
            result = sweep(
                plan,
                args.out,
                executor=args.executor,
                jobs=args.jobs,
                threads=args.threads,
                retry_failed=args.retry_failed,
                slurm_options=dict(args.slurm_option),
                wait=not args.no_wait,
                progress=progress.finished,
            )
        except KeyboardInterrupt:
            queued = "; jobs in the queue go on (scancel ends them)" if args.executor == "slurm" else ""
            note(f"\n{args.out}: {_AGAIN}{queued}")
            raise
    return _end(args, plan, result)


def _end(args: argparse.Namespace, plan: Plan, result: Sweep) -> int:
    states = result.states
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    lines = [
        result.text(),
        "",
        f"{len(plan.runs)} runs: {counts}; {result.made} of them now",
    ]
    if states["failed"]:
        lines.append("failed runs: --retry-failed computes them again; runs/ID.json holds the error")
    if states["missing"]:
        lines.append("missing runs are queued: the same command later collects them")
    document = {
        "grid": args.grid,
        "folder": args.out,
        "states": states,
        "computed": result.made,
        "summary": result.summary,
        "page": result.page,
        "runs": list(result),
    }
    emit(args, document, "\n".join(lines), files=[result.summary, result.page, f"{args.out}/runs/"])
    return 1 if states["failed"] else 0


def _list(args: argparse.Namespace, found: Sweep) -> int:
    runs = [
        {
            "id": each.configuration.id,
            "state": "refused" if each.refused else found.state(each.configuration),
            "label": each.configuration.label,
            "refused": each.refused,
            "configuration": each.configuration.to_json(),
        }
        for each in found.plan.runs
    ]
    lines = [f"{x['id']}  {x['state']:<8}  {x['label']}{': ' * bool(x['refused'])}{x['refused'] or ''}" for x in runs]
    states = Counter(str(each["state"]) for each in runs)
    counts = "".join(f", {count} {state}" for state, count in states.items())
    lines += [f"{len(runs)} runs{counts}; {found.plan.excluded} excluded"]
    emit(args, {"grid": args.grid, "folder": args.out, "states": states, "runs": runs}, "\n".join(lines))
    return 0


class _Runs(Progress):
    """``sweep 30 %, 12/40 runs, 0.10 runs/s, 04:40 left, 1 failed; last: qcfs T=4, done``."""

    def __init__(self) -> None:
        super().__init__("sweep", 0, "runs")
        self.failed = 0

    def finished(self, configuration: Configuration, state: str, done: int, total: int) -> None:
        if not self.total:
            self.begin(self.label, total, done - 1)  # what other sweeps computed took no time
        self.reach(done, total)
        self.failed += state == "failed"
        failed = f"{self.failed} failed; " if self.failed else ""
        self.detail = f"{failed}last: {configuration.label}, {state}"
