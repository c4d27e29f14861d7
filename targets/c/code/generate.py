"""Both files of a network."""

from __future__ import annotations

import math

import numpy as np

from spikec.errors import DataError
from spikec.ir.graph import IntegerGraph
from spikec.ir.outputs import has_classes
from spikec.ir.types import TIMESTEPS_MAX
from spikec.targets.c.code.choices import Choices
from spikec.targets.c.code.context import Context, stepped
from spikec.targets.c.code.early import write_decided
from spikec.targets.c.code.encoding import write_encode
from spikec.targets.c.code.header import introduction, write_header
from spikec.targets.c.code.layout import order_of
from spikec.targets.c.code.network import Schedule, Stage, scheduled
from spikec.targets.c.code.rows import VECTORS
from spikec.targets.c.code.source import Memory, Source
from spikec.targets.c.code.text import Text
from spikec.targets.c.code.weights import UNPACKING
from spikec.targets.c.naming import name_of
from spikec.words import option


def generate(graph: IntegerGraph, name: str = "net", choices: Choices | None = None) -> Source:
    """The C of ``graph``. ``name``: prefix of everything public, and of the files.

    Raises ``DoesNotFit`` for what has no form in C, ``RangeError`` for sums beyond 62 bits, ``GraphError`` for a graph
    that cannot run.
    """
    chosen = choices or Choices()
    if graph.sequences and chosen.longest is not None:
        if not 1 <= chosen.longest <= TIMESTEPS_MAX:
            raise DataError(
                f"longest={chosen.longest!r} is not possible; give the most steps of a sequence, at least 1"
            )
        graph = graph.lasting(chosen.longest)
    prefix = name_of(name)
    code = Context(graph, prefix, chosen)
    run = scheduled(code)
    decided = ""
    if chosen.early_exit is not None:
        if graph.sequences:
            raise DataError(f"{option('early_exit')} needs an image that stays the same; leave it out for sequences")
        decided = write_decided(code, run.outputs)
    text = Text()
    _write_calls(text, code, run, decided)
    body = Text()
    introduction(body, code, run)
    body.verbatim(f'#include "{prefix}.h"\n\n{_HOOKS.replace("NAME", prefix)}\n')
    code.state.define(body)
    body.verbatim(f"#ifdef {prefix}_STATIC\n{prefix}_state {prefix}_memory;\n#endif\n")
    for bits in sorted(code.packed):
        body.comment(f"Number o of a row of {bits}-bit numbers")
        body.verbatim(UNPACKING[bits] + "\n")
    if chosen.vectors:
        body.comment("Vectors of numbers, an extension of gcc and clang")
        body.verbatim(VECTORS)
    body.verbatim(str(code.tables.text))
    body.verbatim(str(code.functions))
    body.verbatim(str(text))
    return Source(
        name=prefix,
        header=write_header(code, run),
        body=str(body),
        senders=tuple(run.senders),
        readers=tuple(run.readers),
        input_shape=graph.input.shape,
        input_dtype=np.dtype(graph.input.dtype),
        sequences=graph.sequences,
        stepped=stepped(graph),
        numbers=graph.schedule == "layerwise",
        steps=graph.emission_steps,
        memory=Memory(
            dict(code.tables.sizes),
            {"step": 4, **{member.name: member.size for member in code.state.kept}},
            code.state.shared,
            {member.name: member.size for member in code.state.taking_turns},
        ),
    )


_HOOKS = """/* For probes: define these before the file is included. Population k has emitted, readout k has read. */
#ifndef NAME_EMITTED
#define NAME_EMITTED(s, k, step, values) ((void)0)
#endif
#ifndef NAME_READ
#define NAME_READ(s, k, step, values) ((void)0)
#endif
"""


def _write_calls(text: Text, code: Context, run: Schedule, decided: str) -> None:
    prefix, graph = code.prefix, code.graph
    write_encode(text, prefix, graph.input)
    with text.function(f"void {prefix}_init({prefix}_state *const s)"):
        text.line("s->step = 0;")
        for member in code.state.kept:
            with text.loop("n", member.count):
                text.line(f"s->{member.name}[n] = 0;")
        for line in run.begin:
            text.line(line)
    if graph.schedule == "pipelined":
        with text.function(f"void {prefix}_input({prefix}_state *const s, const {prefix}_in *const x)"):
            for line in run.image or ["(void)s;", "(void)x;"]:
                text.line(line)
    if stepped(graph):
        with text.function(f"void {prefix}_step({prefix}_state *const s)"):
            text.line("const int32_t step = s->step;")
            text.line(f"if (step >= {prefix}_STEPS) return;")
            if graph.drain:
                text.line(f"const int32_t on = step < {graph.timesteps};")
            if run.off:
                text.line(f"if (step == {graph.timesteps}) {run.off}")
            for stage in run.stages:
                _write(text, stage.title, stage.lines)
            text.line("s->step = step + 1;")
    _write_run(text, code, run, decided)
    _write_outputs(text, code, run)


def _write(text: Text, title: str, lines: list[str]) -> None:
    if lines:
        text.comment(title)
    for line in lines:
        text.line(line)


def _write_run(text: Text, code: Context, run: Schedule, decided: str) -> None:
    prefix, graph = code.prefix, code.graph
    more = ", const int32_t steps" if graph.sequences else ""
    with text.function(f"int32_t {prefix}_run({prefix}_state *const s, const {prefix}_in *const x{more})"):
        if graph.sequences:
            text.line(f"if (steps < 1 || steps > {prefix}_STEPS) return -1;")
        text.line(f"{prefix}_init(s);")
        if graph.sequences:
            with text.loop("step", "steps"):
                text.line(f"{prefix}_input(s, x + step * {prefix}_INPUTS);")
                text.line(f"{prefix}_step(s);")
        elif stepped(graph):
            text.line(f"{prefix}_input(s, x);")
            text.line(f"{prefix}_step(s);")
            undecided = f" && !{decided}(s)" if decided else ""
            text.line(f"while (s->step < {prefix}_STEPS{undecided}) {prefix}_step(s);")
        elif graph.schedule == "layerwise":
            for stage in run.stages:
                _write(text, stage.title, stage.lines)
            text.line(f"s->step = {prefix}_STEPS;")
        else:
            text.line(f"{prefix}_input(s, x);")
            for stage in run.stages:
                _one_by_one(text, stage)
            text.line(f"s->step = {prefix}_STEPS;")
        text.line("return s->step;")
    if has_classes(graph):
        given = ", steps" if graph.sequences else ""
        with text.function(f"int32_t {prefix}_classify({prefix}_state *const s, const {prefix}_in *const x{more})"):
            if graph.sequences:
                text.line(f"if (steps < 1 || steps > {prefix}_STEPS) return -1;")
            text.line(f"{prefix}_run(s, x{given});")
            ((out, ctype),) = run.outputs.values()
            text.line(f"const {ctype} *const v = {out};")
            text.line("int32_t best = 0;")
            text.line(f"for (int32_t n = 1; n < {graph.readout.shape[0]}; ++n) if (v[n] > v[best]) best = n;")
            text.line("return best;")


def _one_by_one(text: Text, stage: Stage) -> None:
    """A node in all its steps, before the next."""
    if stage.before:
        text.comment(f"{stage.title}, first pass")
        with text.loop("step", stage.rehearsal):
            for line in stage.before:
                text.line(line)
        for line in stage.between:
            text.line(line)
    text.comment(stage.title)
    with text.loop("step", stage.steps):
        for line in stage.lines:
            text.line(line)


def _write_outputs(text: Text, code: Context, run: Schedule) -> None:
    prefix, graph = code.prefix, code.graph
    for readout in graph.readouts:
        out, _ = run.outputs[readout.name]
        suffix = "" if len(graph.readouts) == 1 else f"_{code.ids[readout.name]}"
        size = math.prod(readout.shape)
        text.comment(f"{readout.name}: output {readout.output}")
        with text.function(
            f"void {prefix}_output{suffix}(const {prefix}_state *const s, {prefix}_out{suffix} *const to)"
        ):
            if order_of(readout.shape) is None:
                with text.loop("n", size):
                    text.line(f"to[n] = ({out})[n];")
                continue
            count, rows, columns = readout.shape
            with text.loop("c", count), text.loop("y", rows), text.loop("x", columns):
                text.line(f"to[(c * {rows} + y) * {columns} + x] = ({out})[(y * {columns} + x) * {count} + c];")
