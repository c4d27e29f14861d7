"""The header, and the comment at the top of both files."""

from __future__ import annotations

import math

from spikec.ir.outputs import has_classes
from spikec.targets.c.code.context import Context, stepped
from spikec.targets.c.code.network import Schedule
from spikec.targets.c.code.text import Text
from spikec.versions import versions


def introduction(text: Text, code: Context, run: Schedule) -> None:
    """What the file is, where it comes from, how large its numbers and its memory are."""
    graph, state = code.graph, code.state
    version = versions().get("spikec", "of unknown version")
    kept = sum(member.size for member in state.kept) + 4
    constants = sum(code.tables.sizes.values())
    text.comment(
        f"{code.prefix}: a spiking network in integers, C99 without libraries. Written by spikec {version}.",
        f"Deployment: sha256 {graph.deployment_sha256}, written by {graph.producer or 'unknown'}.",
        f"Schedule {graph.schedule}, {graph.timesteps} steps, drain {graph.drain}; neurons: {graph.kind_names}.",
        f"Memory: {constants} bytes of constants, {kept + state.shared} bytes of state.",
        "",
        "Numbers are proven to fit the types of this file, whatever the input. Lowest and highest membrane:",
        *(f"  {name}: {bound.low} to {bound.high}" for name, bound in sorted(code.bounds.ranges.membranes.items())),
        "",
        "Maps lie in memory as [row][column][channel]; input and outputs as the network has them, channel by channel.",
    )


def write_header(code: Context, run: Schedule) -> str:
    """The text of ``NAME.h``."""
    text, graph, prefix = Text(), code.graph, code.prefix
    introduction(text, code, run)
    guard = f"{prefix}_H_INCLUDED"
    text.verbatim(
        f'#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern "C" {{\n#endif\n'
    )
    node = graph.input
    text.comment(
        "Numbers of one image or frame; steps of a run (of sequences: the most); T, the steps with the image on."
    )
    text.line(f"#define {prefix}_INPUTS {math.prod(node.shape)}")
    text.line(f"#define {prefix}_STEPS {graph.emission_steps}")
    text.line(f"#define {prefix}_TIMESTEPS {graph.timesteps}")
    text.line()
    text.comment(
        f"What the network reads, shape {node.shape}: real number / {node.scale!r}, rounded, {node.low} to {node.high}."
    )
    text.line(f"typedef {node.dtype}_t {prefix}_in;")
    for readout in graph.readouts:
        suffix = "" if len(graph.readouts) == 1 else f"_{code.ids[readout.name]}"
        text.comment(
            f"Output {readout.output}, shape {readout.shape}: integers; times {readout.scale!r} in the network's units."
        )
        text.line(f"#define {prefix}_OUTPUTS{suffix} {math.prod(readout.shape)}")
        text.line(f"typedef {run.outputs[readout.name][1]} {prefix}_out{suffix};")
    text.line()
    text.comment("All memory of one network. Two of them run side by side.")
    with text.members("typedef struct", f"{prefix}_state"):
        text.comment("steps done")
        text.line("int32_t step;")
        code.state.declare(text)
    text.line()
    text.verbatim(f"#ifdef {prefix}_STATIC\nextern {prefix}_state {prefix}_memory;\n#endif\n")
    more = ", int32_t steps" if graph.sequences else ""
    text.comment("Real numbers as the network reads them. Returns how many were not finite; these become 0.")
    text.line(f"int32_t {prefix}_encode({prefix}_in *to, const float *from);")
    text.comment("To call before every image or sequence.")
    text.line(f"void {prefix}_init({prefix}_state *s);")
    if graph.schedule == "pipelined":
        text.comment(
            "The frame of the next step." if graph.sequences else "The image, which stays the same in all steps."
        )
        text.line(f"void {prefix}_input({prefix}_state *s, const {prefix}_in *x);")
    if stepped(graph):
        text.comment(f"One step; nothing after {prefix}_STEPS.")
        text.line(f"void {prefix}_step({prefix}_state *s);")
    text.comment(
        "All of it. Returns the steps done, -1 for a number of steps that cannot be."
        if more
        else "All of it. Returns the steps done."
    )
    text.line(f"int32_t {prefix}_run({prefix}_state *s, const {prefix}_in *x{more});")
    if has_classes(graph):
        text.comment("The same; returns the class, the first of equal ones.")
        text.line(f"int32_t {prefix}_classify({prefix}_state *s, const {prefix}_in *x{more});")
    for readout in graph.readouts:
        suffix = "" if len(graph.readouts) == 1 else f"_{code.ids[readout.name]}"
        text.comment(f"Copies the output {readout.output} as it is now.")
        text.line(f"void {prefix}_output{suffix}(const {prefix}_state *s, {prefix}_out{suffix} *to);")
    text.verbatim("\n#ifdef __cplusplus\n}\n#endif\n#endif\n")
    return str(text)
