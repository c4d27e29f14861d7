"""``spikec export``: a trained network to an integer NIR file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from spikec import defaults
from spikec.cli import parser, plain_nir
from spikec.cli.output import emit, note
from spikec.cli.parser import Parser, UsageError, at_least
from spikec.cli.paths import file_like, keep_inputs
from spikec.cli.precision import overrides
from spikec.cli.progress import Progress
from spikec.cli.ranges import check_format
from spikec.cli.settings import add_other_settings, add_settings, given
from spikec.words import unknown

if TYPE_CHECKING:
    from spikec.deployment import Configuration, Deployment
    from spikec.ir.measured import Measured


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "export",
        "a trained network to an integer NIR file",
        "spikec export digits-cnn -o net.nir",
        "spikec export model.py:make --weights w.safetensors --data folder:images -T 8 -o net.nir",
        "spikec export foreign.nir --reset subtract --v-init half -T 8 --data digits -o net.nir",
    )
    command.later(lambda: _add_arguments(command))
    return command


def _add_arguments(command: Parser) -> None:
    add_settings(command, "model", "weights", "weights_entry", "method", "options", "timesteps", "schedule", "frames")
    add_settings(command, "spike_budget")
    add_settings(command, "bits", "per", "override", "scale", "rounding", "format", "force")
    command.add_argument("--fidelity", action="store_true", help="print each layer's error and its causes")
    add_settings(command, "max_pool", "data", "data_root", "calibration", "calibrate", "seed")
    command.add_argument(
        "--measure",
        type=at_least(0),
        default=defaults.MEASURED_IMAGES,
        metavar="N",
        help="measure the network and the deployment on at most N test images, and keep that in the file (default "
        f"{defaults.MEASURED_IMAGES}, fewer for large networks; 0: do not)",
    )
    parser.add_metric(command)
    add_other_settings(command)
    plain_nir.add_portable(command)
    command.add_argument(
        "-o", "--out", type=file_like(".nir"), required=True, metavar="net.nir", help="the file to write"
    )


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    import spikec as tc
    from spikec.advising.commands import written_down
    from spikec.conversion.from_nir.sequences import SequenceNetwork
    from spikec.deployment import deploy
    from spikec.ir.profile.build import with_export, with_measured

    keep_inputs(args, args.out)
    plain = plain_nir.check(args)
    check_format(args.format)
    if args.metric and (args.portable or not args.measure):
        raise UsageError("--metric says what is measured, and nothing is: leave it or --measure 0 or --portable out")
    configuration = _configuration(args, plain)
    if args.fidelity and configuration.frames:
        raise UsageError("--fidelity compares layers on images; a network that takes one frame in each step has none")
    with Progress("measuring sensitivity", 0, "layers") as progress:  # of the output to each layer
        made = deploy(configuration, progress=progress.reach, classes=not args.metric)
    for remark in made.remarks:
        note(remark)
    graph, found = made.graph, _measured(args, made)
    written = made.nir if found is None else with_measured(made.nir, found)
    plain_nir.save(with_export(written, written_down(_stated(args))), args)
    layers, method = len(graph.populations), "import of plain NIR" if plain else args.method
    neurons = sum(population.theta.size for population in graph.populations)
    document = {
        "file": args.out,
        "deployment_sha256": graph.deployment_sha256,
        "content_sha256": graph.content_sha256,
        "source_sha256": graph.source_sha256,
        "model": args.model,
        "data": configuration.data,
        "method": method,
        "portable": args.portable,
        "per": made.precision.per,
        "weight_format": graph.info["weights"],
        "timesteps": graph.timesteps,
        "schedule": graph.schedule,
        "layers": layers,
        "neurons": neurons,
        "weights": sum(synapse.weight_count for synapse in graph.synapses),
    }
    text = (
        f"{args.out}: {layers} layers, {neurons} neurons, {document['weights']} weights, "
        f"{graph.info['weights']}, T = {graph.timesteps}, {graph.schedule}, {method}\n"
        f"deployment sha256 {graph.deployment_sha256}"
    )
    if made.spikes is not None:
        document["spikes"] = made.spikes.document()
        text = f"{text}\n{made.spikes.text()}"
    if found is not None:
        document |= _measures(found)
        text = "\n".join([text, *_measured_lines(found, "sequences" if graph.sequences else "images")])
    if args.fidelity and isinstance(made.network, SequenceNetwork):
        agreement = tc.sequence_fidelity(made.network, made.nir, made.images.numpy())
        document["fidelity"] = asdict(agreement)
        text = f"{text}\n{agreement.text()}"
    if args.fidelity and made.model is not None:
        errors = tc.fidelity(made.model, made.nir, made.images)
        document["fidelity"] = asdict(errors)
        text = f"{text}\n{errors.text()}"
    emit(args, document, text, files=[args.out])
    return 0


def _measures(found: Measured) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if found.correct:
        document["accuracy"] = {"images": len(found.images), **{k: float(v.mean()) for k, v in found.correct.items()}}
    if found.quality:
        document["quality"] = {key: {"images": len(found.images), **s.values} for key, s in found.quality.items()}
    return document


def _measured_lines(found: Measured, what: str) -> list[str]:
    """The network and its deployment by each measure."""
    lines, on = [], f"on {len(found.images)} test {what} of {found.data}"
    if found.correct:
        network, spiking = (100 * float(found.correct[stage].mean()) for stage in ("network", "spiking"))
        lines.append(f"network {network:.2f}, spiking {spiking:.2f}, {spiking - network:+.2f} points {on}")
    for key, scores in found.quality.items():
        network, spiking = (scores.values[stage] for stage in ("network", "spiking"))
        lines.append(f"{key}: network {network:.4g}, spiking {spiking:.4g}, {spiking - network:+.4g} {on}")
    return lines


def _measured(args: argparse.Namespace, made: Deployment) -> Measured | None:
    """What the network and its deployment get right; None where it is not asked for, or nothing fits."""
    from spikec.cli.evaluate import measuring
    from spikec.deployment.measuring import measured

    if not args.measure or args.portable:
        return None
    with measuring() as progress:
        found, remarks = measured(made, args.measure, progress, metric=args.metric)
    for remark in remarks:
        note(remark)
    return found


def _stated(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of a configuration that the arguments state."""
    values = given(args)
    return {**values, "override": overrides(args.override)} if args.override else values


def _configuration(args: argparse.Namespace, plain: bool) -> Configuration:
    """The configuration the arguments ask for, filled in. Raises if the method refuses its settings, or if the header
    of the weights names another use."""
    from spikec.deployment import fill
    from spikec.deployment.filling import OtherUse

    values = _stated(args)
    if not plain:
        _check_method(args.method, values["options"])
        schedule = values["options"].pop("schedule", None)  # a field of the method too
        if schedule is not None:
            values.setdefault("schedule", schedule)
    configuration, refused = fill(values)
    if isinstance(refused, OtherUse):
        for name in ("method", "format"):
            trained = getattr(refused.trained, name)
            if getattr(args, name) != trained:
                raise UsageError(
                    f"the weights were fine-tuned for --{name} {trained}, not {getattr(args, name)}: give that, or "
                    "--bits to round them anew"
                )
    if refused is not None:
        raise refused
    return configuration


def _check_method(name: str, options: dict[str, Any]) -> None:
    from dataclasses import fields

    from spikec.conversion import methods

    known_methods = methods()
    if name not in known_methods:
        raise UsageError(f"--method: {unknown(name, known_methods)}")
    known = {field.name for field in fields(known_methods[name])} - {"timesteps"}
    for option in options.keys() - known:
        raise UsageError(f"{name}: {unknown(option, sorted(known))}")
