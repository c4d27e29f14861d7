"""Building and keeping libraries: once for each text, only where nobody else can write, whole or not at all."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spikec.errors import ToolchainError
from spikec.targets.c import building
from spikec.targets.c.building import load
from spikec.targets.c.cache import KEPT, cache_folder, kept_as, trim, trusted, unusable
from spikec.targets.c.compilers import Compiler

SOURCE = '__attribute__((visibility("default"))) int answer(void) { return %d; }\n'


def sources(number=42):
    return {"a.c": SOURCE % number}


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEC_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept" / "c"


@pytest.fixture
def builds(monkeypatch):
    """Counts calls of the compiler that succeed."""
    done = []
    inner = building._compiled
    monkeypatch.setattr(building, "_compiled", lambda *words: (done.append(words), inner(*words))[1])
    return done


def test_it_is_built_once(own_cache, builds, compiler):
    for _ in range(2):
        assert load(sources(), "a.c", compiler).answer() == 42
    assert len(builds) == 1
    assert load(sources(43), "a.c", compiler).answer() == 43
    assert len(builds) == 2
    assert len(list(own_cache.iterdir())) == 2  # nothing else is left behind
    assert all(trusted(library) for library in own_cache.iterdir())


def test_another_compiler_or_processor_builds_anew(own_cache, builds, compiler, monkeypatch):
    load(sources(), "a.c", compiler)
    load(sources(), "a.c", Compiler(compiler.command, "another version"))
    monkeypatch.setattr(building, "cpu_features", lambda: "another processor")
    load(sources(), "a.c", compiler)
    assert len(builds) == 3


def test_many_at_once(own_cache, compiler):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load(sources(7), "a.c", compiler).answer(), range(8)))
    assert found == [7] * 8
    assert [path.suffix for path in own_cache.iterdir()] == [".so"]


def test_an_error_is_one_sentence(own_cache, compiler):
    with pytest.raises(ToolchainError) as caught:
        load({"a.c": "int f(void) { return x; }\n"}, "a.c", compiler)
    assert str(caught.value).startswith(f"{compiler.name} (")
    assert "cannot compile a.c" in str(caught.value)
    assert "error" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(own_cache.iterdir())


def test_a_compiler_that_does_not_know_this_processor(own_cache, compiler, monkeypatch):
    monkeypatch.setattr(building, "NATIVE", "-march=no-such-processor")
    source = {"a.c": '__attribute__((visibility("default"))) const char *flags(void) { return SPIKEC_FLAGS; }\n'}
    code = load(source, "a.c", compiler)
    code.flags.restype = building.ctypes.c_char_p
    assert code.flags().decode() == " ".join(building.FLAGS)


def test_a_compiler_that_does_not_finish(own_cache, tmp_path, monkeypatch):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 60 &\nwait\n")
    slow.chmod(0o755)
    monkeypatch.setattr(building, "_SECONDS", 0.1)
    started = time.monotonic()
    with pytest.raises(ToolchainError, match=r"slow did not finish a.c in 0 s; name a faster compiler"):
        load(sources(), "a.c", Compiler((str(slow),), "slow 1.0"))
    assert time.monotonic() - started < 10


def test_a_compiler_that_is_gone(own_cache):
    with pytest.raises(ToolchainError, match="cannot be started: No such file"):
        load(sources(), "a.c", Compiler(("/nowhere/cc",), "cc 1.0"))


def test_a_damaged_library_is_built_again(own_cache, compiler):
    own_cache.mkdir(parents=True, mode=0o700)
    library = kept_as(own_cache, building._key(sources(5), "a.c", compiler))
    library.write_bytes(b"damaged")
    library.chmod(0o600)
    assert trusted(library)
    with pytest.raises(ToolchainError, match=r"cannot load .* set SPIKEC_CACHE"):
        building._opened(library)
    assert load(sources(5), "a.c", compiler).answer() == 5


def test_libraries_that_others_could_have_written_are_built_again(own_cache, builds, compiler):
    load(sources(), "a.c", compiler)
    (library,) = own_cache.iterdir()
    library.chmod(0o777)
    assert not trusted(library)
    load(sources(), "a.c", compiler)
    assert trusted(library)
    assert len(builds) == 2
    link = own_cache / "link.so"
    link.symlink_to(library)
    assert not trusted(link)


@pytest.mark.parametrize("where", [".", "c"])
def test_a_folder_that_others_may_write_to_is_not_used(own_cache, builds, compiler, where):
    own_cache.mkdir(parents=True)
    (own_cache.parent / where).chmod(0o777)
    for _ in range(2):
        with pytest.warns(UserWarning, match="other users may write to .*; set SPIKEC_CACHE"):
            assert load(sources(), "a.c", compiler).answer() == 42
    assert len(builds) == 2
    assert not [path for path in own_cache.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch, compiler):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPIKEC_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="Not a directory"):
        assert load(sources(), "a.c", compiler).answer() == 42


def test_a_shared_temporary_folder_protects_what_lies_in_it(tmp_path):
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    assert unusable(shared / "mine") is None
    assert "other users may write" in unusable(shared)


def test_the_oldest_are_removed(own_cache):
    own_cache.mkdir(parents=True)
    for age in range(KEPT + 3):
        library = kept_as(own_cache, f"{age:03}")
        library.touch()
        os.utime(library, (1e9 - age, 1e9 - age))
    old, new = own_cache / ".build-old", own_cache / ".build-new"
    old.mkdir()
    os.utime(old, (1e9, 1e9))
    new.mkdir()
    trim(own_cache)
    assert sorted(p.stem for p in own_cache.glob("*.so")) == [f"{age:03}" for age in range(KEPT)]
    assert not old.exists()
    assert new.exists()


def test_where_the_cache_is(monkeypatch):
    for name in ("SPIKEC_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert str(cache_folder()) == "/home/me/.cache/spikec/c"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert str(cache_folder()) == "/home/me/.cache/spikec/c"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert str(cache_folder()) == "/x/spikec/c"
    monkeypatch.setenv("SPIKEC_CACHE", "/y")
    assert str(cache_folder()) == "/y/c"
