"""The public names stand twice in ``spikec/__init__.py``, for Python and for type checkers: both lists agree."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import spikec


def _for_type_checkers() -> dict[str, str]:
    tree = ast.parse(Path(spikec.__file__).read_text(encoding="utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    return {name.asname: each.module for each in block.body for name in each.names}


def test_both_lists_hold_the_same_names():
    assert set(_for_type_checkers()) == {*spikec._EXPORTS, *spikec._PACKAGES}


def test_both_lists_mean_the_same_objects():
    for name, module in _for_type_checkers().items():
        assert getattr(import_module(module), name) is getattr(spikec, name), name


def test_every_name_is_listed_by_dir():
    assert {*spikec._EXPORTS, *spikec._PACKAGES} <= set(dir(spikec))
