"""What a terminal would obey is shown escaped, all else as it is."""

import html
import io
import json
import unicodedata
import xml.dom.minidom

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikec.cli import main
from spikec.terminal import Shown, in_json, in_markup, restart_line, shown

_OBEYED = ("Cc", "Cs", "Zl", "Zp")
_BIDIRECTIONAL = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN")
_JOINERS = "\u200c\u200d"  # letters of some scripts need them


@given(st.text(st.characters()))
def test_nothing_is_left_that_moves_or_reorders(text):
    for letter in shown(text):
        assert letter in "\n\t" or unicodedata.category(letter) not in _OBEYED
        assert letter in _JOINERS or unicodedata.bidirectional(letter) not in _BIDIRECTIONAL


@given(st.text("abc äöµ漢字é→שלום\n\t\\\u200d"))
def test_all_else_is_left_as_it_is(text):
    assert shown(text) == text


def test_escapes_are_those_of_python():
    assert shown("\x1b[31m\r\x9b\u202e\U000e0041") == r"\x1b[31m\x0d\x9b\u202e\U000e0041"
    assert shown(b"n\xff.pt".decode(errors="surrogateescape")) == r"n\xff.pt"


@given(st.text(st.characters()))
def test_markup_has_the_same_escapes_and_is_xml(text):
    made = in_markup(text)
    assert html.unescape(made) == shown(text)
    assert xml.dom.minidom.parseString(f'<a b="{made}">{made}</a>'.encode())


@given(st.recursive(st.text(st.characters()), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)))
def test_documents_say_the_same_in_escapes_of_json(value):
    made = in_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(made) == value
    assert shown(made) == made


def test_a_stream_escapes_what_is_written_and_is_the_other_in_all_else():
    raw = io.StringIO()
    stream = Shown(raw)
    print("a\x1bb", file=stream)
    stream.writelines(["c\x07", "d\n"])
    restart_line(stream)
    assert raw.getvalue() == "a\\x1bb\nc\\x07d\n\r\x1b[K"
    assert stream.isatty() is False
    assert stream.getvalue() == raw.getvalue()


@pytest.mark.parametrize(
    "words", [["run", "{}.nir"], ["{}"], ["export", "{}", "-o", "o.nir"], ["run", "x.nir", "--{}"]]
)
def test_errors_of_commands_are_escaped(capsys, words):
    assert main([word.format("a\x1b]0;b\x07\u202ec") for word in words]) == 1
    said = capsys.readouterr()
    assert "a\\x1b]0;b\\x07\\u202ec" in said.err
    assert not {"\x1b", "\x07", "\u202e"} & set(said.out + said.err)


def test_what_user_code_prints_warns_and_raises_is_escaped(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "import warnings\nprint('\\x1b[2J')\n"
        "def net():\n    warnings.warn('\\x1b[3J')\n    raise ValueError('\\x1b[4J')\n"
    )
    assert main(["export", "net.py:net", "-o", "o.nir"]) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert all(f"\\x1b[{n}J" in said.out + said.err for n in (2, 3, 4))
