"""Equal runs leave equal files, whatever the time and the order in which Python hashes."""

import os
import subprocess
import sys
import zipfile

import numpy as np

from benchmarks.kill_cases import prepare
from benchmarks.same_files import TIMES, differences, same, without_times

COMMANDS = (
    "train net.py:make --recipe recipe.toml --epochs 1 -o w.safetensors",
    "export net.py:make --weights w.safetensors --calibration 16 --measure 20 -o made.nir",
    "run net.nir --limit 3 --record spikes -o trace.npz",
    "report net.nir --limit 5 --verify 0 -o report.html",
    "map net.nir --target loihi2 --svg map.svg",
    "netx net.nir -o net.hdf5",
)
#: In a process of its own strings have other hashes.
ANOTHER = """
import sys
from spikec.cli import main
sys.exit(any([main(words.split()) for words in sys.argv[1:]]))
"""


def test_every_command_writes_the_same_twice(net, tmp_path, spikec, monkeypatch):
    places = [tmp_path / name for name in ("one", "other")]
    for place in places:
        prepare(place, ["train"])
        (place / "net.nir").write_bytes(net.read_bytes())
    monkeypatch.chdir(places[0])
    assert [spikec(*words.split()).code for words in COMMANDS] == [0] * len(COMMANDS)
    settings = {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", ANOTHER, *COMMANDS], cwd=places[1], env=settings, check=True)
    assert differences(*places) == []
    recorded = {"w.safetensors.checkpoint", "w.safetensors.log.jsonl"}  # the seconds of each epoch
    for file in places[0].iterdir():
        assert file.name in recorded or file.read_bytes() == (places[1] / file.name).read_bytes()
    with zipfile.ZipFile(places[0] / "trace.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_comparison_sees_what_is_no_time(tmp_path):
    one, other = tmp_path / "a.json", tmp_path / "b.json"
    one.write_text('{"runs": [{"accuracy": 1.0, "seconds": 1}]}')
    other.write_text('{"runs": [{"accuracy": 1.0, "seconds": 2}]}')
    assert same(one, other)
    other.write_text('{"runs": [{"accuracy": 0.5, "seconds": 1}]}')
    assert not same(one, other)
    for path, value in ((one, 1), (other, 2)):
        np.savez(path.with_suffix(".npz"), **{"a:b": np.array([value]), "seconds:": np.array(value)})
    assert not same(one.with_suffix(".npz"), other.with_suffix(".npz"))
    assert differences(tmp_path, tmp_path) == []
    assert without_times([dict.fromkeys(TIMES, 1)]) == [{}]
