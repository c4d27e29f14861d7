"""Files appear whole or not at all, with the permissions of any new file."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spikec.processes import this_process
from spikec.training import FitConfig
from spikec.training.checkpoint import save_checkpoint
from spikec.whole_files import remove_stale, replacing, temporary_folder, temporary_name, write_text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_text("old")
    return path


def test_it_takes_the_place_of_the_file_when_the_block_ends(path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(path) as temporary:
            temporary.write_text("new")
            assert path.read_text() == "old"
    finally:
        os.umask(before)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_file_as_it_was(path: Path) -> None:
    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_do_not_meet(path: Path) -> None:
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert path.read_text() == "first"  # the outer block ends last


def test_a_missing_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "none" / "file"):
        pass
    assert str(caught.value).endswith(f"directory: '{tmp_path}/none/file'")  # not the temporary name


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught, replacing(tmp_path):
        pass
    assert str(caught.value).endswith(f": '{tmp_path}'")
    assert list(tmp_path.iterdir()) == []


def test_links_that_lead_to_each_other_are_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links") as caught, replacing(tmp_path / "one"):
        pass
    assert caught.value.filename == str(tmp_path / "one")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_goes_on_pointing_to_what_is_written(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path.name)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_a_pipe_or_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no regular file"), replacing(pipe):
        pass
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk_is_named_with_the_file(path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_checkpoint(path, FitConfig(epochs=1), {}, {"model": torch.zeros(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_longest_name_has_a_temporary_one(tmp_path: Path) -> None:
    for name in ("x" * 255, "ü" * 127):
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new"


def test_a_temporary_folder_is_private_and_goes_with_all_that_it_holds(tmp_path: Path) -> None:
    with temporary_folder(tmp_path, "out.npz") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.name.startswith(".out.npz.spikec_")
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from spikec.whole_files import replacing, temporary_folder
place = Path(sys.argv[1])
with (
    replacing(place / "file.txt") as file,
    temporary_folder(place) as folder,
    temporary_folder(place, "x.npz") as beside,
):
    file.write_text("half")
    (folder / "part").touch()
    (beside / "part").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system does not show its processes")
def test_what_a_killed_process_left_goes_when_the_next_one_writes_there(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path.parent)], check=False)
    assert len(list(path.parent.iterdir())) == 4
    assert path.read_text() == "old"
    write_text(path, "new")
    assert list(path.parent.iterdir()) == [path]


def test_nothing_of_the_living_of_other_machines_or_of_users_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, dead = this_process(), this_process()._replace(start=1)
    names = ["_".join(("spikec", *map(str, each), "00000000")) for each in (here, dead._replace(machine="0" * 8))]
    names += [".spikec_notes", f"{names[0]}.log", f"my_{names[0]}", ".gitignore"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    left = tmp_path / "_".join(("spikec", *map(str, dead), "00000000"))
    left.symlink_to("folder")
    with monkeypatch.context() as other:
        other.setattr(os, "geteuid", lambda: os.getuid() + 1)
        remove_stale(tmp_path)
    assert left.is_symlink()
    remove_stale(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {*names, "folder"}


def test_a_folder_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    remove_stale(tmp_path / "none")


def test_temporary_names_differ() -> None:
    assert temporary_name("a") != temporary_name("a")
