"""What modules of the user's network are called."""

from __future__ import annotations

from torch import nn

from spikec.frontend.parts import Part


def module_names(model: nn.Module) -> dict[int, str]:
    """Dotted names of modules, without the wrappers that only distribute or compile; by id."""
    inner, wrappers = model, []
    while True:
        wrappers.append(inner)
        wrapped = getattr(inner, "_orig_mod", None)
        if wrapped is None and isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel):
            wrapped = inner.module
        if not isinstance(wrapped, nn.Module):
            break
        inner = wrapped
    names: dict[int, str] = {}
    for name, module in inner.named_modules(remove_duplicate=False):
        parts = [part for part in name.split(".") if part != "_orig_mod"]
        for each in (module, module.original) if isinstance(module, Part) else (module,):
            names.setdefault(id(each), ".".join(parts))
    return names | {id(wrapper): "" for wrapper in wrappers}
