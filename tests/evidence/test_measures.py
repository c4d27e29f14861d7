"""Measures of quality against plain loops, scipy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import jaccard_score

from spikec.errors import DataError
from spikec.evidence.measures import (
    MEASURES,
    Correlation,
    MeanAbsoluteError,
    MeanIoU,
    RootMeanSquareError,
    TopK,
    UserFunction,
    default_measures,
    measure_of,
    measures_of,
)
from spikec.training.targets import heads, kind_of

SEEDS = st.integers(0, 2**32 - 1)


def value(measure, outputs, targets):
    return measure.value(measure.statistics(np.asarray(outputs, np.float64), targets))


@given(SEEDS, st.integers(1, 12), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=drawn(60), deadline=None)
def test_top_k_is_a_stable_sort_and_top_1_is_argmax(seed, number, classes, k):
    rng = np.random.default_rng(seed)
    outputs = rng.integers(-2, 3, (number, classes)).astype(float)  # ties are common
    targets = rng.integers(0, classes, number)
    right = 0
    for row, label in zip(outputs, targets, strict=True):
        order = sorted(range(classes), key=lambda i: (-row[i], i))
        right += label in order[:k]
    assert value(TopK(k), outputs, targets) == pytest.approx(right / number)
    assert value(TopK(1), outputs, targets) == pytest.approx((outputs.argmax(1) == targets).mean())


@given(SEEDS, st.integers(2, 20), st.sampled_from([(1,), (3,), (2, 3, 4)]))
@settings(max_examples=drawn(60), deadline=None)
def test_errors_and_correlation_of_numbers(seed, number, shape):
    rng = np.random.default_rng(seed)
    y = rng.normal(3, 2, (number, *shape)).astype(np.float32)
    x = y + rng.normal(size=y.shape)
    errors = [float(a) - float(b) for a, b in zip(x.flat, y.flat, strict=True)]
    assert value(MeanAbsoluteError(), x, y) == pytest.approx(sum(map(abs, errors)) / len(errors))
    assert value(RootMeanSquareError(), x, y) == pytest.approx(math.sqrt(sum(e * e for e in errors) / len(errors)))
    each = [pearsonr(x[:, c].ravel(), y[:, c].ravel().astype(float))[0] for c in range(shape[0])]
    assert value(Correlation(), x, y) == pytest.approx(np.mean(each), abs=1e-6)


def test_one_number_for_each_input_may_be_a_vector():
    outputs, y = np.array([[1.0], [2.0], [4.0]]), np.array([1, 3, 4], np.float32)
    assert value(MeanAbsoluteError(), outputs, y) == pytest.approx(1 / 3)


@given(SEEDS, st.integers(1, 5), st.integers(1, 4), st.sampled_from([255, -1, 2]))
@settings(max_examples=drawn(60), deadline=None)
def test_mean_iou_is_that_of_scikit_learn_over_the_classes_that_occur(seed, number, channels, ignore):
    rng = np.random.default_rng(seed)
    outputs = rng.integers(-2, 3, (number, channels, 3, 4)).astype(float)
    known = max(channels, 2)
    masks = rng.integers(0, known, (number, 3, 4))
    masks[rng.random(masks.shape) < 0.2] = ignore
    counted = masks != ignore
    found = outputs.argmax(1) if channels > 1 else (outputs[:, 0] > 0).astype(int)
    a, b = masks[counted], found[counted]
    measured = value(MeanIoU(ignore), outputs, masks)
    if not len(a):
        assert measured is None
        return
    classes = sorted({*a.tolist(), *b.tolist()})
    assert measured == pytest.approx(jaccard_score(a, b, labels=classes, average="macro", zero_division=0))


@pytest.mark.parametrize("name", ["top-1", "top-3", "mae", "rmse", "correlation", "miou"])
def test_numbers_of_each_input_add_up(name):
    """Batches one after the other are all inputs at once."""
    rng, measure = np.random.default_rng(0), measure_of(name)
    shape = (4, 5, 5) if name == "miou" else (4,)
    outputs = rng.normal(size=(30, *shape))
    targets = {"miou": rng.integers(0, 4, (30, 5, 5)), "top-1": rng.integers(0, 4, 30), "top-3": rng.integers(0, 4, 30)}
    given = targets.get(name, rng.normal(size=(30, 4)).astype(np.float32))
    measure.check(shape, given)
    whole = measure.statistics(outputs, given)
    parts = [measure.statistics(outputs[i : i + 7], given[i : i + 7]) for i in range(0, 30, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    found = measure.quality(whole)
    low, high = found.interval
    assert low <= found.value <= high
    assert found.inputs == 30
    assert found.to_json()["measure"] == name


def test_what_defines_no_value_has_none():
    flat, y = np.zeros((6, 1)), np.arange(6, dtype=np.float32)
    found = Correlation().quality(Correlation().statistics(flat, y))
    assert (found.value, found.interval) == (None, None)
    assert found.text == "not defined: an output, or what it should be, is the same for all inputs"
    assert value(Correlation(), np.arange(6.0)[:, None], np.full(6, 0.3, np.float32)) is None
    assert value(Correlation(), np.full((6, 1), 1e6) + 0.1, y) is None


@pytest.mark.parametrize(
    ("name", "shape", "targets", "says"),
    [
        ("top-1", (3,), np.zeros(4, np.float32), "compares classes, integers"),
        ("top-1", (3,), np.array([0, 3]), "knows 3 classes, y has label 3"),
        ("top-1", (3,), np.array([0, -1]), "knows 3 classes, y has label -1"),
        ("top-1", (3, 2, 2), np.zeros(4, int), "one output per class"),
        ("top-5", (3,), np.zeros(4, int), "knows 3 classes only"),
        ("mae", (3,), np.zeros(4, int), "store it as floats"),
        ("mae", (3,), np.zeros(4, np.float32), "3 numbers for each input and y holds 1 number"),
        ("correlation", (2, 2, 2), np.zeros((4, 8), np.float32), r"8 numbers \(2x2x2\)"),
        ("miou", (3, 4, 4), np.zeros(4, int), "compares masks"),
        ("miou", (3, 4, 4), np.zeros((2, 5, 4), int), "of 5x4; the network puts out 3x4x4"),
        ("miou", (3, 4, 4), np.full((2, 4, 4), 7), "miou:ignore=7"),
        ("miou", (300, 4, 4), np.full((2, 4, 4), 255), "255 is a class of this network"),
    ],
)
def test_targets_that_do_not_fit_are_refused(name, shape, targets, says):
    with pytest.raises(DataError, match=says):
        measures_of(name, {"readout": shape}, targets)


def test_targets_decide_the_default():
    def names(targets):
        return [measure.name for measure in default_measures(targets)]

    assert names(np.zeros(3, np.uint8)) == ["top-1"]
    assert names(np.zeros((3, 4, 4), int)) == ["miou"]
    assert names(np.zeros(3)) == names(np.zeros((3, 2))) == ["mae", "correlation"]
    for targets in (np.zeros((3, 4), int), np.array(["a"]), np.float64(1), np.zeros(3, complex)):
        with pytest.raises(DataError, match="expected integers"):
            kind_of(targets)


def test_names_are_told_apart():
    assert {measure_of(name).name for name in MEASURES} == set(MEASURES)
    assert measure_of("top-12").k == 12
    assert measure_of("miou:ignore=-1").ignore == -1
    for text, says in [
        ("topp-1", "did you mean 'top-1'"),
        ("top-0", "unknown 'top-0'"),
        ("miou:ignore=x", "miou:ignore=LABEL takes a whole number"),
        ("miou:ignore", "miou:ignore=LABEL takes a whole number"),
        ("miou:f", "cannot import miou"),
        ("nothing.here:f", "cannot import nothing.here"),
        ("missing.py:f", "there is no file missing.py"),
        ("math:pi", "is no callable"),
        ("math:nothing", "math has no 'nothing'"),
    ]:
        with pytest.raises(DataError, match=says):
            measure_of(text)


def test_a_measure_of_one_head():
    shapes = {"steer": (1,), "class": (4,)}
    one, two = measures_of(["steer=mae"], shapes, np.zeros(3, np.float32)) + measures_of(
        "class=top-1", shapes, np.zeros(3, int)
    )
    assert (one.head, one.name, one.title) == ("steer", "steer=mae", "steer: mean absolute error")
    assert two.of({"steer": 1, "class": 2}) == 2
    with pytest.raises(DataError, match="say which one, as metric='NAME=mae'"):
        measures_of("mae", shapes, np.zeros(3, np.float32))
    with pytest.raises(DataError, match="no output 'brake', but steer, class"):
        measures_of("brake=mae", shapes, np.zeros(3, np.float32))
    targets = heads({"steer": np.zeros(3, np.float32), "brake": np.zeros(3, np.float32)})
    with pytest.raises(DataError, match=r"^there are targets of 'brake' \(y_brake\), .* 'brake', but steer, class$"):
        measures_of(None, shapes, targets)
    with pytest.raises(DataError, match=r"but one, steer, whose targets need no name \(y\)$"):
        measures_of(None, {"steer": (1,)}, targets)
    ignoring = measures_of("class=miou:ignore=9", {"class": (2, 3, 3)}, np.full((2, 3, 3), 9))[0]
    assert (ignoring.head, ignoring.measure.ignore) == ("class", 9)


def test_a_function_of_the_users(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def worst(o, y): return np.abs(o - y).max(axis=1)\n"
        "worst.higher_is_better, worst.unit, worst.title = False, 'V', 'worst error'\n"
        "def total(o, y): return float(np.abs(o - y).sum())\n"
    )
    rng = np.random.default_rng(3)
    outputs, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2)).astype(np.float32)
    worst = measure_of(f"{tmp_path / 'mine.py'}:worst")
    assert (worst.title, worst.higher_is_better, worst.unit) == ("worst error", False, "V")
    found = worst.quality(worst.statistics(outputs, y))
    assert found.value == pytest.approx(np.mean([max(abs(a - b)) for a, b in zip(outputs, y, strict=True)]))
    assert found.text.endswith("lower is better)")
    assert " V (95 % interval " in found.text
    total = measure_of(f"{tmp_path / 'mine.py'}:total")
    assert total.statistics(outputs, y) is None
    whole = total.of_all(outputs, y)
    assert whole.value == pytest.approx(np.abs(outputs - y).sum())
    assert whole.interval[0] < whole.value < whole.interval[1]
    assert total.difference_of_all(outputs, outputs, y) == (0.0, 0.0)
    assert total.of_all(outputs[:3], y[:3]).interval is None


def test_the_key_of_a_function_changes_with_its_source(tmp_path):
    keys = []
    for body in ("return o[:, 0]", "return o[:, 0] + 1"):
        (tmp_path / "mine.py").write_text(f"def f(o, y): {body}\n")
        import linecache

        linecache.clearcache()
        keys.append(measure_of(f"{tmp_path / 'mine.py'}:f").key)
    assert keys[0] != keys[1]
    assert MeanAbsoluteError().key == "mae"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda o, y: o[:, :2], r"shape \[4, 2\] for 4 inputs; expected one per input, or one"),
        (lambda o, y: np.full(4, np.nan), "not finite"),
        (lambda o, y: o.nothing, "failed: AttributeError"),
        (lambda o, y: "word", "failed: ValueError"),
    ],
)
def test_what_a_function_returns_is_checked(function, says):
    with pytest.raises(DataError, match=says):
        UserFunction("f", function).statistics(np.zeros((4, 3)), np.zeros(4))


def test_a_direction_that_is_none():
    def f(o, y):
        return 1.0

    f.higher_is_better = "yes"
    with pytest.raises(DataError, match="True or False"):
        UserFunction("f", f)
