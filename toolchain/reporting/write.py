"""A report on disk: both files are rendered first, then each appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from spikec.arguments import file_path
from spikec.errors import ToolchainError
from spikec.terminal import in_json
from spikec.whole_files import write_text

if TYPE_CHECKING:
    from spikec.reporting.value import Report


def write(report: Report, path: str | Path, json_path: str | Path | None) -> tuple[Path, Path]:
    """Write page and document; both are rendered before either file is touched."""
    page_path = file_path(path, "the page")
    document_path = file_path(json_path, "the document") if json_path is not None else page_path.with_suffix(".json")
    if page_path.absolute() == document_path.absolute():
        raise ToolchainError(f"the page and the JSON document would both be {page_path}; give json_path another name")
    page = report.html()
    document = in_json(json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)) + "\n"
    write_text(page_path, page)
    write_text(document_path, document)
    return page_path, document_path
