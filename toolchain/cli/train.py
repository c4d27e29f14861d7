"""``spikec train``: conversion-ready training of a network on a data set."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec import defaults
from spikec.cli.fine_tune import fine_tune, shorter, spiking, start
from spikec.cli.output import emit, note, percent
from spikec.cli.parser import Parser, UsageError, at_least, command
from spikec.cli.paths import output_path
from spikec.cli.progress import muted
from spikec.cli.ranges import check_format
from spikec.cli.settings import add_settings
from spikec.words import shown

if TYPE_CHECKING:
    from spikec.models.data import Dataset
    from spikec.models.recipes import Recipe

#: Trains a plain network, which any method may convert. It is not a conversion method itself.
PLAIN = "relu"
#: Behind the name of the weights: what a training goes on from, and the file that tells of it.
_CHECKPOINT, _LOG = ".checkpoint", ".log.jsonl"


def add_parser(commands: Any) -> Parser:
    parser = command(
        commands,
        "train",
        "train a network so that it survives conversion; resumable",
        "spikec train digits-cnn -o w.safetensors",
        "spikec train model.py:make --data npz:data.npz --epochs 20 -o w.safetensors --resume",
        "spikec train digits-cnn --weight-bits 4 -o w4.safetensors",
    )
    parser.later(lambda: _add_arguments(parser))
    return parser


def method_names() -> set[str]:
    """Names of conversion methods, found without importing them: from file names, one per method, and entry points."""
    from spikec.installed import entry_points

    files = (Path(__file__).parent.parent / "conversion" / "methods").glob("*.py")
    own = {file.stem.replace("_", "-") for file in files} - {"base", "--init--"}
    return own | {entry.name for entry in entry_points(group="spikec.methods")}


def _add_arguments(parser: Parser) -> None:
    names = sorted(method_names(), key=lambda name: (name != defaults.METHOD, name))
    add_settings(
        parser,
        "model",
        help="zoo name, package.module:callable, file.py:callable or file.onnx; runs the code it names: trust it",
    )
    parser.add_argument("--data", metavar="D", help="data set (default: the recipe's)")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="where the data set's files are")
    parser.add_argument(
        "--frames",
        action="store_true",
        help="the data are sequences: train on the mean frame of each, for a network that spikec export deploys on one "
        "frame a step",
    )
    parser.add_argument("--method", choices=(*names, PLAIN), help="what to train for (default: the recipe's)")
    parser.add_argument("--recipe", type=Path, metavar="R.toml", help="recipe (default: the network's own)")
    parser.add_argument(
        "--levels", type=at_least(0), metavar="L", help="activation levels instead of the recipe's; 0: clipping only"
    )
    parser.add_argument("--epochs", type=at_least(1), metavar="N", help="instead of the recipe's")
    parser.add_argument("--seed", type=at_least(0), metavar="N", help="instead of the recipe's")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu (default), cuda or cuda:N")
    parser.add_argument("--weights", type=Path, metavar="W", help="fine-tune: weights to start from")
    add_settings(parser, "weights_entry")
    parser.add_argument(
        "--max-pool",
        choices=("exact", "average"),
        help="average puts average pools in place of max pools, then trains or fine-tunes; exact keeps them (default: "
        "as --weights were trained, else exact)",
    )
    add_settings(
        parser,
        "bits",
        flag="--weight-bits",
        help="fine-tune --weights (or the shipped ones) with weights of B bits, 2 to 8, rounded as spikec export does "
        "it",
    )
    add_settings(parser, "per", "override")
    add_settings(parser, "scale", default="spikes")
    parser.add_argument("--format", default=defaults.FORMAT, metavar="F", help="number format, with --weight-bits")
    parser.add_argument(
        "--through-spikes",
        type=at_least(1, defaults.TIMESTEPS_MAX),
        metavar="T",
        help="fine-tune --weights (or the shipped ones) as a spiking network of T steps, with the neurons of --method",
    )
    parser.add_argument("-o", "--output", required=True, type=_safetensors, metavar="W.safetensors")
    parser.add_argument("--resume", action="store_true", help="continue from W.safetensors.checkpoint")


def _safetensors(text: str) -> Path:
    """Argument type: the suffix decides how weights are read, so with another one they could not be read again."""
    path = Path(text)
    if path.name and path.suffix != ".safetensors":
        better = shown(path.with_suffix(".safetensors"))
        raise argparse.ArgumentTypeError(f"weights are written as safetensors: call the file {better}")
    for beside in (_CHECKPOINT, _LOG):  # longer names, and written while the training runs
        output_path(f"{text}{beside}")
    return output_path(text)


def run(args: argparse.Namespace) -> int:
    from spikec.deployment.weights_file import FRAMES, MAX_POOL, weights_file
    from spikec.errors import DataError
    from spikec.evidence.intervals import wilson
    from spikec.models import prepare, save_weights
    from spikec.models.data import size_hint
    from spikec.training import evaluate, fit
    from spikec.training.checks import fitting_network

    recipe = _recipe(args)
    weights: Path | None = args.weights
    if args.bits is not None and args.through_spikes is not None:
        raise UsageError("--weight-bits and --through-spikes fine-tune one after the other: give one of them")
    if args.bits is not None:
        check_format(args.format)
        weights, recipe = start("--weight-bits", args, recipe), shorter(recipe, args)
    elif args.through_spikes is not None:
        weights, recipe = start("--through-spikes", args, recipe), spiking(recipe, args)
    if args.bits is None and (args.per or args.scale or args.override):
        raise UsageError("--per, --scale and --override fine-tune weights of few bits: give --weight-bits too")
    remembered = None if weights is None else weights_file(weights).max_pool
    args.max_pool = args.max_pool or remembered
    average = args.max_pool == "average"
    args.frames = args.frames or (weights is not None and weights_file(weights).frames)
    data, test = _data(args, recipe, "train"), _data(args, recipe, "test")
    hint = size_hint(recipe.data)
    if hint and test.shape != data.shape:
        sizes = ("x".join(map(str, each.shape)) for each in (data, test))
        raise DataError("{}: training images are of {}, test images of {}{}".format(recipe.data, *sizes, hint))
    train, validation = data.split(recipe.validation, recipe.fit.seed)
    model, thresholds = prepare(
        args.model,
        recipe,
        train,
        weights,
        average_pool=average,
        fine_tuned=remembered == "average",
        entry=args.weights_entry,
    )
    if thresholds:
        note("thresholds start at " + ", ".join(f"{value:.3g}" for value in thresholds.values()))
    fitting_network(model, {"train": train, "test": test}, "cpu")  # the test set too: now, not after the training
    output: Path = args.output
    checkpoint = output.with_name(output.name + _CHECKPOINT)
    log = output.with_name(output.name + _LOG)
    if not args.resume:
        checkpoint.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
    elif not os.path.exists(checkpoint):
        note(f"no {checkpoint}: starting from the beginning")
    files: dict[str, Any] = {"checkpoint": checkpoint, "resume": args.resume, "log": log}
    files["identity"] = _identity(args, recipe)
    header: dict[str, Any] = {}
    about: dict[str, Any] = {MAX_POOL: "average"} if average else {}
    about |= {FRAMES: True} if args.frames else {}
    with muted():  # training has a line of its own
        if args.bits is not None:
            result, header = fine_tune(args, recipe, model, train, validation, **files)
        else:
            hooks = recipe.hooks(model, validation, args.device)
            result = fit(model, train, validation, recipe.fit, device=args.device, **files, **hooks)
    steps = recipe.fit.spiking_steps
    _, accuracy = evaluate(model, test, device=args.device, timesteps=steps, neuron=recipe.fit.neuron)
    low, high = wilson(round(accuracy * len(test)), len(test))
    summary = {
        "model": args.model,
        **recipe.record(result, len(validation)),
        "weight_bits": args.bits,
        "test_images": len(test),
        "test_accuracy": accuracy,
        "test_interval_95": [low, high],
    }
    what = "mean frames of test sequences" if args.frames else "test images"
    save_weights(model, output, summary | about | header)
    emit(
        args,
        {**summary, "output": output},
        f"{output}: {percent(accuracy)} of {len(test)} {what} (95 % interval {percent(low)} to {percent(high)}), "
        f"{f'run for {steps} steps, ' if steps else ''}"
        f"epoch {result.best_epoch + 1} of {recipe.fit.epochs} was best on {len(validation)} held-out training images",
        files=[output, checkpoint, log],
    )
    return 0


def _data(args: argparse.Namespace, recipe: Recipe, split: str) -> Dataset:
    """Images of a split; with ``--frames`` the mean frames of its sequences."""
    from spikec.errors import DataError
    from spikec.models.data import mean_frames, open_dataset, open_sequences

    if args.frames:
        sequences = open_sequences(recipe.data, args.data_root, split)
        if not sequences.labelled:
            raise DataError(f"{sequences.name} holds no y, the classes to train for")
        return mean_frames(sequences)
    return open_dataset(recipe.data, args.data_root, split)


def _identity(args: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    """What identifies a checkpoint of this run, besides the hyper-parameters."""
    from dataclasses import asdict

    values = {key: value for key, value in asdict(recipe).items() if key not in ("fit", "model")}
    words = ("bits", "per", "scale", "override", "max_pool")
    frames = {"frames": "True"} if args.frames else {}  # checkpoints of before have none
    return {"network": args.model, **values, **{word: str(getattr(args, word)) for word in words}, **frames}


def _recipe(args: argparse.Namespace) -> Recipe:
    """The recipe with what the command line overrides."""
    from dataclasses import replace

    from spikec.models.recipes import default_recipe, load_recipe

    recipe = load_recipe(args.recipe) if args.recipe else default_recipe(args.model)
    given = {"epochs": args.epochs, "seed": args.seed}
    fit = replace(recipe.fit, **{k: v for k, v in given.items() if v is not None})
    chosen = {"data": args.data, "levels": args.levels, "method": _training(args.method)}
    recipe = replace(recipe, fit=fit, **{k: v for k, v in chosen.items() if v is not None})
    # A ReLU network has no thresholds to spike with: its epochs are chosen on the network itself.
    return replace(recipe, fit=replace(fit, timesteps=0)) if recipe.method == PLAIN else recipe


def _training(method: str | None) -> str | None:
    """The training that a conversion method needs."""
    from spikec.conversion import methods
    from spikec.conversion.methods.base import training_of

    return method if method is None or method == PLAIN else training_of(methods()[method])
