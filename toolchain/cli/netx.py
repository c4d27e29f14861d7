"""``spikec netx``: the network of a NIR file as a lava-dl HDF5 file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from spikec.cli import parser
from spikec.cli.output import emit, percent
from spikec.cli.parser import Parser
from spikec.cli.paths import file_like, keep_inputs
from spikec.errors import ToolchainError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from spikec.ir import IntegerGraph

    Data = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]

#: The approximation is simulated image by image.
DEFAULT_LIMIT = 200


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "netx", "a NIR file as lava-dl HDF5 (netx)", "spikec netx net.nir -o net.hdf5")
    parser.add_graph(command)
    command.add_argument(
        "-o", "--out", type=file_like(".hdf5", ".h5", ".net"), metavar="net.hdf5", required=True, help="file to write"
    )
    command.add_argument(
        "--hard-reset",
        action="store_true",
        help="neurons that stock netx has: another network, whose accuracy is measured on --data",
    )
    command.add_argument(
        "--verify",
        type=parser.at_least(1),
        metavar="N",
        help="run the file in Lava on the first N test images and compare every spike",
    )
    parser.add_data(command)
    parser.add_limit(command, DEFAULT_LIMIT)
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import find_target, read_graph
    from spikec.targets import netx
    from spikec.targets.netx.chain import folded_pools

    keep_inputs(args, args.out)
    _, graph = read_graph(args.graph)
    if args.verify is not None:
        find_target("lava")
    if graph.sequences and args.hard_reset:
        raise ToolchainError("the network runs on sequences, with neurons that stock netx has: leave out --hard-reset")
    if graph.sequences:
        return _stock(args, graph)
    wanted = args.limit if args.hard_reset else args.verify
    data = _images(args, graph, wanted) if wanted else None
    chain = (netx.write_hard_reset if args.hard_reset else netx.write)(graph, args.out)
    folded = folded_pools(graph)
    document: dict[str, Any] = {
        "file": args.graph,
        "deployment_sha256": graph.deployment_sha256,
        "content_sha256": graph.content_sha256,
        "out": args.out,
        "reset": "hard" if args.hard_reset else "soft",
        "layers": len(chain.synapses),
        "folded_pools": folded,
    }
    lines = [
        f"{args.out}: {len(chain.synapses)} layers" + (f", pools folded in: {', '.join(folded)}" if folded else ""),
        f"made of deployment sha256 {graph.deployment_sha256}",
    ]
    measured, said = _hard(args, graph, chain, data) if args.hard_reset and data else _soft(args, graph, data)
    emit(args, document | measured, "\n".join(lines + said), files=[args.out])
    return 3 if measured.get("difference") else 0


def _stock(args: argparse.Namespace, graph: IntegerGraph) -> int:
    """A network that runs on sequences: stock netx has its neurons."""
    from spikec.cli.inputs import open_images
    from spikec.simulation import compare, simulate
    from spikec.simulation.input_warning import unsaid
    from spikec.targets.netx import run_stock, write_stock
    from spikec.targets.netx.chain import folded_pools
    from spikec.targets.netx.stock import cautions

    args.limit = args.verify
    dataset = open_images(args, graph) if args.verify else None
    expected = None if dataset is None else simulate(graph, dataset.images(), record="spikes")  # may refuse the data
    chain = write_stock(graph, args.out)
    folded, cautious = folded_pools(graph), cautions(chain)
    document: dict[str, Any] = {
        "file": args.graph,
        "deployment_sha256": graph.deployment_sha256,
        "content_sha256": graph.content_sha256,
        "out": args.out,
        "reset": "stock",
        "layers": len(chain.populations),
        "folded_pools": folded,
        "cautions": cautious,
    }
    lines = [
        f"{args.out}: {len(chain.populations)} layers of neurons, all of them lava-dl's own: stock netx runs the file",
        f"made of deployment sha256 {graph.deployment_sha256}",
        *(f"pool folded in: {name}" for name in folded),
        *(f"caution: {sentence}" for sentence in cautious),
    ]
    difference = None
    if dataset is not None and expected is not None:
        with unsaid():  # the golden model has spoken of them
            found = compare(expected, run_stock(args.out, chain, dataset.images()))
        difference = None if found is None else str(found)
        document |= {"verified_sequences": len(dataset), "difference": difference}
        lines.append(f"{len(dataset)} sequences in stock netx: {difference or 'identical to the golden model'}")
    emit(args, document, "\n".join(lines), files=[args.out])
    return 3 if difference else 0


def _soft(args: argparse.Namespace, graph: IntegerGraph, data: Data | None) -> tuple[dict[str, Any], list[str]]:
    lines = ["SOFTIF neurons: spikec.targets.netx.NetxProgram runs the file in Lava, stock netx refuses it"]
    if data is None:
        return {}, lines
    from spikec.simulation import compare, simulate
    from spikec.simulation.input_warning import unsaid
    from spikec.targets.netx import NetxProgram

    images, _ = data
    expected = simulate(graph, images, record="spikes")
    with unsaid():  # the golden model has spoken of them
        found = compare(expected, NetxProgram.load(args.out).run(images, record="spikes"))
    difference = None if found is None else str(found)
    lines.append(f"{len(images)} images through the file: {difference or 'identical to the golden model'}")
    return {"verified_images": len(images), "difference": difference}, lines


def _hard(
    args: argparse.Namespace, graph: IntegerGraph, chain: IntegerGraph, data: Data
) -> tuple[dict[str, Any], list[str]]:
    from spikec.evidence.intervals import wilson
    from spikec.simulation import simulate
    from spikec.simulation.encode import encode
    from spikec.targets.netx import simulate_hard_reset
    from spikec.targets.netx.hard_reset import beyond_loihi
    from spikec.training.targets import only_classes

    images, labels = data
    only_classes("a hard reset is said by its accuracy", args.data, labels)
    right = int((simulate(graph, images).predictions == labels).sum())
    result = simulate_hard_reset(chain, encode(graph.input, images))
    correct = int((result.output.argmax(axis=1) == labels).sum())
    low, high = wilson(correct, len(labels))
    lines = [
        "a different network: neurons reset to zero and start at zero",
        f"accuracy {percent(correct / len(labels))} ({correct} of {len(labels)} {args.data} test images, 95 % interval "
        f"{100 * low:.2f} to {100 * high:.2f}); the deployment {percent(right / len(labels))} on the same images",
        *(f"beyond Loihi: {sentence}" for sentence in beyond_loihi(chain)),
    ]
    if result.wrapped:
        lines.append(f"overflow: {result.wrapped} neuron-steps left the 24 bits of Lava's LIF, as counted above")
    document: dict[str, Any] = {
        "data": args.data,
        "images": len(labels),
        "accuracy": correct / len(labels),
        "interval": (low, high),
        "accuracy_soft_reset": right / len(labels),
        "overflows": result.wrapped,
        "beyond_loihi": beyond_loihi(chain),
    }
    if args.verify is not None:
        difference = _stock_difference(args, chain, images[: args.verify])
        document |= {"verified_images": len(images[: args.verify]), "difference": difference}
        lines.append(
            f"{len(images[: args.verify])} images in stock netx: {difference or 'identical to this simulation'}"
        )
    return document, lines


def _stock_difference(args: argparse.Namespace, chain: IntegerGraph, images: npt.NDArray[np.float32]) -> str | None:
    """Stock netx against the simulation the accuracy comes from: outputs and spikes."""
    from spikec.simulation.encode import encode
    from spikec.simulation.input_warning import unsaid
    from spikec.targets.netx import run_hard_reset, simulate_hard_reset

    expected = simulate_hard_reset(chain, encode(chain.input, images))
    with unsaid():  # the golden model has spoken of them
        found = run_hard_reset(args.out, images)
    for name, train in expected.spikes.items():
        if (found.spikes[name] != train).any():
            return f"{name}: stock netx gives other spikes"
    return None if (found.output == expected.output).all() else "stock netx gives another output"


def _images(args: argparse.Namespace, graph: IntegerGraph, limit: int) -> Data:
    from spikec.cli.inputs import open_images

    args.limit = limit
    dataset = open_images(args, graph)
    return dataset.images(slice(limit)).numpy(), dataset.labels[:limit]
