"""What rooms may know of each other, read from the files: floors without cycles, checks that share no code, Lava in
processes of its own. And what passes from one room to the next is not changed by it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.frontend import canonicalize
from spikec.guarded.documents import read_toml_file

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"toolchain": "spikec", "targets": "spikec.targets", "models": "spikec.models"}


def imports(path: Path) -> set[str]:
    """All that a module imports, inside functions too; not what only type checkers read."""
    found: set[str] = set()
    left: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            found |= {f"{node.module}.{each.name}" for each in node.names}
        checked = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            if not (checked and block == "body") and isinstance(statements := getattr(node, block, None), list):
                left += statements
    return found


@cache
def files() -> dict[str, Path]:
    """The modules of the package."""
    places = {}
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            inner = path.relative_to(ROOT / folder).with_suffix("").parts
            places[".".join((package, *(inner[:-1] if inner[-1] == "__init__" else inner)))] = path
    if "spikec.cli" not in places:
        pytest.skip("no checkout")
    return places


@cache
def modules(within: str = "spikec") -> dict[str, set[str]]:
    """What each module of a package imports; names in a module count as the module."""
    places = {name: path for name, path in files().items() if name.startswith(within)}
    found = {name: imports(path) for name, path in places.items()}
    return {
        name: {each if each in files() else each.rpartition(".")[0] for each in imported} - {name}
        for name, imported in found.items()
    }


@pytest.mark.thorough
def test_nothing_is_imported_upwards():
    contracts = read_toml_file(ROOT / "pyproject.toml", "settings")["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    floor = {room: number for number, layer in enumerate(layers) for room in re.findall(r"\w+", layer)}
    seen = 0
    for name, imported in modules().items():
        mine = name.split(".")[1:2]
        for each in imported:
            if mine and mine != ["__main__"] and each.startswith("spikec.") and each.split(".")[1] != mine[0]:
                seen += 1
                assert floor[each.split(".")[1]] >= floor[mine[0]], f"{name} imports {each}"
    assert seen > 1000


def packages() -> Iterator[str]:
    yield from {name.rpartition(".")[0] for name in modules()} - {""}


@pytest.mark.thorough
def test_there_is_no_cycle_at_any_depth():
    for package in packages():
        inside: dict[str, set[str]] = {}
        for name, imported in modules().items():
            if name.startswith(f"{package}."):
                mine = name.removeprefix(f"{package}.").split(".")[0]
                others = {
                    each.removeprefix(f"{package}.").split(".")[0]
                    for each in imported
                    if each.startswith(f"{package}.")
                }
                inside.setdefault(mine, set()).update(others - {mine})
        assert list(TopologicalSorter(inside).static_order()), package


def test_oracles_share_no_code_with_the_golden_model():
    """They know the graph that they execute, and nothing that executes it."""
    for name in ("oracle", "nir_executor", "sequences", "leaky", "operations", "hard_reset"):
        imported = imports(ROOT / "tests" / "helpers" / f"{name}.py")
        ours = {each for each in imported if each.startswith("spikec")}
        assert all(each.startswith(("spikec.ir.", "spikec.errors.")) for each in ours), (name, ours)


WORKERS = ("spikec.targets.lava.arithmetic", "spikec.targets.lava.processes")


def test_the_arithmetic_of_the_lava_worker_needs_no_torch_and_shares_no_code_with_the_golden_model():
    inside = {name: each for name, each in modules("spikec.targets.lava").items() if name.startswith(WORKERS)}
    assert len(inside) > 15
    for name, imported in inside.items():
        own = {each for each in imported if each.startswith("spikec")}
        assert not {each for each in imported if each.split(".")[0] == "torch"}, name
        assert all(each.startswith("spikec.targets.lava") for each in own), (name, own)


def test_lava_is_imported_in_interpreters_of_its_own_only():
    """Whoever imports Lava is imported by the programs of the workers alone."""
    pattern = re.compile(r"^\s*(from|import) lava\b", re.MULTILINE)
    lava = {name for name, path in files().items() if pattern.search(path.read_text(encoding="utf-8"))}
    started = {name for name in files() if re.search(r"^spikec\.targets\.(lava|netx)\.(worker|processes)\b", name)}
    inside = started | {"spikec.targets.lava.guard", "spikec.targets.lava.startup"}
    assert len(lava) > 10
    assert lava <= inside
    everybody = modules("spikec.targets.lava") | modules("spikec.targets.netx")
    # ``startup`` imports it inside of functions.
    outside = {name for name, imported in everybody.items() if imported & (lava - {"spikec.targets.lava.startup"})}
    assert outside <= inside


def test_each_stage_takes_a_value_and_leaves_it_as_it_was():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), tc.ClipFloorShift(2, 0.4), nn.Flatten(), nn.Linear(8, 3)]
    model, images = nn.Sequential(*layers).eval(), torch.rand(6, 1, 4, 4)

    def state(value):
        return {name: tensor.tolist() for name, tensor in value.state_dict().items()}

    def numbers(trace):
        parts = (trace.outputs, trace.counts, trace.events, trace.output_curves)
        return [{name: array.tolist() for name, array in part.items()} for part in parts]

    own, kept = state(model), images.clone()
    traced = canonicalize(model, images)
    network = tc.convert(model, tc.QCFS(timesteps=2), example=images)
    assert state(model) == own
    converted = state(network)
    graph = tc.lower(network)
    assert state(network) == converted
    integers = tc.decode(graph)
    hashes = integers.content_sha256, integers.deployment_sha256
    trace = tc.simulate(graph, images)
    simulated = numbers(trace)
    estimate = tc.estimate(graph, trace, draws=10)
    report = tc.report(graph, images=images, labels=np.zeros(6, int), trace=trace, estimates=[estimate], path=None)
    assert (tc.decode(graph).content_sha256, tc.decode(graph).deployment_sha256) == hashes
    assert numbers(trace) == simulated
    assert torch.equal(images, kept)
    for value in (traced, network, graph, integers, trace, estimate, report):
        assert len(str(value)) > 20
