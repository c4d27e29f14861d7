"""Which compiler is taken, and what is said where there is none."""

import sys

import pytest

from spikec.errors import TargetUnavailable
from spikec.targets.c import CTarget, compilers
from spikec.targets.c.compilers import cpu_features, find_compiler


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """``machine("gcc", "cc")``: a PATH with these programs and no other; their ``--version`` says their name. One that
    starts with ``!`` fails."""

    def made(*names):
        for name in names:
            program = tmp_path / name.lstrip("!")
            program.write_text(f"#!/bin/sh\necho {program.name} 1.0\necho more\nexit {int(name.startswith('!'))}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(compilers.importlib.util, "find_spec", lambda name: None)
        return tmp_path

    return made


def test_the_order(machine):
    machine("cc", "clang")
    assert find_compiler().version == "clang 1.0"
    machine("gcc")
    assert find_compiler().name == "gcc"


def test_cc_comes_first(machine, monkeypatch):
    folder = machine("gcc", "icx")
    monkeypatch.setenv("CC", "icx --sysroot=/x")
    assert find_compiler().command == (str(folder / "icx"), "--sysroot=/x")
    assert find_compiler("gcc").command == (str(folder / "gcc"),)


def test_one_that_fails_is_passed_over(machine):
    machine("!gcc", "clang")
    assert find_compiler().name == "clang"


def test_ziglang_is_the_last(machine, monkeypatch):
    machine()
    monkeypatch.setattr(compilers.importlib.util, "find_spec", lambda name: object() if name == "ziglang" else None)
    monkeypatch.setattr(compilers, "_version", lambda command: "clang of zig")
    found = find_compiler()
    assert found.command == (sys.executable, "-m", "ziglang", "cc")
    assert found.name == "ziglang"


def test_none(machine):
    machine()
    said = CTarget.available()
    assert "apt install gcc" in said
    assert "pip install 'spikec[c]'" in said
    assert "\n" not in said
    with pytest.raises(TargetUnavailable, match="there is no C compiler"):
        CTarget().compile(None)


@pytest.mark.parametrize("text", ["nowhere", "un'balanced", "/etc/passwd"])
def test_a_cc_that_is_none(machine, monkeypatch, text):
    machine("gcc")
    monkeypatch.setenv("CC", text)
    with pytest.raises(TargetUnavailable, match=r"the environment variable CC is .* which is no program"):
        find_compiler()


def test_a_cc_that_does_not_answer(machine, monkeypatch):
    machine("gcc", "!odd")
    monkeypatch.setenv("CC", "odd")
    with pytest.raises(TargetUnavailable, match="does not answer to --version"):
        find_compiler()


def test_the_processor_is_described():
    assert cpu_features() == cpu_features()
    assert len(cpu_features()) > 5
