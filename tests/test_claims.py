"""What the documentation claims is held: ``tests/claims/PAGE.toml`` says by what.

Every sentence and table of a page that has a figure stands there word for word; of a page that is ``complete``, every
sentence. ``held_by`` names what makes it true, each of

    tests/ir/test_x.py::test_y                 a test
    benchmarks.golden                          a benchmark that prints the figure
    spikec.ir.work: PASS_MOST == 10**13        a value in the code, compared here
    spikec doctor                              a command that prints it; it has to parse
    source: Davies et al., IEEE Micro 2018     what somebody else measured or said
    opinion                                    advice, or a judgement
    text                                       nothing is claimed: it introduces, names, or leads elsewhere

Whoever changes a sentence changes it there too, and looks whether what holds it still does.
"""

from __future__ import annotations

import ast
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.docs_claims import LISTS, PAGES, ROOT, claims, compared, has_figures, main, written
from spikec.cli import build_parser
from spikec.cli.parser import parse


def names(text: str) -> set[str]:
    """All functions that a module defines, at any depth."""
    return {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}


@cache
def defined_in(path: Path) -> set[str]:
    return names(path.read_text(encoding="utf-8"))


@cache
def problem(holder: str) -> str | None:
    """Why ``holder`` holds nothing."""
    if holder in ("opinion", "text") or (holder.startswith("source: ") and len(holder) > len("source: ")):
        return None
    if holder.startswith("tests/"):
        path, _, name = holder.partition("::")
        if not (ROOT / path).is_file():
            return f"there is no {path}"
        return None if name.startswith("test_") and name in defined_in(ROOT / path) else f"{path} has no test {name!r}"
    if holder.startswith("benchmarks."):
        path = ROOT / f"{holder.split()[0].replace('.', '/')}.py"
        return None if path.is_file() and "main" in defined_in(path) else f"{path.name} is no benchmark with a main()"
    if holder.startswith("spikec "):
        try:
            parse(build_parser(), shlex.split(holder)[1:])
        except Exception as error:
            return f"it does not parse: {error}"
        return None
    if holder.startswith("spikec.") and ": " in holder:
        module, _, said = holder.partition(": ")
        return None if eval(said, dict(vars(import_module(module)))) is True else "it is not so"
    return "it is none of the forms above"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_figure_is_held_by_something(page):
    found = compared(page)
    told = [f"{page.name}:{each.line}: {each.text}\n    was: {found.nearest(each)}" for each in found.new]
    assert not told, f"not in tests/claims/{page.stem}.toml (see benchmarks/docs_claims.py):\n" + "\n".join(told)
    assert not found.gone, f"no longer in {page.name} (see benchmarks/docs_claims.py):\n" + "\n".join(found.gone)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_holds_it_is_there(page):
    entries = compared(page).document["claims"]
    sentences = [sentence for entry in entries for sentence in entry["sentences"]]
    assert len(sentences) == len(set(sentences))
    assert all(set(entry) == {"held_by", "sentences"} and entry["held_by"] and entry["sentences"] for entry in entries)
    wrong = {holder: problem(holder) for entry in entries for holder in entry["held_by"]}
    assert not {holder: why for holder, why in wrong.items() if why}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_figure_is_never_mere_text(page):
    """What has a figure claims something, unless an opinion is all it is; what a benchmark wrote, it prints."""
    for entry in compared(page).document["claims"]:
        if entry["held_by"] == ["text"]:
            assert not [each for each in entry["sentences"] if has_figures(each)]
        if any(each.startswith("<!--") for each in entry["sentences"]):
            assert any(holder.startswith(("benchmarks.", "tests/")) for holder in entry["held_by"])


def test_each_list_has_its_page():
    assert {path.stem for path in LISTS.iterdir()} == {page.stem for page in PAGES}


@pytest.mark.parametrize(
    "holder",
    [
        "tests/test_claims.py::test_that_nobody_wrote",
        "tests/test_nowhere.py::test_x",
        "tests/test_claims.py",
        "tests/test_claims.py::names",
        "benchmarks.none",
        "benchmarks.docs_blocks",
        "spikec run --no-such-option",
        "spikec.ir.work: PASS_MOST == 10**14",
        "source: ",
        "everybody knows",
    ],
)
def test_what_holds_nothing_is_told(holder):
    assert problem(holder)


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("It takes 3 steps.", True),
        ("The error is within 1e-4.", True),
        ("At T = 4 it is equal.", True),
        ("At most 2^26 entries.", True),
        ("Version of 1,024 axons.", True),
        ("It fires -1.", True),
        ("Chips such as Loihi 2 and Loihi 1.", False),
        ("It needs Python 3.10 or later, torch 2.3 and Lava 0.10.0.", False),
        ("Weights are int8, input uint8.", False),
        ("`--limit 20` takes the first.", False),
        ("See [the page](page2.md#4-steps).", False),
        ("From arXiv 2303.04347, in 2023.", False),
        ("A factor of 1.6.", True),
        ("2000 draws.", True),
        ("Written in C99 for the Cortex-M4.", False),
    ],
)
def test_what_is_a_figure(text, figures):
    assert has_figures(text) == figures


def test_sentences_and_tables_of_a_page():
    page = """# Title 1

One sentence. Another `a. B` of 2
lines! See e.g. this.

1. An item with 3.
   Its second sentence.
- **Bold 4.** After it

| a | b |
|---|---|
| 1 | x |

    an indented block 5

```text
code 6
```
<!-- peers: begin -->
| c |
|---|
<!-- peers: end -->
The end <!-- 7 --> is here.
"""
    assert [(claim.text, claim.figures, claim.line) for claim in claims(page)] == [
        ("One sentence.", False, 3),
        ("Another `a. B` of 2 lines!", True, 3),
        ("See e.g. this.", False, 3),
        ("An item with 3.", True, 6),
        ("Its second sentence.", False, 6),
        ("**Bold 4.**", True, 8),
        ("After it", False, 8),
        ("| a | b | 1", True, 10),
        ("<!-- peers: written -->", True, 19),
        ("The end is here.", False, 23),
    ]


def test_a_sentence_that_changed_stays_where_it_was(tmp_path, monkeypatch, capsys):
    page, folder = tmp_path / "page.md", tmp_path / "claims"
    folder.mkdir()
    monkeypatch.setattr("benchmarks.docs_claims.ROOT", tmp_path)
    monkeypatch.setattr("benchmarks.docs_claims.LISTS", folder)
    monkeypatch.setattr("benchmarks.docs_claims.PAGES", [page])
    monkeypatch.setattr("sys.argv", ["docs_claims"])
    entry = {"held_by": ["opinion"], "sentences": ['It takes 3 "steps".', "It has 4 layers.", "No figure."]}
    (folder / "page.toml").write_text(written(page, {"complete": False, "claims": [entry]}))
    page.write_text('It takes 3 "steps".  It has 4\nlayers. No figure. Another.')
    assert main() == 0
    page.write_text('It takes 5 "steps". It is about 6 apples, pears and more. No figure.')
    assert main() == 1
    assert "was: It takes 3" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["docs_claims", "--write"])
    assert main() == 1  # nobody holds the other sentence
    ((kept,), new) = compared(page).document["claims"], compared(page).new
    assert kept == {"held_by": ["opinion"], "sentences": ['It takes 5 "steps".', "No figure."]}
    assert [each.text for each in new] == ["It is about 6 apples, pears and more."]
    assert not compared(page).gone
