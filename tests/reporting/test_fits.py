"""Which chips and energy profiles a report covers by default: those that are registered, in an order of their own."""

import pytest

from spikec.energy import profile_names
from spikec.reporting import report
from spikec.reporting.fits import chips, profiles
from spikec.targets.chips import CHIPS, get_chip


@pytest.fixture
def another_chip():
    """A chip that is another one under a new name, with that one's energy profile."""
    twin = get_chip("loihi1")

    @CHIPS.register("another")
    class Another:
        name, title, form, limits, profile = "another", "Another chip", twin.form, twin.limits, twin.profile

        def check(self, graph, *, placement=None):
            return twin.check(graph, placement=placement)

        def place(self, graph, *, shared=True):
            return twin.place(graph, shared=shared)

    yield Another
    CHIPS.forget("another")


def test_chips_come_first_the_last_name_leading():
    assert chips() == ("loihi2", "loihi1", "cortex-m4")
    assert profiles() == {"loihi2": "loihi2", "loihi1": "loihi1", "cmos45": None}
    assert list(profiles()) == ["loihi2", "loihi1", "cmos45"]
    assert set(profiles()) == set(profile_names())


def test_a_chip_that_is_registered_is_in_the_report(another_chip, deployment, arguments):
    made = report(deployment.graph, path=None, **arguments)
    assert [fit.target for fit in made.fits] == ["loihi2", "loihi1", "cortex-m4", "another"]
    assert made.fits[3].title == "Another chip"
    assert made.fits[3].loads == made.fits[1].loads
    assert "Another chip" in made.html()
    assert "fit, another" in made.text()
    assert [energy.profile for energy in made.energies] == ["loihi2", "loihi1", "cmos45"]
