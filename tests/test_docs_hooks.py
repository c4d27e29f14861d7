"""The site that mkdocs makes: where files and links go, and which names ``api.md`` shows. Links of all pages lead
somewhere, in a checkout too."""

from __future__ import annotations

import importlib.util
import posixpath
import re
import sys
import unicodedata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import spikec

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
SITE = {"README.md": "index.md"}  # other pages keep their names


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown_at(source: Path) -> str:
    """The path in the site of a page of the repository."""
    return SITE.get(source.name, source.name)


@pytest.fixture
def docstrings(monkeypatch):
    griffe = ModuleType("griffe")
    griffe.Extension = griffe.Object = object
    monkeypatch.setitem(sys.modules, "griffe", griffe)
    spec = importlib.util.spec_from_file_location("docs_docstrings", ROOT / "docs" / "docstrings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def links(text: str) -> list[str]:
    """Targets of Markdown links, without those in code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))


def anchors(text: str) -> set[str]:
    """Names that GitHub and mkdocs give to headings."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        name = re.sub(r"[^\w\s-]", "", plain).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", name))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target == ROOT or ROOT in target.parents, link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_the_same_file_in_the_site(page, hooks):
    """Followed from where a page is in the site, each link reaches the copy of what it reaches in the checkout."""
    text = page.read_text(encoding="utf-8")
    shown = SimpleNamespace(file=SimpleNamespace(src_uri=shown_at(page)))
    moved = hooks.on_page_markdown(text, shown, None, None)
    before, after = links(text), links(moved)
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        if re.match(r"[a-z]+:|#", old):
            assert old == new
            continue
        path, _, anchor = old.partition("#")
        target = (page.parent / path).resolve()
        place, _, same_anchor = new.partition("#")
        reached = posixpath.normpath(posixpath.join(posixpath.dirname(shown_at(page)), place))
        assert same_anchor == anchor
        if target in PAGES:
            assert reached == shown_at(target), old
        elif (ROOT / "docs") in target.parents:
            assert reached == str(target.relative_to(ROOT / "docs")), old
        else:
            if target.is_dir():
                target /= "README.md"
            wanted = f"files/{target.relative_to(ROOT)}"
            assert reached == (f"{wanted}.txt" if wanted.endswith(".md") else wanted), old


def test_a_link_to_a_folder_without_a_page_is_refused(hooks):
    with pytest.raises(FileNotFoundError, match=r"toolchain/ir.*no README\.md"):
        hooks._in_site("toolchain/ir")


class _File:
    """What the hook needs of mkdocs' class."""

    def __init__(self, place, content):
        self.src_uri, self.content_string = place, content

    @classmethod
    def generated(cls, config, place, *, content=None, abs_src_path=None):
        read = Path(abs_src_path).read_bytes() if abs_src_path else content
        return cls(place, read.decode("utf-8", "replace"))


def test_files_outside_of_docs_are_added(hooks, monkeypatch):
    for name in ("mkdocs", "mkdocs.structure", "mkdocs.structure.files"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["mkdocs.structure.files"].File = _File
    page = "[a](../examples/README.md) [b](../pyproject.toml#x) [c](faq.md) [d](https://a.b/c.py) [e](../missing.py)"
    files = hooks.on_files([_File("one.md", page), _File("two.svg", page)], None)
    added = {file.src_uri: file.content_string for file in files[2:]}
    assert added.pop("index.md") == (ROOT / "README.md").read_text(encoding="utf-8")
    assert added.pop("files/pyproject.toml") == (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {"CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "files/examples/README.md.txt"} <= added.keys()
    assert not any("missing" in place or "faq" in place or "a.b" in place for place in added)


def test_api_shows_every_public_name_once(hooks):
    page = hooks._with_all_names((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    assert hooks.OTHER_NAMES not in page
    shown = re.findall(r"^::: spikec\.(\w+)$", page, re.MULTILINE)
    assert sorted(shown) == sorted({*spikec._EXPORTS, "compile"})


def test_other_pages_keep_their_text(hooks):
    assert hooks._with_all_names("::: spikec.lower\n") == "::: spikec.lower\n"


def test_roles_of_sphinx_are_shown_as_names(hooks):
    html = "see :func:<code>spikec.convert</code>, :class:<code>~spikec.Trace</code>, a:<code>b</code>"
    shown = hooks.on_page_content(html, None, None, None)
    assert shown == "see <code>spikec.convert</code>, <code>spikec.Trace</code>, a:<code>b</code>"


def test_code_in_tables_keeps_its_bars_and_examples_are_code(hooks):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="api.md"))
    html = r"<p>a \| b</p><td><code>a\|b</code></td>"
    assert hooks.on_page_content(html, page, None, None) == r"<p>a \| b</p><td><code>a|b</code></td>"
    with pytest.raises(ValueError, match=r"api\.md: an example of a docstring became a quotation"):
        hooks.on_page_content("<blockquote>\n<blockquote>\n<blockquote>\n<p>x", page, None, None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("No example.", "No example."),
        ("One.\n\n>>> 1 + 1\n2", "One.\n\n```pycon\n>>> 1 + 1\n2\n```"),
        (">>> 1\n1\n\nSaid.\n\n>>> 2\n", "```pycon\n>>> 1\n1\n```\n\nSaid.\n\n```pycon\n>>> 2\n```\n"),
        ("- a list\n\n    >>> 1\n    1\n\nEnd", "- a list\n\n    ```pycon\n    >>> 1\n    1\n    ```\n\nEnd"),
        ("```python\n>>> 1\n1\n\n>>> 2\n```\n\nEnd", "```python\n>>> 1\n1\n\n>>> 2\n```\n\nEnd"),
        ("- a\n\n    ```\n    >>> 1\n    ```", "- a\n\n    ```\n    >>> 1\n    ```"),
        ("~~~~\n```\n>>> 1\n~~~\n~~~~\n>>> 2", "~~~~\n```\n>>> 1\n~~~\n~~~~\n```pycon\n>>> 2\n```"),
    ],
)
def test_examples_in_docstrings_get_one_fence_that_is_indented_as_they_are(docstrings, text, shown):
    assert docstrings.fenced(text) == shown
    assert docstrings.fenced(shown) == shown
