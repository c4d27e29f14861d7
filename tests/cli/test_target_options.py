"""Options that a target states of itself are options of ``run`` and ``verify``, without a list on the command line."""

import pytest

from spikec.targets.base import TARGETS
from spikec.targets.golden import GoldenTarget
from spikec.targets.options import Option, Options


class Toy(GoldenTarget):
    """The golden model under another name; remembers its options."""

    name = "toy"
    told: dict = {}  # noqa: RUF012 - shared by all of them, as a test wants it
    options = Options(
        "options of the toy",
        (
            Option("flavour", "taste of it", choices=("sweet", "sour")),
            Option("spoons", "how many", least=1, metavar="N"),
            Option("hurry", "less of it", switch=True, changes=True),
            Option("chunk", "shared with Lava", least=1),
        ),
    )

    def compile(self, graph, **options):
        self.told.clear()
        self.told.update(options)
        return super().compile(graph)


@pytest.fixture(autouse=True)
def toy():
    TARGETS.register("toy")(Toy)
    yield
    TARGETS.forget("toy")


def test_they_are_in_the_help(spikec):
    out = spikec("run", "--help").out
    assert "options of the toy:" in out
    assert "--flavour {sweet,sour}" in out
    assert "--hurry" in out
    assert "--hurry" not in spikec("verify", "--help").out  # which compares: nothing may change results


def test_they_reach_the_target(spikec, net):
    words = ("--target", "toy", "--limit", 3, "--flavour", "sour", "--spoons", 2)
    assert spikec("run", net, *words, "--hurry", "--chunk", 2).code == 0
    assert Toy.told == {"flavour": "sour", "spoons": 2, "hurry": True, "chunk": 2}
    assert spikec("verify", net, *words).code == 0
    assert Toy.told == {"flavour": "sour", "spoons": 2}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--flavour", "sour"), "--flavour is an option of --target toy, not of golden"),
        (("--target", "toy", "--flavour", "swet"), "did you mean 'sweet'?"),
        (("--target", "toy", "--spoons", 0), "must be at least 1, not 0"),
        (("--target", "toy", "--workers", 2), "--workers is an option of --target lava, not of toy"),
        (("--target", "toy", "--threads", 2), "--threads is an option of --target golden and c, not of toy"),
    ],
)
def test_they_are_refused_elsewhere(spikec, net, words, says):
    result = spikec("run", net, *words)
    assert result.code == 1
    assert says in result.err


def test_a_target_that_cannot_be_imported_leaves_the_others(spikec, net):
    def broken():
        raise ImportError("broken")

    TARGETS.register("toy")(broken)
    assert spikec("run", net, "--limit", 3, "--threads", 1).code == 0
