"""``spikec advise``: the deployments worth having, measured without training; a recommendation for each purpose."""

from __future__ import annotations

import argparse
from typing import Any

from spikec import defaults
from spikec.cli import parser
from spikec.cli.names import known
from spikec.cli.output import duration, emit, note
from spikec.cli.parser import Parser, UsageError, at_least
from spikec.cli.paths import file_like, keep_inputs, output_folder
from spikec.cli.precision import overrides
from spikec.cli.progress import Progress
from spikec.cli.ranges import check_format
from spikec.cli.settings import add_settings, given
from spikec.cli.shards import check_no_shards, refuse_shards

#: Stated here too, since the command line starts without torch; a test holds it to ``spikec.advising.trials``.
PURPOSES = ("streaming", "lossless", "graded")


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "advise",
        "which method, which T: measured on your network, without training",
        "spikec advise digits-cnn --budget 2min",
        "spikec advise model.py:make --weights w.safetensors --data npz:data.npz --write net.nir",
    )
    command.later(lambda: _add_arguments(command))
    return command


def _add_arguments(command: Parser) -> None:
    add_settings(command, "model", "weights", "weights_entry", "data", "data_root", "max_pool")
    command.add_argument(
        "--chip",
        "--target",
        dest="chip",
        default=defaults.CHIP,
        metavar="CHIP",
        help=f"loihi1, loihi2 or cortex-m4 (default {defaults.CHIP})",
    )
    command.add_argument(
        "--budget", default=defaults.BUDGET, metavar="TIME", help=f"such as 90s, 5min or 1h (default {defaults.BUDGET})"
    )
    command.add_argument(
        "--tolerance",
        type=_points,
        default=defaults.TOLERANCE,
        metavar="POINTS",
        help=f"loss of accuracy up to which the fastest deployment is chosen (default {defaults.TOLERANCE} points)",
    )
    command.add_argument(
        "-o", "--out", type=output_folder, metavar="DIR", help="keep results here; the same command goes on"
    )
    command.add_argument("--html", type=file_like(".html"), metavar="advice.html", help="all of it on one page")
    command.add_argument(
        "--svg", type=file_like(".svg"), metavar="advice.svg", help="draw accuracy, latency and energy"
    )
    command.add_argument("--write", type=file_like(".nir"), metavar="net.nir", help="export the recommended deployment")
    command.add_argument(
        "--purpose", choices=PURPOSES, help="which one --write exports (default: the fastest within the tolerance)"
    )
    command.add_argument(
        "--limit", type=at_least(1), metavar="N", help="the first N test images (default: as many as the time allows)"
    )
    command.add_argument("--threads", type=at_least(1), metavar="N", help="threads of torch (default: all cores)")
    add_settings(command, "calibration", "seed", "bits", "override", "scale")
    add_settings(command, "per", help="one weight scale per layer or channel (default: channel where the chip can)")
    add_settings(command, "format", help="number format of the target (default: that of the chip)")
    command.set_defaults(format=None)
    refuse_shards(command)


def run(args: argparse.Namespace) -> int:
    check_no_shards(args, "advice measures one deployment after the other in one process")
    from spikec.advising.budget import Budget, seconds_of

    seconds = seconds_of(args.budget)
    keep_inputs(args, args.html, args.svg, args.write)
    if args.purpose and not args.write:
        raise UsageError("--purpose says which deployment --write exports: give --write net.nir too")
    known("--chip", "chip", args.chip)
    from spikec.advising import advise_on
    from spikec.whole_files import write_text

    budget = Budget(seconds)  # from here on, so that starting Python and torch is not in it
    if args.threads is not None:
        import torch

        from spikec.processors import check_number

        check_number("--threads", args.threads)
        torch.set_num_threads(args.threads)
    fields = _fields(args)
    progress = _Trials()
    with progress:
        try:
            advice = advise_on(
                fields,
                chip=args.chip,
                budget=budget,
                tolerance=args.tolerance,
                out=args.out,
                limit=args.limit,
                progress=progress.comes,
            )
        except KeyboardInterrupt:
            if args.out is not None:
                note(f"\n{args.out}: finished measurements are kept, the same command goes on")
            raise
    drawing = args.svg or (args.out / "advice.svg" if args.out is not None else None)
    if drawing is not None:
        write_text(drawing, advice.svg())
    page = args.html or (args.out / "advice.html" if args.out is not None else None)
    if page is not None:
        write_text(page, advice.html())
    lines = [advice.text()]
    document = {**advice.to_json(), "svg": drawing, "html": page, "written": None}
    if args.write is not None:
        from spikec.cli.evaluate import measuring

        with measuring() as measured:
            document["written"] = str(advice.export(args.write, args.purpose, measured))
        chosen = advice.recommendation(args.purpose)
        lines.append(f"exported: {chosen.trial.label}")
        if sha256 := chosen.final.get("deployment_sha256"):  # results of older versions do not say
            lines.append(f"deployment sha256 {sha256}")
    runs = None if args.out is None else f"{args.out}/runs/"
    files = [file for file in (args.write, drawing, page, runs) if file is not None]
    emit(args, document, "\n".join(lines), files)
    return 0


def _fields(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of a configuration that the user stated; those left at their default need not be repeated."""
    from spikec.deployment.configuration import DEFAULTS
    from spikec.deployment.filling import fill

    fields = {name: value for name, value in given(args).items() if value != DEFAULTS.get(name) or name == "data"}
    if args.override:
        fields["override"] = overrides(args.override)
    if fields["model"].endswith(".nir"):
        raise UsageError(f"{fields['model']} is a NIR file; advice needs the trained network")
    if args.format is not None:
        check_format(args.format)
        fields["format"] = args.format
    return {**fields, "data": fill(fields)[0].data}


def _points(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of points between 0 and 100")
    return value


class _Trials(Progress):
    """``advise 31 %, 5/16 deployments, 0.08 deployments/s, 02:10 left, 3 min of the budget left: graded T=1``."""

    def __init__(self) -> None:
        super().__init__("advise", 0, "deployments")

    def comes(self, what: str, done: int, total: int, left: float) -> None:
        """``what`` is measured next, ``done`` of ``total`` deployments are, and the budget ends in ``left`` seconds."""
        self.reach(done, total)
        self.detail = f"{duration(max(left, 0))} of the budget left: {what}"
