"""Every table of implementations knows every kind and every operation: implemented, or refused by name."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pytest

import spikec
import spikec.models
import spikec.targets
from spikec.implementations import TABLES, Implementations
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, GradedIF, Kind, Maximum, SignedIF, kinds
from spikec.ir.operations import OPERATIONS, Affine, Convolution, Flatten, MaxPool, Operation, SumPool, Unflatten

#: Tables of software that knows a closed set, or of shortcuts: what they have. Everything else they refuse by name.
CLOSED: dict[str, set[type]] = {
    "spikec.simulation.engines.counting.COUNTING": {IF, SignedIF, CalibratedIF, BitSerialIF, GradedIF, Maximum},
    "spikec.simulation.engines.counting.ON_COUNTS": {Flatten, MaxPool, SumPool},
    "spikec.ir.profile.portable.PLAIN": {IF},
    "spikec.energy.conventions.syops.OPERATIONS": {Affine, Convolution, Flatten, MaxPool, SumPool, Unflatten},
    "spikec.energy.conventions.syops.NEURONS": {IF},
    "spikec.targets.interop.plain.PLAIN_NEURONS": {IF},
    "spikec.targets.lava.atrlif.ATRLIF_FITS": {IF},
    "spikec.targets.netx.chain.NETX_SYNAPSES": {Affine, Convolution},
    "spikec.targets.netx.file.NETX_LAYERS": {Affine, Convolution, Flatten},
    "spikec.targets.netx.hard_reset.HARD_RESET_LIMITS": {IF},
    "spikec.targets.netx.hard_reset.HARD_RESET_SUMS": {Affine, Convolution, Flatten},
}


def _import_all(package: ModuleType) -> None:
    for found in iter_modules(package.__path__, f"{package.__name__}."):
        if ".processes" in found.name or found.name.endswith("__main__"):
            continue  # Lava's own interpreter imports these
        try:
            module = import_module(found.name)
        except ImportError:
            continue  # frameworks that are not installed here
        if found.ispkg:
            _import_all(module)


@pytest.fixture(scope="module")
def tables() -> list[Implementations]:
    for package in (spikec, spikec.targets, spikec.models):
        _import_all(package)
    return list(TABLES)


def _types(table: Implementations) -> list[type]:
    known = [*kinds().values(), Maximum, *OPERATIONS.values()]
    found = [each for each in known if issubclass(each, table.of)]
    assert found, f"{table.place} is for {table.of}, which is neither a kind nor an operation"
    return found


def _problems(tables: list[Implementations]) -> list[str]:
    """What is neither implemented nor refused, and what closed tables hold that they should not, or lack."""
    found = []
    for table in tables:
        if table.otherwise is None:
            found += [f"{each.__name__} in {table.place}" for each in _types(table) if table.state(each) == "missing"]
        else:
            held = {each for each in _types(table) if each in table}
            found += [f"{each.__name__} in {table.place}" for each in held ^ CLOSED.get(table.place, set())]
    return found


def test_every_type_is_implemented_or_refused_by_name(tables):
    assert _problems(tables) == []


def test_a_refusal_names_the_type(tables):
    for table in tables:
        for each in _types(table):
            if each not in table:
                assert str(getattr(each, "name", each.__name__) if issubclass(each, Kind) else each.__name__) in str(
                    table.refusal(each)
                ), table.place


def test_any_single_registration_that_is_deleted_is_noticed(tables):
    deleted = 0
    for table in tables:
        for entries in (table._entries, table._refusals):
            for each in [each for each in entries if each in _types(table)]:
                kept = entries.pop(each)
                try:
                    assert _problems(tables), f"nobody misses {each.__name__} in {table.place}"
                finally:
                    entries[each] = kept
                deleted += 1
    assert deleted >= 40
    assert _problems(tables) == []


def test_there_are_tables_for_both(tables):
    assert {table.of for table in tables} >= {Kind, Operation}
    assert len({table.place for table in tables}) == len(tables)


def test_no_kind_is_named_as_text_outside_its_home():
    """Names of kinds stand in ``ir/kinds`` alone. Homonyms: methods and purposes, Lava's input coding."""
    root = Path(spikec.__file__).parent
    pattern = re.compile("|".join(f"[\"']{name}[\"']" for name in kinds()))
    homonyms = {"toolchain/conversion/methods/graded.py", "targets/lava/plan.py", "targets/lava/options.py"}
    homonyms |= {"targets/lava/alignment.py", "targets/lava/paths.py", "targets/lava/program.py"}
    homonyms |= {"targets/lava/connected.py"}
    homonyms |= {"targets/netx/program.py", "targets/netx/stock.py", "toolchain/cli/advise.py"}
    homonyms |= {f"toolchain/advising/{name}.py" for name in ("picture", "portfolio", "trials")}  # a purpose
    found = []
    for folder in (root, root.parent / "targets", root.parent / "models"):
        if not folder.is_dir():  # installed from a wheel: all in one
            continue
        for path in sorted(folder.rglob("*")):
            if path.suffix not in (".py", ".toml", ".json") or "kinds" in path.parts:
                continue
            where = path.relative_to(root.parent).as_posix()
            if where not in homonyms and pattern.search(path.read_text(encoding="utf-8")):
                found.append(where)
    assert found == []
