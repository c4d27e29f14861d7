"""Files appear whole or not at all, with the permissions of any new file."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest
import torch

from spikec.training import FitConfig
from spikec.training.checkpoint import save_checkpoint
from spikec.whole_files import replacing


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
