"""``spikec run``: quality of a deployment file on a target, and its trace."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from spikec import defaults
from spikec.cli import parser
from spikec.cli.output import emit, note, percent
from spikec.cli.parser import Parser, UsageError
from spikec.cli.paths import file_like, keep_inputs
from spikec.cli.ranges import add_format, check_format
from spikec.cli.shards import add_shards, check_shards
from spikec.cli.speed import Speed
from spikec.cli.target_options import add_targets, target_options

if TYPE_CHECKING:
    from spikec.evidence.accuracy import Evaluation
    from spikec.evidence.loss import Loss
    from spikec.evidence.measures import Wanted
    from spikec.evidence.quality import Rating
    from spikec.ir import IntegerGraph
    from spikec.simulation.explain import Explanation
    from spikec.simulation.input_warning import InputLoss

#: Steps whose accuracy is printed; a JSON document has all of them.
_SHOWN_STEPS = 32
_UNLABELLED = "without labels (y) no quality is measured"


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "run",
        "accuracy, or another quality, and trace of a NIR file on a target",
        "spikec run net.nir",
        "spikec run net.nir --data digits --limit 100 -o trace.npz --record spikes",
        "spikec run net.nir --target lava --limit 20",
        "spikec run net.nir --shards 8 --executor slurm",
        "spikec run net.nir --explain",
    )
    parser.add_graph(command)
    command.add_argument("--target", default="golden", metavar="TARGET", help="golden (default), c, lava")
    parser.add_data(command)
    parser.add_limit(command)
    parser.add_metric(command)
    command.add_argument(
        "--overflow",
        choices=("exact", "strict", "saturate", "wrap", "format"),
        help="golden only: what happens to a number that does not fit --format; exact (default) keeps and counts it, "
        "strict stops at it, format does what the format's target does",
    )
    add_format(command)
    command.add_argument("--record", choices=["spikes"], help="also keep every spike in the trace (with -o)")
    command.add_argument("-o", "--out", type=file_like(".npz"), metavar="trace.npz", help="write the trace")
    command.add_argument(
        "--explain",
        action="store_true",
        help="golden only: which kernel and numbers each layer takes, and the bound that keeps it from faster ones; "
        "runs nothing unless --data, --limit or -o is given",
    )
    command.add_argument("--device", metavar="D", help="golden only: cpu (default), cuda or cuda:N; same integers")
    add_targets(command, running=True)
    add_shards(command)
    return command


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from spikec.cli.inputs import find_target, labelled, lasting, open_images, read_graph, wanted_measures
    from spikec.cli.shards import traces
    from spikec.cli.trace_file import TraceFile
    from spikec.evidence.accuracy import Evaluation
    from spikec.evidence.loss import loss, loss_document
    from spikec.evidence.quality import Ratings
    from spikec.ir.outputs import lacks_classes
    from spikec.sharding.work import Work
    from spikec.simulation.input_warning import input_loss, told

    check_shards(args)
    if args.record and not args.out:
        raise UsageError("--record needs -o FILE to keep the spikes in")
    options, running = target_options(args, running=True)
    options |= _registers(args)
    keep_inputs(args, args.out)
    nir_graph, graph = read_graph(args.graph)
    find_target(args.target)
    if args.explain and args.target != "golden":
        raise UsageError(f"--explain is for the golden model; leave out --target {args.target}")
    if args.explain and args.data is None and args.limit is None and not args.out:
        how = _explained(args, graph, None, options | running)
        emit(args, _identity(args, graph) | {"explanation": how.to_json()}, "\n".join(how.lines))
        return 0
    if args.limit is None and args.target == "lava":
        note(f"lava: the first {defaults.LAVA_IMAGES} test images (--limit chooses)")
        args.limit = defaults.LAVA_IMAGES
    dataset = open_images(args, graph)
    graph = lasting(graph, dataset)
    wanted = wanted_measures(args, graph, dataset)
    explanation = _explained(args, graph, len(dataset), options | running) if args.explain else None
    if (options | running).get("early_exit") is not None:
        _check_early_exit(graph, wanted)
    classify = any(one.name == "top-1" for one in wanted)
    result, ratings, speed = Evaluation(), Ratings(graph, wanted), Speed()
    work = Work(args.target, options, running, args.record, "all" if args.out else "layers")
    with TraceFile(args.out, graph, len(dataset)) if args.out else contextlib.nullcontext() as file:
        for part, trace in traces(args, work, nir_graph, graph, dataset):
            labels = dataset.labels[part]
            result.add(trace, labels if classify else None)
            ratings.add(trace, labels)
            speed.add(trace)
            if file is not None:
                file.append(trace, labels)
    told(graph, result.coding)
    cost, found = loss(graph, dataset, np.concatenate(result.hits)) if classify else None, ratings.found(dataset)
    coding = input_loss(graph, result.coding)
    document = _document(args, graph, result, classify) | {"loss": loss_document(cost)} | speed.document
    document |= {"quality": [rating.to_json() for rating in found], "coding": coding}
    reason = lacks_classes(graph, "accuracy is left out: it") if labelled(dataset) else _UNLABELLED
    text = _text(args, graph, result, speed, cost, found, coding, reason)
    if explanation is not None:
        document |= {"explanation": explanation.to_json()}
        text = "\n".join([text, *explanation.lines])
    emit(args, document, text, files=[args.out] if args.out else [])
    return 0


def _explained(args: argparse.Namespace, graph: IntegerGraph, images: int | None, given: dict[str, Any]) -> Explanation:
    """How the golden model runs ``images`` with the options of a run: they come in batches."""
    from spikec.sharding.work import Work
    from spikec.simulation.explain import explain

    if images is not None and not graph.sequences:
        images = min(images, Work(keep="all" if args.out else "layers").at_once(graph))
    names = ("overflow", "format", "device", "memory", "early_exit")
    return explain(graph, images=images, record=args.record, **{name: given[name] for name in names if name in given})


def _check_early_exit(graph: IntegerGraph, wanted: tuple[Wanted, ...]) -> None:
    from spikec.ir.outputs import lacks_classes

    lacking = lacks_classes(graph, "--early-exit")
    if lacking:
        raise UsageError(f"{lacking}: leave it out")
    other = [one.name for one in wanted if one.name != "top-1"]
    if other:
        raise UsageError(
            f"--early-exit stops an image when its class is decided, which leaves {other[0]} unsaid: leave one of them "
            "out"
        )


def _registers(args: argparse.Namespace) -> dict[str, Any]:
    """Options to prepare the golden model with: what it does with numbers that do not fit, and its device."""
    check_format(args.format)
    given = {name: value for name in ("overflow", "format", "device") if (value := getattr(args, name)) is not None}
    if given and args.target != "golden":
        raise UsageError(f"--{next(iter(given))} is for the golden model; leave out --target {args.target}")
    return given


def _identity(args: argparse.Namespace, graph: IntegerGraph) -> dict[str, Any]:
    return {
        "file": args.graph,
        "deployment_sha256": graph.deployment_sha256,
        "content_sha256": graph.content_sha256,
        "target": args.target,
    }


def _document(args: argparse.Namespace, graph: IntegerGraph, result: Evaluation, classify: bool) -> dict[str, Any]:
    return _identity(args, graph) | {
        "data": args.data,
        "images": result.images,
        "correct": result.correct if classify else None,
        "accuracy": result.accuracy if classify else None,
        "interval": result.interval if classify else None,
        "accuracy_by_timestep": result.curve,
        "spikes_per_image": {name: count / result.images for name, count in result.events.items()},
        "overflows": result.overflowed,
        "mean_steps": result.mean_steps,
        "trace": args.out,
    }


def _text(
    args: argparse.Namespace,
    graph: IntegerGraph,
    result: Evaluation,
    speed: Speed,
    cost: Loss | None,
    found: list[Rating],
    coding: InputLoss | None,
    unmeasured: str,
) -> str:
    """``unmeasured``: why no quality is, where none is."""
    timesteps, one = graph.timesteps, "sequence" if graph.sequences else "image"
    lines, given = [], f"{result.images} {args.data} test {one}s"
    if result.hits:
        low, high = result.interval
        lines.append(
            f"accuracy {percent(result.accuracy)} ({result.correct} of {given}, "
            f"95 % interval {100 * low:.2f} to {100 * high:.2f}) at T = {timesteps} on {args.target}"
        )
    elif not found:
        lines.append(f"{given} at T = {timesteps} on {args.target}; {unmeasured}")
    lines += [] if cost is None else cost.sentences
    lines += _against("T", result.curve, percent)
    for rating in (each for each in found if each.name != "top-1"):
        at = f"at T = {timesteps} on {args.target}"
        lines.append(f"{rating.title} {rating.quality.text} on {given} {at}")
        lines += [] if rating.network is None else rating.network.sentences
        lines += _against(f"T, {rating.title}", rating.by_step, rating.quality.measure.written)
    if result.mean_steps is not None and graph.sequences:
        lines.append(f"sequences of different lengths: {result.mean_steps:.2f} steps on average")
    elif result.mean_steps is not None:
        lines.append(f"stopped early: {result.mean_steps:.2f} of {timesteps} steps per image on average")
    lines.append(f"{sum(result.events.values()) / result.images:.1f} spikes per {one}")
    lines += [
        f"overflow: {name} left its register in {count} neuron-steps" for name, count in result.overflowed.items()
    ]
    lines += [] if coding is None else [str(coding)]
    lines += speed.lines
    lines.append(f"deployment sha256 {graph.deployment_sha256}")
    return "\n".join(lines)


def _against(what: str, curve: Sequence[float | None] | None, told: Callable[[float], str]) -> list[str]:
    """``against T: T=1 20.00 %, T=2 ...``; nothing where there is no readout before the last step."""
    if not curve:
        return []
    every = -(-len(curve) // _SHOWN_STEPS)
    shown = [(t, value) for t, value in enumerate(curve, 1) if t % every == 0 or t == len(curve)]
    return [f"against {what}: " + ", ".join(f"T={t} {'-' if v is None else told(v)}" for t, v in shown)]
