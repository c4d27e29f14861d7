"""What a chip is: limits and numbers that graphs are checked against, and cores they are placed on. Nothing runs here.

Other packages add one by an entry point in the group ``spikec.chips`` whose value is a class with the :class:`Chip`
interface. TOML files beside that class (``format_<name>.toml``, ``energy_<name>.toml``) are found by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from spikec.analysis.formats import NumberFormat
from spikec.analysis.placement import Placement as Placed
from spikec.analysis.violations import Violation, Violations
from spikec.calls import named_arguments
from spikec.defaults import CHIP
from spikec.errors import DoesNotFit, ToolchainError
from spikec.ir.operations.boxes import Box
from spikec.targets import told_apart
from spikec.targets.registry import Registry

if TYPE_CHECKING:
    import nir

    from spikec.ir.graph import IntegerGraph

_VERIFIED = frozenset({"code", "secondary"})


@dataclass(frozen=True)
class Limit:
    """One number a chip cannot exceed.

    ``grade`` says how the number was checked: ``code`` (read in the named source), ``secondary`` (read in a publication
    about it), ``recalled`` (not verified) or ``assumed`` (chosen here).
    """

    key: str
    value: int
    unit: str
    grade: str
    source: str

    @property
    def verified(self) -> bool:
        return self.grade in _VERIFIED


class Slice(Protocol):
    """Neurons of one layer on one core: half-open index ranges, one per axis of the layer's shape."""

    @property
    def layer(self) -> str: ...

    @property
    def box(self) -> Box: ...


class Core(Protocol):
    """One core: its slices and, per limited resource, (used, limit)."""

    @property
    def index(self) -> int: ...

    @property
    def chip(self) -> int: ...

    @property
    def slices(self) -> Sequence[Slice]: ...

    @property
    def usage(self) -> Mapping[str, tuple[int, int]]: ...

    @property
    def load(self) -> float:
        """Largest share of any resource."""
        ...


class Placement(Placed, Protocol):
    """Which core computes which neurons, for energy estimates and for display."""

    @property
    def target(self) -> str:
        """The chip's name."""
        ...

    @property
    def cores(self) -> Sequence[Core]: ...

    @property
    def lower_bound(self) -> int:
        """A lower bound on the number of cores, for any placement."""
        ...

    @property
    def shared(self) -> bool:
        """True if kernels are stored once per core, False if once per connection."""
        ...

    @property
    def population_axons(self) -> Sequence[str]:
        """Synapse nodes reached over axons that several sources share. The others have one axon per source."""
        ...

    @property
    def assumptions(self) -> Sequence[str]:
        """What the placement takes for granted, a sentence each."""
        ...

    def svg(self) -> str:
        """A drawing."""
        ...


class Chip(Protocol):
    """The data of a chip. ``profile``: the name of its energy profile, or the path of that file; None where no source
    says what its operations cost."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """Its name as it is shown to people."""
        ...

    @property
    def form(self) -> NumberFormat:
        """Its number format."""
        ...

    @property
    def limits(self) -> Mapping[str, Limit]: ...

    @property
    def profile(self) -> str | None: ...

    def check(self, graph: IntegerGraph | nir.NIRGraph, *, placement: Placement | None = None) -> list[Violation]:
        """All violations of ``graph``, errors first. ``placement``: what ``place(graph)`` returned, if known."""
        ...

    def place(self, graph: IntegerGraph | nir.NIRGraph, *, shared: bool = True) -> Placement:
        """Split ``graph`` over cores. Raises ``DoesNotFit`` if a single neuron already exceeds a core."""
        ...


#: Chips by name.
CHIPS: Registry[Chip] = Registry("spikec.chips")


def chip_names() -> list[str]:
    """Chips with known limits, sorted."""
    return CHIPS.names()


def get_chip(name: str) -> Chip:
    """The chip called ``name``. Raises ``ToolchainError`` for an unknown one."""
    if not isinstance(name, str):
        raise ToolchainError(f"a chip is given by its name, not by {type(name).__name__}")
    found = CHIPS.get(name)
    if found is None:
        raise ToolchainError(told_apart.wrong(name, "chip"))
    return found


def chip_of(profile: str) -> Chip | None:
    """The chip with the energy profile ``profile``; None if the profile belongs to no chip."""
    chips = (get_chip(name) for name in chip_names())
    return next((chip for chip in chips if chip.profile == profile), None)


@named_arguments
def check(graph: nir.NIRGraph | IntegerGraph, target: str = CHIP, *, placement: Placement | None = None) -> Violations:
    """All violations of ``graph`` on the chip ``target``, errors first; an empty list if there are none.

    ``target``: ``loihi1``, ``loihi2`` or another registered chip. ``placement``: what ``place(graph, target)``
    returned, if known.

    >>> tc.check(graph, target="loihi2")
    no violations on Loihi 2...: it fits
    """
    chip = get_chip(target)
    return Violations.of(chip.check(graph, placement=placement), chip.title)


@named_arguments
def place(graph: nir.NIRGraph | IntegerGraph, target: str = CHIP, *, shared: bool = True) -> Placement:
    """Split ``graph`` over cores of ``target``. Raises ``DoesNotFit`` if a single neuron already exceeds a core.

    ``shared=False`` stores every synapse of a convolution separately, as a mapper that cannot share kernels must.

    >>> len(tc.place(graph, target="loihi2").cores)
    1
    """
    return get_chip(target).place(graph, shared=shared)


def placed(graph: nir.NIRGraph | IntegerGraph, target: str) -> Placement | None:
    """:func:`place` on the chip ``target``, or on the chip with the energy profile ``target``.

    None if the network does not fit, or if the profile belongs to no chip.
    """
    chip = CHIPS.get(target) or chip_of(target)
    try:
        return chip.place(graph) if chip is not None else None
    except DoesNotFit:
        return None
