"""How the blocks of a page are read, and when a command printed what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.docs_blocks import blocks, same
from benchmarks.docs_commands import PAGES

ROOT = Path(__file__).resolve().parent.parent
PAGE = """# A page

```python title="net.py"
x = 1
```

<!-- exit code: 2 -->

<!-- numbers may differ -->
```console
$ spikec check net.nir \\
    --target loihi1
3 cores
$ spikec doctor
```

Text in between ends what a comment says.

```text
$ not a command
```

<!-- not run: needs SLURM -->
```console
$ spikec sweep
```
"""


def test_blocks_of_a_page():
    file, console, text, left_out = blocks(PAGE)
    assert (file.language, file.title, file.lines, file.line) == ("python", "net.py", ("x = 1",), 3)
    assert (console.exit_code, console.numbers_may_differ, console.not_run) == (2, True, "")
    first, second = console.commands
    assert (first.text, first.printed) == ("spikec check net.nir \\\n    --target loihi1", ("3 cores",))
    assert (second.text, second.printed) == ("spikec doctor", ())
    assert (text.language, text.commands, text.exit_code, text.numbers_may_differ) == ("text", (), 0, False)
    assert (left_out.not_run, left_out.commands[0].text) == ("needs SLURM", "spikec sweep")


def test_lines_of_a_command_are_where_the_page_has_them():
    """``--write`` puts there what is printed now."""
    lines = PAGE.split("\n")
    for block in blocks(PAGE):
        for command in block.commands:
            assert tuple(lines[command.first : command.last]) == command.printed
            assert lines[command.first - 1].endswith(command.text.split("\n")[-1].strip())


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```console\nspikec run\n```", r"line 2: a console block begins with '\$ '"),
        ("```text\nno end", "line 1: the block has no end"),
        (
            "<!-- number may differ -->\n```console\n$ a\n```",
            "line 2: <!-- number may differ --> before a block; known",
        ),
    ],
)
def test_a_page_that_is_written_wrongly_is_refused(page, said):
    with pytest.raises(ValueError, match=said):
        blocks(page)


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_that_are_run_can_be_read(page):
    assert any(block.commands for block in blocks((ROOT / page).read_text(encoding="utf-8")))


PRINTED = ["accuracy 99.78 % (448 of 449) at T = 4", "int8, +0.22 points, 1,234 weights", "written: a.nir"]


@pytest.mark.parametrize(
    "expected",
    [
        PRINTED,
        [line.replace(" ", "   ") for line in PRINTED],
        ["accuracy ... at T = 4", *PRINTED[1:]],
        ["...", PRINTED[2]],
        [*PRINTED[:2], "...", PRINTED[2]],  # no line is a number of lines too
    ],
)
def test_what_was_printed_is_what_the_page_says(expected):
    assert same(tuple(expected), PRINTED)


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("change", ["left out", "one more", "a word", "a digit"])
def test_what_differs_is_told(at, change):
    page = list(PRINTED)
    if change == "left out":
        del page[at]
    elif change == "one more":
        page.insert(at, "more")
    elif change == "a word":
        page[at] = page[at].replace("t", "d")
    else:
        page[at] = page[at] + " 1"
    assert not same(tuple(page), PRINTED)


HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def test_hashes_may_differ_and_must_be_there():
    assert same((f"sha256 {HASH}",), [f"sha256 {HASH[::-1]}"])
    assert not same((f"sha256 {HASH}",), ["sha256 none"])


@pytest.mark.parametrize(
    ("page", "printed"),
    [
        ("accuracy 99.78 % of 449", "accuracy 98.00 % of 4490"),
        ("1,234 weights", "9 weights"),
        ("+0.22 points", "-0.11 points"),
        ("T=1 98.00 %, T=2 99.55 %", "T=1 97.10 %, T=2 99.33 %"),
        ("5              7.0%   12.8%", "5   17.0%  2.8%"),
    ],
)
def test_digits_may_differ_where_the_page_says_so(page, printed):
    assert same((page,), [printed], numbers_may_differ=True)
    assert not same((page,), [printed])


@pytest.mark.parametrize(
    ("page", "printed"),
    [
        ("+0.22 points", "0.22 points"),
        ("accuracy 99.78 %", "loss 99.78 %"),
        ("int8 per layer", "int4 per layer"),
        ("fits loihi1", "fits loihi2"),
        ("layer relu_1", "layer relu_2"),
        ("210 µJ", "210 mJ"),
        ("0.30 s", "0.3 s"),
        ("written: 3 files", "written: no files"),
        ("version 1.0.8", "version 1.0"),
    ],
)
def test_nothing_else_may_differ_there(page, printed):
    assert not same((page,), [printed], numbers_may_differ=True)


WORDS = st.lists(st.sampled_from(["spikes", "int8", "of", "loihi2", "%", "+", "-", "at"]), min_size=1, max_size=6)


@given(WORDS, st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=6, max_size=6), st.data())
def test_lines_are_the_same_exactly_where_their_words_are(words, numbers, data):
    page = " ".join(f"{word} {number}" for word, (number, _) in zip(words, numbers, strict=False))
    now = " ".join(f"{word} {number:,}" for word, (_, number) in zip(words, numbers, strict=False))
    assert same((page,), [now], numbers_may_differ=True)
    other = data.draw(WORDS)
    line = " ".join(f"{word} {number}" for word, (_, number) in zip(other, numbers, strict=False))
    assert same((page,), [line], numbers_may_differ=True) == (other == words)
