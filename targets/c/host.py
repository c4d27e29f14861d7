"""The text of NAME_host.c: runs images through the generated code and keeps what is asked for.

It defines the hooks of the generated code and includes it, so that one compilation sees both. The memory of a network
lies at the start of a larger structure, behind which the hooks find where to write. Nothing is shared between calls:
threads may run different images of one job at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spikec.ir import IntegerGraph
from spikec.targets.c.building import FLAGS_MACRO
from spikec.targets.c.kept import Kept

if TYPE_CHECKING:
    from spikec.targets.c.code import Source


def host_name(source: Source) -> str:
    """The file name of the host."""
    return f"{source.name}_host.c"


def sources_of(
    source: Source, graph: IntegerGraph, senders: tuple[Kept, ...], readers: tuple[Kept, ...]
) -> dict[str, str]:
    """All texts to compile, by file name."""
    return {
        f"{source.name}.h": source.header,
        f"{source.name}.c": source.body,
        host_name(source): host_text(source, graph, senders, readers),
    }


def host_text(source: Source, graph: IntegerGraph, senders: tuple[Kept, ...], readers: tuple[Kept, ...]) -> str:
    """C99. ``graph``: says which steps count; ``senders`` and ``readers``: what the hooks keep."""
    values = {
        "name": source.name,
        "pixels": int(np.prod(source.input_shape)),
        "emitted": "\n".join(_emitted(k, one, graph) for k, one in enumerate(senders)),
        "read": "\n".join(_read(k, one) for k, one in enumerate(readers)),
        "ends": "\n".join(
            [*(_silence(k, one) for k, one in enumerate(senders)), *map(_stay, range(len(readers)), readers)]
        ),
        "frames": "job->room" if graph.sequences else "1",
        "length": ", job->lengths ? job->lengths[row] : job->room" if graph.sequences else "",
        "flags": FLAGS_MACRO,
    }
    return _TEXT.format(**values)


def ctype(dtype: np.dtype[Any]) -> str:
    """``int16_t``."""
    return f"{dtype.name}_t"


def _emitted(k: int, one: Kept, graph: IntegerGraph) -> str:
    """The case of population ``k``: what it has emitted at ``step`` is added to what is kept of it."""
    lines = [f"    case {k}: {{", f"        const {ctype(one.given)} *from = values;", "        int64_t i;"]
    assert one.total is not None
    counted = graph.timing.counted_steps
    # In a sequence, and where no layer runs on after the last counted step, every step counts.
    some = not graph.sequences and graph.emission_steps > counted
    inner = _sum("totals", k, one.total, one.neurons, "from[i]")
    if one.each is not None:
        inner += _copy("senders", k, one.each, one.neurons, "from[i]")
    lines += [f"        if (step < {counted}) {{", *(f"    {line}" for line in inner), "        }"] if some else inner
    if one.events is not None:
        lines += _sum("events", k, one.events, one.neurons, "(from[i] != 0)")
    return "\n".join([*lines, "        break;", "    }"])


def _read(k: int, one: Kept) -> str:
    assert one.each is not None
    lines = [f"    case {k}: {{", f"        const {ctype(one.given)} *from = values;", "        int64_t i;"]
    return "\n".join([*lines, *_copy("readers", k, one.each, one.neurons, "from[i]"), "        break;", "    }"])


def _sum(place: str, k: int, dtype: np.dtype[Any], neurons: int, what: str) -> list[str]:
    """Adds over the steps; the first one needs no zeros to add to."""
    kind = ctype(dtype)
    return [
        f"        if (job->{place}[{k}]) {{",
        f"            {kind} *to = ({kind} *)job->{place}[{k}] + row * {neurons};",
        f"            if (step == 0) for (i = 0; i < {neurons}; ++i) to[i] = ({kind}){what};",
        f"            else for (i = 0; i < {neurons}; ++i) to[i] = ({kind})(to[i] + {what});",
        "        }",
    ]


def _copy(place: str, k: int, dtype: np.dtype[Any], neurons: int, what: str) -> list[str]:
    kind = ctype(dtype)
    return [
        f"        if (job->{place}[{k}]) {{",
        f"            {kind} *to = ({kind} *)job->{place}[{k}] + (row * job->room + step) * {neurons};",
        f"            for (i = 0; i < {neurons}; ++i) to[i] = ({kind}){what};",
        "        }",
    ]


def _silence(k: int, one: Kept) -> str:
    """After the last step of an image, its raster is silent."""
    if one.each is None:
        return ""
    size = one.neurons * one.each.itemsize
    return (
        f"    if (job->senders[{k}] && steps < job->room)\n"
        f"        memset((char *)job->senders[{k}] + (row * job->room + steps) * {size}, 0, "
        f"(size_t)(job->room - steps) * {size});"
    )


def _stay(k: int, one: Kept) -> str:
    """After the last step of an image, its output stays what it is."""
    assert one.each is not None
    size = one.neurons * one.each.itemsize
    return (
        f"    for (step = steps; job->readers[{k}] && step < job->room; ++step) {{\n"
        f"        char *to = (char *)job->readers[{k}] + (row * job->room + step) * {size};\n"
        f"        memcpy(to, to - {size}, {size});\n"
        "    }"
    )


_TEXT = """\
/* Runs images through {name}.c and keeps what is asked for. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define {name}_EMITTED(s, k, step, values) host_emitted((s), (k), (step), (values))
#define {name}_READ(s, k, step, values) host_read((s), (k), (step), (values))
static void host_emitted(const void *state, int32_t k, int32_t step, const void *values);
static void host_read(const void *state, int32_t k, int32_t step, const void *values);
#include "{name}.c"

#if defined(__GNUC__)
#define HOST_EXPORT __attribute__((visibility("default")))
#else
#define HOST_EXPORT
#endif

/* Arrays over all images, C order, in the types of the hooks' cases; a null pointer: not wanted. */
typedef struct {{
    const {name}_in *images;
    const int32_t *lengths;      /* steps of each sequence; null: all have `room` */
    int32_t room;                /* steps that rasters and curves have for each image */
    void *const *totals;         /* by population: counts, or the number of a layerwise network */
    void *const *events;         /* by population: steps with an emission that is not zero */
    void *const *senders;        /* by population: raster */
    void *const *readers;        /* by readout: output after each step */
    int32_t *steps;              /* steps that each image ran */
    const volatile int32_t *stop; /* not zero: end before the next image */
}} host_job;

typedef struct {{
    {name}_state net; /* first: what the hooks are given is the whole */
    const host_job *job;
    int64_t row;
}} host;

static void host_emitted(const void *state, int32_t k, int32_t step, const void *values) {{
    const host_job *job = ((const host *)state)->job;
    const int64_t row = ((const host *)state)->row;
    switch (k) {{
{emitted}
    default: break;
    }}
    (void)job; (void)row; (void)step; (void)values;
}}

static void host_read(const void *state, int32_t k, int32_t step, const void *values) {{
    const host_job *job = ((const host *)state)->job;
    const int64_t row = ((const host *)state)->row;
    switch (k) {{
{read}
    default: break;
    }}
}}

/* What an image that ended after `steps` steps leaves in the steps behind. */
static void host_end(const host_job *job, int64_t row, int32_t steps) {{
    int32_t step;
{ends}
    (void)step;
}}

/* Images first .. first + count - 1. Returns 0; 1: no memory; 2: the network refused a number of steps. */
HOST_EXPORT int32_t host_run(const host_job *job, int64_t first, int64_t count) {{
    host *all = malloc(sizeof *all);
    int64_t row;
    int32_t wrong = 0;
    if (!all) return 1;
    all->job = job;
    for (row = first; row < first + count && !wrong && !*job->stop; ++row) {{
        int32_t steps;
        all->row = row;
        steps = {name}_run(&all->net, job->images + row * {frames} * {pixels}{length});
        if (steps < 1) {{
            wrong = 2;
        }} else {{
            host_end(job, row, steps);
            if (job->steps) job->steps[row] = steps;
        }}
    }}
    free(all);
    return wrong;
}}

/* The flags it was built with. */
HOST_EXPORT const char *host_flags(void) {{ return {flags}; }}
"""
