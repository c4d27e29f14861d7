"""``spikec export``: a trained network to an integer NIR file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.cli import parser, plain_nir
from toolchain.cli.output import emit, note
from toolchain.cli.parser import Parser, UsageError, at_least, keep_inputs, output_path, unknown
from toolchain.cli.precision import add_precision, export_precision, option
from toolchain.cli.ranges import check_format

if TYPE_CHECKING:
    import nir
    from torch import nn

    from toolchain.conversion import SpikingNetwork
    from toolchain.quantization import Int8


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "export", "a trained network to an integer NIR file")
    command.add_argument(
        "model",
        metavar="MODEL",
        help="zoo name, package.module:callable, file.py:callable or a plain NIR file",
    )
    command.add_argument("--weights", type=Path, metavar="W", help="trained weights (default: the shipped ones)")
    command.add_argument("--method", default="qcfs", metavar="M", help="conversion method (default qcfs)")
    command.add_argument(
        "--option",
        action="append",
        type=option,
        default=[],
        metavar="NAME=VALUE",
        help="a field of the method; may be repeated",
    )
    command.add_argument(
        "-T", "--timesteps", type=at_least(1), metavar="T", help="steps per image (default 4; graded: 1)"
    )
    command.add_argument(
        "--schedule", choices=("pipelined", "layerwise"), help="when a layer starts (default: the method's)"
    )
    add_precision(
        command,
        "--bits",
        "max",
        "weight bits, 2 to 8 (default 8; weights of spikec train --weight-bits: as they were trained)",
    )
    command.add_argument(
        "--format",
        default="generic24",
        metavar="F",
        help="number format of the target: generic24 (default), loihi1, loihi2 or a .toml file",
    )
    command.add_argument(
        "--force", action="store_true", help="write the file even where numbers do not fit the format; they are listed"
    )
    command.add_argument("--fidelity", action="store_true", help="print each layer's error and its causes")
    command.add_argument(
        "--max-pool",
        choices=("average",),
        help="replace max pooling by average pooling; the weights should have been fine-tuned with it",
    )
    parser.add_data(command, default=None)
    command.add_argument(
        "--calibration",
        type=at_least(1),
        default=256,
        metavar="N",
        help="training images used (default 256)",
    )
    command.add_argument("--seed", type=at_least(0), default=0, metavar="S", help="choice of the calibration images")
    plain_nir.add_arguments(command)
    command.add_argument("-o", "--out", type=output_path, required=True, metavar="net.nir", help="the file to write")
    return command


def run(args: argparse.Namespace) -> int:
    from models import trained
    from models.data import open_dataset
    from models.weights import index
    from toolchain.ir import as_integer

    keep_inputs(args, args.out)
    plain = plain_nir.is_plain(args)
    check_format(args.format)

    # A shipped network knows its data set; others default to what every other command takes.
    shipped = index().get(args.model, {}) if args.weights is None else {}
    data = args.data or shipped.get("data") or parser.DEFAULT_DATA
    training = open_dataset(data, args.data_root, "train")
    model = None if plain else trained(args.model, args.weights, training)
    if args.max_pool and model is not None:
        from toolchain.frontend import replace_max_pool

        model = replace_max_pool(model)
    images = training.draw(args.calibration, args.seed).images()
    graph, precision = deploy(model, images, args)
    plain_nir.save(graph, args)
    integer = as_integer(graph)
    layers, method = len(integer.populations), "import of plain NIR" if plain else args.method
    neurons = sum(population.theta.size for population in integer.populations)
    document = {
        "file": args.out,
        "content_sha256": integer.content_sha256,
        "source_sha256": integer.source_sha256,
        "model": args.model,
        "data": data,
        "method": method,
        "portable": args.portable,
        "per": precision.per,
        "weight_format": integer.info["weights"],
        "timesteps": integer.timesteps,
        "schedule": integer.schedule,
        "layers": layers,
        "neurons": neurons,
        "weights": sum(synapse.weight.size for synapse in integer.synapses),
    }
    text = (
        f"{args.out}: {layers} layers, {neurons} neurons, {document['weights']} weights, "
        f"{integer.info['weights']}, T = {integer.timesteps}, {integer.schedule}, {method}\n"
        f"content sha256 {integer.content_sha256}"
    )
    if args.fidelity and model is not None:
        from dataclasses import asdict

        import toolchain as tc

        found = tc.fidelity(model, graph, images)
        document["fidelity"] = asdict(found)
        text = f"{text}\n{found.text()}"
    emit(args, document, text)
    return 0


def deploy(model: nn.Module | None, images: Any, args: argparse.Namespace) -> tuple[nir.NIRGraph, Int8]:
    """Convert, calibrating on ``images``, or import plain NIR (no model), and lower to integers."""
    import toolchain as tc
    from models.loading import read_weights

    network = (
        plain_nir.network(args, images)
        if model is None
        else tc.convert(model, _method(args), example=images[:1], calibration=images)
    )
    info = read_weights(args.weights)[1] if args.weights is not None and model is not None else {}
    if info.get("through_spikes"):
        _compare_with_training(network, info)
    precision = export_precision(args, info)
    return tc.lower(network, precision, format=args.format, force=args.force), precision


def _compare_with_training(network: SpikingNetwork, info: dict[str, Any]) -> None:
    """Say so where ``network`` is another one than its weights were trained through."""
    neurons = network.neurons.values()
    here = network.schedule, network.timesteps, *{neuron.spec.kind for neuron in neurons}
    if here != ("pipelined", info["validation_timesteps"], info["neuron"]) or any(n.offset.any() for n in neurons):
        note(
            f"the weights were trained through T = {info['validation_timesteps']} pipelined steps of {info['neuron']} "
            "neurons without offsets; expect less of this network"
        )


def _method(args: argparse.Namespace) -> Any:
    from dataclasses import fields

    from toolchain.conversion import methods
    from toolchain.conversion.method import default_timesteps

    known_methods = methods()
    if args.method not in known_methods:
        raise UsageError(f"--method: {unknown(args.method, known_methods)}")
    method = known_methods[args.method]
    options = dict(args.option) | ({"schedule": args.schedule} if args.schedule else {})
    known = {field.name for field in fields(method)} - {"timesteps"}
    for name in options.keys() - known:
        raise UsageError(f"{args.method}: {unknown(name, sorted(known))}")
    return method(timesteps=args.timesteps or default_timesteps(method), **options)
