"""What commands write: argument types that refuse, before the work is done, a name that nothing can be written to."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from spikec.cli.parser import UsageError
from spikec.errors import ToolchainError
from spikec.words import shown

#: How files end that spikec writes or reads, and others that nobody calls a folder.
_FILES = frozenset((
    ".html", ".htm", ".json", ".jsonl", ".csv", ".nir", ".npz", ".npy", ".toml", ".svg", ".pdf", ".md", ".txt", ".log",
    ".c", ".h", ".ino", ".so", ".hdf5", ".h5", ".net", ".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".th", ".pt2",
    ".onnx", ".ort", ".pb", ".tflite", ".keras", ".py", ".ipynb", ".sh", ".yaml", ".yml", ".xml", ".whl", ".zip",
    ".tar", ".gz", ".tgz", ".bz2", ".xz", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff",
    ".webp", ".aedat", ".aedat4", ".mat", ".dat",
))  # fmt: skip
#: A name that ends so is that of a folder.
_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


def _possible(text: str) -> Path:
    """The path, where a file can be called so: the system would refuse it later, without the option's name."""
    from spikec.whole_files import no_path

    why = no_path(text)
    if why is not None:
        raise argparse.ArgumentTypeError(f"{shown(text)} cannot be written: {why}")
    return Path(text)


def output_path(text: str) -> Path:
    """Argument type: a file that can be written; refused before the work is done, not after."""
    from spikec.whole_files import is_device, place_of

    path = _possible(text)
    if text.endswith(_SEPARATORS):
        raise argparse.ArgumentTypeError(f"{text} is the name of a directory, give a file name")
    if os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"{text} is a directory, give a file name")
    if is_device(path):
        raise argparse.ArgumentTypeError(f"{text} is a device or a pipe, give a file name")
    try:
        folder = place_of(path).parent if os.path.islink(path) else path.parent
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be written: {error.strerror}") from error
    if not os.path.isdir(folder):
        raise argparse.ArgumentTypeError(f"the directory {folder} does not exist")
    if not os.access(folder, os.W_OK) or (os.path.exists(path) and not os.access(path, os.W_OK)):
        raise argparse.ArgumentTypeError(f"{text} cannot be written: permission denied")
    return path


def output_folder(text: str) -> Path:
    """Argument type: a folder to write to, which need not be there yet. A name that ends like a file is a slip: what
    the command writes would lie in a folder called ``page.html``."""
    path = _possible(text)
    if os.path.exists(path) and not os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"{text} is a file, give a folder")
    if path.suffix.lower() in _FILES and not os.path.exists(path) and not text.endswith(_SEPARATORS):
        better = path.with_suffix("")
        while better.suffix.lower() in _FILES:  # .tar.gz
            better = better.with_suffix("")
        raise argparse.ArgumentTypeError(f"{text} would be a folder, and ends like a file: call it {better}")
    return path


def make_folder(folder: Path) -> Path:
    """Make a folder of ``-o`` where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolchainError(f"{folder} cannot be made: {error.strerror}; choose another folder with -o") from error
    return folder


def file_like(*suffixes: str) -> Callable[[str], Path]:
    """Argument type: :func:`output_path` with one of these suffixes, the usual one first: what reads the file goes by
    it."""

    def path(text: str) -> Path:
        found = output_path(text)
        if found.suffix.lower() not in suffixes:
            wanted = " or ".join(suffixes)
            better = found.with_suffix(suffixes[0]) if found.suffix else Path(f"{text}{suffixes[0]}")
            raise argparse.ArgumentTypeError(f"{text} should end in {wanted}: call it {better}")
        return found

    return path


def keep_inputs(args: argparse.Namespace, *written: Path | None) -> None:
    """Refuse to write over a file that the command reads: ``report net.nir -o net.nir`` would lose the deployment."""
    read = [file for file in _files_read(args) if os.path.isfile(file)]
    for out in written:
        if out is not None and os.path.exists(out) and any(out.samefile(file) for file in read):
            raise UsageError(f"{out} is a file that this command reads and would lose: give the output another name")


def _files_read(args: argparse.Namespace) -> list[Path]:
    given = {name: str(value) for name, value in vars(args).items() if value is not None}
    texts = [given[name] for name in ("graph", "weights") if name in given]
    texts += [given[name] for name in ("format", "profile", "model") if Path(given.get(name, "")).suffix]
    texts += [given.get("data", "").partition(":")[2], given.get("model", "").rpartition(":")[0]]
    return [Path(text) for text in texts if text]
