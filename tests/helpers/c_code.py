"""Code in the form that the emitter writes, by hand: what it emits is known without running a network."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from helpers.nodes import affine, flatten, graph_of, population, readout
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph

#: Channels, rows and columns of the maps that it reads and emits: all different, so that no order can be mistaken.
SHAPE = (2, 3, 4)
CLASSES = 3
STEPS, DRAIN = 4, 2

_HEADER = """\
#include <stdint.h>
typedef uint8_t hand_in;
typedef struct { hand_in x[24]; int8_t maps[24]; int16_t out[3]; } hand_state;
int32_t hand_run(hand_state *s, const hand_in *x);
"""
_BODY = """\
#include "hand.h"
#include <stdint.h>
#ifndef hand_EMITTED
#define hand_EMITTED(s, k, step, values) ((void)0)
#endif
#ifndef hand_READ
#define hand_READ(s, k, step, values) ((void)0)
#endif
/* Emits 0 for (pixel + channel) mod 3 steps, then 1, 0, -1 and again; puts out the sum of the pixels times the step and
   the class. An image whose first pixel is p, below 6, stops after p steps. */
int32_t hand_run(hand_state *s, const hand_in *x) {
    int32_t t, c, i, sum = 0, last = x[0] > 0 && x[0] < 6 ? x[0] : 6;
    for (i = 0; i < 24; ++i) sum += x[i];
    for (t = 0; t < last; ++t) {
        for (c = 0; c < 2; ++c)
            for (i = 0; i < 12; ++i) {
                const int32_t late = t - (x[c * 12 + i] + c) % 3;
                s->maps[i * 2 + c] = (int8_t)(late < 0 ? 0 : 1 - late % 3);
            }
        hand_EMITTED(s, 0, t, s->maps);
        for (i = 0; i < 3; ++i) s->out[i] = (int16_t)(sum * (t + 1) * i - 7);
        hand_READ(s, 0, t, s->out);
    }
    return last;
}
"""


def by_hand() -> tuple[IntegerGraph, SimpleNamespace]:
    """A graph with the layers of the code (signed neurons, drain) and the source. They compute different things."""
    nodes = [
        InputNode("input", SHAPE, "uint8", 1.0),
        population("fire", ["input"], SHAPE, "signed_if"),
        flatten("flat", ["fire"], SHAPE),
        affine("head", ["flat"], np.zeros((CLASSES, 24))),
        readout("readout", ["head"], CLASSES),
    ]
    source = SimpleNamespace(
        name="hand",
        header=_HEADER,
        body=_BODY,
        senders=(SimpleNamespace(name="fire", shape=SHAPE, dtype=np.dtype(np.int8)),),
        readers=(SimpleNamespace(name="readout", output="output", shape=(CLASSES,), dtype=np.dtype(np.int16)),),
        input_shape=SHAPE,
        input_dtype=np.dtype(np.uint8),
        sequences=False,
        numbers=False,
        steps=STEPS + DRAIN,
    )
    return graph_of(nodes, STEPS, "pipelined", DRAIN), source


def expected(images: np.ndarray) -> SimpleNamespace:
    """What the code leaves, uint8 [N, *SHAPE]: raster int64 [N, steps, *SHAPE], counts, events, curve [N, steps,
    CLASSES], steps [N]."""
    steps, total = np.arange(STEPS + DRAIN), STEPS + DRAIN
    x = images.astype(np.int64)[:, None]
    channel = np.arange(SHAPE[0])[:, None, None]
    late = steps[:, None, None, None] - (x + channel) % 3
    raster = np.where(late < 0, 0, 1 - late % 3)
    first = images[:, 0, 0, 0].astype(np.int64)
    ran = np.where((first > 0) & (first < 6), first, total)
    running = steps < ran[:, None]
    raster = raster * running[:, :, None, None, None]
    last = np.minimum(steps + 1, ran[:, None])
    curve = images.sum(axis=(1, 2, 3), dtype=np.int64)[:, None, None] * last[:, :, None] * np.arange(CLASSES) - 7
    return SimpleNamespace(raster=raster, counts=raster.sum(1), events=(raster != 0).sum(1), curve=curve, steps=ran)
