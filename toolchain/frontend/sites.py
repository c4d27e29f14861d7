"""Where in the user's code a function is called: which modules are running, and which lines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any, TypeAlias

import torch
from torch import nn

#: Modules by path and lines as ``file:function:line``, from the innermost to the outermost.
Site: TypeAlias = tuple[str, ...]

_TORCH = str(Path(torch.__file__).parent / "_")[:-1]  # with the separator, so that torchvision does not match
_ROOM = Path(__file__).parent
#: Where code lies that is not the user's; networks of the zoo are.
NOT_USERS = (_TORCH, *(str(room / "_")[:-1] for room in (_ROOM, _ROOM.parent / "training")), "<frozen")
_CALL = nn.Module._call_impl.__code__
_CHECKPOINT = str(Path("torch") / "utils" / "checkpoint.py")


def run(network: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call ``network``; sites are told from here on."""
    return network(*args, **kwargs)


def site(names: Mapping[nn.Module, str]) -> tuple[Site, list[nn.Module], bool]:
    """Where :func:`run` has got to; the modules that are running, innermost first; whether activations are recomputed
    in the backward pass there (``torch.utils.checkpoint``). ``names``: paths of modules."""
    found: list[str] = []
    modules: list[nn.Module] = []
    recomputed = False
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not run.__code__:
        code = frame.f_code
        if code is _CALL:
            module = frame.f_locals["self"]
            modules.append(module)
            found.append(names.get(module, type(module).__name__))
        elif line := _line(code):
            found.append(f"{line}:{frame.f_lineno}")
        recomputed = recomputed or code.co_filename.endswith(_CHECKPOINT)
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found), modules, recomputed


def in_users_code() -> bool:
    """Whether the innermost code that runs inside :func:`run` is the user's, such as a hook, and not that of a layer of
    torch."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not run.__code__:
        if frame.f_code is _CALL:
            return False
        if _line(frame.f_code):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def users_line() -> str:
    """``path:line`` of the user's innermost line that is running inside :func:`run`; empty where there is none."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not run.__code__:
        if _line(frame.f_code):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def failed_line(error: BaseException) -> str:
    """``path:line`` of the user's innermost line that an error went through; empty where there is none."""
    found, inside, trace = "", False, error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        inside = inside or code is run.__code__
        if inside and _line(code):
            found = f"{code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


@lru_cache(maxsize=4096)
def _line(code: CodeType) -> str:
    """``file:function`` of the user's code; empty for torch's and our own."""
    path = code.co_filename
    if path.startswith(NOT_USERS):
        return ""
    return f"{Path(path).name}:{code.co_name}"
