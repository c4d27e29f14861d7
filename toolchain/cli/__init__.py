"""The command line, ``spikec``: one module per command with ``add_parser`` and ``run``.

Command modules import torch, numpy and the toolchain inside ``run``, so that help, ``doctor`` and a mistyped option
answer at once. Exit codes: 0 done, 1 user error, 2 does not fit the target, 3 verification mismatch, 4 target not
available; 130 interrupted, 143 terminated (SIGTERM), 129 the terminal was closed, 141 the reader of a pipe went away.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from io import TextIOWrapper
from types import ModuleType
from typing import TextIO, cast

from spikec.cli.output import emit_error
from spikec.cli.parser import HelpFormatter, Parser, UsageError, add_common, common_options, parse
from spikec.cli.progress import Progress, clear, displaying
from spikec.errors import (
    DoesNotFit,
    RangeError,
    TargetUnavailable,
    ToolchainError,
    UnsupportedOperation,
    VerificationMismatch,
)
from spikec.interrupts import Stopped, stopping
from spikec.terminal import Shown
from spikec.words import aligned, speaking

#: In the order of the help: the demo of the main job first, then roughly in the order of use.
COMMANDS = (
    "demo",
    "train",
    "export",
    "inspect",
    "diff",
    "run",
    "verify",
    "ranges",
    "check",
    "map",
    "energy",
    "report",
    "netx",
    "c",
    "sweep",
    "advise",
    "nir",
    "doctor",
    "completion",
    "help",
)

#: Commands that read integers and load no torch: what they take is mostly the start of Python and NumPy.
LIGHT = ("inspect", "diff", "check", "map", "nir")

BROKEN_PIPE = 141
#: Characters of what the loader of libraries says; numpy's page of advice is longer.
_LONGEST = 400
_EXIT_CODES: dict[type[ToolchainError], int] = {
    DoesNotFit: 2,
    RangeError: 2,
    VerificationMismatch: 3,
    TargetUnavailable: 4,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never raises for anything a user can cause."""
    words = list(sys.argv[1:] if argv is None else argv)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without µ still gets its result
    words, common = common_options(words)
    real_err = sys.stderr
    out, err = cast(TextIO, Shown(sys.stdout, clear)), cast(TextIO, Shown(sys.stderr, clear))
    remarks = cast(TextIO, io.StringIO()) if common["quiet"] else err
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(remarks), speaking("command line"):
        return _main(words, common, out, err, real_err)


def _main(words: list[str], common: dict[str, bool], stdout: TextIO, stderr: TextIO, raw: TextIO) -> int:
    """:func:`main` with streams that show all text escaped: ``stdout`` for results, ``stderr`` for errors and, as
    ``sys.stderr``, for remarks. Progress is written to ``raw``."""
    json = common["json"]
    debug = bool(os.environ.get("SPIKEC_DEBUG"))
    try:
        with stopping():
            if not words and not json:
                print(build_parser().format_help(), end="", file=stdout)
                return 0
            with _without_collection():
                args = parse(build_parser(words[:1] if words and words[0] in COMMANDS else COMMANDS), words)
            vars(args).update(common)
            args.stdout = stdout
            light = args.command in LIGHT
            with (
                _without_collection() if light else contextlib.nullcontext(),
                _reading(forked=light) if getattr(args, "reads_nir", False) else contextlib.nullcontext(),
                _plain_warnings(debug, common["verbose"]),
                contextlib.redirect_stdout(sys.stderr if json else stdout),
                contextlib.nullcontext() if common["quiet"] else displaying(raw, common["verbose"]),
                Progress(args.command),
            ):
                code: int = args.run(args)
            stdout.flush()
        return code
    except SystemExit as request:  # argparse after --help and --version
        return int(request.code or 0)
    except KeyboardInterrupt as interrupt:
        stopped = interrupt if isinstance(interrupt, Stopped) else Stopped(signal.SIGINT)
        with contextlib.suppress(OSError):  # stderr is a terminal that was closed
            print(f"\nspikec: {stopped}", file=stderr)
        return stopped.exit_code
    except BrokenPipeError:
        _leave(stdout)
        return BROKEN_PIPE
    except Exception as error:
        if debug:
            traceback.print_exc()
        code = next((c for kind, c in _EXIT_CODES.items() if isinstance(error, kind)), 1)
        try:
            emit_error(_sentence(error), code, stderr, stdout if json else None)
            stdout.flush()
        except OSError:  # stdout is what could not be written
            _leave(stdout)
        return code


def _leave(stdout: TextIO) -> None:
    """Point ``stdout`` at the null device: Python flushes it again at exit, and that would fail too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())


def _open_closed_streams() -> None:
    """Open the null device for streams that were closed before Python started (``spikec run net.nir >&-``)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends


def build_parser(names: Sequence[str] = COMMANDS) -> Parser:
    """The parser of all commands, or of those called ``names``; ``args.run`` is that of the one that was named."""
    parser = Parser(
        prog="spikec",
        description="Trained PyTorch networks to integer spiking networks: NIR files, Lava simulation, energy reports.",
        epilog="first steps:\n"
        "  spikec demo                               everything, on a network and data that come with spikec\n"
        "  spikec export digits-cnn -o net.nir       a trained network as a deployment file\n"
        "  spikec report net.nir -o report.html      what it does and costs, on one page\n"
        "  spikec help export                        all about one command\n\n"
        "Exit codes: 0 done, 1 user error, 2 does not fit, 3 verification mismatch, 4 target not available.",
        formatter_class=HelpFormatter,
    )
    parser.add_version()
    add_common(parser)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name in names:
        module: ModuleType = import_module(f"spikec.cli.{name}")
        command: Parser = module.add_parser(commands)
        command.set_defaults(run=module.run)
    return parser


def _sentence(error: Exception) -> str:
    if isinstance(error, ToolchainError) and len(error.items) > 1:
        rows = [item.partition(": ")[::2] if ": " in item else (item,) for item in error.items]
        head = [f"{error.head}:"] if error.head else []
        return "\n".join([*head, *(f"  {line}" for line in aligned(rows)), *([error.tail] if error.tail else [])])
    if isinstance(error, DoesNotFit | UnsupportedOperation):
        return str(error)  # a list, one line each
    if isinstance(error, ToolchainError):
        return " ".join(str(error).split())
    unmapped = _unmapped(error)
    if unmapped is not None:
        return f"not enough address space to load a library ({unmapped}): raise the limit (ulimit -v)"
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}"
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # the second is torch's
        raised = ", or raise the limit of this shell (ulimit -v)" if _address_space_is_limited() else ""
        return f"not enough memory: use fewer images (--limit) or a smaller network{raised}"
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"internal error ({what}); set SPIKEC_DEBUG=1 to see the traceback"


def _unmapped(error: BaseException | None) -> str | None:
    """What the loader says where a library finds no room, in an error or in what it came from: numpy says much else."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        said = " ".join(str(error).split())
        if isinstance(error, ImportError | OSError) and "failed to map segment" in said and len(said) < _LONGEST:
            return said
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _address_space_is_limited() -> bool:
    try:
        import resource
    except ImportError:  # not on Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


@contextlib.contextmanager
def _reading(*, forked: bool) -> Iterator[None]:
    """Inside, the process that reads files is there; it starts before any thread of this one."""
    from spikec.hdf5.starting import start

    start(forked=forked)
    yield


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Inside, Python looks for no cycles of objects: a command that mostly loads code has all of them in use."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _plain_warnings(debug: bool, verbose: bool) -> Iterator[None]:
    """Inside, warnings print as one line each, those on deprecation only if ``verbose``; ``debug`` leaves all as they
    are."""
    with warnings.catch_warnings():
        if not debug:
            if not verbose:
                warnings.simplefilter("ignore", DeprecationWarning)
                warnings.simplefilter("ignore", FutureWarning)
            warnings.showwarning = lambda message, *_, **__: print(f"spikec: warning: {message}", file=sys.stderr)
        yield


__all__ = ["COMMANDS", "UsageError", "build_parser", "main"]
