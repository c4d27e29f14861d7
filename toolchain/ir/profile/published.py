"""The table of limits as the documentation and the JSON schema have it.

``python -m spikec.ir.profile.published docs`` writes it into both, after a limit has changed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import nir

from spikec.ir.kinds import CubaLIF, kinds
from spikec.ir.limits import LIMITS, VALUES_MAX, Limit
from spikec.whole_files import replacing

PAGE, SCHEMA_FILE = "nir-profile.md", "nir-profile.schema.json"
#: What stands around the table on the page.
_BEGIN, _END = "<!-- limits: begin -->\n", "<!-- limits: end -->\n"


def all_limits() -> dict[str, dict[str, Limit]]:
    """:data:`spikec.ir.limits.LIMITS` with the fields of the neuron kinds that are built in."""
    found = {node: dict(rows) for node, rows in LIMITS.items()}
    for kind in kinds().values():
        if kind.__module__.startswith("spikec.ir."):
            node = (nir.CubaLIF if issubclass(kind, CubaLIF) else nir.IF).__name__
            found[node] |= {about.key: about.limit for about in kind.stored_fields().values()}
    per_neuron = [about for about in CubaLIF.stored_fields().values() if about.per == "neuron"]
    found["CubaLI"] |= {about.key: about.limit for about in per_neuron}
    return found


def limits_table() -> str:
    """The limits as a table in Markdown."""
    lines = ["| node | number | lowest | highest |", "|---|---|---|---|"]
    for node, rows in all_limits().items():
        for place, (name, limit) in enumerate(sorted(rows.items())):
            first = "" if place else "graph" if node == "graph" else f"`{node}`"
            said = "rows and columns of the kernel" if limit.place == "shape" else f"`{name}`"
            lines.append(f"| {first} | {said} | {_in_powers(limit.low)} | {_in_powers(limit.high)} |")
    lines.append(f"| any | values sent in a step | 1 | {_in_powers(VALUES_MAX)} |")
    return "\n".join(lines) + "\n"


def _in_powers(number: int) -> str:
    """``2^31 - 1``, ``-2^24``; numbers of up to four digits as they are."""
    if abs(number) < 10_000:
        return str(number)
    for off, said in ((0, "2^{}"), (1, "(2^{} - 1)" if number < 0 else "2^{} - 1")):
        size = abs(number) + off
        if size & (size - 1) == 0:
            return "-" * (number < 0) + said.format(size.bit_length() - 1)
    return str(number)


def page_with_limits(text: str) -> str:
    """The page with the table as it is now."""
    before, rest = text.split(_BEGIN)
    return before + _BEGIN + limits_table() + _END + rest.split(_END)[1]


def schema_with_limits(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the limits as they are now. Raises ``KeyError`` where it lacks a number of the table."""
    found = deepcopy(schema)
    for node, rows in all_limits().items():
        for name, limit in rows.items():
            if limit.place == "metadata" and name != "delays":  # which are JSON text
                _set(properties_of(found, node)[name], limit, found)
    return found


def properties_of(schema: dict[str, Any], node: str) -> dict[str, Any]:
    """The metadata of a node, or of the graph, in the schema."""
    about = schema["properties"]["graph"] if node == "graph" else schema["$defs"][node]["properties"]["spikec"]
    properties: dict[str, Any] = about["properties"]
    return properties


def _set(part: dict[str, Any], limit: Limit, schema: dict[str, Any]) -> None:
    if "enum" in part:
        part["enum"] = list(range(limit.low, limit.high + 1))
        return
    if "$ref" in part:  # an array of any depth, whose definition refers to itself
        dtype = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]["x-dtype"]
        name = f"{dtype}.{limit.low}.{limit.high}"
        numbers = {"type": "integer", "minimum": limit.low, "maximum": limit.high}
        items = {"anyOf": [numbers, {"$ref": f"#/$defs/{name}"}]}
        schema["$defs"][name] = {"x-dtype": dtype, "type": "array", "items": items}
        part["$ref"] = f"#/$defs/{name}"
        return
    holder = part["items"] if part.get("type") == "array" else part
    holder |= {"minimum": limit.low, "maximum": limit.high}


def _referred(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].removeprefix("#/$defs/")
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _referred(part)


def _main(docs: Path) -> None:
    page, file = docs / PAGE, docs / SCHEMA_FILE
    schema = schema_with_limits(json.loads(file.read_text()))
    nodes = {key: part for key, part in schema["$defs"].items() if part.get("type") == "object"}
    used = {*_referred(schema["properties"]), *_referred(nodes)}
    schema["$defs"] = {key: part for key, part in schema["$defs"].items() if key in used}
    for path, text in ((page, page_with_limits(page.read_text())), (file, json.dumps(schema, indent=2) + "\n")):
        with replacing(path) as temporary:
            temporary.write_text(text)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
