"""Tables of code by type: what is there is found, what is refused says so, what is missing is named with its place."""

from __future__ import annotations

import pytest

from spikec import implementations
from spikec.errors import DoesNotFit, GraphError, MissingImplementation, ToolchainError
from spikec.implementations import Implementations, shown
from spikec.ir.kinds import IF, GradedIF, Kind, SignedIF
from spikec.ir.operations import Flatten, Operation, SumPool


@pytest.fixture(autouse=True)
def _own_tables(monkeypatch):
    """The tables made here are not among those of the product."""
    monkeypatch.setattr(implementations, "TABLES", [])


@pytest.fixture
def table():
    table = Implementations("step", "somewhere/steps.py", Kind)

    @table.register(IF)
    def step():
        return "fire"

    return table


def test_code_is_found_by_a_value_and_by_a_type(table):
    assert table(IF())() == table(IF)() == "fire"
    assert IF in table
    assert IF() in table
    assert table.state(IF) == "implemented"


def test_one_entry_may_serve_several_types(table):
    table.register(SignedIF, GradedIF)(len)
    assert table(SignedIF()) is table(GradedIF(3)) is len


def test_what_is_missing_is_named_with_its_place(table):
    sentence = "graded has no step: register one in somewhere/steps.py"
    for value in (GradedIF(3), GradedIF):
        with pytest.raises(MissingImplementation) as error:
            table(value)
        assert str(error.value) == sentence
        assert value not in table
    assert table.state(GradedIF) == "missing"
    assert isinstance(error.value, ToolchainError)


def test_a_derived_type_does_not_inherit_an_entry(table):
    """It may compute something else."""

    class Derived(IF):
        name = "derived"

    with pytest.raises(MissingImplementation, match=r"^derived has no step"):
        table(Derived())


def test_operations_are_named_by_their_class():
    table = Implementations("box", "somewhere/boxes.py", Operation)
    flatten = Flatten("f", ("a",), (2, 2), (4,))
    with pytest.raises(MissingImplementation, match=r"^Flatten has no box: register one in somewhere/boxes\.py$"):
        table(flatten)
    assert shown(flatten) == shown(Flatten) == "Flatten"  # not by the name of the node
    assert (shown(SumPool), shown(IF()), shown(IF)) == ("SumPool", "if", "if")


def test_a_refusal_is_the_error_of_the_place(table):
    table.refuse(lambda name: DoesNotFit(f"no {name} neurons on this chip"), SignedIF, GradedIF)
    for value, name in ((SignedIF(), "signed_if"), (GradedIF, "graded")):
        with pytest.raises(DoesNotFit, match=f"^no {name} neurons on this chip$"):
            table(value)
        assert str(table.refusal(value)) == f"no {name} neurons on this chip"
        assert value not in table
    assert (table.state(SignedIF), table.state(IF)) == ("refused", "implemented")


def test_tables_of_foreign_software_refuse_whatever_is_not_in_them():
    table = Implementations("node", "somewhere/nodes.py", Kind, otherwise=lambda name: GraphError(f"it has no {name}"))
    table.register(IF)(len)
    assert table(IF()) is len
    with pytest.raises(GraphError, match=r"^it has no graded$"):
        table(GradedIF(1))
    assert table.state(GradedIF) == "refused"
    table.refuse(lambda name: DoesNotFit(f"{name} was taken out"), GradedIF)
    with pytest.raises(DoesNotFit, match=r"^graded was taken out$"):
        table(GradedIF(1))


def test_every_table_is_known(table):
    assert [table] == implementations.TABLES
    other = Implementations("box", "somewhere/boxes.py", Operation)
    assert [table, other] == implementations.TABLES
