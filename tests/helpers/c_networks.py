"""Generated code of many networks in one program: it reads images from a file and writes down all that is emitted and
read, in order. A program of its own, so that sanitizers and emulators can run it too."""

from __future__ import annotations

import struct
import subprocess
from types import SimpleNamespace

import numpy as np

_HOST = """\
#include <stdint.h>
#include <stdio.h>
static FILE *NAME_log;
static void NAME_write(int32_t what, int32_t k, int32_t step, const void *values, int32_t size)
{
    const int32_t head[4] = {what, k, step, size};
    fwrite(head, sizeof head, 1, NAME_log);
    fwrite(values, 1, (size_t)size, NAME_log);
}
static int32_t NAME_size(int32_t what, int32_t k)
{
    static const int32_t sizes[2][SLOTS] = {{SENDERS}, {READERS}};
    return sizes[what][k];
}
#define NAME_EMITTED(s, k, step, values) NAME_write(0, k, step, values, NAME_size(0, k))
#define NAME_READ(s, k, step, values) NAME_write(1, k, step, values, NAME_size(1, k))
#include "NAME.c"
int NAME_main(void);
int NAME_main(void)
{
    static NAME_state s;
    static NAME_in x[FRAMES * NAME_INPUTS];
    FILE *images = fopen("NAME.in", "rb");
    int32_t i, done;
    if (images == NULL) return 1;
    NAME_log = fopen("NAME.out", "wb");
    for (i = 0; i < IMAGES; ++i) {
        for (size_t n = 0; n < sizeof s; ++n) ((unsigned char *)&s)[n] = 0xA5; /* whatever was there before */
        if (fread(x, sizeof x, 1, images) != 1) return 1;
        done = NAME_run(&s, xSTEPS);
        NAME_write(2, i, done, &done, 0);
    }
    fclose(images);
    return fclose(NAME_log);
}
"""


class Together:
    """Sources compiled into one program; ``given``: for each the integers that it runs [N, *input] or, of sequences,
    [N, steps, *input]."""

    def __init__(self, folder, sources, given):
        self.folder, self.sources, self.given = folder, sources, given
        names = [source.name for source in sources]
        for source, images in zip(sources, given, strict=True):
            for name, text in (("h", source.header), ("c", source.body)):
                (folder / f"{source.name}.{name}").write_text(text)
            (folder / f"{source.name}_host.c").write_text(_host(source, images))
            np.ascontiguousarray(images.astype(source.input_dtype)).tofile(folder / f"{source.name}.in")
        declared = "\n".join(f"int {name}_main(void);" for name in names)
        called = " || ".join(f"{name}_main()" for name in names)
        (folder / "all_networks.c").write_text(f"{declared}\nint main(void) {{ return {called}; }}\n")

    def build(self, compiler, *flags):
        """Compile; what the compiler said."""
        files = ["all_networks.c", *(f"{source.name}_host.c" for source in self.sources)]
        command = [*compiler, "-std=c99", *flags, "-o", "program", *files]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:4000]
        return done.stderr

    def run(self, *emulator):
        """Run the program; one namespace a network: ``emitted`` and ``read`` by name, [N, calls, *shape] int64."""
        done = subprocess.run([*emulator, "./program"], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.returncode}: {done.stderr[-4000:]}"
        return [_parsed(self.folder / f"{source.name}.out", source) for source in self.sources]


def _host(source, images):
    def sizes(parts):
        return ", ".join(str(int(np.prod(part.shape)) * part.dtype.itemsize) for part in parts) or "0"

    frames = images.shape[1] if source.sequences else 1
    text = _HOST.replace("SLOTS", str(max(len(source.senders), len(source.readers), 1)))
    text = text.replace("SENDERS", sizes(source.senders)).replace("READERS", sizes(source.readers))
    text = text.replace("FRAMES", str(frames)).replace("IMAGES", str(len(images)))
    text = text.replace("xSTEPS", f"x, {frames}" if source.sequences else "x")
    return text.replace("NAME", source.name)


def _parsed(path, source):
    data, at = path.read_bytes(), 0
    found = SimpleNamespace(emitted={}, read={}, steps=[])
    current = [{}, {}]
    while at < len(data):
        what, k, step, size = struct.unpack_from("<4i", data, at)
        at += 16
        if what == 2:
            for into, parts, seen in (
                (found.emitted, source.senders, current[0]),
                (found.read, source.readers, current[1]),
            ):
                for number, part in enumerate(parts):
                    rows = seen.get(number, {})
                    assert sorted(rows) == list(range(len(rows))), f"{part.name}: steps {sorted(rows)}"
                    into.setdefault(part.name, []).append([rows[t] for t in range(len(rows))])
            found.steps.append(step)
            current = [{}, {}]
            continue
        part = (source.senders, source.readers)[what][k]
        values = np.frombuffer(data, part.dtype, size // part.dtype.itemsize, at).astype(np.int64)
        at += size
        assert step not in current[what].setdefault(k, {}), f"{part.name}: step {step} twice"
        current[what][k][step] = _placed(values, part.shape)
    found.emitted = {name: np.array(rows) for name, rows in found.emitted.items()}
    found.read = {name: np.array(rows) for name, rows in found.read.items()}
    return found


def _placed(values, shape):
    """Maps lie in memory as [row][column][channel]."""
    if len(shape) != 3:
        return values.reshape(shape)
    return values.reshape(shape[1], shape[2], shape[0]).transpose(2, 0, 1)


def train_of(kind, number, timesteps):
    """The emissions [T, *shape] that write a number, spelled out for each kind that runs layerwise."""
    name, most = getattr(kind, "origin", kind).name, kind.emission[1]
    if name == "graded":
        return number[None]
    if name == "bit_serial":
        return np.array([(number >> (timesteps - 1 - t)) & 1 for t in range(timesteps)])
    assert name in ("if", "signed_if")
    return np.array([np.clip(number - most * t, 0, most) for t in range(timesteps)])
