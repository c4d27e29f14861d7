"""Reads files whose names come one a line, each with a reader, and says in a line of JSON what came of it."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np

import spikec as tc
from spikec.analysis.formats import load_format
from spikec.cluster.slurm import Submission
from spikec.energy.profile import load_profile
from spikec.errors import ToolchainError
from spikec.ir.metadata import KEY
from spikec.ir.profile.decode import decode
from spikec.models.checkpoints.reading import read_checkpoint
from spikec.models.data import open_dataset, open_sequences
from spikec.models.data.fashion_mnist import read_idx
from spikec.models.data.recordings import read_events
from spikec.models.data.shaping import Shaping
from spikec.models.data.streams import Files, Pictures
from spikec.models.from_onnx import read_onnx
from spikec.models.recipes import load_recipe
from spikec.nir import diagnose, repair
from spikec.reporting.compare import compare_reports, read_report
from spikec.sharding.job import Job
from spikec.simulation.kept import read_trace
from spikec.sweeping.grid import read_grid
from spikec.sweeping.store import Store
from spikec.targets import netx
from spikec.targets.c.code import generate
from spikec.training.checkpoint import read_state
from spikec.whole_files import temporary_folder

#: Seconds of work that the doctor has for a file; by itself it takes more.
_DOCTOR = 2.0


def deployment(path: Path) -> str:
    """Load and decode. What was accepted is compared with the numbers of the file, read by ``nir`` and numpy alone, and
    C is written of it."""
    graph = decode(tc.load(path))
    raw = nir.read(path)
    for name, node in raw.nodes.items():
        mine, about = graph.nodes.get(name), node.metadata.get(KEY, {})
        if mine is None:
            continue
        if hasattr(node, "weight") and hasattr(mine, "weight"):
            weight = _spread(mine.weight, np.shape(node.weight))
            _equal(name, "weight", node.weight, weight)
            _equal(name, "bias", node.bias, mine.bias)
            exponent = int(np.asarray(about.get("weight_exp", 0)))
            if "weight_int" in about:
                _equal(name, "weight_int", [int(x) << exponent for x in np.asarray(about["weight_int"]).flat], weight)
        for key, field in (("v_threshold_int", "theta"), ("v_init_int", "v_init")):
            if key in about and hasattr(mine, field):
                mine_numbers = getattr(mine, field)
                _equal(name, key, np.broadcast_to(np.asarray(about[key]), mine_numbers.shape), mine_numbers)
    with contextlib.suppress(ToolchainError):  # C may refuse what the profile allows, in a sentence
        generate(graph)
    return graph.content_sha256


def _spread(weight: Any, shape: tuple[int, ...]) -> Any:
    """Weights of groups as those of all inputs, zero outside the group: files may hold them so."""
    if weight.shape == shape or weight.ndim != 4 or shape[1] % weight.shape[1]:
        return weight
    groups, per_input = shape[1] // weight.shape[1], weight.shape[1]
    whole = np.zeros(shape, np.int64)
    for output in range(shape[0]):
        first = output // (shape[0] // groups) * per_input
        whole[output, first : first + per_input] = weight[output]
    return whole


def _equal(name: str, field: str, wanted: Any, found: Any) -> None:
    """Python integers on both sides: nothing wraps and nothing is rounded."""
    one, other = np.asarray(wanted).reshape(-1).tolist(), np.asarray(found).reshape(-1).tolist()
    if len(one) != len(other) or any(float(a) != int(a) or int(a) != int(b) for a, b in zip(one, other, strict=True)):
        raise AssertionError(f"{name}: {field} differs from the file")


def _archive(path: Path) -> str:
    data = open_dataset(f"npz:{path}")
    data.images(slice(None))
    return ""


def _pictures(path: Path) -> str:
    data = open_dataset(f"folder:{path.parents[2]}")
    data.images(slice(None))
    return ""


def _sequences(path: Path) -> str:
    open_sequences(f"npz:{path}").images(slice(None))
    return ""


def _doctor(path: Path) -> str:
    """Refused where a file cannot be read; what is only wrong is said, and repaired as far as it can be."""
    found = diagnose(path, seconds=_DOCTOR)
    with contextlib.suppress(ToolchainError), temporary_folder() as folder:
        repair(path, folder / "mended.nir", seconds=_DOCTOR)
    return str(found.reads)


def _plain(path: Path) -> str:
    """The same, and the importer of networks with IF neurons."""
    _doctor(path)
    example = np.zeros((1, 1, 4, 4), np.float32)
    tc.import_nir(path, reset="subtract", v_init="half", timesteps=2, example=example)
    return ""


def _of(read: Callable[[Path], Any]) -> Callable[[Path], str]:
    def reader(path: Path) -> str:
        read(path)
        return ""

    return reader


READERS: dict[str, Callable[[Path], str]] = {
    "nir": deployment,
    "archive": _archive,
    "picture": _pictures,
    "weights": _of(read_checkpoint),
    "checkpoint": _of(read_state),
    "grid": _of(lambda path: read_grid(path, limit=1000)),
    "profile": _of(load_profile),
    "format": _of(load_format),
    "result": _of(lambda path: Store(path.parent.parent).read(path.stem)),
    "onnx": _of(read_onnx),
    "netx": _of(netx.read),
    "netx-hard": _of(lambda path: netx.read(path, reset="hard")),
    "doctor": _doctor,
    "plain": _plain,
    "sequences": _sequences,
    "events": _of(read_events),
    "decoded": _of(read_events),
    "one picture": _of(lambda path: Pictures(Files([path]), Shaping())[:]),
    "tar": _of(lambda path: open_dataset(f"webdataset:{path},resize=9,crop=9").images(slice(None))),
    "piece": _of(lambda path: read_trace(path, "piece")),
    "shards": _of(Job.read),
    "job array": _of(Submission.read),
    "report": _of(lambda path: compare_reports(read_report(path), read_report(path.with_name("another.json")))),
    "idx": _of(read_idx),
    "cifar": _of(lambda path: open_dataset("cifar10", path.parent, "test").images(slice(None))),
    "recipe": _of(load_recipe),
    "nothing": lambda _: "",
}


def outcome(reader: str, path: Path) -> dict[str, Any]:
    """``accepted`` or ``refused``; anything else is a finding."""
    try:
        return {"was": "accepted", "text": READERS[reader](path)}
    except ToolchainError as error:
        return {"was": "refused", "text": str(error)}
    except AssertionError as error:
        return {"was": "wrong integers", "text": str(error)}
    except Exception as error:  # that is what is looked for
        return {"was": "internal error", "text": f"{type(error).__name__}: {error}"}


def main() -> None:
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        reader, path = line.rstrip("\n").split("\t")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = outcome(reader, Path(path))
        found["grown"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
