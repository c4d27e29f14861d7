"""A report on disk: both files are rendered first, then each appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.report.value import Report
from toolchain.whole_files import replacing


def write(report: Report, path: str | Path, json_path: str | Path | None) -> tuple[Path, Path]:
    """Write page and document; both are rendered before either file is touched."""
    page_path = Path(path)
    document_path = Path(json_path) if json_path is not None else page_path.with_suffix(".json")
    if page_path.absolute() == document_path.absolute():
        raise ToolchainError(f"the page and the JSON document would both be {page_path}; give json_path another name")
    page = report.html()
    document = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    replace(page_path, page)
    replace(document_path, document)
    return page_path, document_path


def replace(path: Path, content: str) -> None:
    """Put ``content`` at ``path``, so that no reader sees half of it; a missing folder is made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ToolchainError(f"cannot write {path}: {error.strerror}; choose another path") from error
