"""Methods: what is refused when one is made, and methods of other packages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.conversion import METHODS, Method, NeuronSpec, methods, register
from spikec.conversion.methods import base as method
from spikec.conversion.methods.base import training_of
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, GradedIF, SignedIF
from spikec.ir.walks import latency_steps

_SENSELESS: dict[str, tuple[Callable[[], Method], str]] = {
    "no steps": (lambda: tc.QCFS(timesteps=0), "timesteps must be a whole number between 1 and 32768, not 0"),
    "True steps": (lambda: tc.QCFS(timesteps=True), "timesteps must be a whole number .*, not True"),
    "half a step": (lambda: tc.QCFS(timesteps=0.5), "timesteps must be a whole number .*, not 0.5"),
    "words": (lambda: tc.QCFS(timesteps="4"), "timesteps must be a whole number .*, not '4'"),
    "schedule": (lambda: tc.QCFS(4, "parallel"), "QCFS runs with schedule 'pipelined' or 'layerwise', not 'parallel'"),
    "no schedule": (lambda: tc.QCFS(4, None), "QCFS runs with schedule 'pipelined' or 'layerwise', not None"),
    "calibrated, layerwise": (
        lambda: tc.OffsetSpikes(4, schedule="layerwise"),
        "OffsetSpikes runs with schedule 'pipelined', not 'layerwise': neurons that receive everything before",
    ),
    "bits, pipelined": (
        lambda: tc.ErrorFree(4, schedule="pipelined"),
        "ErrorFree runs with schedule 'layerwise', not 'pipelined': a layer needs all that the one before it sends",
    ),
    "no spikes": (lambda: tc.QCFS(4, spikes=0), "spikes must be a whole number between 1 and 32767, not 0"),
    "too many spikes": (
        lambda: tc.ErrorCompensation(4, spikes=2**15),
        "spikes must be a whole number between 1 and 32767, not 32768",
    ),
    "many bits": (lambda: tc.ErrorFree(16), "timesteps must be a whole number between 1 and 15, not 16"),
    "graded steps": (lambda: tc.Graded(timesteps=2), "graded runs in one step; timesteps=2 has no meaning"),
    "graded levels": (lambda: tc.Graded(levels=0), "levels must be a whole number between 1 and 32767, not 0"),
    "rho": (lambda: tc.OffsetSpikes(4, rho=0), "rho must be a whole number between 1 and 32767, not 0"),
    "mode": (lambda: tc.OffsetSpikes(4, mode="late"), "mode must be 'online', 'static' or 'tuned', not 'late'"),
    "masked, layerwise": (
        lambda: tc.SRP(4, schedule="layerwise"),
        "SRP runs with schedule 'pipelined', not 'layerwise': .* no residual to mask by",
    ),
    "drain": (lambda: tc.ErrorCompensation(4, drain=-1), "drain must be a whole number between 0 and 32767, not -1"),
    "drain, layerwise": (
        lambda: tc.ErrorCompensation(4, schedule="layerwise", drain=1),
        "drain steps need the schedule 'pipelined'; layerwise needs none",
    ),
    "negative": (
        lambda: tc.ErrorCompensation(4, negative=-0.1),
        r"negative must be a fraction of the threshold in \[0, 1\], not -0.1",
    ),
    "negative word": (
        lambda: tc.ErrorCompensation(4, negative="small"),
        "negative must be a number, not 'small'",
    ),
    "negative truth": (
        lambda: tc.ErrorCompensation(4, negative=True),
        "negative must be a number, not True",
    ),
    "arrays": (lambda: tc.QCFS(4, np.array(["pipelined", "layerwise"])), "QCFS runs with schedule .*, not array"),
    "mode array": (lambda: tc.OffsetSpikes(4, mode=np.array(["static", "tuned"])), "mode must be .*, not array"),
    "offsets array": (
        lambda: tc.ErrorCompensation(4, offsets=np.array(["static", "x"])),
        "offsets must be .* array",
    ),
    "offsets": (
        lambda: tc.ErrorCompensation(4, offsets="online"),
        "offsets must be 'static', 'tuned' or left out, not 'online'",
    ),
}


@pytest.mark.parametrize("name", _SENSELESS)
def test_methods_that_make_no_sense_are_refused(name: str) -> None:
    make, message = _SENSELESS[name]
    with pytest.raises(tc.ConversionError) as error:
        make()
    assert re.match(message, str(error.value)), str(error.value)


@dataclass(frozen=True)
class Halved(Method):
    """Signed neurons with the negative threshold at half the positive one."""

    name: ClassVar[str] = "halved"
    source: ClassVar[str] = "a test"

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec(SignedIF(), negative=0.5)


class _EntryPoint:
    def load(self) -> type[Method]:
        return register(Halved)


def test_a_method_of_another_package_is_found_and_converts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method, "METHODS", dict(METHODS))  # where it is entered, until the end of this test
    monkeypatch.setattr(method, "entry_points", lambda group: [_EntryPoint()] if group == "spikec.methods" else [])
    assert methods()["halved"] is Halved
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), tc.ClipFloorShift(4, 1.0), nn.Linear(3, 2))
    images = torch.rand(2, 1, 2, 2)
    graph = tc.lower(tc.convert(network, Halved(timesteps=3), example=images))
    population = tc.decode(graph).populations[0]
    assert isinstance(population.neuron, SignedIF)
    assert population.neuron.theta_neg is not None
    assert (abs(2 * population.neuron.theta_neg - population.theta) <= 1).all()


def test_a_method_that_cannot_be_imported_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name, value = "broken", "nowhere:Method"

        def load(self) -> type[Method]:
            raise ModuleNotFoundError("No module named 'nowhere'")

    monkeypatch.setattr(method, "entry_points", lambda group: [Broken()])
    with pytest.warns(UserWarning, match=r"the method broken \(nowhere:Method\) cannot be imported: ModuleNotFound"):
        assert methods()["qcfs"] is tc.QCFS


@dataclass(frozen=True)
class Given(Method):
    """A method that returns what it is given."""

    spec: NeuronSpec | None = None
    name: ClassVar[str] = "given"

    def neuron(self, levels: int | None) -> NeuronSpec:
        return self.spec  # type: ignore[return-value]


@dataclass(frozen=True)
class Leaky(IF):
    """A kind that is not registered."""

    name: ClassVar[str] = "lif"


@dataclass(frozen=True)
class OtherIF(IF):
    """A kind that borrows the name of another."""


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (Method(2), "the method Method names no neuron"),
        (Given(2), "must return a NeuronSpec from .*, not None"),
        (Given(2, spec=NeuronSpec("if")), "give a neuron kind, such as .*, not 'if'"),  # type: ignore[arg-type]
        (Given(2, spec=NeuronSpec(Leaky())), "neuron kind 'lif' is none of .*if, signed_if"),
        (Given(2, spec=NeuronSpec(OtherIF())), "OtherIF is not the registered neuron kind 'if'"),
        (Given(2, spec=NeuronSpec(BitSerialIF())), "bit_serial neurons run with schedule 'layerwise', not 'pipelined'"),
        (Given(16, "layerwise", NeuronSpec(BitSerialIF())), "bit_serial neurons run in 1 to 15 steps, not in 16"),
        (Given(2, "layerwise", NeuronSpec(CalibratedIF(rho=2))), "calibrated_if neurons run with schedule 'pipelined'"),
        (Given(2, "layerwise", NeuronSpec(GradedIF(levels=3))), "graded neurons run in T = 1, not in 2"),
        (Given(1, "layerwise", NeuronSpec(GradedIF(levels=None))), "levels must be a whole number"),  # type: ignore[arg-type]
        (Given(1, "layerwise", NeuronSpec(GradedIF(levels=0))), "levels is 0, it must be between 1 and 32767"),
        (Given(2, spec=NeuronSpec(CalibratedIF(rho=0))), "rho is 0, it must be between 1 and 32767"),
        (Given(2, spec=NeuronSpec(SignedIF(), negative=-1.0)), "negative must be at least 0"),
        (Given(2, spec=NeuronSpec(SignedIF(), negative="0")), "negative must be a number"),  # type: ignore[arg-type]
        (Given(2, spec=NeuronSpec(IF(), warm_up=-1)), "warm_up must be a whole number"),
        (Given(2, "layerwise", NeuronSpec(IF(), warm_up=1)), "warm_up needs the schedule 'pipelined'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("activation", [nn.ReLU(), tc.ClipFloorShift(4, 1.0)], ids=["relu", "trained"])
def test_neurons_that_no_network_can_be_made_of_are_refused(made: Method, message: str, activation: nn.Module) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), activation, nn.Linear(3, 2))
    images = torch.rand(2, 1, 2, 2)
    with pytest.raises(tc.ConversionError, match=message):
        tc.convert(network, made, example=images, calibration=images)


def test_only_named_methods_are_registered() -> None:
    for wrong in (lambda: 1, type("Nameless", (Method,), {}), dict):
        with pytest.raises(tc.ConversionError, match="subclasses of Method that have a name"):
            register(wrong)  # type: ignore[arg-type]


def test_methods_say_how_networks_are_trained_for_them() -> None:
    own = {name: each for name, each in methods().items() if each.__module__.startswith("spikec.")}
    known = {name: (training_of(each), each.trains_spikes) for name, each in own.items()}
    assert known == {
        "qcfs": ("qcfs", IF),
        "offset-spikes": ("qcfs", None),
        "error-compensation": ("qcfs", SignedIF),
        "srp": ("qcfs", None),
        "graded": ("qcfs", None),
        "residual-error": ("residual-error", None),
        "error-free": ("error-free", None),
    }
    with pytest.raises(tc.ConversionError, match="the method halved does not say which training it needs"):
        training_of(Halved)
    assert Halved.trains_spikes is None


@pytest.mark.parametrize("kind", [tc.QCFS, tc.ErrorCompensation])
def test_several_spikes_are_said_where_they_are_several(kind: type[Method]) -> None:
    """Files of one spike per step say what they always said."""
    assert "spikes" not in kind(4).settings()
    assert kind(4, spikes=1).settings() == kind(4).settings()
    assert kind(4, spikes=3).settings() == {**kind(4).settings(), "spikes": "3"}
    assert kind(4, spikes=3).neuron(None).kind == type(kind(4).neuron(None).kind)(spikes=3)
    assert kind(4, spikes=3).resolution(None) == 12


def test_methods_for_a_number_of_levels() -> None:
    assert tc.QCFS.for_levels(4) == tc.QCFS(timesteps=4)
    assert Halved.for_levels(3) == Halved(timesteps=3)
    assert tc.ErrorFree.for_levels(7) == tc.ErrorFree(timesteps=3)
    assert tc.Graded.for_levels(7) == tc.Graded()


def _vectors() -> tuple[nn.Sequential, torch.Tensor]:
    """A network of two activations, and images for it."""
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6), tc.ClipFloorShift(4, 1.0), nn.Linear(6, 5), tc.ClipFloorShift(4, 1.0), nn.Linear(5, 2)]
    return nn.Sequential(*layers).eval(), torch.rand(8, 4)


def test_an_instance_of_a_method_that_is_not_registered_converts() -> None:
    assert "given" not in METHODS
    network, images = _vectors()
    graph = tc.decode(tc.lower(tc.convert(network, Given(2, spec=NeuronSpec(SignedIF())), example=images)))
    assert {type(population.neuron) for population in graph.populations} == {SignedIF}


@pytest.mark.parametrize(
    ("made", "steps"),
    [
        (tc.QCFS(4), 4 + 3),
        (tc.QCFS(4, "layerwise"), 3 * 4),
        (tc.ErrorCompensation(4, drain=5), 4 + 5 + 3),
        (tc.ErrorFree(5), 3 * 5),
        (tc.Graded(), 3),
        (tc.OffsetSpikes(4, rho=2), 4 + 3 + 2 * 2),
        (tc.OffsetSpikes(4, mode="static"), 4 + 3),
    ],
    ids=str,
)
def test_steps_from_image_to_answer(made: Method, steps: int) -> None:
    """Two layers of neurons and a readout: three that run one step after the other, or one when the other is done."""
    network, images = _vectors()
    graph = tc.decode(tc.lower(tc.convert(network, made, example=images, calibration=images)))
    assert latency_steps(graph) == steps
