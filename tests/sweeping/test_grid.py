"""Grid files: the product, what is left out, identities, and every mistake at once."""

import hashlib
import itertools
import json

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.deployment.configuration import Configuration, identity
from spikec.errors import DataError, ToolchainError
from spikec.sweeping import read_grid

#: Axes all of whose combinations qcfs accepts.
AXES = {
    "timesteps": [1, 2, 4, 8],
    "schedule": ["pipelined", "layerwise"],
    "per": ["layer", "channel"],
    "bits": [4, 6, 8],
    "seed": [0, 1],
    "limit": [10, 20],
}


def ids(grid):
    return [run.configuration.id for run in read_grid(grid).runs]


@settings(max_examples=drawn(20), deadline=None)
@given(data=st.data())
def test_the_product_without_what_is_excluded(data):
    """Against plain loops: every combination once, in the order of the file, minus those that match a rule."""
    names = data.draw(st.lists(st.sampled_from(sorted(AXES)), min_size=1, max_size=4, unique=True))
    axes = {name: data.draw(st.lists(st.sampled_from(AXES[name]), min_size=1, unique=True)) for name in names}
    rules = [
        {name: data.draw(st.lists(st.sampled_from(AXES[name]), min_size=1, unique=True)) for name in chosen}
        for chosen in data.draw(st.lists(st.lists(st.sampled_from(names), min_size=1, unique=True), max_size=2))
    ]
    plan = read_grid({"grid": {"model": "digits-cnn", **axes}, "exclude": rules})
    expected, excluded = [], 0
    for point in itertools.product(*axes.values()):
        values = dict(zip(names, point, strict=True))
        if any(all(values[name] in allowed for name, allowed in rule.items()) for rule in rules):
            excluded += 1
        else:
            expected.append(values)
    found = [{name: getattr(run.configuration, name) for name in names} for run in plan.runs]
    assert found == expected
    assert plan.excluded == excluded
    assert len({run.configuration.id for run in plan.runs}) == len(expected)


def test_a_file_with_everything(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text("""
        [defaults]
        limit = 100
        energy = ["loihi2"]

        [[grid]]
        model = "digits-cnn"
        method = ["qcfs", {name = "error-compensation", drain = [0, 4]}]
        timesteps = [2, 4]

        [[grid]]
        model = "fashion-vgg"
        override = [{}, {"classifier.*" = 6}]

        [[exclude]]
        method = {name = "error-compensation", drain = 4}
        timesteps = 2

        [[run]]
        model = "digits-cnn"
        method = "graded"
        limit = 50
    """)
    plan = read_grid(path)
    runs = [run.configuration for run in plan.runs]
    assert [(r.method, r.options.get("drain"), r.timesteps, r.limit) for r in runs] == [
        ("qcfs", None, 2, 100),
        ("qcfs", None, 4, 100),
        ("error-compensation", 0, 2, 100),
        ("error-compensation", 0, 4, 100),
        ("error-compensation", 4, 4, 100),
        ("qcfs", None, 4, 100),
        ("qcfs", None, 4, 100),
        ("graded", None, 1, 50),
    ]
    assert [r.data for r in runs[4:]] == ["digits", "fashion-mnist", "fashion-mnist", "digits"]
    assert runs[6].override == {"classifier.*": 6}
    assert all(r.energy == ("loihi2",) for r in runs)
    assert plan.excluded == 1
    assert read_grid(path, limit=7).runs[-1].configuration.limit == 7


def test_what_a_method_refuses_is_a_run_with_a_reason():
    plan = read_grid({"grid": {"model": "digits-cnn", "method": ["error-free", "graded"], "timesteps": 2}})
    refused = {run.configuration.method: run.refused for run in plan.runs}
    assert refused["error-free"] is None
    assert "timesteps=2" in refused["graded"]


def test_every_mistake_is_named_at_once(tmp_path):
    with pytest.raises(DataError) as caught:
        read_grid(
            {
                "grids": {},
                "timesteps": 4,
                "grid": {
                    "modle": "digits-cnn",
                    "method": ["qfcs", {"name": "offset-spikes", "rhoo": 4}, {"name": "offset-spikes", "rho": 0}],
                    "timesteps": [0, True],
                    "bits": 9,
                    "per": "chanel",
                    "weights": str(tmp_path / "absent"),
                    "data": "digit",
                    "format": "loihi3",
                    "energy": ["lohi2"],
                    "seed": [],
                    "override": {"a": 1},
                },
                "run": [{"model": "digits-cn", "bits": [4, 8]}],
                "exclude": [{}],
            }
        )
    for said in (
        "20 mistakes",
        "did you mean '[grid]'?",
        "timesteps belongs into [grid]",
        "did you mean 'model'?",
        "did you mean 'qcfs'?",
        "did you mean 'rho'?",
        "rho must be a whole number",
        "of at least 1, not 0",
        "not True",
        "between 2 and 8, not 9",
        "did you mean 'channel'?",
        "no file",
        "did you mean 'digits'?",
        "did you mean 'loihi",
        "did you mean 'loihi2'?",
        "seed is an empty list",
        "bits of a must be",
        "did you mean 'digits-cnn'?",
        "only [grid] has axes",
        "give keys to match",
        "[grid]: no model",
    ):
        assert said in str(caught.value), said


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({}, "no [grid]"),
        ({"grid": {"model": "vgg16"}}, "vgg16 comes without weights"),
        ({"grid": {"model": "net.nir"}}, "takes trained networks"),
        ({"grid": {"model": "absent.py:net"}}, "no file absent.py"),
        ({"grid": 3}, "grid must be a table"),
        ({1: 2}, "unknown '1', known: [defaults]"),
        ({"defaults": [{}, {}], "grid": {"model": "digits-cnn"}}, "once only"),
        ({"grid": {"model": "digits-cnn", "data": "npz:"}}, "write npz:PATH"),
        ({"grid": {"model": "digits-cnn", "data_root": "absent"}}, "not a folder"),
        ({"grid": {"model": "digits-cnn", "method": [3]}}, "a name or a table"),
    ],
)
def test_refused_grids(grid, says):
    with pytest.raises(DataError) as caught:
        read_grid(grid)
    assert says in str(caught.value)


def test_a_file_that_is_no_toml(tmp_path):
    (tmp_path / "grid.toml").write_text("[grid\n")
    with pytest.raises(ToolchainError, match="cannot be read"):
        read_grid(tmp_path / "grid.toml")


def test_odd_but_no_mistake():
    plan = read_grid({"grid": {"model": "digits-cnn", "bits": [8, 8]}, "exclude": [{"bits": 3}]})
    assert len(plan.runs) == 1
    assert plan.remarks == ("[[exclude]] 1 leaves nothing out", "1 repeated runs are made once")


def test_one_configuration_has_one_id_however_it_is_written():
    (short,) = ids({"run": [{"model": "digits-cnn", "method": "error-compensation"}]})
    (long,) = ids(
        {
            "run": [
                {
                    "scale": "max",
                    "format": "generic24",
                    "bits": 8,
                    "data": "digits",
                    "data_root": ".",
                    "schedule": "pipelined",
                    "timesteps": 4,
                    "method": {"drain": 0, "negative": 0, "name": "error-compensation"},
                    "model": "digits-cnn",
                }
            ]
        }
    )
    assert short == long


def test_a_dictionary_may_hold_numbers_of_numpy_paths_and_ranges(tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.touch()
    plain = {"model": "digits-cnn", "timesteps": [1, 2, 3], "limit": 5, "weights": str(weights)}
    other = {**plain, "timesteps": range(1, 4), "limit": np.int64(5), "weights": weights}
    assert ids({"grid": plain}) == ids({"grid": other}) == ids({"grid": {**plain, "timesteps": np.arange(1, 4)}})
    with pytest.raises(DataError, match="expected a grid file or the same as a dictionary, got list"):
        read_grid([plain])


def test_an_id_is_a_hash_of_sorted_json():
    """Whatever process and machine computes it."""
    digest = hashlib.sha256(b'{"a":{"x":null,"y":2},"b":1}').hexdigest()
    assert identity({"data_root": "here", "b": 1.0, "a": {"y": 2, "x": None}}) == digest[:12]


def test_a_file_that_changes_is_another_configuration(tmp_path):
    weights = tmp_path / "w.pt"
    found = set()
    for content in (b"one", b"two", b"one again"):
        weights.write_bytes(content)
        found.update(ids({"grid": {"model": "vgg16", "weights": str(weights)}}))
    assert len(found) == 3


def test_configurations_survive_json(configurations):
    for each in configurations(method=["graded", "offset-spikes"], timesteps=[1], energy=["loihi2"]):
        again = Configuration.from_json(json.loads(json.dumps(each.to_json())))
        assert again == each
        assert again.id == each.id


def test_options_that_came_later_leave_the_identity_of_a_run_alone():
    """A run of one spike per step is the run it was before methods had the option."""
    network = {"model": "digits-cnn", "timesteps": 2}
    usual, said, several = (
        read_grid({"run": [{**network, "method": method}]}).runs[0]
        for method in ("qcfs", {"name": "qcfs", "spikes": 1}, {"name": "qcfs", "spikes": 3})
    )
    assert dict(usual.configuration.options) == {}
    assert usual.configuration == said.configuration
    assert dict(several.configuration.options) == {"spikes": 3}
    assert several.configuration.id != usual.configuration.id
    several = {"name": "qcfs", "spikes": [1, 3]}
    for excluded, left in ((1, 3), (3, 1)):
        rule = {"method": {"name": "qcfs", "spikes": excluded}}
        (run,) = read_grid({"grid": {**network, "method": [several]}, "exclude": [rule]}).runs
        assert dict(run.configuration.options).get("spikes", 1) == left
