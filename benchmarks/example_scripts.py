"""Run the scripts of examples/python and examples/shell, each in an empty folder of its own.

    python -m benchmarks.example_scripts

``spikec`` and ``python`` are those of the interpreter that runs this. What a script prints is shown where it
fails; exit code 1 then.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.docs_commands import environment

FOLDER = Path(__file__).resolve().parent.parent / "examples"
SECONDS = 300


def main() -> int:
    scripts = sorted([*FOLDER.glob("python/*.py"), *FOLDER.glob("shell/*.sh")])
    return 1 if not scripts or sum([_fails(script) for script in scripts]) else 0


def _fails(script: Path) -> bool:
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="spikec_example_") as folder:
        here = Path(folder) / "here"
        here.mkdir()
        command = [sys.executable if script.suffix == ".py" else "sh", script]
        done = subprocess.run(
            command, cwd=here, env=environment(Path(folder)), capture_output=True, text=True, timeout=SECONDS
        )
        said = f"exit code {done.returncode}\n{done.stdout}{done.stderr}" if done.returncode else "runs"
    print(f"{script.relative_to(FOLDER.parent)}: {time.monotonic() - start:.0f} s: {said}", flush=True)
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
