"""What mkdocs is told beside ``mkdocs.yml``: pages and files outside of ``docs``, and what docstrings need.

README.md becomes the first page; CHANGELOG.md, SECURITY.md and CONTRIBUTING.md become pages. Any other file or folder
that a page links to is copied under ``files/``. The pages themselves stay as they are: their links work in a checkout.
``api.md`` ends with the public names that it does not list itself.
"""

from __future__ import annotations

import ast
import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the tests run where there is no mkdocs
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
#: Pages of the site that lie in the repository's first folder.
PAGES = {"README.md": "index.md", "CHANGELOG.md": "CHANGELOG.md", "SECURITY.md": "SECURITY.md"}
PAGES["CONTRIBUTING.md"] = "CONTRIBUTING.md"
#: Where ``api.md`` shows the public names that it does not list itself.
OTHER_NAMES = "<!-- every other public name -->"
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")


def _place(page: str) -> str:
    """The folder of a page of the site, in the repository: '' or 'docs'."""
    return "" if page in PAGES.values() else "docs"


def _target(page: str, link: str) -> str | None:
    """Where a link of a page leads, as a path of the repository; None: to the web, or to nothing that exists."""
    if re.match(r"[a-z]+:", link) or link.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(_place(page), link))
    return path if (ROOT / path).exists() else None


def _in_site(path: str) -> str:
    """The path in the site of a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        readme = posixpath.join(path, "README.md")
        if not (ROOT / readme).exists():
            raise FileNotFoundError(f"a page links to the folder {path}, which has no README.md")
        path = readme
    return f"files/{path}.txt" if path.endswith(".md") else f"files/{path}"


def _public_names() -> list[str]:
    """The keys of ``_EXPORTS`` in ``toolchain/__init__.py``, in their order, without importing it."""
    tree = ast.parse((ROOT / "toolchain" / "__init__.py").read_text(encoding="utf-8"))
    (table,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_EXPORTS"
    )
    return [*ast.literal_eval(table), "compile"]


def _with_all_names(markdown: str) -> str:
    """``api.md`` with every public name."""
    names = [name for name in _public_names() if not re.search(rf"^::: spikec\.{name}$", markdown, re.MULTILINE)]
    return markdown.replace(OTHER_NAMES, "\n".join(f"::: spikec.{name}" for name in names))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the first folder, and every file outside of ``docs`` that a page links to."""
    from mkdocs.structure.files import File

    for source, place in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    outside = {}
    for file in [f for f in files if f.src_uri.endswith(".md")]:
        for match in LINK.finditer(file.content_string):
            path = _target(file.src_uri, match[2])
            if path is not None and path not in PAGES and not path.startswith("docs/"):
                outside[_in_site(path)] = path
    for place, path in sorted(outside.items()):
        real = ROOT / path
        source = real / "README.md" if real.is_dir() else real
        files.append(File.generated(config, place, content=source.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page to where their targets are in the site."""
    here = posixpath.dirname(page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        path = _target(page.file.src_uri, match[2])
        if path is None:
            return match[0]
        place = os.path.relpath(_in_site(path), here or ".").replace(os.sep, "/")
        return f"{match[1]}{place}{match[3] or ''}{match[4]}"

    return LINK.sub(moved, _with_all_names(markdown))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Docstrings name objects as Sphinx does (``:func:`spikec.convert```): only the name is shown. In a table, a bar
    within code has a backslash before it, which GitHub takes away and Python's Markdown keeps."""
    html = re.sub(r"<td.*?</td>", lambda cell: cell[0].replace("\\|", "|"), html, flags=re.DOTALL)
    if re.search(r"(?:<blockquote>\s*){3}", html):
        raise ValueError(f"{page.file.src_uri}: an example of a docstring became a quotation; see docs/docstrings.py")
    return re.sub(r":(?:func|class|data|mod|meth|attr|exc):<code>~?", "<code>", html)
