"""The programs in examples/c, built with the system's compilers and run on images whose results are known."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.networks import small_network

import spikec as tc
from spikec.targets.c.code import generate

EXAMPLES = Path(__file__).parents[2] / "examples" / "c"
#: What a sketch needs of Arduino's library, on this machine: the serial line is the standard input and output.
ARDUINO = """\
#pragma once
#include <cstdio>
#include <cstddef>
struct Line {
    void begin(long) {}
    void setTimeout(long) {}
    size_t readBytes(char *to, size_t size) { return std::fread(to, 1, size, stdin); }
    void print(const char *text) { std::printf("%s", text); }
    void print(long number) { std::printf("%ld", number); }
    void print(unsigned long number) { std::printf("%lu", number); }
    void println(const char *text) { std::printf("%s\\n", text); }
};
static Line Serial;
static unsigned long micros() { static unsigned long now = 0; return now += 7; }
void setup();
void loop();
"""


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")


def call(*words: object, **more: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in words], capture_output=True, check=False, timeout=300, **more)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).random((3, 2, 7, 7)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(images):
    return tc.simulate(small_network(np.random.default_rng(7)), images).output


@pytest.fixture
def folder(tmp_path):
    """A copy of the examples with a network beside them."""
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    source = generate(small_network(np.random.default_rng(7)), "net")
    (tmp_path / "net.h").write_text(source.header)
    (tmp_path / "net.c").write_text(source.body)
    return tmp_path


def said(output: np.ndarray) -> str:
    return f"class {output.argmax()} after 4 steps\noutput {' '.join(map(str, output))}\n"


def as_text(image: np.ndarray) -> str:
    return "\n".join(repr(float(value)) for value in image.flat)


def test_make_builds_a_program_that_classifies(folder, images, expected):
    needs("make", "cc")
    made = call("make", cwd=folder)
    assert made.returncode == 0, made.stderr
    assert b"warning" not in made.stderr
    for image, output in zip(images, expected, strict=True):
        (folder / "image.txt").write_text(as_text(image))
        assert call("./classify", "image.txt", cwd=folder).stdout.decode() == said(output)
    piped = call("./classify", cwd=folder, input=as_text(images[0]).encode())
    assert piped.stdout.decode() == said(expected[0])
    for given, sentence in (
        (b"1 2 3", "ends after 3 numbers; the network reads 98"),
        (b"nan " * 98, "98 numbers of the image are not finite"),
    ):
        refused = call("./classify", cwd=folder, input=given)
        assert (refused.returncode, refused.stdout) == (1, b"")
        assert sentence in refused.stderr.decode()
    absent = call("./classify", "no.txt", cwd=folder)
    assert absent.returncode == 1
    assert "no.txt cannot be read" in absent.stderr.decode()


def test_cmake_builds_the_same(folder, images, expected):
    needs("cmake", "make", "cc")
    made = call("cmake", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug", cwd=folder)
    assert made.returncode == 0, made.stderr
    built = call("cmake", "--build", "build", cwd=folder)
    assert built.returncode == 0, built.stderr
    found = call("build/classify", cwd=folder, input=as_text(images[1]).encode())
    assert found.stdout.decode() == said(expected[1])


def test_the_sketch_answers_on_the_serial_line(folder, images, expected):
    needs("c++", "cc")
    (folder / "Arduino.h").write_text(ARDUINO)
    sketch = folder / "arduino" / "classify" / "classify.ino"
    rounds = "for (int k = 0; k < 4; ++k) loop();"
    (folder / "sketch.cpp").write_text(
        f'#include "Arduino.h"\n#include "{sketch}"\nint main() {{ setup(); {rounds} }}\n'
    )
    compiled = call("cc", "-std=c99", "-O1", "-c", "net.c", "-o", "net.o", cwd=folder)
    assert compiled.returncode == 0, compiled.stderr
    made = call("c++", "-Wall", "-Wextra", "-Werror", "-I.", "sketch.cpp", "net.o", "-o", "sketch", cwd=folder)
    assert made.returncode == 0, made.stderr
    found = call("./sketch", cwd=folder, input=images.tobytes())
    assert found.stdout.decode() == "".join(f"class {output.argmax()} in 7 us\n" for output in expected)
    odd = call("./sketch", cwd=folder, input=np.full(98, np.inf, np.float32).tobytes())
    assert odd.stdout.decode() == "the image holds numbers that are not finite\n"
