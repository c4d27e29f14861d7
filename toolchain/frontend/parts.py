"""Containers of a twin: the layers and weights of a container of the user's network, and layers of the twin's own."""

from __future__ import annotations

from typing import Any

from torch import nn


class Part(nn.Module):
    """Stands for the container ``original`` among the layers of a twin.

    Shares its weights, and all of its children but those in ``hidden``: activations, in whose place the twin has layers
    of its own (:meth:`add`). Children that hold such layers are parts too. A layer that is set here is set in the
    original as well, so that the network's code runs it; the twin's own layers are not.
    """

    original: nn.Module
    own: set[str]

    def __init__(self, original: nn.Module, hidden: set[nn.Module], parts: dict[nn.Module, Part] | None = None) -> None:
        training = original.training
        vars(self).update(original=original, own=set())
        super().__init__()
        original.training = training
        for name in ("_parameters", "_buffers", "_non_persistent_buffers_set"):
            vars(self)[name] = vars(original)[name]
        made = {} if parts is None else parts
        made[original] = self
        for name, child in original._modules.items():
            if child is None:
                self._modules[name] = None
            elif child not in hidden:
                holds = child in made or any(module in hidden for module in child.modules())
                if holds and child not in made:
                    Part(child, hidden, made)
                self._modules[name] = made[child] if holds else child

    def add(self, name: str, layer: nn.Module) -> None:
        """A layer of the twin's own. One that takes the place of a hidden child stands where that stood."""
        self.own.add(name)
        order = list(self.original._modules)
        layers = {**self._modules, name: layer}
        place = {each: number for number, each in enumerate(order)}
        self._modules.clear()
        self._modules.update(sorted(layers.items(), key=lambda item: place.get(item[0], len(order))))

    def takes(self, name: str) -> bool:
        """Whether ``name`` is free for a layer that takes no child's place."""
        return name not in self._modules and not hasattr(self.original, name)

    @property
    def training(self) -> bool:
        """The mode of the original."""
        return self.original.training

    @training.setter
    def training(self, mode: bool) -> None:
        self.original.training = mode

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in self.original._modules and name not in self.own:
            setattr(self.original, name, value.original if isinstance(value, Part) else value)
