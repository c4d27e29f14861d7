"""The program around a network that runs without a system: its C, and where a linker puts it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikec.targets.c.code import Source

FLASH, RAM = 0x0800_0000, 0x2000_0000


def linker_script(flash: int, ram: int) -> str:
    """Where a linker puts code and constants, and what is written. Sizes in bytes."""
    return (
        "MEMORY {\n"
        f"  FLASH (rx) : ORIGIN = {FLASH:#x}, LENGTH = {flash}\n"
        f"  RAM (rw) : ORIGIN = {RAM:#x}, LENGTH = {ram}\n"
        "}\n"
        "SECTIONS {\n"
        "  .text : { *(.text*) } > FLASH\n"
        "  .rodata : { *(.rodata*) } > FLASH\n"
        "  .data : { *(.data*) *(.sdata*) } > RAM\n"
        "  .bss (NOLOAD) : { *(.bss*) *(.sbss*) *(COMMON) } > RAM\n"
        "  /DISCARD/ : { *(.ARM.exidx*) *(.ARM.extab*) *(.eh_frame*) *(.comment*) *(.note*) }\n"
        "}\n"
    )


def application(source: Source) -> str:
    """A program around the network: input and outputs as arrays, and the two functions of a library that compilers call
    without being asked."""
    name, pixels = source.name, math.prod(source.input_shape)
    frames = source.steps if source.sequences else 1
    suffixes = re.findall(rf"^void {name}_output(\w*)\(", source.header, re.MULTILINE)  # in the order of the readouts
    reads, arrays = [], []
    for k, (reader, suffix) in enumerate(zip(source.readers, suffixes, strict=True)):
        arrays.append(f"{name}_out{suffix} app_output_{k}[{math.prod(reader.shape)}];")
        reads.append(f"    {name}_output{suffix}(&app_state, app_output_{k});")
    call = f"{name}_run(&app_state, app_input{', steps' if source.sequences else ''})"
    return "\n".join(
        [
            "#include <stddef.h>",
            f'#include "{name}.h"',
            "#ifdef __clang__",
            "#define NO_LIBRARY __attribute__((no_builtin))",
            "#else",
            '#define NO_LIBRARY __attribute__((optimize("no-tree-loop-distribute-patterns")))',
            "#endif",
            f"static {name}_state app_state;",
            f"{name}_in app_input[{frames * pixels}];",
            *arrays,
            "int32_t app_run(int32_t steps);",
            "int32_t app_run(int32_t steps) {",
            "    (void)steps;",
            f"    if ({call} < 1) return 1;",
            *reads,
            "    return 0;",
            "}",
            "NO_LIBRARY void *memset(void *to, int value, size_t size) {",
            "    unsigned char *at = to;",
            "    while (size--) *at++ = (unsigned char)value;",
            "    return to;",
            "}",
            "NO_LIBRARY void *memcpy(void *to, const void *from, size_t size) {",
            "    unsigned char *at = to;",
            "    const unsigned char *source = from;",
            "    while (size--) *at++ = *source++;",
            "    return to;",
            "}",
            "",
        ]
    )
