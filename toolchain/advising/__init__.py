"""Which method, which T: measured on the user's own network, without training. ``tc.advise(model, images, labels)``.

Names are imported on first use, so that a command line starts without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.advising.advice import Advice as Advice
    from spikec.advising.advising import advise as advise
    from spikec.advising.advising import advise_on as advise_on

_PLACES = {"Advice": "advice", "advise": "advising", "advise_on": "advising"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"spikec.advising.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
