"""What is wrong or ambiguous in a NIR file: one finding each, with the rule it breaks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spikec.hdf5.tree import Problem, Severity

#: Every rule and what a finding of it says; ``docs/nir-files.md`` lists them from here.
RULES = {
    # the file
    "damaged": "the file is cut off or was changed, or the HDF5 library fails on it",
    "not_hdf5": "the file is no HDF5 file, which NIR files are; what it is instead",
    "not_nir": "an HDF5 file without a NIR graph",
    "unreadable_object": "one part of the file cannot be read",
    "external_link": "data lie in another file, which is never followed",
    "soft_link": "a link by name; it is followed only where it leads to a plain object of the same file",
    "link_cycle": "a group contains itself, or stands under two names",
    "too_large": "more data or more objects than the doctor looks at",
    "version": "the file does not say which version of nir wrote it, or says it in an odd way",
    "extra_content": "content outside of /node, which readers ignore and lose",
    "root": "the outermost node is no graph, or holds a key that nir.read refuses",
    "nir_read": "nir.read refuses the file for a reason that no other rule found",
    # nodes and their fields
    "node_type": "a node without a type, or one that is no group",
    "unknown_kind": "a type that NIR 1.0.8 does not have",
    "slash_in_name": "a node name with '/', which HDF5 takes for a folder",
    "name_characters": "a node name with characters that some frameworks do not take",
    "missing_field": "a field that NIR 1.0.8 needs or fills in is not there",
    "unknown_field": "a field that NIR 1.0.8 does not know and refuses",
    "field_type": "a field of the wrong type or rank",
    "integer_weights": "integers, booleans or half precision where importers need float32",
    "not_finite": "values that are NaN or infinite",
    "bias_shape": "a bias that has not one value per output",
    "parameter_shapes": "parameters of one node whose shapes differ",
    "metadata_value": "metadata that read back as something else or cannot be written again",
    # edges and structure
    "edges": "the list of edges cannot be read as pairs of names",
    "edge_end_missing": "an edge names a node that does not exist",
    "duplicate_edge": "an edge that appears more than once",
    "cycle": "recurrent connections; they carry what was emitted one step before",
    "cycle_without_state": "a cycle in which no node has a state or a delay",
    "inputs": "no Input node, several, or one with sources",
    "outputs": "no Output node, several, or one with readers",
    "no_source": "nothing feeds this node; NIR adds an Input without a word",
    "dead_end": "nothing reads this node; NIR adds an Output without a word",
    "unreachable": "no path from an Input leads to this node",
    "nested_graph": "a graph inside the graph",
    # shapes
    "shape_mismatch": "shapes that disagree along an edge or inside a node",
    "kernel_too_large": "a kernel larger than its padded input",
    "type_check_wrong": "right, but the type check of nir refuses it or computes another shape",
    "broadcast_parameter": "a scalar or (C, 1, 1) parameter where NIR wants one value per neuron",
    "batch_axis": "a leading axis of 1 for the batch; shapes in NIR have none",
    "shape_unknown": "a shape that the file does not determine",
    # meaning
    "flatten_start_dim": "a Flatten with NIR's default start_dim = 1, which leaves the first axis",
    "avgpool_padding": "an average pool with padding; NIR does not say whether the padding counts",
    "time_constant": "a time constant that is not positive",
    "threshold": "a threshold at or below the reset or zero",
    "reset": "NIR's reset, which frameworks read as hard or soft",
    "v_reset": "a reset value other than 0, which some importers ignore",
    "dt_unknown": "time constants, resistances or delays without the length of a step",
    "not_in_nir": "what no NIR file says: start of the membrane, ties, number of steps",
    # our own profile
    "deployment": "the file is a deployment of spikec",
    "deployment_edited": "the file is a deployment of spikec that was changed",
    "portable": "the file is the portable form of a deployment of spikec",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, ambiguous or worth knowing.

    ``rule``: a key of :data:`RULES`. ``where``: a node, an edge ``a -> b``, or empty for the file. ``severity``:
    "error" where ``nir.read`` refuses the file or its meaning is wrong, "warning" where frameworks differ, else "note".
    ``mendable``: :func:`spikec.nir.repair` corrects it, with certainty.
    """

    rule: str
    where: str
    severity: Severity
    message: str
    hint: str = ""
    mendable: bool = False

    @classmethod
    def of(cls, problem: Problem) -> Finding:
        """A problem of the file's outer form."""
        return cls(problem.rule, problem.where, problem.severity, problem.message, problem.hint)

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"no rule {self.rule!r}: add it to {__name__}.RULES")

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f"; {self.hint}" if self.hint else ""
        mended = " (repair corrects this)" if self.mendable else ""
        return f"{self.severity} [{self.rule}] {where}{self.message}{hint}{mended}"

    def inside(self, prefix: str) -> Finding:
        """The same finding of a graph inside a graph: ``where`` gets a prefix."""
        return replace(self, where=f"{prefix}: {self.where}" if self.where else prefix) if prefix else self
