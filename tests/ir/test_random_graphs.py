"""Random graphs of every kind: bit for bit through a file, and no edit of the file goes unnoticed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.cases import CASES, steps_of
from helpers.drawn import drawn
from helpers.same import same
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.ir import build, decode, diff

_SETTINGS = settings(max_examples=drawn(10), deadline=None)


def _graph(random_graph, seed, case):
    kind, schedule, drain = case
    rng = np.random.default_rng(seed)
    steps = steps_of(kind, 4)
    return random_graph(rng, kind=kind, schedule=schedule, timesteps=steps, drain=drain, small=seed % 2 == 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
@_SETTINGS
@given(seed=st.integers(0, 2**32))
def test_survives_a_file_bit_for_bit(random_graph, case, seed):
    built = build(_graph(random_graph, seed, case))
    with tempfile.TemporaryDirectory() as folder:
        first, again = (Path(folder, name) for name in ("first.nir", "again.nir"))
        loaded = tc.load(tc.save(built, first))
        tc.save(loaded, again)
        assert first.read_bytes() == again.read_bytes()
        assert build(_graph(random_graph, seed, case)).metadata == built.metadata
    assert same(decode(built), decode(loaded))
    assert diff(built, loaded) == []
    for name, node in built.nodes.items():
        for field in ("weight", "bias", "v_threshold", "v_reset", "r"):
            if hasattr(node, field):
                assert getattr(loaded.nodes[name], field).tobytes() == getattr(node, field).tobytes()


class _Edit:
    """One change of a written file, drawn by Hypothesis."""

    def __init__(self, file, draw):
        self.file, self.draw = file, draw
        self.datasets, self.groups = [], []
        file.visititems(
            lambda name, item: (self.datasets if isinstance(item, h5py.Dataset) else self.groups).append(name)
        )

    def _pick(self, names):
        return self.draw(st.sampled_from(sorted(names)))

    def _put(self, name, value):
        del self.file[name]
        value = np.asarray(value)
        self.file[name] = value.astype(h5py.string_dtype()) if value.dtype.kind in "OU" else value

    def value(self):
        """Another value in one place of a dataset: a bit flipped, a sign turned, a character less."""
        name = self._pick(self.datasets)
        old = np.asarray(self.file[name][()])
        if old.dtype.kind in "OS":
            texts = [t.decode() if isinstance(t, bytes) else str(t) for t in old.reshape(-1)]
            at = self.draw(st.integers(0, len(texts) - 1))
            cut = self.draw(st.integers(0, max(0, len(texts[at]) - 1)))
            texts[at] = texts[at][:cut] + self.draw(st.sampled_from(["", "0", "x", "-"])) + texts[at][cut + 1 :]
            self._put(name, np.array(texts, dtype=object).reshape(old.shape))
        elif old.size:
            flat = old.reshape(-1).copy()
            at = self.draw(st.integers(0, flat.size - 1))
            raw = flat[at : at + 1].view(np.uint8)
            raw[self.draw(st.integers(0, raw.size - 1))] ^= 1 << self.draw(
                st.integers(0, 7 if old.dtype != bool else 0)
            )
            self._put(name, flat.reshape(old.shape))

    def dtype(self):
        """The same values in another type."""
        name = self._pick(d for d in self.datasets if self.file[d].dtype.kind in "iuf")
        wanted = self.draw(st.sampled_from([np.float64, np.float32, np.int64, np.int16, np.uint8, np.float16]))
        with np.errstate(all="ignore"):
            self._put(name, np.asarray(self.file[name][()]).astype(wanted))

    def shape(self):
        """The same values in another shape, repeated or cut."""
        name = self._pick(d for d in self.datasets if self.file[d].dtype.kind in "iuf")
        old = np.asarray(self.file[name][()])
        change = self.draw(
            st.sampled_from([np.ravel, lambda x: x[None], lambda x: x.T, lambda x: np.atleast_1d(x)[:-1],
                             lambda x: np.concatenate([np.atleast_1d(x)] * 2)])
        )  # fmt: skip
        self._put(name, change(old))

    def exchange(self):
        """The contents of two datasets, such as the weights of two layers, change places."""
        a, b = self._pick(self.datasets), self._pick(self.datasets)
        first, second = self.file[a][()], self.file[b][()]
        self._put(a, second)
        self._put(b, first)

    def remove(self):
        del self.file[self._pick([*self.datasets, *(g for g in self.groups if g.count("/") > 1)])]

    def edge(self):
        """An edge with another end, one turned round, one less or one twice."""
        (name,) = (d for d in self.datasets if d.endswith("/edges"))
        edges = [tuple(end.decode() for end in edge) for edge in self.file[name][()]]
        at = self.draw(st.integers(0, len(edges) - 1))
        other = self.draw(st.sampled_from(sorted({end for edge in edges for end in edge})))
        source, end = edges[at]
        edges[at : at + 1] = self.draw(
            st.sampled_from([[(other, end)], [(source, other)], [(end, source)], [], [(source, end)] * 2])
        )
        self._put(name, np.array(edges, dtype=object))

    def add(self):
        """A dataset that no writer of ours makes, in any group."""
        group, name = self.file[self._pick(self.groups)], self.draw(st.sampled_from(["extra", "rho", "margin"]))
        if name not in group:
            group[name] = 1


_EDITS = ["value", "dtype", "shape", "exchange", "remove", "edge", "add"]


@pytest.mark.parametrize("edit", _EDITS)
@settings(max_examples=drawn(15), deadline=None)
@given(data=st.data())
def test_an_edit_is_refused_or_harmless(random_graph, edit, data):
    case = data.draw(st.sampled_from(CASES))
    built = build(_graph(random_graph, data.draw(st.integers(0, 5)), case))
    with tempfile.TemporaryDirectory() as folder:
        path = tc.save(built, Path(folder, "net.nir"))
        with h5py.File(path, "r+") as file:
            getattr(_Edit(file, data.draw), edit)()
        message, loaded = "", built
        try:
            loaded = tc.load(path)
        except tc.GraphError as error:
            message = str(error)
        assert not message or (message.startswith(str(path)) and "\n" not in message)
        assert same(decode(built), decode(loaded))
