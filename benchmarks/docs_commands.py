"""Run what the documentation prints: every command and script of its pages, each page in an empty folder of its own.

    python -m benchmarks.docs_commands                       # all pages; what differs is shown
    python -m benchmarks.docs_commands docs/faq.md           # one
    python -m benchmarks.docs_commands --write docs/faq.md   # put what commands print now into the page

``benchmarks.docs_blocks`` says how blocks are marked. ``spikec`` and ``python`` are those of the interpreter that runs
this. Commands print to stdout; what goes to stderr is shown where one fails. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import difflib
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.docs_blocks import Block, Command, blocks, same
from spikec.whole_files import replacing

ROOT = Path(__file__).resolve().parent.parent
#: Longest first: pages run side by side.
PAGES = ("docs/faq.md", "docs/tutorial.md", "README.md")
SECONDS = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", default=PAGES)
    parser.add_argument("--write", action="store_true", help="write what is printed into the pages")
    parser.add_argument("--workers", type=int, default=2, help="pages that run side by side (default 2)")
    args = parser.parse_args()
    with ThreadPoolExecutor(args.workers) as pool:
        results = list(pool.map(lambda page: _page(ROOT / page, args.write), args.pages))
    return 1 if any(results) else 0


def environment(folder: Path) -> dict[str, str]:
    """``spikec`` and ``python`` on the path; one thread, since networks are small and pages run side by side."""
    tools = folder / "bin"
    tools.mkdir()
    for name, words in (("spikec", "-m spikec "), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (tools / name).chmod(0o755)
    set_here = {
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "COLUMNS": "110",
        "MPLBACKEND": "Agg",
        "SPIKEC_DOCS": str(ROOT),
    }
    return {**os.environ, **set_here, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


def _page(page: Path, write: bool) -> int:
    """Run one page; returns how many blocks differ or fail."""
    text = page.read_text(encoding="utf-8")
    lines, wrong, count, start = text.split("\n"), 0, 0, time.monotonic()
    new: list[tuple[Command, list[str]]] = []
    with tempfile.TemporaryDirectory(prefix="spikec_docs_") as folder:
        around = environment(Path(folder))
        here = Path(folder) / "here"
        here.mkdir()
        for block in blocks(text):
            if block.not_run:
                continue
            if block.language == "python":
                count += 1
                wrong += _script(page, block, here, around)
            for command in block.commands:
                count += 1
                code = block.exit_code if command is block.commands[-1] else 0
                printed = _run(page, block, command, code, here, around)
                if printed is None:
                    wrong += 1
                elif not same(command.printed, printed, block.numbers_may_differ and not write):
                    new.append((command, printed))
                    wrong += not write
                    _differs(page, command, printed)
    for command, printed in reversed(new):
        lines[command.first : command.last] = printed
    if write and new:
        with replacing(page) as temporary:
            temporary.write_text("\n".join(lines), encoding="utf-8")
    print(f"{page.relative_to(ROOT)}: {count} run, {wrong} wrong, {time.monotonic() - start:.0f} s", flush=True)
    return wrong


def _script(page: Path, block: Block, here: Path, environment: dict[str, str]) -> int:
    text = "\n".join(block.lines) + "\n"
    if block.title:
        (here / block.title).write_text(text, encoding="utf-8")
        return 0
    done = subprocess.run(
        [sys.executable, "-"], input=text, cwd=here, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        print(f"{page.name}, line {block.line}: the script fails\n{done.stderr}", flush=True)
    return done.returncode != 0


def _run(
    page: Path, block: Block, command: Command, code: int, here: Path, environment: dict[str, str]
) -> list[str] | None:
    """What a command prints on stdout; None where it does not end with ``code``."""
    done = subprocess.run(
        ["bash", "-c", command.text], cwd=here, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode != code:
        said = f"exit code {done.returncode} instead of {code}\n{done.stdout}{done.stderr}"
        print(f"{page.name}, line {block.line}: {command.text}: {said}", flush=True)
        return None
    return done.stdout.rstrip("\n").split("\n") if done.stdout.strip() else []


def _differs(page: Path, command: Command, printed: list[str]) -> None:
    shown = "\n".join(difflib.unified_diff(command.printed, printed, "in the page", "printed now", lineterm=""))
    print(f"{page.name}, line {command.first}: {command.text} prints something else\n{shown}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
