"""The text of generated code: names, comments, the interface, the input coding."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.c_networks import Together
from helpers.networks import digits_network
from helpers.nodes import affine, convolution, flatten, graph_of, population, readout
from helpers.oracle import oracle
from hypothesis import given
from hypothesis import strategies as st

from spikec.ir.coding import InputNode, InputRange, integers
from spikec.targets.c.code import Choices, generate
from spikec.targets.c.code.text import Identifiers, shown

_GOLDEN = Path(__file__).with_name("golden")
_HOSTILE = (
    "*/ int x; /*", 'a"; system("rm");//', "line\nbreak", "back\\", "??/", "größe", "‮", "int", "main", "INT8_MAX",
    "_", "", "a.b", "a_b", "a b", "w_conv", "state", "1st", "NULL", "#define s t", "%s%n", "x" * 300, "x" * 301,
)  # fmt: skip


def _tiny(**names):
    """An image of 2 x 2, a convolution, two maps of neurons, two classes. ``names``: others for its nodes."""
    weight = np.arange(-3, 5).reshape(2, 1, 2, 2)
    nodes = [
        InputNode("input", (1, 2, 2), "uint8", 0.5),
        convolution("conv", ["input"], (1, 2, 2), weight, [5, -1], padding=1),
        population("fire", ["conv"], (2, 3, 3), theta=300, v_init=150), flatten("flat", ["fire"], (2, 3, 3)),
        affine("head", ["flat"], np.arange(-18, 18).reshape(2, 18)), readout("readout", ["head"], 2, [3, -4], 0.25),
    ]  # fmt: skip
    graph = graph_of(nodes, timesteps=2)
    renamed = {name: names.get(name, name) for name in graph.nodes}
    sources = {n.name: tuple(renamed[s] for s in n.sources) for n in graph}
    changed = [
        replace(n, name=renamed[n.name], sources=sources[n.name]) if n.sources else replace(n, name=renamed[n.name])
        for n in graph
    ]
    return replace(graph, nodes={node.name: node for node in changed}, content_sha256="0" * 64, producer="spikec")


@pytest.mark.parametrize("form", ["plain", "vectors"])
def test_the_text_of_a_tiny_network(form):
    source = generate(_tiny(), "tiny", Choices(vectors=form == "vectors"))
    text = re.sub(r"Written by spikec [^ ]+\.$", "Written by spikec.", source.header + source.body, flags=re.MULTILINE)
    kept = _GOLDEN / f"tiny_{form}.txt"
    assert text == kept.read_text(), f"if this is meant, write the new text to {kept}"


@pytest.mark.parametrize("seed", range(4))
def test_names_and_metadata_cannot_break_out(compiler, tmp_path, seed):
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(_HOSTILE))
    names = dict(zip(_tiny().nodes, (_HOSTILE[n] for n in drawn[:6]), strict=True))
    graph = _tiny(**names)
    output = next(n for n in graph.nodes.values() if n.name == names["readout"])
    nodes = graph.nodes | {output.name: replace(output, output=_HOSTILE[drawn[6]])}
    graph = replace(graph, nodes=nodes, producer=_HOSTILE[drawn[7]], content_sha256=_HOSTILE[drawn[8]])
    for prefix in (_HOSTILE[drawn[9]], "main", "int"):
        source = generate(graph, prefix)
        code = re.sub(r"/\*.*?\*/", "", source.header + source.body, flags=re.DOTALL)
        assert not re.search(r"system|rm\b|#define s|%n|int x;", code)
        folder = tmp_path / source.name
        folder.mkdir()
        images = rng.integers(0, 256, (3, 1, 2, 2))
        together = Together(folder, [source], [images])
        assert together.build(compiler.command, "-Wall", "-Wextra", "-pedantic", "-Werror") == ""
        (found,) = together.run()
        want = oracle(graph, images)
        np.testing.assert_array_equal(found.read[output.name][:, -1], want.outputs[_HOSTILE[drawn[6]]])


@given(st.lists(st.text(max_size=60) | st.sampled_from(_HOSTILE), unique=True, max_size=30))
def test_every_node_has_a_name_of_its_own(names):
    found = Identifiers(names)
    made = [found[name] for name in names]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,56}", name) for name in made)


@given(st.text(max_size=80) | st.sampled_from(_HOSTILE))
def test_comments_are_plain(text):
    assert re.fullmatch(r"[ -~]*", shown(text))
    assert not any(part in shown(text) for part in ("*/", "/*", "\\", "??"))


_CODING = """\
#include <stdint.h>
#include <stdio.h>
#include "net.c"
int main(void)
{
    static float from[net_INPUTS];
    static net_in to[net_INPUTS];
    int32_t missing;
    if (fread(from, sizeof from, 1, stdin) != 1) return 1;
    missing = net_encode(to, from);
    fwrite(&missing, sizeof missing, 1, stdout);
    return fwrite(to, sizeof to, 1, stdout) != 1;
}
"""


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("scale", [1 / 255, 0.5, 0.017, 3e-39, 1e30])
def test_images_become_the_same_integers(compiler, tmp_path, dtype, scale):
    rng = np.random.default_rng(1)
    halves = (np.arange(-300, 300) + 0.5) * scale
    wide = rng.normal(0, 200 * scale, 1400)
    real = np.concatenate([halves, wide, [0, np.inf, -np.inf, np.nan, 3e38, -3e38]]).astype(np.float32)
    nodes = [InputNode("input", (len(real),), dtype, scale), affine("head", ["input"], np.ones((2, len(real))))]
    source = generate(graph_of([*nodes, readout("readout", ["head"], 2)]), "net")
    (tmp_path / "net.h").write_text(source.header)
    (tmp_path / "net.c").write_text(source.body)
    (tmp_path / "main.c").write_text(_CODING)
    subprocess.run([*compiler.command, "-std=c99", "-O2", "main.c", "-o", "program"], cwd=tmp_path, check=True)
    done = subprocess.run(["./program"], cwd=tmp_path, input=real.tobytes(), capture_output=True, check=True).stdout
    finite = np.isfinite(real)
    want = integers(InputRange(dtype, scale), np.where(finite, real, 0))
    assert np.frombuffer(done, np.int32, 1)[0] == np.count_nonzero(~finite)
    np.testing.assert_array_equal(np.frombuffer(done, dtype, -1, 4), want)


_INTERFACE = """\
#include <stdint.h>
#include <stdio.h>
#include "net.h"
int main(void)
{
    static net_state one, two;
    static net_in x[2][net_INPUTS];
    net_out whole[2][net_OUTPUTS], stepped[net_OUTPUTS];
    int32_t i, t, bad = 0;
    for (i = 0; i < net_INPUTS; ++i) { x[0][i] = (net_in)(i * 7 % 256); x[1][i] = (net_in)(255 - i); }
    for (i = 0; i < 2; ++i) { net_run(&one, x[i]); net_output(&one, whole[i]); }
    net_init(&one); net_input(&one, x[0]);
    net_init(&two); net_input(&two, x[1]);
    for (t = 0; t < net_STEPS; ++t) { net_step(&one); net_step(&two); }  /* side by side */
    net_step(&one); /* nothing after the last step */
    net_output(&one, stepped);
    for (i = 0; i < net_OUTPUTS; ++i) bad += stepped[i] != whole[0][i];
    net_output(&two, stepped);
    for (i = 0; i < net_OUTPUTS; ++i) bad += stepped[i] != whole[1][i];
    for (i = 0; i < net_OUTPUTS; ++i) bad += whole[0][i] > whole[0][net_classify(&net_memory, x[0])];
    printf("%d\\n", (int)bad);
    return 0;
}
"""


def test_steps_states_and_static_memory(compiler, tmp_path):
    source = generate(digits_network(), "net")
    (tmp_path / "net.h").write_text(source.header)
    (tmp_path / "net.c").write_text(source.body)
    (tmp_path / "main.c").write_text(_INTERFACE)
    command = [
        *compiler.command,
        "-std=c99",
        "-Dnet_STATIC",
        "-Wall",
        "-Wextra",
        "-Werror",
        "main.c",
        "net.c",
        "-o",
        "program",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run(["./program"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "0\n"


def test_memory_is_what_the_compiler_reserves(compiler, tmp_path):
    source = generate(digits_network(), "net")
    (tmp_path / "net.h").write_text(source.header)
    text = '#include <stdio.h>\n#include "net.h"\nint main(void) { printf("%d", (int)sizeof(net_state)); return 0; }\n'
    (tmp_path / "main.c").write_text(text)
    subprocess.run([*compiler.command, "-std=c99", "main.c", "-o", "program"], cwd=tmp_path, check=True)
    size = int(subprocess.run(["./program"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    assert 0 <= size - source.memory.ram < 8  # up to the alignment of the whole
