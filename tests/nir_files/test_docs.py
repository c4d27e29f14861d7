"""``docs/nir-files.md`` lists every rule and every entry about importers, and nothing else."""

from pathlib import Path

import pytest

import spikec
from spikec.nir.findings import RULES, Finding
from spikec.nir.importers import table

PAGE = Path(spikec.__file__).resolve().parent.parent / "docs" / "nir-files.md"


def _rows(heading):
    text = PAGE.read_text(encoding="utf-8").split(heading)[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.strip().splitlines()[1:]]


def test_rules():
    assert _rows("| rule | a finding says |") == [[f"`{rule}`", says] for rule, says in RULES.items()]


def test_importers():
    wanted = [[e.importer, ", ".join(e.when), e.effect, e.says, e.grade] for e in table()]
    assert _rows("| importer | graph has | effect | what happens | grade |") == wanted


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="no rule 'odd'"):
        Finding("odd", "", "error", "something")
