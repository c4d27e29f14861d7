"""The results folder: whole files or none, damage noticed, one worker per configuration."""

import json
import os

import pytest

from spikec.deployment.configuration import sha256
from spikec.errors import DataError
from spikec.sweeping.store import Store, failure
from spikec.sweeping.summary import write_csv


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "results")
    made.prepare()
    return made


@pytest.fixture
def written(store, configurations):
    """A configuration with a result in the store."""
    (one,) = configurations(bits=5)
    store.write(failure(one, "µ says no"))
    return one


def test_what_is_written_is_read(store, written):
    found = store.read(written.id)
    assert found["error"]["message"] == "µ says no"
    assert found["configuration"] == written.to_json()
    assert store.all() == [found]
    assert [path.name for path in store.runs.iterdir()] == [f"{written.id}.json"]


def _edit(key, value):
    return lambda text: json.dumps({**json.loads(text), key: value})


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("says no", "says yes"),
        lambda text: "[1]",
        _edit("state", "done"),
        _edit("schema", "spikec.sweep-result/0"),
        _edit("sha256", "0"),
    ],
)
def test_a_damaged_or_edited_file_is_no_result(store, written, damage):
    path = store.path(written.id)
    path.write_text(damage(path.read_text()))
    assert store.read(written.id) is None
    assert store.damaged(written.id)
    assert store.all() == []


def test_a_file_under_another_name_is_no_result(store, written):
    other = "0" * 12
    store.path(other).write_bytes(store.path(written.id).read_bytes())
    assert store.read(other) is None


def test_a_file_that_is_no_text_is_no_result(store, written):
    store.path(written.id).write_bytes(b"\xff\xfe\x00")
    assert store.read(written.id) is None


def _signed(**changes):
    """What anybody can write: fields of other types, with the right hash."""

    def damage(text):
        body = {key: value for key, value in json.loads(text).items() if key != "sha256"} | changes
        return json.dumps({**body, "sha256": sha256(body)})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "[" * 100_000,
        lambda text: '{"a":' * 50_000,
        lambda text: "9" * 5000,
        _signed(error=None),
        _signed(error={"message": 3}),
        _signed(error="x"),
        _signed(state="done", error=None),
        _signed(configuration=[]),
        _signed(configuration={}),
        _signed(versions=0),
    ],
)
def test_one_bad_file_blocks_neither_its_run_nor_others(store, written, configurations, damage):
    path = store.path(written.id)
    path.write_text(damage(path.read_text()))
    (other,) = configurations(bits=6)
    store.write(failure(other, "no"))
    assert store.damaged(written.id)
    store.check(written.id)
    assert [result["id"] for result in store.all()] == [other.id]
    write_csv(store.folder / "summary.csv", store.all())
    store.write(failure(written, "again"))
    assert store.read(written.id)["error"]["message"] == "again"


def test_a_pipe_or_folder_where_a_result_goes_is_told_before_the_work(store, written):
    path = store.path(written.id)
    for make in (os.mkfifo, os.mkdir, lambda at: os.symlink("/nowhere", at)):
        path.unlink() if path.is_symlink() or not path.is_dir() else path.rmdir()
        make(path)
        assert store.read(written.id) is None
        assert store.all() == []
        assert store.damaged(written.id)
        with pytest.raises(DataError, match="stands where a result goes: remove it"):
            store.check(written.id)


def test_a_claim_holds_against_other_processes_and_ends_with_its_own(store):
    first, second = "0123456789ab", "ba9876543210"
    claimed, ready = os.pipe()
    child = os.fork()
    if not child:  # dies without giving anything back
        with store.claim(first, wait=False) as mine:
            os.write(ready, b"y" if mine else b"n")
            os.pause() if hasattr(os, "pause") else __import__("signal").pause()
        os._exit(0)
    assert os.read(claimed, 1) == b"y"
    with store.claim(first, wait=False) as mine:
        assert not mine
    with store.claim(second, wait=False) as mine:
        assert mine
    os.kill(child, 9)
    os.waitpid(child, 0)
    with store.claim(first, wait=True) as mine:
        assert mine


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be a results folder"):
        Store(tmp_path / "file").prepare()
