"""JSON and TOML that are deep, huge, or none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikec.errors import DataError
from spikec.guarded import parse_json, parse_toml, read_json, read_toml_file

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_json_is_read_as_it_was_written(value):
    assert parse_json(json.dumps(value), "it") == value


@pytest.mark.parametrize(
    "text",
    [
        *("[" * depth + "]" * depth for depth in (70, 100_000)),
        '{"a":' * 100_000,
        "9" * 41,
        "[" + "9" * 100_000 + "]",
        "",
        "{",
        b"\xff",
        '{"a": 1, "a": 1}',
        '[{"b": {"a": 1, "b": 2, "a": 3}}]',
        *(f'{{"a": [{word}]}}' for word in ("NaN", "Infinity", "-Infinity", "1e999", "-1e400")),
    ],
)
def test_json_beyond_its_bounds_is_one_sentence(text):
    with pytest.raises(DataError, match=r"^net\.json is no sound JSON: \S"):
        parse_json(text, "net.json")


@pytest.mark.parametrize(
    "text",
    [
        *("a = " + "[" * depth + "]" * depth for depth in (70, 50_000)),
        "a" + ".a" * 200_000 + " = 1",
        "a" + " . 'a'" * 100 + " = 1",
        "[a" + '."a"' * 100 + "]",
        "a = " + "9" * 50,
        "a = 0x" + "f" * 500_000,
        "a = {" * 50_000,
        "a",
    ],
)
def test_toml_beyond_its_bounds_is_one_sentence(text):
    with pytest.raises(DataError, match=r"^net\.toml cannot be read: \S"):
        parse_toml(text, "net.toml")


def test_prose_with_many_points_is_toml():
    assert parse_toml('a = "' + "e.g. this one. " * 200 + '"', "it")["a"].startswith("e.g.")


def test_files_that_are_no_documents_are_named(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"the grid '.*a\.toml' cannot be read: .* UTF-8"):
        read_toml_file(tmp_path / "a.toml", "the grid")
    with pytest.raises(DataError, match=r"there is no file .*b\.json"):
        read_json(tmp_path / "b.json", "the index")
