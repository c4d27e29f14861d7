"""``with_layers``: functional, repeated and in-place activations become layers of their own; parameters keep names."""

from __future__ import annotations

import copy
import io
import threading
import types
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import spikec as tc
from spikec.errors import ConversionError
from spikec.frontend import with_layers
from spikec.training import ClipFloorShift, initialise_thresholds, replace_relu

X = torch.rand(3, 1, 8, 8)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same weights and dropouts in whatever order tests run."""
    torch.manual_seed(0)


class Calls(nn.Module):
    """Every spelling that export takes, one of them in place with its result thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(36, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        F.relu(x, inplace=True)
        x = torch.clamp(self.b(F.max_pool2d(x, 2)), 0, 3)
        x = F.dropout(self.relu(self.b(x)), 0.5, training=self.training)
        x = self.relu(self.b(x) + 0.1)
        return F.log_softmax(self.head(self.b(x).relu_().flatten(1)), dim=1)


def test_activations_become_layers() -> None:
    model = Calls().eval()
    with pytest.warns(UserWarning, match="left out at the end of the network: log_softmax"):
        made = with_layers(model, X)
    layers = {name: type(m) for name, m in made.named_modules() if isinstance(m, nn.ReLU | nn.Hardtanh)}
    assert layers == {"relu_1": nn.ReLU, "relu_2": nn.Hardtanh, "relu": nn.ReLU, "relu_2_": nn.ReLU, "relu_3": nn.ReLU}
    assert list(made.state_dict()) == list(model.state_dict())
    torch.testing.assert_close(F.log_softmax(made(X), 1), model(X))
    assert replace_relu(made, ClipFloorShift) == 5


def test_dropout_still_depends_on_the_mode() -> None:
    with pytest.warns(UserWarning, match="left out"):
        made = with_layers(Calls(), X)
    assert len({made.train()(X).sum().item() for _ in range(8)}) > 1
    assert torch.equal(made.eval()(X), made(X))
    model = Calls()
    with pytest.warns(UserWarning, match="max pool"):
        pooled = tc.replace_max_pool(model.train())
    assert not torch.equal(pooled(X), pooled(X))


def test_a_network_of_layers_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_layers(model, X) is model


class Small(nn.Module):
    """Two activations as functions, in a row; subclasses write the way there in other ways."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.a, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.b, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
        x = F.relu(self.norm(self.a(x)))
        if domain is not None:
            x = x * domain
        return self.head(F.relu(self.b(x)).mean((2, 3)))


def activations(model: nn.Module) -> list[str]:
    return [name for name, layer in model.named_modules() if isinstance(layer, nn.ReLU | nn.Hardtanh)]


def equal_twin(model: nn.Module, names: list[str]) -> nn.Module:
    """The twin of a network: equal in eval mode, with these activations, all of them used by its gradient alone."""
    made = with_layers(model, X)
    assert made is not model
    with torch.no_grad():
        torch.testing.assert_close(made.eval()(X), model.eval()(X))
    assert activations(made) == names
    assert replace_relu(made, lambda: ClipFloorShift(8, 2.0)) == len(names)
    assert list(initialise_thresholds(made, X)) == names
    made.train()(X).sum().backward()
    assert all(made.get_submodule(name).threshold.grad is not None for name in names)
    return made.eval()


def test_noise_in_training_stays() -> None:
    class Noisy(Small):
        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            return super().forward(x + torch.randn_like(x) if self.training else x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = with_layers(Noisy(), X)
    assert torch.equal(made.eval()(X), made(X))
    assert len({made.train()(X).sum().item() for _ in range(8)}) > 1


def test_other_activations_in_training() -> None:
    """The code of the network stays in eval mode then, and its batch norms and dropouts train."""

    class Other(Small):
        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            x = F.dropout(self.norm(self.a(x)), 0.5, self.training)
            if self.training:
                return self.head(torch.relu(x).mean((2, 3)))
            return self.head(F.relu(self.b(x)).mean((2, 3)))

    model = Other()
    with pytest.warns(UserWarning, match="something else in training"):
        made = with_layers(model, X)
    assert made.training
    assert made.norm.training
    mean = made.norm.running_mean.clone()
    assert not torch.equal(made(X), made(X))
    assert not torch.equal(made.norm.running_mean, mean)
    with torch.no_grad():
        made.eval()
        expected = made.head(F.relu(made.b(made.norm(made.a(X)))).mean((2, 3)))
        torch.testing.assert_close(made(X), expected)
    assert not made.training
    assert not made.norm.training


def test_both_ways_to_call_dropout_train_in_the_evaluation_form() -> None:
    class Other(Small):
        way = 0

        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            if self.training:
                return self.head(torch.relu(self.a(x)).mean((2, 3)))
            x = F.relu(self.a(x))
            x = F.dropout(x, 0.5, False, True) if self.way == 0 else torch.dropout(x, 0.5, False)
            return self.head(x.mean((2, 3)))

    with pytest.warns(UserWarning, match="something else in training"):
        made = with_layers(Other(), X)
    for way in (0, 1):
        made.original.way = way
        assert len({made.train()(X).sum().item() for _ in range(8)}) > 1
        assert torch.equal(made.eval()(X), made(X))


@pytest.mark.parametrize("way", ["another layer", "none", "a branch more"])
def test_layers_of_training_alone(way: str) -> None:
    """An activation whose threshold training would never see, and one that no threshold would stand for."""

    class Other(Small):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.ReLU(), nn.ReLU()

        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            x = F.relu(self.a(x))
            if not self.training or way == "a branch more":
                x = self.first(self.b(x))
            if self.training and way != "none":
                x = self.second(x)
            return self.head(x.mean((2, 3)))

    with pytest.warns(UserWarning, match="something else in training"):
        made = with_layers(Other(), X)
    assert activations(made) == ["first", "relu_1"]
    made(X).sum().backward()
    assert made.b.weight.grad is not None


def test_an_activation_layer_that_the_example_did_not_use_is_refused() -> None:
    class Sometimes(Small):
        extra = False

        def __init__(self) -> None:
            super().__init__()
            self.more = nn.ReLU()

        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            return super().forward(self.more(x) if self.extra else x)

    made = with_layers(Sometimes(), X)
    made.original.extra = True
    with pytest.raises(ConversionError, match="more is used, which it was not on the example"):
        made(X)


def test_other_output_in_training() -> None:
    class Two(Small):
        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            y = super().forward(x)
            return (y, y) if self.training else y  # type: ignore[return-value]

    with pytest.warns(UserWarning, match="something else in training"):
        made = with_layers(Two(), X)
    assert isinstance(made(X), Tensor)


def test_calls_that_come_and_go_are_refused() -> None:
    """A loop of other length than on the example: which activation is which is not known then."""

    class Loop(Small):
        times = 2

        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            x = self.a(x)
            for _ in range(self.times):
                x = F.relu(self.b(x))
            return self.head(x.mean((2, 3)))

    made = with_layers(Loop(), X)
    made(X)
    for times, message in ((1, "1 of 2 were used"), (3, "more often than on the example")):
        made.original.times = times
        with pytest.raises(ConversionError, match=f"(?s)relu_1, relu_2.*{message}"):
            made(X)
    made.original.times = 0  # none of them: nothing to mistake
    made(X)


def test_an_activation_elsewhere_is_refused_though_the_network_catches_it() -> None:
    class Catches(Small):
        extra = False

        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            try:
                x = torch.relu(x) if self.extra else x
            except Exception:
                x = x * 2
            return super().forward(x)

    made = with_layers(Catches(), X)
    made.original.extra = True
    with pytest.raises(ConversionError, match=r"relu is called at test_layers\.py:forward:\d+"):
        made(X)


def hooked() -> nn.Module:
    model = Small()
    model.register_forward_hook(lambda module, given, result: result * 3 + torch.arange(3))
    return model


def wrapped() -> nn.Module:
    model = nn.DataParallel(Small())
    model.register_forward_hook(lambda module, given, result: result * 3)
    return model


def instance() -> nn.Module:
    model = Small()
    model.forward = types.MethodType(lambda self, x: self.head(F.relu(self.a((x - 0.5) / 0.25)).mean((2, 3))), model)
    return model


def kept() -> nn.Module:
    """A hook that keeps a tensor with a history, as feature extraction does."""
    model = Small()
    model.kept = {}
    model.norm.register_forward_hook(lambda module, given, result: model.kept.update(norm=result))
    model(X)
    return model


def locked() -> nn.Module:
    model = Small()
    model.lock = threading.Lock()
    return model


class Attempt(Small):
    def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
        try:
            x = self.head(x)
        except RuntimeError:
            x = self.a(x)
        return self.head(F.relu(x).mean((2, 3)))


class Called(Small):
    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x) * 2


class Weights(Small):
    """Clips a weight, which is no activation."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.tensor([0.5, 1.0, 1.5, 2.0]).reshape(4, 1, 1))

    def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
        return self.head((F.relu(self.a(x)) * F.relu(self.gate) * self.gate.clamp(min=0)).mean((2, 3)))


class Inside(Small):
    """An activation in a hook of a layer, one made in the forward pass, one of its own class."""

    class Own(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x) * 2

    def __init__(self) -> None:
        super().__init__()
        self.own = self.Own()
        self.norm.register_forward_hook(lambda module, given, result: torch.relu(result) * 0.5)

    def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
        return self.head(self.own(self.b(nn.ReLU()(self.norm(self.a(x)) - 0.01))).mean((2, 3)))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (Small, ["relu_1", "relu_2"]),
        (hooked, ["relu_1", "relu_2"]),
        (wrapped, ["relu_1", "relu_2"]),
        (instance, ["relu_1"]),
        (kept, ["relu_1", "relu_2"]),
        (locked, ["relu_1", "relu_2"]),
        (Attempt, ["relu_1"]),
        (Called, ["relu_1", "relu_2"]),
        (Weights, ["relu_1"]),
    ],
)
def test_the_users_own_code_runs(make: Any, names: list[str]) -> None:
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    made = equal_twin(model, names)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    other = copy.deepcopy(made)
    with torch.no_grad():
        other.head.weight.zero_()
        assert not torch.equal(other(X), made(X))
        stored = io.BytesIO()
        torch.save(made.state_dict(), stored)
        stored.seek(0)
        other.load_state_dict(torch.load(stored, weights_only=True))
        assert torch.equal(other(X), made(X))


def test_activations_in_hooks_and_classes_of_their_own() -> None:
    made = with_layers(Inside(), X)
    assert [name for name in activations(made) if name != "own"] == ["relu_1", "relu_2", "relu_3"]
    assert replace_relu(made, lambda: ClipFloorShift(8, 2.0)) == 3
    assert list(initialise_thresholds(made, X)) == ["relu_1", "relu_2", "relu_3"]


def test_a_forward_that_holds_the_network_itself() -> None:
    """A copy would run the layers of the original: the twin shares them, and says that it cannot be copied."""
    model = Small()
    forward = model.forward
    model.forward = lambda x: forward(x) * 2  # type: ignore[method-assign]
    made = with_layers(model, X)
    assert made.a is model.a
    with torch.no_grad():
        torch.testing.assert_close(made.eval()(X), model.eval()(X))
        made.relu_1 = ClipFloorShift(4, 0.1)
        assert not torch.equal(made(X), model(X))
    with pytest.raises(ConversionError, match="cannot be copied"):
        copy.deepcopy(made)


def test_the_state_holds_what_results_depend_on() -> None:
    """As the weights files that were written before hold it."""

    class Spare(Small):
        def __init__(self) -> None:
            super().__init__()
            self.spare, self.scale = nn.Linear(3, 3), nn.Parameter(torch.ones(1))
            self.block = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
            self.again = self.head

    model = Spare()
    made = with_layers(model, X)
    assert sorted(made.state_dict()) == sorted(Small().state_dict())
    assert activations(made) == ["relu_1", "relu_2"]
    made.load_state_dict(Small().state_dict())
    made.load_state_dict(model.state_dict())


def test_a_hook_on_an_activation_stays() -> None:
    layer = nn.ReLU()
    layer.register_forward_hook(lambda module, given, result: result * 2)
    once = nn.Sequential(nn.Conv2d(1, 2, 3), layer, nn.Flatten(), nn.Linear(72, 3))
    twice = nn.Sequential(nn.Conv2d(1, 2, 3), layer, nn.Conv2d(2, 2, 3), layer, nn.Flatten(), nn.Linear(32, 3))
    for model, names in ((once, ["1"]), (twice, ["1", "1_2"])):
        made = with_layers(copy.deepcopy(model), X)
        assert activations(made) == names
        replace_relu(made, lambda: ClipFloorShift(None, 1e6))
        with torch.no_grad():
            torch.testing.assert_close(made(X), model(X))


def test_blocks_used_twice() -> None:
    class Twice(Small):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True))

        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            return self.head(self.block(self.block(self.a(x))).mean((2, 3)))

    equal_twin(Twice(), ["block.1", "block.1_2"])


def test_in_place_activations_that_are_read_under_another_name() -> None:
    class Layer(Small):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            x = self.a(x)
            y = self.relu(x)
            return self.head((self.b(y) + x).mean((2, 3)))

    class Views(Small):
        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            x = self.a(x)
            x[:, :2].relu_()
            return self.head(x.mean((2, 3)))

    equal_twin(Layer(), ["relu"])
    equal_twin(Views(), ["relu_1"])


def test_twins_of_twins() -> None:
    class Pools(Small):
        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            return F.softmax(self.head(F.relu(self.b(F.max_pool2d(F.relu(self.a(x)), 2))).amax((2, 3))), 1)

    def expected(x: Tensor) -> Tensor:
        x = F.relu(model.b(F.avg_pool2d(F.relu(model.a(x)), 2)))
        return model.head(x.mean((2, 3)))

    model = Pools().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, other = with_layers(tc.replace_max_pool(model), X), tc.replace_max_pool(with_layers(model, X))
    for made in (one, other):
        torch.testing.assert_close(made.eval()(X), expected(X))
        assert activations(made) == ["relu_1", "relu_2"]
        assert with_layers(made, X) is made
        assert replace_relu(made, ClipFloorShift) == 2
    assert torch.equal(one(X), other(X))


def test_what_depends_on_values_is_refused() -> None:
    class Signs(Small):
        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            x = F.relu(self.a(x))
            return self.head((F.relu(self.b(x)) if bool(x.amax() > bound) else x).mean((2, 3)))

    model = Signs().eval()
    example = X * 0.01
    example[0, 0, 0, 0] = 1.0  # draws of its range are much larger
    bound = float(F.relu(model.a(example)).amax()) * 1.0001
    with pytest.raises(ConversionError, match="relu is called at"):
        with_layers(model, example)


def test_recomputed_activations_are_refused() -> None:
    class Recomputes(Small):
        def forward(self, x: Tensor, domain: int | None = None) -> Tensor:
            return torch.utils.checkpoint.checkpoint(super().forward, x, use_reentrant=False)

    with pytest.raises(ConversionError, match=r"torch\.utils\.checkpoint"):
        with_layers(Recomputes(), X)


@settings(max_examples=drawn(30), deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(["function", "method", "layer", "in place", "layer in place", "clamp", "block"]),
        min_size=1,
        max_size=8,
    )
)
def test_every_use_gets_the_layer_of_its_name(spellings: list[str]) -> None:
    """Against a plain loop that applies the layers in order, by the rule of names."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu, self.wet = nn.ReLU(), nn.ReLU(inplace=True)
            self.block = nn.Sequential(nn.Identity(), nn.ReLU6())

        def forward(self, x: Tensor) -> Tensor:
            for spelling in spellings:
                x = x + 0.25
                if spelling == "function":
                    x = F.relu(x)
                elif spelling == "method":
                    x = x.relu()
                elif spelling == "layer":
                    x = self.relu(x)
                elif spelling == "in place":
                    F.relu(x, inplace=True)
                elif spelling == "layer in place":
                    self.wet(x)
                elif spelling == "clamp":
                    x = torch.clamp(x, min=0)
                else:
                    x = self.block(x)
            return x + 0

    names: list[str] = []
    uses = {"relu": 0, "wet": 0, "block.1": 0}
    functional = 0
    for spelling in spellings:
        path = {"layer": "relu", "layer in place": "wet", "block": "block.1"}.get(spelling)
        if path is None:
            functional += 1
            name = f"relu_{functional}"
        else:
            uses[path] += 1
            name = path if uses[path] == 1 else f"{path}_{uses[path]}"
        while name in names:
            name += "_"
        names.append(name)
    images = torch.randn(2, 1, 3, 3)
    made = with_layers(Mixed(), images)
    if not isinstance(made, Mixed):
        assert sorted(activations(made)) == sorted(names)
        assert replace_relu(made, lambda: ClipFloorShift(None, 1.0)) == len(names)
        for number, name in enumerate(names):
            made.get_submodule(name).threshold.data.fill_(0.5 + 0.3 * number)
        expected = images
        for number in range(len(names)):
            expected = (expected + 0.25).clamp(0, 0.5 + 0.3 * number)
        torch.testing.assert_close(made(images), expected)
    else:
        assert functional == 0
        assert max(uses.values()) == 1


def test_layers_that_clip_at_zero_are_replaced() -> None:
    model = nn.Sequential(nn.ReLU6(), nn.Hardtanh(0, 2), nn.Threshold(0, 0), nn.Hardtanh(), nn.Threshold(1, 0))
    assert replace_relu(model, ClipFloorShift) == 3
