"""Names of files and folders on the command line: refused before the work, with the option that they were given to."""

import argparse
from pathlib import Path

import pytest

from spikec.cli import paths
from spikec.cli.paths import output_folder, output_path
from spikec.models.data.pictures import SUFFIXES
from spikec.models.resolving import _OTHER_FILES
from spikec.plotting import saving

_INTO_FOLDERS = pytest.mark.parametrize("words", ["sweep g.toml -o", "advise digits-cnn -o", "demo -o", "c n.nir -o"])


@_INTO_FOLDERS
def test_a_folder_that_ends_like_a_file_is_a_slip(spikec, tmp_path, words):
    better = {"page.html": "page", "a/net.nir": "a/net", "f.c": "f", "page.HTML": "page", "x.v2.onnx": "x.v2"}
    better |= {"a.tar.gz": "a", **{f"x.{ending}": "x" for ending in ("pt", "py", "tar", "htm", "png")}}
    for name, said in better.items():
        result = spikec(*words.split(), name)
        assert result.code == 1
        assert f"{name} would be a folder, and ends like a file: call it {said}\n" in result.err.replace(" (see", "\n")
    (tmp_path / "file").write_text("")
    assert "file is a file, give a folder" in spikec(*words.split(), "file").err
    assert not list(tmp_path.glob("*.*"))


def test_what_is_plainly_a_folder_may_end_like_a_file(tmp_path):
    (tmp_path / "there.nir").mkdir()
    for name in ("page.html/", "results.v2", "run.1", f"{tmp_path}/there.nir"):
        assert output_folder(name) == Path(name)
    with pytest.raises(argparse.ArgumentTypeError, match=r"o\.nir/ is the name of a directory, give a file name"):
        output_path("o.nir/")


def test_the_endings_of_files_are_those_that_the_package_reads():
    assert {*SUFFIXES, *_OTHER_FILES, *saving._NO_DATE} <= paths._FILES


@_INTO_FOLDERS
def test_a_folder_that_cannot_be_called_so_is_refused_with_its_option(spikec, words):
    for name, why in (("x" * 5000, "the name is too long for this system; give a shorter one"),):
        result = spikec(*words.split(), name)
        assert result.code == 1
        assert result.err.startswith(f"spikec: argument -o/--out: {'x' * 77}... cannot be written: {why}")


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ("export digits-cnn -o {}.nir", "-o/--out"),
        ("report n.nir -o {}.html", "-o/--out"),
        ("run n.nir -o {}.npz", "-o/--out"),
        ("map n.nir --svg {}.svg", "--svg"),
        ("train digits-cnn -o {}.safetensors", "-o/--output"),
    ],
)
def test_a_file_that_cannot_be_called_so_is_refused_with_its_option(spikec, words, flag):
    # The last has room for the name, but not for that of its checkpoint.
    result = spikec(*words.format("x" * (240 if "train" in words else 5000)).split())
    assert result.code == 1
    assert f"argument {flag}: xxxx" in result.err
    assert "cannot be written: the name is too long for this system; give a shorter one" in result.err


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 300, "y" * 300 + "/x"])
@pytest.mark.parametrize(
    "words",
    [
        "run {}",
        "inspect {}",
        "nir doctor {}",
        "nir repair {} -o o.nir",
        "nir repair {} --in-place",
        "export {}.nir -o o.nir",
        "export {} -o o.nir",
        "export {}.py:net -o o.nir",
        "export digits-cnn --weights {} -o o.nir",
        "export digits-cnn --format {}.toml -o o.nir",
        "export digits-cnn --data {} -o o.nir",
        "export digits-cnn --data npz:{} -o o.nir",
        "export digits-cnn --data folder:{} -o o.nir",
        "export digits-cnn --data-root {} -o o.nir",
        "train digits-cnn --recipe {} -o o.safetensors",
        "train digits-cnn --weights {} -o o.safetensors",
        "sweep {} -o out",
        "report diff {} b.json",
    ],
)
def test_long_names_of_what_is_read_are_one_sentence(spikec, words, name):
    result = spikec(*words.format(name).split())
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "internal error" not in result.err
    assert not result.err.startswith("spikec: File name too long")  # the system's words alone, without a way out


def test_words_that_no_system_gives_are_refused(spikec):
    for word in ("\ud800", "a\ud800.nir"):
        result = spikec("run", word)
        assert result.code == 1
        assert "holds half of a character; leave it out" in result.err
    assert "no file" in spikec("run", b"n\xff".decode(errors="surrogateescape")).err


def test_a_folder_that_cannot_be_made_is_one_sentence(spikec, tmp_path):
    (tmp_path / "file").write_text("")
    for words in ("demo -o file/x", "c n.nir -o file/x"):
        assert "file/x cannot be made: Not a directory; choose another folder with -o" in spikec(*words.split()).err
