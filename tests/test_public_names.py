"""The public names stand twice in ``spikec/__init__.py``, for Python and for type checkers: both lists agree."""

from __future__ import annotations

import ast
import inspect
import pydoc
from importlib import import_module
from pathlib import Path

import spikec
import spikec.errors


def _for_type_checkers() -> dict[str, str]:
    tree = ast.parse(Path(spikec.__file__).read_text(encoding="utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    imports = [each for each in block.body if isinstance(each, ast.ImportFrom)]
    return {name.asname: each.module for each in imports for name in each.names if name.name == name.asname}


def test_both_lists_hold_the_same_names():
    others = {name for name, place in spikec._PACKAGES.items() if place != f"spikec.{name}"}
    assert set(_for_type_checkers()) == {*spikec._EXPORTS, *spikec._PACKAGES} - others
    assert others == {"plot"}  # assigned to an import of the room plotting


def test_both_lists_mean_the_same_objects():
    for name, module in _for_type_checkers().items():
        assert getattr(import_module(module), name) is getattr(spikec, name), name


def test_dir_lists_the_public_names_and_nothing_else():
    import_module("spikec.ir")  # a room that has been imported is no public name
    assert dir(spikec) == sorted({*spikec._EXPORTS, *spikec._PACKAGES, "compile"})
    assert all(hasattr(spikec, name) for name in dir(spikec))


def test_errors_derive_from_one():
    found = [value for value in vars(spikec.errors).values() if isinstance(value, type)]
    raised = [each for each in found if issubclass(each, Exception) and not issubclass(each, Warning)]
    assert len(raised) > 8
    assert all(issubclass(each, spikec.ToolchainError) for each in raised)


def test_help_shows_the_docstrings():
    for name in sorted({*spikec._EXPORTS, "compile"}):
        value = getattr(spikec, name)
        shown = "".join(pydoc.plain(pydoc.render_doc(value)).replace("|", "").split())
        assert "".join(inspect.getdoc(value).split("\n\n")[0].replace("|", "").split()) in shown, name
