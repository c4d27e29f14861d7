"""An ONNX file as a checked model with one input of floats. The package ``onnx`` is imported here on demand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikec.errors import DataError
from spikec.guarded import regular_file
from spikec.memory import usable_memory
from spikec.models.from_onnx.bounds import too_much

#: Bytes of a file: protobuf takes no more.
_MOST = 2**31
#: Element types of ONNX that hold real numbers.
FLOATS = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}


@dataclass(frozen=True)
class Model:
    """``proto``: functions inlined, weights loaded. ``input``: name of the one input; ``batch``: how many images it
    takes at once, None where any number will do; ``shape``: of one image, None where the file leaves a size open."""

    path: Path
    proto: Any = field(repr=False)
    input: str
    batch: int | None
    shape: tuple[int | None, ...]
    half: bool


def onnx_package() -> Any:
    """The package ``onnx``. Raises :class:`DataError` with the command that installs it."""
    try:
        import onnx
        import onnx.inliner
        import onnx.reference
        import onnx.shape_inference
    except ImportError as error:
        raise DataError(f"reading an ONNX file needs the package onnx: pip install 'spikec[onnx]' ({error})") from error
    return onnx


def open_onnx(path: Path) -> Model:
    """The file, with its external data. Raises :class:`DataError` for a file that is damaged, lacks data, is newer than
    the package ``onnx`` here, or takes other than one input of floats."""
    onnx = onnx_package()
    proto = _loaded(onnx, path)
    newest, opset = onnx.defs.onnx_opset_version(), opset_of(proto)
    if opset > newest:
        raise DataError(
            f"{path} is written in opset {opset}, and onnx {onnx.__version__} knows {newest} at most: upgrade it (pip "
            f"install -U onnx), or export with opset_version={newest}"
        )
    try:
        # Checks ask for shapes of outputs, which some writers leave out.
        proto = onnx.shape_inference.infer_shapes(onnx.inliner.inline_local_functions(proto))
        for value in proto.graph.output:
            value.type.tensor_type.shape.SetInParent()
        onnx.checker.check_model(proto)
    except Exception as error:  # the checks of onnx raise many types
        raise DataError(f"{path} is no valid ONNX file: {_first_line(error)}") from error
    if proto.graph.sparse_initializer:
        names = [tensor.values.name for tensor in proto.graph.sparse_initializer]
        raise DataError(f"{path}: the weights {', '.join(names)} are sparse; export the network with dense weights")
    return _with_input(path, proto)


def opset_of(proto: Any) -> int:
    """The version of ONNX's own operators; 1 where the file says nothing."""
    return max((int(each.version) for each in proto.opset_import if each.domain in ("", "ai.onnx")), default=1)


def onnx_files(path: Path) -> list[Path]:
    """The file and those that hold its weights, where it keeps them outside."""
    onnx = onnx_package()
    _, outside = _parsed(onnx, path)
    return [path, *(path.parent / name for name in outside)]


def _outside(proto: Any) -> list[str]:
    tensors = [*proto.graph.initializer, *(a.t for node in proto.graph.node for a in node.attribute if a.HasField("t"))]
    entries = [{each.key: each.value for each in tensor.external_data} for tensor in tensors]
    return sorted({entry["location"] for entry in entries if "location" in entry})


def _inside(path: Path, outside: Sequence[str]) -> None:
    """Raise :class:`DataError` where weights lie elsewhere than in the folder of the file or below it."""
    folder = path.parent.resolve()
    for name in outside:
        try:
            place = (folder / name).resolve()
        except (OSError, ValueError, RuntimeError):  # a zero byte, a loop of links
            place = Path(name)
        if Path(name).is_absolute() or folder not in place.parents:
            raise DataError(
                f"{path} takes weights from {name!r}, outside its folder: keep them beside it, and export again"
            )


def _parsed(onnx: Any, path: Path) -> tuple[Any, list[str]]:
    """The file without its external data, and the names of the files that hold these."""
    regular_file(path, most=_MOST)
    try:
        proto = onnx.load(str(path), load_external_data=False)
        return proto, _outside(proto)
    except Exception as error:  # bytes that are no protobuf, or of another message
        raise DataError(f"cannot read {path} as ONNX: {_first_line(error)}") from error


def _loaded(onnx: Any, path: Path) -> Any:
    proto, outside = _parsed(onnx, path)
    if not proto.graph.node and not proto.graph.output:
        raise DataError(f"{path} holds no ONNX graph")
    _inside(path, outside)
    too_much(path, proto)
    absent = [name for name in outside if not os.path.exists(path.parent / name)]
    if absent:
        raise DataError(f"{path} keeps its weights in {', '.join(absent)}, which must lie beside it and does not")
    needed, there = sum(regular_file(path.parent / name) for name in outside), usable_memory()
    if needed > there:
        raise DataError(
            f"the weights of {path} have {needed / 1e9:.3g} GB, and there are {there / 1e9:.3g} GB of memory; use a "
            "machine with more, or a smaller network"
        )
    try:
        return onnx.load(str(path))
    except Exception as error:  # files outside the folder, or too short
        raise DataError(f"cannot read the weights of {path}: {_first_line(error)}") from error


def _with_input(path: Path, proto: Any) -> Model:
    stored = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in stored]
    names = ", ".join(value.name for value in inputs)
    if not inputs:
        raise DataError(f"{path} takes no input")
    if len(inputs) > 1:
        raise DataError(
            f"{path} takes {len(inputs)} inputs ({names}), and there is one, the image: export it with the others fixed"
        )
    about = inputs[0].type.tensor_type
    if about.elem_type not in FLOATS:
        raise DataError(
            f"{path}: its input {names} is no float; images are floats here, so export the network without the "
            "conversion in front of it"
        )
    if not about.HasField("shape") or len(about.shape.dim) < 2:
        raise DataError(f"{path}: its input {names} does not say how many dimensions it has; export it with a shape")
    batch, *shape = (int(dim.dim_value) or None for dim in about.shape.dim)
    return Model(path, proto, inputs[0].name, batch, tuple(shape), FLOATS[about.elem_type] in ("float16", "bfloat16"))


def by(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
