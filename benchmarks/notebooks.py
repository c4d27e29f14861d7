"""Run the notebooks of examples/notebooks, each in an empty folder of its own.

    python -m benchmarks.notebooks                                     # all
    python -m benchmarks.notebooks examples/notebooks/own_cnn.ipynb    # one

The kernel is the interpreter that runs this. What a notebook writes is thrown away, and the notebook stays as it is.
Exit code 1 where a cell fails, or where a notebook holds outputs: committed ones would grow old unseen.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "notebooks"
SECONDS = 300


class _ThisPython(AsyncKernelManager):
    """A kernel of this interpreter, whatever kernels the user has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    paths = parser.parse_args().notebooks
    if not paths:
        print(f"no notebooks in {FOLDER}")
        return 1
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return 1 if sum([_fails(path) for path in paths]) else 0


def _fails(path: Path) -> bool:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    problems = ["holds outputs: clear them"] if any(c.outputs or c.execution_count for c in code) else []
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="spikec_notebook_") as folder:
        client = NotebookClient(
            notebook, timeout=SECONDS, resources={"metadata": {"path": folder}}, kernel_manager_class=_ThisPython
        )
        try:
            client.execute()
        except CellExecutionError as error:
            problems.append(str(error))
    said = "\n".join(problems) or "runs"
    print(f"{path.name}: {len(code)} cells, {time.monotonic() - start:.0f} s: {said}", flush=True)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
