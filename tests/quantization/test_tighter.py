"""Units of layers that several branches of weights feed, as recurrent ones are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikec.quantization.scales import Request, choose_units, tighter

_PEAKS = st.lists(st.tuples(*[st.floats(0.05, 4)] * 3), min_size=1, max_size=5)


def _request(peaks, **changes):
    """One weight per branch and channel, and a smaller one."""
    columns = np.array(peaks).T
    branches = [np.stack([column, -0.3 * column], axis=1) for column in columns]
    channels = len(peaks)
    given = {
        "branches": branches,
        "threshold": np.full(channels, 1.0),
        "bias_floor": np.zeros(channels),
        "weight_max": 127,
        "threshold_max": 2**17 - 1,
        "exponent_max": 7,
        "per": "channel",
        "scale": "max",
    }
    return Request(**given | changes)


@given(peaks=_PEAKS)
def test_no_weight_is_clipped_and_no_unit_is_much_coarser(peaks):
    request = _request(peaks)
    before = choose_units(request)
    after = tighter(before, request)
    assert after.exponents == before.exponents
    # The largest mantissa may have been rounded down to 127 before, and the threshold is a whole number again.
    assert (after.unit <= before.unit * (1 + 1 / 127) * (1 + 1 / after.theta)).all()
    for index, branch in enumerate(request.branches):
        step = (after.unit * 2.0 ** after.exponents[index])[:, None]
        assert (np.abs(after.weights(index, branch) * after.unit[:, None] - branch) <= step / 2 * (1 + 1e-9)).all()
    assert np.allclose(after.theta * after.unit, request.threshold)


def test_a_channel_fills_a_mantissa_though_others_set_the_exponents():
    # The second branch is three times as large in one channel and a third as large in the other.
    request = _request([(1.0, 3.0), (1.0, 1 / 3)])
    for units, filled in ((choose_units(request), False), (tighter(choose_units(request), request), True)):
        widths = [np.abs(units.weights(i, b)).max(axis=1) >> units.exponents[i] for i, b in enumerate(request.branches)]
        assert bool((np.max(widths, axis=0) >= 120).all()) is filled


@pytest.mark.parametrize("changes", [{"per": "layer"}, {"scale": "power_of_two"}, {"threshold": None}])
def test_elsewhere_units_stay(changes):
    request = _request([(1.0, 3.0), (1.0, 1 / 3)], **changes)
    units = choose_units(request)
    assert tighter(units, request) is units


def test_a_bias_keeps_its_room():
    request = _request([(1.0, 3.0), (1.0, 1 / 3)], bias_floor=np.array([0.5, 0.25]))
    units = tighter(choose_units(request), request)
    assert (units.unit >= request.bias_floor).all()
