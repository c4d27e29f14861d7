"""Names in a report: of classes, from the caller or a data set, and of the network, from the file."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import small_network
from helpers.nodes import affine, graph_of, readout

from spikec.errors import DataError
from spikec.evidence.measures import UserFunction
from spikec.evidence.measures.choosing import Wanted, wanted_of
from spikec.reporting import report
from spikec.reporting.confusion import naming
from spikec.reporting.reproducing import network_name
from spikec.simulation import simulate

LESS = {"estimates": (), "fits": (), "path": None}
SEVEN = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"]


@pytest.fixture(scope="module")
def two():
    """A network that puts out ``kind``, of three classes, and ``place``, of seven numbers; its images; its trace."""
    rng = np.random.default_rng(4)
    graph = small_network(rng)
    *nodes, last = graph.nodes.values()
    more = [
        affine("fc2", ["flatten"], rng.integers(-3, 4, (7, 45))),
        replace(readout("readout2", ["fc2"], 7), output="place"),
    ]
    graph = graph_of([*nodes, replace(last, output="kind"), *more])
    images = rng.integers(0, 255, (20, 2, 7, 7)) / 255
    return graph, images, simulate(graph, images)


class Own:
    """A data set that somebody wrote."""

    def __init__(self, images, classes):
        self._images, self.classes = images.astype(np.float32), classes

    def __len__(self):
        return len(self._images)

    def images(self, indices=slice(None)):
        return self._images[indices]


# --- which output has names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["caller", "data set"])
def test_names_are_of_the_output_that_is_measured_by_classes(two, owner):
    """The other output has more numbers than there are names."""
    graph, images, trace = two
    named = SEVEN[:3]
    labels = {"kind": trace.outputs["kind"].argmax(1), "place": np.zeros((20, 7), np.float32)}
    given = {"class_names": named} if owner == "caller" else {}
    data = images if owner == "caller" else Own(images, named)
    made = report(graph, images=data, labels=labels, trace=trace, **given, **LESS)
    assert made.confusion.names == tuple(named)
    with pytest.raises(DataError, match="class_names has 2 entries, and there are 3 classes"):
        report(graph, images=images, labels=labels, trace=trace, class_names=named[:2], **LESS)


def test_names_of_the_second_output(two):
    graph, images, trace = two
    labels = {"kind": np.zeros((20, 3), np.float32), "place": trace.outputs["place"].argmax(1)}
    made = report(graph, images=images, labels=labels, trace=trace, class_names=SEVEN, **LESS)
    assert made.confusion.names == tuple(SEVEN)


def test_names_that_nothing_needs_are_not_counted(two, deployment):
    graph, images, trace = two
    numbers = np.zeros((40, 3), np.float32)
    given = {"images": deployment.images, "trace": deployment.trace, "class_names": ["ant", "bee"]}
    for made in (
        report(graph, images=images, labels=None, trace=trace, class_names=SEVEN[:3], **LESS),
        report(deployment.graph, labels=None, **given, **LESS),
        report(deployment.graph, labels=numbers, **given, **LESS),
    ):
        assert made.confusion is None
    with pytest.raises(DataError, match="class_names is a list of texts"):
        report(deployment.graph, labels=None, **{**given, "class_names": "ant"}, **LESS)
    assert report(deployment.graph, labels=None, **{**given, "images": Own(deployment.images, 10)}, **LESS)


# --- what counts as classes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["top-2", ["top-3"], ["top-2", "top-1"]])
def test_inputs_are_looked_at_as_classes_for_every_k(deployment, metric):
    given = {"images": deployment.images, "labels": deployment.labels, "trace": deployment.trace, "metric": metric}
    made = report(deployment.graph, class_names=SEVEN[:3], **given, **LESS)
    usual = report(deployment.graph, class_names=SEVEN[:3], **{**given, "metric": None}, **LESS)
    assert {example.target for example in made.examples} <= set(SEVEN[:3])
    assert made.examples == usual.examples
    assert made.confusion == usual.confusion


def test_inputs_are_looked_at_as_classes_of_an_output_of_its_own(two):
    graph, images, trace = two
    labels = {"place": np.random.default_rng(0).integers(0, 7, 20)}
    made = report(graph, images=images, labels=labels, trace=trace, metric="place=top-1", class_names=SEVEN, **LESS)
    answers = trace.outputs["place"].argmax(1)
    for example in made.examples:
        label, answer = labels["place"][example.index], answers[example.index]
        assert (example.target, example.answer) == (SEVEN[label], SEVEN[answer])
        assert example.right == (label == answer)
        assert {example.target, example.answer} <= set(example.tracks) <= set(SEVEN)
        assert ("right" if example.right else "wrong") in example.why
    assert made.confusion.names == tuple(SEVEN)


def test_a_measure_classifies_by_what_it_is_not_by_its_name():
    assert all(wanted_of(name).classifies for name in ("top-1", "top-7", "kind=top-5"))
    assert not any(wanted_of(name).classifies for name in ("mae", "miou", "kind=rmse"))
    assert not Wanted(UserFunction("top-of-the-list.py:score", len)).classifies


# --- names of classes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["a", "b", "c"], ("a", "b", "c")),
        (["a", "a", "b"], ("a (0)", "a (1)", "b")),
        (["a", "a", "a (0)"], ("a (0) (0)", "a (1)", "a (0)")),
        (["a (1)", "a", "a", "a (1) (1)"], ("a (1)", "a (1) (1) (1)", "a (2)", "a (1) (1)")),
        (["a", "", " "], ("a", "1", "2")),
        (["1", "", "b"], ("1 (0)", "1 (1)", "b")),
        (["", "", ""], ()),
        (["0", "1", "2"], ()),
    ],
)
def test_names_are_all_different_and_never_empty(given, shown):
    assert naming(given, len(given)) == shown


def test_many_names_that_clash_are_all_different():
    rng = np.random.default_rng(0)
    for _ in range(300):
        parts = rng.choice(["a", "", "a (0)", "a (1)", "a (1) (1)", "1", "2", "b" * 70, "b" * 71], 6)
        found = naming([str(part) for part in parts], 6)
        assert found == () or len(set(found)) == 6
        assert all(found)


def test_long_names_are_cut_and_still_differ(deployment):
    letters = 10**6
    names = ["n" * letters, "n" * letters + "m", "short"]
    found = naming(names, 3)
    assert len(set(found)) == 3
    assert found[2] == "short"
    assert all(len(name) <= 70 and "…" in name and name.startswith("nnn") for name in found[:2])
    assert naming(["n" * 60, "o" * 61, "p"], 3) == ("n" * 60, "o" * 59 + "…", "p")
    given = {"images": deployment.images, "labels": deployment.labels, "trace": deployment.trace, **LESS}
    made = report(deployment.graph, class_names=names, **given)
    usual = report(deployment.graph, class_names=["ant", "bee", "short"], **given)
    assert len(made.html()) < len(usual.html()) + 20_000
    assert len(str(made.to_json())) < len(str(usual.to_json())) + 20_000


# --- classes of a data set ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (None, ()),
        (list(range(10)), ()),
        (range(10), ()),
        (np.arange(3), ()),
        ([3, 5, np.int64(8)], ("3", "5", "8")),
        (("ant", "bee", "cat"), ("ant", "bee", "cat")),
        (np.array(["ant", "bee", "cat"]), ("ant", "bee", "cat")),
        (["ant", "bee"], ()),
        ([], ()),
    ],
)
def test_classes_of_a_data_set_are_names_or_numbers_or_none(deployment, classes, names):
    data = Own(deployment.images, classes)
    made = report(deployment.graph, images=data, labels=deployment.labels, trace=deployment.trace, **LESS)
    assert made.confusion.names == names


@pytest.mark.parametrize(
    "classes", [10, "ant", 0.5, {"ant": 0}, [0.5, 1.5, 2.5], [None] * 3, lambda: ["a"] * 3, np.array(3)]
)
def test_other_classes_of_a_data_set_are_one_sentence(deployment, classes):
    data = Own(deployment.images, classes)
    with pytest.raises(DataError, match="the attribute classes of the data set is a list of names") as caught:
        report(deployment.graph, images=data, labels=deployment.labels, trace=deployment.trace, **LESS)
    assert "class_names" not in str(caught.value)
    assert "\n" not in str(caught.value)
    named = report(
        deployment.graph, images=data, labels=deployment.labels, trace=deployment.trace, class_names=SEVEN, **LESS
    )
    assert named.confusion.names == tuple(SEVEN[:3])


# --- the name of the network --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("m.py:make", "m"),
        ("nets/digits.py:build_model", "digits"),
        ("digits.py:Net", "digits"),
        ("package.zoo.small:create", "small"),
        ("digits.py:get_model", "digits"),
        ("digits.py:main", "digits"),
        ("net.py:net", "net"),
        ("m.py:small_net", "small_net"),
        ("m.py:LeNet", "LeNet"),
        ("m.py:network_in_network", "network_in_network"),
        ("package.zoo:vgg", "vgg"),
        (":make", "make"),
        ("make", "make"),
        ("nets/model.onnx", "model"),
    ],
)
def test_a_name_that_fits_any_network_gives_way_to_that_of_its_file(model, name):
    assert network_name({"export": f"spikec export {model}"}) == name


@pytest.mark.parametrize("place", ["'m.py:{}'", "'{}.py:make'", "'{}'", "'nets/{}.onnx'"])
def test_names_in_titles_have_no_control_characters_and_are_never_long(deployment, place):
    given = {"images": deployment.images, "labels": deployment.labels, "trace": deployment.trace, **LESS}
    for word in ("a\x1b[31mred\u202eb", "a\nb\tc\u2028d", "n" * 100_000, "\x1b" * 5000):
        info = {**deployment.graph.info, "export": f"spikec export {place.format(word)}"}
        assert network_name(info).isprintable()
        assert 0 < len(network_name(info)) <= 80
        title = report(replace(deployment.graph, info=info), **given).title
        assert title == f"{network_name(info)}, spiking at T = 4"
    assert "…" in network_name({"export": f"spikec export {'n' * 81}"})
    assert network_name({"export": f"spikec export {'n' * 80}"}) == "n" * 80


def test_a_given_name_and_a_method_are_shown_the_same_way(deployment):
    given = {"images": deployment.images, "labels": deployment.labels, "trace": deployment.trace, **LESS}
    graph = replace(deployment.graph, info={**deployment.graph.info, "method": "a\x1b[2J" + "m" * 1000})
    made = report(graph, name="x\x07y" + "n" * 1000, **given)
    assert made.title.isprintable()
    assert len(made.title) < 200
    assert re.fullmatch(r"x\\x07yn+…, .*m+… at T = 4", made.title)
    assert made.text().splitlines()[0] == made.title
