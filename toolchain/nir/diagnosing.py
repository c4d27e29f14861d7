"""Everything that is wrong or ambiguous in a NIR file, at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from spikec.arguments import real_number, whole_number
from spikec.calls import named_arguments
from spikec.errors import ConversionError, GraphError
from spikec.hdf5.process import LIMIT, SECONDS, read
from spikec.hdf5.question import Verdict
from spikec.hdf5.tree import FileTree, Severity, Value
from spikec.ir.metadata import metadata_of
from spikec.ir.profile.files import check_deployment
from spikec.ir.profile.portable import NOTE
from spikec.nir import rules_graph, rules_meaning, rules_nodes, rules_shapes
from spikec.nir.as_nir import as_nir
from spikec.nir.deploying import Deployment, deployment
from spikec.nir.findings import Finding
from spikec.nir.graph import RawNode, parse
from spikec.nir.importers import Behaviour, behaviours
from spikec.nir.nodes import GRAPH
from spikec.nir.shapes import Shapes, infer
from spikec.words import listed

Rule = Callable[[RawNode, Shapes], Iterator[Finding]]
RULES: tuple[Rule, ...] = (*rules_graph.RULES, *rules_nodes.RULES, *rules_shapes.RULES, *rules_meaning.RULES)
_ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found. ``str()`` gives the text that ``spikec nir doctor`` prints.

    ``version``: of nir, that wrote the file; empty where it does not say. ``kinds``: how many nodes of each kind.
    ``reads``: whether ``nir.read`` takes the file, None where it was not asked, since its answer might never come.
    ``nir_says``: its error. ``findings``: errors first. ``importers``: what known importers do with it. ``deploy``: how
    to deploy it, None where it holds no graph or is a deployment already.
    """

    path: str
    version: str = ""
    kinds: dict[str, int] = field(default_factory=dict)
    edges: int = 0
    reads: bool | None = None
    nir_says: str = ""
    findings: tuple[Finding, ...] = ()
    importers: tuple[Behaviour, ...] = ()
    deploy: Deployment | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def __str__(self) -> str:
        from spikec.nir.text import diagnosis_text

        return diagnosis_text(self)


@dataclass
class Opened:
    """A file as far as it could be read; ``graph`` is None where it holds none."""

    tree: FileTree
    verdict: Verdict
    version: str
    graph: RawNode | None
    findings: list[Finding]


@named_arguments
def diagnose(path: str | os.PathLike[str], *, limit: int = LIMIT, seconds: float = SECONDS) -> Diagnosis:
    """Everything that is wrong or ambiguous in any NIR file, also one that ``nir.read`` refuses.

    ``limit``: bytes of data that are looked at. ``seconds``: after which reading is given up. Raises
    :class:`~spikec.errors.GraphError` only where there is no such file.
    """
    return examine(open_file(path, limit=limit, seconds=seconds), os.fspath(path))


def open_file(path: str | os.PathLike[str], *, limit: int = LIMIT, seconds: float = SECONDS) -> Opened:
    """Read a file, and say what is wrong with its outer form."""
    try:
        limit, seconds = whole_number("limit", limit, 1), real_number("seconds", seconds)
    except ConversionError as error:
        raise GraphError(str(error)) from None
    tree, verdict = read(path, limit=limit, seconds=seconds, ask_nir=True)
    found = [Finding.of(problem) for problem in tree.problems]
    version = _version(tree, found)
    if tree.extra and isinstance(tree.node, dict):
        message = (
            f"content outside of /node is ignored by readers and lost when the file is written: {listed(tree.extra)}"
        )
        found.append(Finding("extra_content", "", "note", message))
    graph = None
    if isinstance(tree.node, dict):
        graph = _root(parse(tree.node, "", found), found)
    elif not any(finding.severity == "error" for finding in found):
        found.append(_not_nir(tree))
    return Opened(tree, verdict, version, graph, found)


def examine(opened: Opened, path: str) -> Diagnosis:
    """Apply every rule to what was read."""
    graph, found = opened.graph, list(opened.findings)
    if graph is None:
        return Diagnosis(path, opened.version, findings=_sorted(found))
    kinds: Counter[str] = Counter()
    edges = 0
    for prefix, inner in graph.graphs():
        kinds.update(node.kind or "no type" for node in inner.nodes.values())
        edges += len(inner.edges)
        shapes = infer(inner)
        for rule in RULES:
            found += [finding.inside(prefix) for finding in rule(inner, shapes)]
    own = _own_profile(graph)
    found += own
    said = opened.verdict.checked
    if said and not any(finding.severity == "error" for finding in found):
        found.append(Finding("nir_read", "", "error", f"nir.read refuses it: {said}", "export the file again"))
    return Diagnosis(
        path=path,
        version=opened.version,
        kinds=dict(sorted(kinds.items())),
        edges=edges,
        reads=None if said is None else not said,
        nir_says=said or "",
        findings=_sorted(found),
        importers=behaviours(graph, opened.version),
        deploy=None if own else deployment(graph, path),
    )


def _sorted(found: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: _ORDER.index(finding.severity)))


def _version(tree: FileTree, found: list[Finding]) -> str:
    held = tree.version
    text = held.data if isinstance(held, Value) and isinstance(held.data, str) else ""
    if isinstance(tree.node, dict):
        if held is None:
            message = "the file does not say which version of nir wrote it, and nir.read_version fails"
            found.append(Finding("version", "", "note", message, "", True))
        elif not text or not all(part.isdigit() for part in text.split(".")[:2]):
            found.append(Finding("version", "", "note", f"its version is odd: {text!a}", "", True))
    return text


def _root(node: RawNode, found: list[Finding]) -> RawNode | None:
    if node.kind != GRAPH:
        message = f"the outermost node is {node.kind or 'no node'}, not a graph, and nir.read refuses that"
        found.append(Finding("root", "", "error", message, "write a graph with an Input and an Output around it"))
        return None
    if "type_check" in node.fields:
        del node.fields["type_check"]
        message = "the outermost graph holds a field type_check, and nir.read refuses that"
        found.append(Finding("root", "", "error", message, "", True))
    return node


def _not_nir(tree: FileTree) -> Finding:
    names = listed(tree.extra) or "nothing"
    hints = {
        "layer": "it looks like a netx file of lava-dl; spikec netx writes those, nothing here reads them",
        "attribute __type__": "it looks like recorded data of NIR (nir.read_data), not a graph",
    }
    hint = next((hint for name, hint in hints.items() if name in tree.extra), "write it with nir.write")
    return Finding("not_nir", "", "error", f"it has no group 'node', so it holds no NIR graph; it holds {names}", hint)


def _own_profile(graph: RawNode) -> list[Finding]:
    """What the file is, where it is one of ours."""
    try:
        made = as_nir(graph)
    except GraphError:
        return []
    if NOTE in made.metadata:
        message = "it is the portable form of a deployment, for other simulators; spikec itself runs the deployment"
        return [Finding("portable", "", "note", message)]
    if not metadata_of(made):
        return []
    try:
        check_deployment(made)
    except GraphError as error:
        hint = "export it again; a plain graph without this metadata can be exported anew"
        return [Finding("deployment_edited", "", "error", f"it is a deployment of spikec, and {error}", hint)]
    return [Finding("deployment", "", "note", "it is a sound deployment of spikec: spikec run, verify, inspect")]
