"""What the input coding loses, against plain loops over Python numbers."""

import json
import math

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.errors import GraphError
from spikec.ir.coding import InputNode, InputRange, integers
from spikec.ir.input_statistics import InputStatistics, code, joined


def counted(values, coding):
    """[values, not zero, negative, clipped, zeroed] of one image, number by number."""
    found = [0, 0, 0, 0, 0]
    for value in map(float, values.reshape(-1)):
        whole = round(value / coding.scale)  # half to even
        held = min(max(whole, coding.low), coding.high)
        found = [
            n + bool(hit)
            for n, hit in zip(found, (1, value != 0, value < 0, held != whole, value and not held), strict=True)
        ]
    return found


@st.composite
def coded_images(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from([(4,), (2, 3, 2), (1, 1, 7)]))
    kind = draw(st.sampled_from(["int8", "uint8"]))
    limit = draw(st.sampled_from([None, 1, 5, 100]))
    coding = InputRange(kind, draw(st.sampled_from([1.0, 0.5, 1 / 255, 0.37])), limit)
    images = rng.normal(0, draw(st.sampled_from([0.2, 1.0, 60.0, 400.0])), (draw(st.integers(1, 5)), *shape))
    images[rng.random(images.shape) < 0.3] = 0
    ties = rng.random(images.shape) < 0.2
    images[ties] = (np.round(images[ties]) + 0.5) * coding.scale
    return coding, images.astype(draw(st.sampled_from([np.float32, np.float64])))


@given(coded_images())
@settings(max_examples=drawn(150), deadline=None)
def test_equals_plain_loops(given_images):
    coding, images = given_images
    coded, record = code(coding, images)
    np.testing.assert_array_equal(coded, integers(coding, images))
    expected = np.array([counted(image, coding) for image in images])
    np.testing.assert_array_equal(record.counts, expected)
    assert (record.values, record.clipped, record.zeroed) == tuple(expected.sum(0)[[0, 3, 4]])
    np.testing.assert_array_equal(
        record.empty, [bool(image.any() and not row.any()) for image, row in zip(images, coded, strict=True)]
    )
    total = record.total
    assert (total.images, total.nonzero, total.negative) == (len(images), *expected.sum(0)[[1, 2]])
    wide = images.astype(np.float64)
    assert total.mean == pytest.approx(wide.mean(), rel=1e-5, abs=1e-6)
    assert total.deviation == pytest.approx(wide.std(), rel=1e-4, abs=1e-5)
    assert (total.low, total.high) == pytest.approx((wide.min(), wide.max()), rel=1e-5)
    parts = joined([code(coding, images[i : i + 1])[1] for i in range(len(images))])
    assert parts.total == total
    assert InputStatistics.read(total.text()) == total


def test_what_fills_sequences_up_does_not_count():
    node = InputNode("input", (3,), "int8", 1.0, encoding="sequence")
    frames = np.zeros((2, 4, 3))
    frames[0], frames[1, :1] = 200.0, 0.2
    _, record = code(node, frames, np.array([4, 1]))
    np.testing.assert_array_equal(record.counts, [[12, 12, 0, 12, 0], [3, 3, 0, 0, 3]])
    assert record.moments[1, 0] == pytest.approx(0.2)
    assert record.empty.tolist() == [False, True]


@given(
    st.lists(st.floats(-3e38, 3e38) | st.sampled_from([0.0, -1.0, 300.0]), min_size=1, max_size=9), st.integers(2, 6)
)
def test_one_image_is_like_the_same_one_several_times(values, times):
    """One image, and few and many rows, are counted in other ways."""
    node = InputRange("uint8", 1.0)
    one = code(node, np.array([values]))[1].total
    several = code(node, np.array([values] * times))[1].total
    for key in ("images", "values", "nonzero", "negative", "clipped", "zeroed", "empty"):
        assert getattr(several, key) == times * getattr(one, key)
    for key in ("mean", "low", "high"):
        assert getattr(several, key) == pytest.approx(getattr(one, key), rel=1e-5)
    spread = max(abs(one.low), abs(one.high))
    assert several.deviation == pytest.approx(one.deviation, rel=1e-5, abs=1e-5 * spread)
    assert several.deviations == pytest.approx(one.deviations, rel=1e-5)


def test_squares_beyond_float64_are_no_error():
    _, record = code(InputRange("uint8", 1.0), np.array([[1e308, 1.0]]))
    assert record.clipped == 1
    json.loads(record.total.text())


_TEXT = code(InputRange("uint8", 1.0), np.array([[1.0, 2.0]]))[1].total.text()


@pytest.mark.parametrize("key", json.loads(_TEXT))
@pytest.mark.parametrize("change", ["missing", None, "x", [1], math.nan, -math.inf])
def test_damaged_text_is_refused(key, change):
    document = json.loads(_TEXT)
    document.pop(key) if change == "missing" else document.update({key: change})
    with pytest.raises(GraphError, match="calibrated"):
        InputStatistics.read(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "7", '{"images": 1}', _TEXT.replace('"values": 2', '"values": 0')])
def test_other_text_is_refused(text):
    with pytest.raises(GraphError, match="calibrated"):
        InputStatistics.read(text)
