"""Random CNNs as people write them: the golden model runs the file exactly as plain loops over its NIR nodes do."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.drawn import drawn
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from torch import nn

import spikec as tc
from spikec.frontend import canonicalize

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
_SETTINGS = settings(
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking whole networks takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _convolution(draw, channels, size, *, outputs=None, keep=False):
    """A random Conv2d with a positive output size; ``keep`` keeps the image size."""
    groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if channels % g == 0]))
    if outputs is None:
        outputs = groups * draw(st.integers(1, 2))
    elif outputs % groups:
        groups = 1
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in size)
    dilation = tuple(draw(st.integers(1, 2)) if n >= 2 * (k - 1) + 1 else 1 for n, k in zip(size, kernel, strict=True))
    bias = draw(st.booleans())
    if keep:
        return nn.Conv2d(channels, outputs, kernel, padding="same", dilation=dilation, groups=groups, bias=bias)
    stride = tuple(draw(st.integers(1, 2)) for _ in size)
    padding = draw(st.one_of(st.integers(0, 2), st.tuples(st.integers(0, 2), st.integers(0, 2))))
    if draw(st.booleans()):  # one number where torch takes one
        kernel, stride, dilation = min(kernel), min(stride), 1
    return nn.Conv2d(channels, outputs, kernel, stride, padding, dilation, groups, bias)


class RandomCNN(nn.Module):
    """Layers drawn one by one; ``steps`` is the program that :meth:`forward` runs."""

    def __init__(self, draw, shape, activation):
        super().__init__()
        self.draw, self.activation = draw, activation
        self.layers = nn.ModuleList()
        self.steps = []
        self.shape = shape
        self._stem()
        for _ in range(draw(st.integers(0, 2))):
            draw(st.sampled_from([self._plain, self._residual, self._concatenated, self._separable, self._pool]))()
        self._head()
        del self.draw, self.activation

    def _layer(self, layer):
        self.layers.append(layer)
        return layer

    def _do(self, step, *layers):
        """Append one step and run it on zeros, to know the shape after it."""
        step = (step, *[self._layer(layer.eval()) for layer in layers])
        self.steps.append(step)
        with torch.no_grad():
            self.shape = tuple(step[0](*step[1:], torch.zeros(1, *self.shape)).shape[1:])

    def _normalised(self, convolution):
        """The convolution, sometimes with batch normalisation of random statistics behind it."""
        if not self.draw(st.booleans()):
            return convolution
        norm = nn.BatchNorm2d(convolution.out_channels)
        with torch.no_grad():
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.3, 2)
            norm.weight.uniform_(0.4, 1.5)
            norm.bias.normal_(0, 0.3)
        return nn.Sequential(convolution, nn.Dropout(0.5), norm)

    def _random(self, **wishes):
        return self._normalised(_convolution(self.draw, self.shape[0], self.shape[1:], **wishes))

    def _stem(self):
        if self.draw(st.booleans()):  # asymmetric padding
            top, bottom, left, right = (self.draw(st.integers(0, 2)) for _ in range(4))
            self._do(lambda x: F.pad(x, (left, right, top, bottom)))
        if self.draw(st.integers(0, 3)) == 0:  # the image itself is a branch
            convolution = self._random(outputs=self.shape[0], keep=True)
            self._do(lambda c, a, x: a(torch.add(x, c(x))), convolution, self.activation())
        else:
            self._plain()

    def _plain(self):
        if min(self.shape[1:]) > 2 and self.draw(st.booleans()):  # a pool before the neuron
            pool = nn.AvgPool2d(2) if self.draw(st.booleans()) else nn.AvgPool2d((2, 1))
            self._do(lambda c, p, a, x: a(p(c(x))), self._random(keep=True), pool, self.activation())
        else:
            self._do(lambda c, a, x: a(c(x)), self._random(), self.activation())

    def _residual(self):
        first = self._random(keep=True)
        inner = first[0] if isinstance(first, nn.Sequential) else first
        second = self._normalised(
            _convolution(self.draw, inner.out_channels, self.shape[1:], outputs=self.shape[0], keep=True)
        )
        layers = [first, self.activation(), second, self.activation()]
        kind = self.draw(st.sampled_from(["identity", "projection", "two activations", "twice"]))
        if kind == "identity":
            self._do(lambda f, a, s, b, x: b(s(a(f(x))) + x), *layers)
        elif kind == "projection":
            projection = self._random(outputs=self.shape[0], keep=True)
            self._do(lambda f, a, s, b, p, x: b(s(a(f(x))).add(p(x))), *layers, projection)
        elif kind == "two activations":
            self._do(lambda f, a, s, b, c, x: c(s(a(f(x)))) + b(x * 0.5), *layers, self.activation())
        else:
            self._do(lambda f, a, s, b, x: b(s(a(f(x))) + x * 0.5 + x), *layers)

    def _concatenated(self):
        left, right = self._random(keep=True), self._random(keep=True)
        if self.draw(st.booleans()):
            self._do(lambda le, ri, a, x: torch.cat([a(le(x)), a(ri(x))], 1), left, right, self.activation())
        else:
            self._do(lambda le, ri, a, x: a(torch.cat((le(x), ri(x), x), dim=1)), left, right, self.activation())

    def _separable(self):
        channels = self.shape[0]
        depthwise = self._normalised(nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False))
        pointwise = nn.Conv2d(channels, self.draw(st.integers(1, 4)), 1)
        if self.draw(st.booleans()):
            self._do(lambda d, a, p, b, x: b(p(a(d(x)))), depthwise, self.activation(), pointwise, self.activation())
        else:  # nothing between the two: one synapse
            self._do(lambda d, p, b, x: b(p(d(x))), depthwise, pointwise, self.activation())

    def _pool(self):
        if min(self.shape[1:]) < 2:
            return
        kind = self.draw(st.sampled_from(["plain", "rows", "overlapping", "padded"]))
        if kind == "plain":
            self._do(lambda x: F.avg_pool2d(x, 2))
        elif kind == "rows":
            self._do(lambda x: F.avg_pool2d(x, kernel_size=(1, 2)))
        elif kind == "overlapping":
            self._do(lambda a, x: a(F.avg_pool2d(x, 2, stride=1)), self.activation())
        else:
            self._do(lambda p, a, x: a(p(x)), nn.AvgPool2d(2, padding=1), self.activation())

    def _head(self):
        if self.draw(st.booleans()):
            self._do(lambda x: torch.flatten(x, 1))
        else:
            self._do(lambda x: x.mean([2, 3]))
        if self.draw(st.booleans()):
            hidden = nn.Linear(self.shape[0], 5)
            self._do(lambda h, a, x: a(h(x)), hidden, self.activation())
        self._do(lambda r, x: r(x), nn.Linear(self.shape[0], 3, bias=self.draw(st.booleans())))

    def forward(self, x):
        for step, *layers in self.steps:
            x = step(*layers, x)
        return x


@st.composite
def _networks(draw, rectified):
    """(network, images): networks in evaluation mode, images real [3, C, H, W]."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(3, 7)), draw(st.integers(3, 7)))
    levels = draw(st.integers(1, 8))

    def activation():
        if rectified:
            return draw(st.sampled_from([nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.Hardtanh(0.0, 0.7)]))
        return tc.ClipFloorShift(levels=levels, threshold=draw(st.sampled_from([0.2, 0.61, 1.0, 1.7])))

    network = RandomCNN(draw, shape, activation).eval()
    coding = draw(st.sampled_from(["uint8", "int8", "sixteenths"]))
    if coding == "uint8":
        images = torch.randint(0, 256, (3, *shape)) / 255
    elif coding == "int8":
        images = torch.randn(3, *shape)
    else:
        images = torch.randint(0, 17, (3, *shape)) / 16
    return network, images


_PRECISIONS = st.builds(
    tc.Int8,
    per=st.sampled_from(["layer", "channel"]),
    bits=st.sampled_from([8, 8, 8, 5, 3]),
    scale=st.sampled_from(["max", "max", "power_of_two", "spikes"]),
)
_SPIKES = st.sampled_from([1, 1, 2, 7])
_METHODS = st.one_of(
    st.builds(
        tc.QCFS, timesteps=st.integers(1, 6), schedule=st.sampled_from(["pipelined", "layerwise"]), spikes=_SPIKES
    ),
    st.builds(tc.Graded, levels=st.sampled_from([None, 1, 4, 15])),
    st.builds(tc.ErrorFree, timesteps=st.integers(1, 5)),
    st.builds(tc.OffsetSpikes, timesteps=st.integers(1, 5), rho=st.integers(1, 6)),
    st.builds(
        tc.ErrorCompensation,
        timesteps=st.integers(1, 5),
        drain=st.integers(0, 5),
        negative=st.sampled_from([0.0, 0.001, 0.3, 1.0]),
        spikes=_SPIKES,
    ),
    st.builds(tc.ErrorCompensation, timesteps=st.integers(1, 5), schedule=st.just("layerwise"), spikes=_SPIKES),
)


@settings(_SETTINGS, max_examples=drawn(50))
@given(_networks(rectified=False), _METHODS, _PRECISIONS)
def test_golden_model_equals_plain_loops_over_the_nir_file(execute_nir, example, method, precision):
    network, images = example
    graph = tc.lower(tc.convert(network, method, example=images, calibration=images), precision)
    with tempfile.TemporaryDirectory() as folder:
        loaded = tc.load(tc.save(graph, Path(folder, "net.nir")))
    expected = execute_nir(loaded, images)
    trace = tc.simulate(graph, images, record="spikes")
    assert set(trace.spikes) == set(expected.spikes)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes, err_msg=name)
        np.testing.assert_array_equal(trace.counts[name], expected.counts[name], err_msg=name)
    np.testing.assert_array_equal(trace.output, expected.output)


@settings(_SETTINGS, max_examples=drawn(50))
@given(_networks(rectified=True))
def test_canonical_graph_equals_the_module_and_the_file_computes_it(example):
    """The folded network is exact; the integer network with many levels is off by the rounding of its weights."""
    network, images = example
    with torch.no_grad():
        expected = network(images)
        found = canonicalize(network, images)(images)
    largest = expected.abs().max().clamp(min=1e-6)
    assert (found - expected).abs().max() <= 1e-4 * largest
    try:
        spiking = tc.convert(network, tc.Graded(levels=255), example=images, calibration=images)
        graph = tc.lower(spiking, tc.Int8(per="channel"))
    except (tc.ConversionError, tc.DoesNotFit) as error:
        if re.search("is never positive|input of one step may reach", str(error)):
            return
        raise
    logits = torch.as_tensor(tc.simulate(graph, images).logits)
    assume(largest > 0.02)  # else a layer is almost silent, and what is left of it is rounding
    assert (logits - expected).abs().max() <= 0.1 * largest
