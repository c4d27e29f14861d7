"""Figures in the text of a page that follow from its tables: computed again from the tables that benchmarks wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import spikec as tc
from spikec.guarded.documents import read_toml_file
from spikec.models.data import open_dataset
from spikec.targets.cortex.limits import load_limits

ROOT = Path(__file__).resolve().parent.parent
Rows = dict[str, dict[str, str]]


def table(page: str, heading: str, first: str) -> Rows:
    """Rows by their first cell, of the table behind ``heading`` whose head begins with the cells ``first``. An empty
    first cell is that of the row above and the second."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    text = text[text.index(f"\n{heading}") :]
    lines = text[text.index(f"\n| {first}") + 1 :].strip().split("\n\n")[0].split("\n")
    head, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in [lines[0], *lines[2:]])
    found: Rows = {}
    above = ""
    for cells in body:
        above = cells[0] or above
        name = above if above not in found else f"{above} {cells[1]}"
        found[name] = dict(zip(head, cells, strict=False))
    return found


def number(cell: str) -> float:
    return float(re.search(r"[-+]?[\d,]*\.?\d+", cell)[0].replace(",", ""))


def methods(network: str) -> Callable[[str, str], float]:
    """``f(method, column)`` of the accuracies of a network in results.md."""
    rows = table("results", f"### {network}:", "method | own network")
    return lambda method, column: number(rows[method][column])


def test_what_the_resnet_loses():
    of = methods("resnet20")
    own = of("QCFS", "own network")
    text = " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())
    static, online = "ErrorCompensation, static offsets", "OffsetSpikes, online, rho ="
    lost = {
        "lose {:.2f} points at T = 4 and nothing at T = 8": own - of(static, "T=4"),
        "with rho = 8 lose {:.2f} at T = 2": own - of(f"{online} 8", "T=2"),
        "and {:.2f} at T = 4 (rho = 4:": own - of(f"{online} 8", "T=4"),
        "(rho = 4: {:.2f} and": own - of(f"{online} 4", "T=2"),
        "and {:.2f}). Signed spikes": own - of(f"{online} 4", "T=4"),
        "drain steps lose {:.2f} at T = 4": own - of("ErrorCompensation, drain = T", "T=4"),
        "without online calibration {:.1f} points are lost": own - of(static, "T=2"),
        "costs {:.1f} points of the network": own - of("ResidualError", "own network"),
        "and gains {:.2f} at T = 2": of(f"ResidualError + {static}", "T=2") - of(static, "T=2"),
        "most of it: {:.2f} %": of("ErrorCompensation, trained through spikes", "T=2"),
        "%, {:.1f} points below the network": own - of("ErrorCompensation, trained through spikes", "T=2"),
        "since SGD diverges, and loses {:.0f} points": own - of("ErrorFree, layerwise", "T=1"),
    }
    for words, points in lost.items():
        assert words.format(points) in text, words
    assert of(static, "T=8") > own
    assert of("ErrorCompensation, tuned offsets", "T=2") == of(static, "T=2")
    held_out = json.loads((ROOT / "models/weights/index.json").read_text())["resnet20"]["validation_accuracy"]
    assert f"({100 * held_out:.2f} % of them are right)" in text


def test_what_vgg11_loses():
    of = methods("vgg11")
    own, static = of("QCFS", "own network"), "ErrorCompensation, static offsets"
    text = " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())
    assert f"lose little: {own - of(static, 'T=2'):.1f} points at T = 2 and nothing at T = 4" in text
    assert of(static, "T=4") > own
    gains = [of("ResidualError", f"T={t}") - of("QCFS", f"T={t}") for t in (1, 2, 4, 8, 16)]
    assert f"ResidualError gains {min(gains):.1f} to {max(gains):.1f} points at every T" in text
    free = [of("ErrorFree, layerwise", f"T={t}") for t in (2, 3, 4)]
    assert f"ErrorFree's {min(free):.1f} to {max(free):.1f} % from T = 2 on" in text


def test_recipes_say_how_the_shipped_networks_were_trained():
    def fit(name: str) -> tuple[int, int]:
        recipe = read_toml_file(ROOT / "models" / "recipes" / f"{name}.toml", "the recipe")
        return recipe["fit"]["epochs"], recipe["levels"]

    text = " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())
    stages = [fit("resnet20"), fit("resnet20-8"), fit("resnet20-4")]
    words = "{} epochs with {} levels, {} with {} levels and averaged weights, and {} with {} levels again"
    assert words.format(*(each for stage in stages for each in stage)) in text
    assert "VGG-11 is trained for {} epochs with {} levels".format(*fit("vgg11")) in text
    recipe = read_toml_file(ROOT / "models" / "recipes" / "digits-cnn.toml", "the recipe")
    kept = len(open_dataset("digits", split="train").split(recipe["validation"], 0)[0])
    changes = read_toml_file(ROOT / "benchmarks" / "methods.toml", "the benchmark")
    through = changes["trainings"]["through-spikes-1"]["fit"]
    steps = through["epochs"] * -(-kept // through["batch"])
    assert f"where they have {steps} steps of the optimiser" in text


def test_a_spike_budget_gains_what_the_table_says():
    rows = table("results", "### A spike budget", "K |")
    (budget,) = (name for name in rows if name.startswith("per layer"))
    (one,) = (name for name in rows if number(rows[name]["spikes per image, calibration"]) == number(budget[17:]))
    gain = number(rows[budget]["accuracy (95 % interval)"]) - number(rows[one]["accuracy (95 % interval)"])
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert f"same budget: {gain:+.2f} points at {number(budget[17:]):,.0f}" in text
    assert "no proven gain" in text
    low, high = (float(end) for end in re.findall(r"[\d.]+", rows[one]["accuracy (95 % interval)"])[1:])
    assert low < number(rows[budget]["accuracy (95 % interval)"]) < high
    seven, alone = (number(rows[f"{k} for all layers"]["spikes per image, calibration"]) for k in (7, 1))
    assert "cost half as many messages again" in " ".join(text.split())
    assert round(seven / alone, 1) == 1.5
    assert len([name for name in rows if name.endswith("for all layers")]) - 2 == 3  # budgets, one of them measured


def test_what_rounding_costs():
    rows = table("quantization", "### fashion-vgg", "weights |")
    loss = {name: number(row["loss"]) for name, row in rows.items()}
    text = " ".join((ROOT / "docs" / "quantization.md").read_text(encoding="utf-8").split())
    assert all(points < 0 for name, points in loss.items() if name.startswith("int8"))
    coarse = [points for name, points in loss.items() if name.startswith("int4") and name.endswith(("max", "two"))]
    assert round(max(coarse)) == 20
    assert "loses up to 20 points" in text
    said = "it loses {:.2f} per channel and {:.2f} per layer, and {:.2f} per layer after fine-tuning"
    names = ("int4 channel, spikes", "int4 layer, spikes", "int4 layer, fine-tuned")
    assert said.format(*(loss[name] for name in names)) in text
    first = rows["int4 layer, fine-tuned"]["T=1"], rows["int4 layer, spikes"]["T=1"]
    assert "(at T = 1, {} against {} %)".format(*first) in text
    digits = table("quantization", "### digits-cnn", "weights |")
    image = 100 / 449
    assert f"One image is {image:.2f} points" in text
    assert all(number(row["loss"]) <= image for name, row in digits.items() if name.startswith("int8"))
    short = " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())
    words = "int8 per layer {}, int8 per channel {}, int4 per channel with scale `spikes` {}, int4 per layer {}, "
    at = (
        "int8 layer, max",
        "int8 channel, max",
        "int4 channel, spikes",
        "int4 layer, spikes",
        "int4 layer, fine-tuned",
    )
    assert f"{words}fine-tuned {{}}.".format(*(rows[name]["T=8"] for name in at)) in short


@pytest.mark.parametrize(("optimised", "word"), [("-O2", "since it unrolls loops"), ("-Os", "with `-Os`")])
def test_how_large_the_code_of_the_smallest_network_is(optimised, word):
    text = (ROOT / "docs" / "microcontrollers.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| digits-cnn, layerwise, 8 bits \| {optimised} \|(.*)$", text, re.MULTILINE)
    code = number(row.split("|")[1]) / 1000
    flat = " ".join(text.split())
    said = f"{code:.1f} kB of instructions with `-O2`" if optimised == "-O2" else f"{code:.1f} kB with `-Os`"
    assert said in flat
    assert word in flat


def embedded() -> dict[tuple[str, str, int], list[list[str]]]:
    """Cells of docs/microcontrollers.md by network, schedule and bits, of both ways to build."""
    text = (ROOT / "docs" / "microcontrollers.md").read_text(encoding="utf-8")
    found: dict[tuple[str, str, int], list[list[str]]] = {}
    for network, schedule, bits, rest in re.findall(
        r"^\| (\S+), (pipelined|layerwise), (\d) bits \| -O\w \|(.*)\|$", text, re.MULTILINE
    ):
        found.setdefault((network, schedule, int(bits)), []).append(rest.split("|"))
    return found


def test_networks_that_are_too_large_fit_in_the_schedule_layerwise():
    ram = {kind: max(number(cells[2]) for cells in rows) for kind, rows in embedded().items()}
    limit = load_limits("cortex-m4").limits["ram"].value
    too_large = [network for (network, schedule, _), used in ram.items() if schedule == "pipelined" and used > limit]
    assert len(too_large) >= 3
    assert all(ram[network, "layerwise", 8] < limit for network in too_large)


@pytest.mark.thorough
def test_the_cycle_model_spans_what_was_emulated():
    from benchmarks.c_embedded import Case, deployment, images
    from spikec.targets.c.cost import cost

    for (network, schedule, bits), rows in embedded().items():
        if network == "digits-cnn":
            graph = deployment(Case(network, schedule, bits))
            trace = tc.simulate(graph, images(network, 1, "test"), counts=True)
            low, high = cost(graph, trace, compile=False).cycles
            emulated = [float(each) * 1e6 for cells in rows for each in re.findall(r"[\d.]+", cells[6])]
            assert low <= min(emulated)
            assert max(emulated) <= high


def test_readings_of_the_energy_table():
    text = " ".join((ROOT / "docs" / "energy.md").read_text(encoding="utf-8").split())
    rows = {}
    for line in (ROOT / "docs" / "energy.md").read_text(encoding="utf-8").split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"V\d+b?", cells[0]):
            rows.setdefault(cells[0], []).append(cells)
    (v1,), (v5,), (v6,), (v7,) = (rows[name] for name in ("V1", "V5", "V6", "V7"))
    assert f"V1 is missed by {abs(number(v1[6])):.1f} %" in text
    assert "no" in v1[7]
    assert max(abs(number(v5[6])), abs(number(v6[6]))) <= 7
    assert number(v7[6]) > 100
    measured = [number(re.search(r"([\d.]+) nJ per MAC", row[9])[1]) for row in rows["V9"] if "nJ per MAC" in row[9]]
    bare = [number(found[1]) for row in rows["V9"] if (found := re.search(r"MACs x (\d+) pJ", row[9]))]
    assert f"takes {min(measured):g} to {max(measured):g} nJ per MAC on four platforms" in text
    times = 1000 * max(measured) / min(bare)
    assert f"up to {round(times, -1):.0f} times a bare figure per MAC" in text
