"""What every command has in common: exit codes, one sentence per error, one document per ``--json``."""

import io
import json
import os
import subprocess
import sys

import pytest

from spikec import errors
from spikec.cli import COMMANDS, doctor, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(spikec, command):
    result = spikec(command, "--help")
    assert result.code == 0
    assert f"usage: spikec {command}" in result.out


def test_help_lists_every_command(spikec):
    out = spikec("--help").out
    assert all(command in out for command in COMMANDS)


def test_version(spikec):
    assert spikec("--version").out.startswith("spikec ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--limit", "3", "run", "net.nir"), "spikec run --limit"),
        (("run", "net.nir", "other.nir"), "'other.nir' is one argument too many"),
        (("exprot",), "did you mean 'export'?"),
        (("run", "net.nir", "--limt", "3"), "did you mean '--limit'?"),
        (("run", "net.nir", "--lim", "3"), "did you mean '--limit'?"),
        (("run", "net.nir", "--limit", "0"), "must be at least 1, not 0"),
        (("run", "net.nir", "--limit", "many"), "'many' is not an integer"),
        (("export", "digits-cnn", "-T", "0", "-o", "x.nir"), "must be at least 1, not 0"),
        (("export", "digits-cnn", "--per", "layr", "-o", "x.nir"), "did you mean 'layer'?"),
        (("export", "digits-cnn"), "-o/--out"),
        (("export", "digits-cnn", "-o", "."), "is a directory"),
        (("export", "digits-cnn", "-o", "absent/x.nir"), "does not exist"),
        (("export", "digits-cnn", "--option", "rho", "-o", "x.nir"), "NAME=VALUE"),
        (("doctor", "--target", "lva"), "did you mean 'lava'?"),
        (("inspect", "absent.nir"), "no file absent.nir"),
        (("inspect", "."), "is a directory"),
    ],
)
def test_user_errors_are_one_sentence_and_exit_code_1(spikec, words, says):
    result = spikec(*words)
    assert result.code == 1
    assert result.out == ""
    assert says in result.err
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_output_is_refused(spikec, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    result = spikec("export", "digits-cnn", "-o", folder / "x.nir")
    assert result.code == 1
    assert "permission denied" in result.err


def test_errors_are_a_document_for_json(spikec):
    result = spikec("run", "absent.nir", "--json")
    assert result.code == 1
    assert result.json["exit_code"] == 1
    assert "absent.nir" in result.json["error"]


def _raise(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (errors.ToolchainError("the sky is\n  falling"), 1, "the sky is falling"),
        (errors.DataError("no data"), 1, "no data"),
        (errors.DoesNotFit("too big"), 2, "too big"),
        (errors.VerificationMismatch("differs"), 3, "differs"),
        (errors.TargetUnavailable("not here"), 4, "not here"),
        (PermissionError(13, "Permission denied", "f.nir"), 1, "Permission denied: f.nir"),
        (MemoryError(), 1, "--limit"),
        (ZeroDivisionError("oops"), 1, "SPIKEC_DEBUG=1"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_exit_codes(spikec, monkeypatch, error, code, says):
    monkeypatch.setattr(doctor, "run", _raise(error))
    result = spikec("doctor")
    assert result.code == code
    assert says in result.err
    assert "Traceback" not in result.err


def test_debug_shows_the_traceback(spikec, monkeypatch):
    monkeypatch.setenv("SPIKEC_DEBUG", "1")
    monkeypatch.setattr(doctor, "run", _raise(errors.DataError("no data")))
    assert "Traceback" in spikec("doctor").err


def test_stray_prints_go_to_stderr_under_json(spikec, monkeypatch):
    def run(args):
        print("a library is talking")
        return emit_later(args)

    emit_later = doctor.run
    monkeypatch.setattr(doctor, "run", run)
    result = spikec("doctor", "--quick", "--json")
    assert result.json["command"] == "doctor"
    assert "talking" in result.err


def test_help_starts_without_torch_and_numpy():
    code = "import sys; from spikec.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_module_and_pipe(net):
    """``python -m spikec ... | head -0``: quiet when the reader leaves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spikec", "inspect", str(net), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.parametrize(
    ("shell", "code", "said"),
    [
        ('"$0" -m spikec --quiet inspect "$1" >&-', 0, ""),
        ('"$0" -m spikec --quiet inspect "$1" --json >&-', 0, ""),
        ('"$0" -m spikec --quiet inspect absent.nir --json >&- 2>&-', 1, ""),
        ('"$0" -m spikec --quiet inspect "$1" > /dev/full', 1, "spikec: No space left on device\n"),
        ('"$0" -m spikec --quiet inspect "$1" --json > /dev/full', 1, "spikec: No space left on device\n"),
    ],
)
def test_output_that_is_closed_or_full(net, shell, code, said):
    words = ["sh", "-c", shell, sys.executable, str(net)]
    process = subprocess.run(words, capture_output=True, text=True)
    assert process.returncode == code
    assert process.stderr == said


def test_json_is_strict(capsys):
    assert main(["doctor", "--quick", "--json"]) == 0
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_a_terminal_without_the_sign_still_gets_the_result(monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(doctor, "run", lambda args: print("79 µJ") or 0)
    assert main(["doctor"]) == 0
    assert stdout.buffer.getvalue() == b"79 \\xb5J\n"
