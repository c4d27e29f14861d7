"""Help, examples and completion."""

import contextlib
import io
import shlex
import shutil
import subprocess
from functools import cache

import pytest

from spikec.cli import COMMANDS, build_parser, main
from spikec.cli.completion import SHELLS
from spikec.cli.parser import parse, subcommands


def _all(parser):
    for name, command in subcommands(parser).items():
        below = subcommands(command)
        yield from ((f"{name} {action}", each) for action, each in below.items())
        yield name, command


PARSERS = dict(_all(build_parser()))


def test_no_word_and_help_show_the_help(spikec):
    alone, asked = spikec(), spikec("help")
    assert alone.code == asked.code == 0
    assert alone.out == asked.out == spikec("--help").out
    assert all(f"\n    {command} " in alone.out for command in COMMANDS)
    assert spikec("help", "nir", "repair").out == spikec("nir", "repair", "--help").out
    assert "did you mean 'export'" in spikec("help", "exprot").err
    assert "has no actions" in spikec("help", "run", "fast").err
    assert spikec("help", "run", "--json").json["text"].startswith("usage: spikec run")


@pytest.mark.parametrize("name", PARSERS)
def test_every_help_has_examples_that_parse(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = PARSERS[name].examples
    assert examples
    text = PARSERS[name].format_help()
    for example in examples:
        assert f"  {example}\n" in text
        words = shlex.split(example, comments=True)
        if words[0] == "eval":
            words = shlex.split(words[1].strip("$()"))
        words = words[: words.index(">")] if ">" in words else words
        assert words[0] == "spikec"
        assert words[1] == name.split()[0]
        parse(build_parser(), words[1:])


@pytest.fixture(scope="module")
def script_for():
    """``script_for(shell) -> str``, made once for each: it takes the options of all commands together."""

    @cache
    def made(shell):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main(["completion", shell]) == 0
        return out.getvalue()

    return made


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell(script_for, shell):
    script = script_for(shell)
    for word in ("export", "repair", "--timesteps", "--early-exit", "--json"):
        assert word.lstrip("-") in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True).returncode == 0


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("spikec ins", {"inspect"}),
        ("spikec nir re", {"repair"}),
        ("spikec export --sched", {"--schedule"}),
        ("spikec export --schedule l", {"layerwise"}),
        ("spikec inspect ne", {"net.nir"}),
        ("spikec map net.nir --sv", {"--svg"}),
        ("spikec run net.nir --target g", {"golden"}),
        ("spikec check net.nir --target l", {"loihi1", "loihi2"}),
        ("spikec map net.nir --chip c", {"cortex-m4"}),
        ("spikec energy net.nir --profile c", {"cmos45"}),
        ("spikec ranges net.nir --format g", {"generic24"}),
        ("spikec run net.nir --data fa", {"fashion-mnist"}),
        ("spikec export digits-cnn --method q", {"qcfs"}),
        ("spikec sweep grid.toml --executor s", {"slurm"}),
        ("spikec help insp", {"inspect"}),
        ("spikec report net.nir -o ne", {"net.nir"}),
    ],
)
@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")
def test_bash_completes(script_for, tmp_path, line, offered):
    (tmp_path / "net.nir").touch()
    (tmp_path / "completion").write_text(script_for("bash"))
    words = line.split()
    code = (
        f"source ./completion; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; "
        "$(complete -p spikec | sed 's/.*-F \\([^ ]*\\).*/\\1/') spikec; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert set(done.stdout.split()) == offered, done.stderr
